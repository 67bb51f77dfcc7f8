//! Finds the configuration and loads it: the file, the environment over it, the defaults under it.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use secrecy::ExposeSecret;

use super::{
    Config, Environment, Place, Problem, Problems, Setting, build, environment,
    node::{self, Node, Table, Value},
    problem::{Report, unreadable},
    schema, secret, show,
};

/// Where the configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// This file (`--config`).
    File(PathBuf),
    /// `$TILLHOOK_CONFIG`, `./tillhook.toml`, `/data/tillhook.toml`, else what is embedded.
    Search,
    /// What is embedded, whatever files there are.
    Embedded,
}

/// Files that are looked for, in this order.
const PLACES: &[&str] = &["tillhook.toml", "/data/tillhook.toml"];

/// A configuration, and how it came about.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What does not keep it from working.
    pub warnings: Vec<Problem>,
    /// Every value in force with its origin, secrets masked.
    pub settings: Vec<Setting>,
    /// The file, where there is one.
    pub file: Option<PathBuf>,
    /// Whether a token was made just now: print the webhook address.
    pub generated_token: bool,
}

impl Loaded {
    /// Where the value at `path` (`shop.dupont.token`) was written; `None` for a default.
    pub fn origin_of(&self, path: &str) -> Option<&Place> {
        self.settings.iter().find(|setting| setting.path == path).and_then(|setting| setting.place.as_ref())
    }

    /// A problem of a table that came to light after loading, such as what building a sink says: at the key that `what`
    /// begins with, else at the table's first key.
    pub fn problem_at(&self, table: &str, what: &str, fix: &str) -> Problem {
        let named = what.strip_prefix('`').and_then(|what| what.split('`').next());
        let named = named.and_then(|key| self.origin_of(&format!("{table}.{key}")));
        let prefix = format!("{table}.");
        let first = || self.settings.iter().find(|setting| setting.path.starts_with(&prefix))?.place.as_ref();
        Problem::new(format!("`{table}`: {what}"), named.or_else(first).cloned(), fix)
    }
}

/// Loads the configuration. Without a file, and without a token in the environment, a token is made at the first start
/// and kept under `storage.path`.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load(source: &Source, environment: &Environment) -> Result<Loaded, Problems> {
    let file = find(source, environment, PLACES);
    let mut root = match &file {
        Some(file) => read_file(file, environment, source)?,
        None => Table::default(),
    };
    let mut report = Report::default();
    environment::overlay(&mut root, environment, &mut report);
    let base = file.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    secret::resolve(&mut root, base, environment, &mut report);
    let defaults = schema::defaults();
    if file.is_none() {
        add_examples(&mut root, &defaults);
    }
    let generated_token = file.is_none() && give_token(&mut root, &defaults, &mut report);
    let config = build::build(&mut root, &defaults, &mut report);
    match config {
        Some(config) if report.problems.is_empty() => {
            report.warnings.extend(forgotten_token(&config));
            Ok(Loaded { config, warnings: report.warnings, settings: show::settings(&root), file, generated_token })
        }
        _ => Err(report.into_problems()),
    }
}

/// The token that was made for a start without configuration, where the till may still use it and no shop has it.
fn forgotten_token(config: &Config) -> Option<Problem> {
    let kept = secret::kept_token(&config.storage.path)?;
    let accepted = config.shops.values().flat_map(|shop| [Some(&shop.token), shop.previous_token.as_ref()]).flatten();
    if accepted.into_iter().any(|token| token.expose_secret() == kept.expose_secret()) {
        return None;
    }
    let file = secret::token_file(&config.storage.path);
    let file = file.display();
    let what = "the address that was printed at the first start is no longer accepted";
    let fix = format!(
        "add `previous_token = {{ file = \"{file}\" }}` to the shop until the till has the new address, then delete {file}"
    );
    Some(Problem::new(what, None, fix))
}

/// The file to read, where there is one.
fn find(source: &Source, environment: &Environment, places: &[&str]) -> Option<PathBuf> {
    match source {
        Source::File(file) => Some(file.clone()),
        Source::Embedded => None,
        Source::Search => match environment.get("TILLHOOK_CONFIG") {
            Some(file) if !file.is_empty() => Some(file.into()),
            _ => places.iter().map(PathBuf::from).find(|file| file.exists()),
        },
    }
}

fn read_file(file: &Path, environment: &Environment, source: &Source) -> Result<Table, Problems> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        let variable = "TILLHOOK_CONFIG";
        let by_variable = *source == Source::Search && environment.get(variable).is_some_and(|value| !value.is_empty());
        let place = by_variable.then(|| Place::Variable(variable.to_owned()));
        let mut problem = unreadable("the configuration", file, &error, place);
        if error.kind() == ErrorKind::NotFound {
            "check the path, or write the file with `tillhook init`".clone_into(&mut problem.fix);
        }
        Problems(vec![problem])
    })?;
    node::parse_file(file, &text).map_err(Problems)
}

/// Without a file, the default shop and the default sink are in use until the environment names others; it may also
/// change them.
fn add_examples(root: &mut Table, defaults: &Table) {
    for section in schema::NAMED {
        let Some(below) = defaults.get(section) else { continue };
        match root.section_mut(section) {
            None => root.0.push(below.clone()),
            Some(all) => {
                for entry in below.node.table().into_iter().flat_map(|examples| &examples.0) {
                    if let (Some(named), Some(example)) = (all.section_mut(&entry.key), entry.node.table()) {
                        named.lay_over(example);
                    }
                }
            }
        }
    }
}

/// Gives the default shop its token; whether it was made just now.
fn give_token(root: &mut Table, defaults: &Table, report: &mut Report) -> bool {
    let path_in = |table: &Table| table.section("storage")?.get("path")?.node.text().map(PathBuf::from);
    let place = path_in(root).or_else(|| path_in(defaults));
    let default_name = defaults.section("shop").and_then(|shops| shops.0.first()).map(|entry| entry.key.clone());
    let (Some(dir), Some(name)) = (place, default_name) else { return false };
    let Some(shop) = root.section_mut("shop").and_then(|shops| shops.section_mut(&name)) else { return false };
    if shop.has("token") {
        return false;
    }
    let (value, created) = match secret::ensure_token(&dir) {
        Ok((token, created)) => (Value::Text(token.expose_secret().to_owned()), created),
        Err(error) => {
            let what = format!("no token can be kept in {} ({})", dir.display(), error.kind());
            let fix = "write a configuration with `tillhook init`, or set `TILLHOOK_STORAGE__PATH` to a folder that can be \
                       written; a damaged file `token` there may be deleted";
            report.problem(Problem::new(what, None, fix));
            (Value::Broken, false)
        }
    };
    let place = Some(Place::start_of(&secret::token_file(&dir)));
    shop.set("token", Node { value, place, hidden: true });
    created
}

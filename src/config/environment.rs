//! Lays the environment over the file: `TILLHOOK_SHOP__DUPONT__TOKEN` is `token` in `[shop.dupont]`.

use std::{collections::BTreeMap, path::Path};

use super::{
    node::{Node, Table, Value, parse_value},
    problem::{Place, Problem, Report, hint, unreadable},
    schema,
};

/// What all our variables begin with.
const PREFIX: &str = "TILLHOOK_";

/// The end of a variable that names a file in place of the value.
const TWIN: &str = "_FILE";

/// Variables that are no keys of the configuration.
const OTHERS: &[&str] = &["TILLHOOK_CONFIG", "TILLHOOK_LOG"];

/// Environment variables, taken once so that a test can bring its own. Not `Debug`: they hold secrets.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The environment of this process, without what is not Unicode.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Sets in `root` what the environment says.
pub(super) fn overlay(root: &mut Table, environment: &Environment, report: &mut Report) {
    let ours = environment.0.iter().filter(|(name, _)| name.starts_with(PREFIX) && !OTHERS.contains(&name.as_str()));
    for (name, value) in ours {
        let place = Some(Place::Variable(name.clone()));
        let (key, twin) = name.strip_suffix(TWIN).map_or((name.as_str(), false), |key| (key, true));
        let Some(path) = path_of(root, key) else {
            report.warnings.push(unknown(name, key));
            continue;
        };
        if twin && environment.0.contains_key(key) {
            let what = format!("`{key}` and `{name}` are both set");
            report.problem(Problem::new(what, place, "remove one of them"));
            continue;
        }
        let value = if twin { contents(name, value, report) } else { written(value, place.as_ref()) };
        set(root, &path, &Node { value, hidden: twin, place });
    }
}

/// Where the variable's value belongs: at least a table and a key. Names of shops and sinks that exist are matched
/// with `-` as `_`.
fn path_of(root: &Table, variable: &str) -> Option<Vec<String>> {
    let mut path: Vec<String> = variable.strip_prefix(PREFIX)?.split("__").map(str::to_lowercase).collect();
    let section = path.first()?.clone();
    let named = schema::NAMED.contains(&section.as_str());
    let depth = if named { 3 } else { 2 };
    if !schema::SECTIONS.contains(&section.as_str()) || path.len() < depth || path.iter().any(String::is_empty) {
        return None;
    }
    if named && let Some(table) = root.section(&section) {
        let dashed = || table.0.iter().find(|entry| entry.key.replace('-', "_") == path[1]);
        if let Some(entry) = table.get(&path[1]).or_else(dashed) {
            path[1].clone_from(&entry.key);
        }
    }
    Some(path)
}

/// What a variable's text stands for: a table is one at once, because keys below it may be set by other variables and
/// may refer to secrets; everything else waits for what its key wants.
fn written(text: &str, place: Option<&Place>) -> Value {
    let table = parse_value(text, place.cloned()).map(|node| node.value);
    match table {
        Some(table @ Value::Table(_)) => table,
        _ => Value::Loose(text.to_owned()),
    }
}

fn set(table: &mut Table, path: &[String], node: &Node) {
    match path {
        [] => {}
        [key] => table.set(key, node.clone()),
        [key, rest @ ..] => {
            if table.section(key).is_none() {
                table.set(key, Node::new(Value::Table(Table::default()), node.place.clone()));
            }
            if let Some(below) = table.section_mut(key) {
                set(below, rest, node);
            }
        }
    }
}

/// What the file of a `_FILE` twin holds, without one trailing newline.
fn contents(variable: &str, path: &str, report: &mut Report) -> Value {
    match std::fs::read_to_string(path) {
        Ok(text) => Value::Loose(without_newline(text)),
        Err(error) => {
            let place = Some(Place::Variable(variable.to_owned()));
            report.problem(unreadable(&format!("`{variable}`"), Path::new(path), &error, place));
            Value::Broken
        }
    }
}

/// The text without one trailing newline, which editors add.
pub(super) fn without_newline(text: String) -> String {
    let shorter = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text));
    shorter.map(str::to_owned).unwrap_or(text)
}

fn unknown(name: &str, key: &str) -> Problem {
    let section = key.split("__").next().unwrap_or(key);
    let sections: Vec<String> =
        schema::SECTIONS.iter().map(|known| format!("{PREFIX}{}", known.to_uppercase())).collect();
    let fix = if sections.iter().any(|known| known == section) {
        "join table and key by two underscores: `TILLHOOK_SMTP__HOST`, `TILLHOOK_SHOP__DUPONT__TOKEN`".to_owned()
    } else {
        hint(section, sections.iter().map(String::as_str).chain(OTHERS.iter().copied()))
    };
    Problem::new(format!("`{name}` is not a known variable"), Some(Place::Variable(name.to_owned())), fix)
}

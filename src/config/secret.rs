//! Secrets: how they are referred to, made, and kept for a start without configuration.
//!
//! **Invariant:** what comes out of a reference is marked hidden in the tree, and a new file of ours is readable by its
//! owner alone.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

use super::{
    environment::{Environment, without_newline},
    node::{Entry, Node, Table, Value},
    problem::{Problem, Report, unreadable},
    schema,
};

/// The length of a token that we make, in bytes: 256 bits.
const LENGTH: usize = 32;

/// The shortest token that is accepted, in characters.
pub(super) const SHORTEST_TOKEN: usize = 16;

/// The file under the data directory that holds the token of the embedded configuration.
const TOKEN_FILE: &str = "token";

/// A new token for a webhook address: 256 random bits, url-safe.
///
/// # Errors
/// When the system has no randomness to give.
pub fn new_token() -> io::Result<SecretString> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes).into())
}

/// The token kept in the data directory `dir`, and whether it was made just now. Directory and file are created for
/// their owner alone, and the file never replaces another, so that two processes that start at once agree.
///
/// # Errors
/// When the file can be neither read nor created, or holds no usable token.
pub fn ensure_token(dir: &Path) -> io::Result<(SecretString, bool)> {
    let path = token_file(dir);
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    match create_private(&path) {
        Ok(mut file) => {
            let token = new_token()?;
            writeln!(file, "{}", token.expose_secret())?;
            file.sync_all()?;
            File::open(dir)?.sync_all()?;
            Ok((token, true))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let token = read_token(&path)?;
            token.map(|token| (token, false)).ok_or_else(|| io::ErrorKind::InvalidData.into())
        }
        Err(error) => Err(error),
    }
}

/// The token kept in the data directory `dir`, where there is a usable one.
pub(super) fn kept_token(dir: &Path) -> Option<SecretString> {
    read_token(&token_file(dir)).ok().flatten()
}

fn read_token(path: &Path) -> io::Result<Option<SecretString>> {
    let token = without_newline(std::fs::read_to_string(path)?);
    Ok(is_token(&token).then(|| token.into()))
}

/// Where the data directory `dir` keeps the token.
pub(super) fn token_file(dir: &Path) -> PathBuf {
    dir.join(TOKEN_FILE)
}

/// A new file, readable by its owner alone.
fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Whether this can be the secret part of an address: long enough, and nothing that would have to be escaped.
pub(super) fn is_token(text: &str) -> bool {
    text.len() >= SHORTEST_TOKEN && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Replaces each `{ env = "NAME" }` and `{ file = "PATH" }` under a secret's key by what it refers to. Relative paths
/// are relative to `base`.
pub(super) fn resolve(root: &mut Table, base: &Path, environment: &Environment, report: &mut Report) {
    let mut resolver = Resolver { base, environment, report };
    resolver.visit(root, &mut Vec::new());
}

struct Resolver<'a> {
    base: &'a Path,
    environment: &'a Environment,
    report: &'a mut Report,
}

impl Resolver<'_> {
    fn visit(&mut self, table: &mut Table, path: &mut Vec<String>) {
        for Entry { key, node, .. } in &mut table.0 {
            path.push(key.clone());
            // Depth tells a key `[shop.NAME] token` from a shop that is called `token`.
            if path.len() > 1 && schema::is_secret(path) && !is_name(path) {
                self.replace(node, &path.join("."));
            }
            if let Some(below) = node.table_mut() {
                self.visit(below, path);
            }
            path.pop();
        }
    }

    fn replace(&mut self, node: &mut Node, key: &str) {
        let Some(reference) = node.table() else { return };
        let found = match reference.0.as_slice() {
            [Entry { key: kind, node: target, .. }] => match (kind.as_str(), target.text()) {
                ("env", Some(name)) => self.variable(node, key, name),
                ("file", Some(path)) => self.file(node, key, path),
                _ => Err(malformed(node, key)),
            },
            _ => Err(malformed(node, key)),
        };
        node.hidden = true;
        node.value = match found {
            Ok(text) => Value::Text(text),
            Err(problem) => {
                self.report.problem(problem);
                Value::Broken
            }
        };
    }

    fn variable(&self, node: &Node, key: &str, name: &str) -> Result<String, Problem> {
        let state = match self.environment.get(name) {
            Some("") => "is empty",
            Some(text) => return Ok(text.to_owned()),
            None => "is not set",
        };
        let what = format!("`{key}`: the environment variable {name} {state}");
        Err(Problem::new(what, node.place.clone(), format!("set {name}, or write the secret in another way")))
    }

    fn file(&self, node: &Node, key: &str, path: &str) -> Result<String, Problem> {
        let path = self.base.join(path);
        let place = node.place.clone();
        let text = std::fs::read_to_string(&path)
            .map_err(|error| unreadable(&format!("`{key}`"), &path, &error, place.clone()))?;
        let text = without_newline(text);
        if text.is_empty() {
            let what = format!("`{key}`: {} is empty", path.display());
            return Err(Problem::new(what, place, "write the secret into it"));
        }
        Ok(text)
    }
}

/// Whether the path ends at the name of a shop or a sink.
fn is_name(path: &[String]) -> bool {
    path.len() == 2 && schema::NAMED.contains(&path[0].as_str())
}

fn malformed(node: &Node, key: &str) -> Problem {
    let fix = "write `{ env = \"NAME\" }`, `{ file = \"PATH\" }` or the text itself";
    Problem::new(format!("`{key}` must be text or a reference"), node.place.clone(), fix)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;
    use crate::config::{Source, load};

    #[test]
    fn a_start_without_configuration_makes_a_token_once_and_keeps_it_private() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let environment: Environment = [("TILLHOOK_STORAGE__PATH", data.to_str().unwrap())].into_iter().collect();
        let token = |loaded: &crate::config::Loaded| {
            loaded.config.shops.first_key_value().unwrap().1.token.expose_secret().to_owned()
        };
        let first = load(&Source::Embedded, &environment).unwrap();
        let second = load(&Source::Embedded, &environment).unwrap();
        assert_eq!((first.generated_token, second.generated_token), (true, false));
        assert_eq!(token(&first), token(&second));
        assert!(is_token(&token(&first)));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&data), mode(&data.join("token"))), (0o700, 0o600));
    }

    #[test]
    fn a_configuration_that_drops_the_token_of_the_first_start_is_warned_of() {
        let dir = tempfile::tempdir().unwrap();
        let (token, _) = ensure_token(dir.path()).unwrap();
        let kept = dir.path().join("token");
        let warnings = |shop: &str| {
            let file = dir.path().join("tillhook.toml");
            let storage = dir.path().display();
            fs::write(&file, format!("[storage]\npath = \"{storage}\"\n[shop.a]\n{shop}\n")).unwrap();
            load(&Source::File(file), &Environment::default()).unwrap().warnings
        };
        let another = "token = \"0123456789abcdef\"";
        let [warning] = &warnings(another)[..] else { panic!("one warning") };
        assert_eq!(warning.what, "the address that was printed at the first start is no longer accepted");
        let fix = format!("previous_token = {{ file = \"{}\" }}", kept.display());
        assert!(warning.fix.contains(&fix) && !warning.fix.contains(token.expose_secret()), "{}", warning.fix);

        assert_eq!(warnings("token = { file = \"token\" }"), []);
        assert_eq!(warnings(&format!("{another}\n{fix}")), []);
        fs::remove_file(kept).unwrap();
        assert_eq!(warnings(another), []);
    }

    #[test]
    fn a_damaged_token_is_a_problem_and_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("token"), "short").unwrap();
        assert!(ensure_token(dir.path()).is_err());
        let environment: Environment = [("TILLHOOK_STORAGE__PATH", dir.path().to_str().unwrap())].into_iter().collect();
        let problems = load(&Source::Embedded, &environment).unwrap_err();
        assert_eq!(problems.0.len(), 1, "{problems}");
        assert_eq!(fs::read_to_string(dir.path().join("token")).unwrap(), "short");
    }
}

//! `tillhook init`: a commented configuration with a fresh token.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use secrecy::ExposeSecret;

use super::{Exit, Stop};
use crate::config::new_token;

/// The file, with `{token}` in place of the token.
const TEMPLATE: &str = include_str!("../../config/init.toml");

/// Writes the file, readable by its owner alone, and says what comes next.
///
/// # Errors
/// When the file exists (exit 4 without `force`) or cannot be written.
pub fn run(path: &Path, force: bool, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let text = TEMPLATE.replace("{token}", new_token()?.expose_secret());
    let written = if force { replace(path, &text) } else { write_new(path, &text) };
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let message = format!("{} exists already; `--force` replaces it, and its token", path.display());
            return Err(Stop::new(Exit::Refused, message).into());
        }
        Err(error) => anyhow::bail!("{} cannot be written ({}): choose another folder", path.display(), error.kind()),
    }
    let file = path.display();
    writeln!(
        out,
        "1. Edit {file}: the shop's name, `public_url`, and whom to tell; try it with `tillhook config check`."
    )?;
    writeln!(out, "2. Start it with `tillhook serve`.")?;
    writeln!(out, "3. Give the till the address that `tillhook url` prints: General options, Interface options.")?;
    Ok(Exit::Ok)
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Replaces the file in one step, so that an interruption leaves the old one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let fresh = Path::new(&name);
    match fs::remove_file(fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write_new(fresh, text)?;
    fs::rename(fresh, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::{
        cli::exit_of,
        config::{Environment, Source, advice, load},
    };

    #[test]
    fn what_init_writes_is_private_and_a_configuration_without_problems_or_warnings() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tillhook.toml");
        let mut out = Vec::new();
        assert_eq!(run(&path, false, &mut out).unwrap(), Exit::Ok);
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 3);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let loaded = load(&Source::File(path), &Environment::default()).unwrap();
        assert_eq!(loaded.warnings, []);
        assert!(advice(&loaded).iter().all(|advice| !advice.what.contains("other users may read")));
    }

    #[test]
    fn init_replaces_a_file_only_when_forced_and_then_makes_another_token() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tillhook.toml");
        run(&path, false, &mut Vec::new()).unwrap();
        let before = fs::read_to_string(&path).unwrap();
        let refusal = run(&path, false, &mut Vec::new()).unwrap_err();
        assert_eq!(exit_of(&refusal), Exit::Refused);
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
        run(&path, true, &mut Vec::new()).unwrap();
        assert_ne!(fs::read_to_string(&path).unwrap(), before);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

//! `tillhook init`: a commented configuration with a fresh token.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::{Exit, Stop};
use crate::config::new_token;

/// The file, with `{token}` in place of the token.
const TEMPLATE: &str = include_str!("../../config/init.toml");

/// Writes the file, readable by its owner alone, and says what comes next. A file that `force` replaces is kept beside it,
/// named after the time `now`.
///
/// # Errors
/// When the file exists (exit 4 without `force`) or cannot be written.
pub fn run(path: &Path, force: bool, now: Timestamp, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let text = TEMPLATE.replace("{token}", new_token()?.expose_secret());
    let file = path.display();
    let kept = match write_new(path, &text) {
        Ok(()) => None,
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(unwritable(path, &error)),
        Err(_) if force => Some(replace(path, &text, now).map_err(|error| unwritable(path, &error))?),
        Err(_) => {
            let message = format!("{file} exists already; `--force` replaces it, and its token");
            return Err(Stop::new(Exit::Refused, message).into());
        }
    };
    if let Some(kept) = kept {
        writeln!(out, "{file} was replaced; what it was is kept in {}.", kept.display())?;
        writeln!(
            out,
            "Its token is gone with it: calls to the old address are refused once the service runs on the new file."
        )?;
        writeln!(out, "Until the till has the new address, write the old token into the shop's `previous_token`.\n")?;
    }
    writeln!(
        out,
        "1. Edit {file}: the shop's name, `public_url`, whom to tell, and outside of Docker `path`, the folder for its data;\n\
         \x20  try it with `tillhook config check`."
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

fn unwritable(path: &Path, error: &io::Error) -> anyhow::Error {
    let (file, folder) = (path.display(), path.parent().unwrap_or(Path::new("")).display());
    match error.kind() {
        ErrorKind::NotFound => anyhow::anyhow!("there is no folder {folder}\n  fix: make it, or choose another"),
        kind => anyhow::anyhow!("{file} cannot be written ({kind})\n  fix: choose another folder"),
    }
}

/// Copies the file to one beside it, then replaces it in one step, so that an interruption leaves the old one. Returns
/// where the copy is.
fn replace(path: &Path, text: &str, now: Timestamp) -> io::Result<PathBuf> {
    let kept = beside(path, &format!(".old-{}", now.strftime("%Y%m%dT%H%M%S%.3fZ")));
    write_new(&kept, &fs::read_to_string(path)?)?;
    let fresh = beside(path, ".new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write_new(&fresh, text)?;
    fs::rename(fresh, path)?;
    Ok(kept)
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::{
        cli::exit_of,
        config::{Environment, Source, advice, load},
    };

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn what_init_writes_is_private_and_a_configuration_without_problems_or_warnings() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tillhook.toml");
        let mut out = Vec::new();
        assert_eq!(run(&path, false, NOW, &mut out).unwrap(), Exit::Ok);
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 4);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let loaded = load(&Source::File(path), &Environment::default()).unwrap();
        assert_eq!(loaded.warnings, []);
        assert!(advice(&loaded).iter().all(|advice| !advice.what.contains("other users may read")));
    }

    #[test]
    fn init_replaces_a_file_only_when_forced_keeps_the_old_one_and_says_that_its_token_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tillhook.toml");
        run(&path, false, NOW, &mut Vec::new()).unwrap();
        let before = fs::read_to_string(&path).unwrap();
        let refusal = run(&path, false, NOW, &mut Vec::new()).unwrap_err();
        assert_eq!(exit_of(&refusal), Exit::Refused);
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut out = Vec::new();
        run(&path, true, NOW, &mut out).unwrap();
        assert_ne!(fs::read_to_string(&path).unwrap(), before);
        let kept = beside(&path, ".old-19700101T000000.000Z");
        assert_eq!(fs::read_to_string(&kept).unwrap(), before);
        for file in [&path, &kept] {
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let said = String::from_utf8(out).unwrap();
        assert!(said.contains(kept.to_str().unwrap()) && said.contains("Its token is gone"), "{said}");
        assert!(said.contains("`previous_token`") && said.lines().count() == 8, "{said}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = run(Path::new("/nowhere/tillhook.toml"), true, NOW, &mut Vec::new()).unwrap_err().to_string();
        assert!(error.starts_with("there is no folder /nowhere\n  fix: "), "{error}");
    }
}

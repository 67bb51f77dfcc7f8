//! `tillhook pos login`: a login and a password for the id and the key that the configuration needs.

use std::{io::Write, path::PathBuf, sync::Arc};

use clap::Args;
use secrecy::ExposeSecret;

use super::password;
use crate::{
    cli::{Exit, Stop, target::Target},
    clock::Clock,
    config::key_host,
    order::ShopId,
    sink::TillHost,
    till::api::{self, ApiError, Credentials},
};

/// Where the key is looked for if it was not written to a file.
const KEY_FILE: &str = "/run/secrets/till_key";

/// Who signs in, and where.
#[derive(Debug, Args)]
pub struct Login {
    /// The login at the till [default: it is asked for]
    #[arg(long, value_name = "NAME")]
    login: Option<String>,
    /// Where the till answers
    #[arg(long, value_name = "HOST", default_value = "kash.click", value_parser = key_host)]
    host: TillHost,
    /// The shop's id in the configuration, for the table that is printed
    #[arg(long, value_name = "SHOP", default_value = "shop")]
    shop: ShopId,
    /// Write the key to this file, for its owner alone, in place of printing it
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

/// Signs in, and prints what to write where.
///
/// # Errors
/// When the till refuses, or the file cannot be written.
pub async fn run(
    wanted: &Login,
    clock: &Arc<dyn Clock>,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> anyhow::Result<Exit> {
    // Before a password is typed for nothing.
    let target = wanted.write.as_deref().map(|path| Target::begin(path, wanted.force)).transpose()?;
    let login = match &wanted.login {
        Some(login) => login.clone(),
        None if password::is_interactive() => password::ask(&format!("Login at {}", wanted.host))?,
        None => return Err(Stop::with_fix(Exit::Usage, "there is nobody to ask for the login", "give --login NAME")),
    };
    let password = password::password()?;
    if login.is_empty() || password.expose_secret().is_empty() {
        let fix = "type them, or give --login NAME and the password as the first line of the input";
        return Err(Stop::with_fix(Exit::Usage, "the login or the password is empty", fix));
    }
    let credentials = api::sign_in(&wanted.host, &login, &password, clock.clone()).await;
    let credentials = credentials.map_err(|error| refused(error, &wanted.host))?;
    let file = wanted.write.as_ref().map_or_else(|| KEY_FILE.to_owned(), |path| path.display().to_string());
    if let Some(target) = target {
        writeln!(target.file(), "{}", credentials.key.expose_secret())
            .map_err(|error| target.explained(error.into()))?;
        target.complete()?;
        writeln!(notes, "The key is in {file}, which only you can read.")?;
    } else {
        writeln!(notes, "Write the key below into {KEY_FILE}, or into another file that only tillhook can read.")?;
    }
    writeln!(
        notes,
        "Put this into tillhook.toml (a path there is relative to it), then `tillhook pos list articles`:\n"
    )?;
    write!(out, "{}", table(wanted, &credentials, &file))?;
    if wanted.write.is_none() {
        writeln!(notes, "\nThe key; whoever has it can record sales:")?;
        writeln!(out, "{}", credentials.key.expose_secret())?;
    }
    Ok(Exit::Ok)
}

/// What to do when there is no key. There is no table yet to look at.
fn refused(error: ApiError, host: &TillHost) -> anyhow::Error {
    let (what, fix) = match error {
        ApiError::Unreachable(cause) => {
            (format!("{host} cannot be asked: {cause}"), "try again later, or name the till's address with --host")
        }
        ApiError::Refused(_) => (
            error.to_string(),
            "use the login and the password with which you open the till; they were sent once, and are not sent again",
        ),
        _ => (error.to_string(), "name the till's address with --host"),
    };
    Stop::with_fix(Exit::Failed, what, fix)
}

/// The table as it is written.
fn table(wanted: &Login, credentials: &Credentials, file: &str) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    format!(
        "[shop.{}.api]\nhost    = {}\nshop_id = {}\nkey     = {{ file = {} }}\n",
        wanted.shop,
        quoted(&credentials.host.to_string()),
        quoted(&credentials.shop_id),
        quoted(file)
    )
}

//! `tillhook verify`: whether a call that somebody received is ours and whole (Standard Webhooks).

use std::{io::Write, path::PathBuf, time::Duration};

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};

use super::{Exit, Stop, find};
use crate::sink::signature::{ID, SIGNATURE, Secret, SecretError, TIMESTAMP, verify};

/// A call and what it is said to be signed with.
#[derive(Debug, Args)]
pub struct Verify {
    /// The body, byte for byte
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The secret, `whsec_…`; given more than once, any of them
    #[arg(long = "secret", value_name = "S", required = true)]
    secrets: Vec<SecretString>,
    /// The header webhook-id of the call
    #[arg(long)]
    id: Option<String>,
    /// The header webhook-timestamp of the call
    #[arg(long, value_name = "T")]
    timestamp: Option<String>,
    /// The header webhook-signature of the call
    #[arg(long, value_name = "SIG")]
    signature: Option<String>,
    /// In place of these three: a file with the headers of the call, one `name: value` a line
    #[arg(long, value_name = "FILE", conflicts_with_all = ["id", "timestamp", "signature"])]
    headers: Option<PathBuf>,
    /// How old the call may be, such as 5m, or none for any age
    #[arg(long, default_value = "5m", value_name = "AGE", value_parser = tolerance)]
    tolerance: Duration,
}

/// Says `genuine`, or why not.
///
/// # Errors
/// When the call is not genuine (exit 1), or a file cannot be read (exit 2).
pub fn run(wanted: &Verify, now: Timestamp, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let secrets: Vec<Secret> = wanted.secrets.iter().map(secret).collect::<Result<_, _>>()?;
    let body = find::file(&wanted.file)?;
    let headers = match &wanted.headers {
        Some(file) => parse(&String::from_utf8_lossy(&find::file(file)?)),
        None => given(wanted)?,
    };
    match verify(&secrets, &headers, &body, now, wanted.tolerance) {
        Ok(()) => {
            writeln!(out, "genuine: signed with this secret, and whole")?;
            Ok(Exit::Ok)
        }
        Err(reason) => {
            writeln!(out, "not genuine: {reason}")?;
            Ok(Exit::Failed)
        }
    }
}

/// Read here and not by clap, whose errors repeat what was typed.
fn secret(text: &SecretString) -> anyhow::Result<Secret> {
    let parsed = text.expose_secret().parse();
    parsed.map_err(|error: SecretError| Stop::with_fix(Exit::Usage, error, "make one with `tillhook secrets new`"))
}

fn tolerance(text: &str) -> Result<Duration, String> {
    if text == "none" {
        return Ok(Duration::MAX);
    }
    let parsed = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    parsed.ok_or_else(|| "use a duration such as 5m, or none".to_owned())
}

fn given(wanted: &Verify) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in [(ID, &wanted.id), (TIMESTAMP, &wanted.timestamp), (SIGNATURE, &wanted.signature)] {
        let Some(value) = value else {
            let what = format!("the header {name} of the call is needed to check its signature");
            let fix = "save the call's headers to a file, one `name: value` a line, and give `--headers FILE`; \
                       or give all three of `--id`, `--timestamp` and `--signature`";
            return Err(Stop::with_fix(Exit::Usage, what, fix));
        };
        let value = HeaderValue::from_str(value.trim()).map_err(|_| {
            Stop::with_fix(Exit::Usage, format!("{name} is no header's value"), "give it as it was received")
        })?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// The lines that are headers; a status line or an empty line is none.
fn parse(text: &str) -> HeaderMap {
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().parse::<HeaderName>().ok()?, value.trim().parse::<HeaderValue>().ok()?))
    };
    text.lines().filter_map(header).collect()
}

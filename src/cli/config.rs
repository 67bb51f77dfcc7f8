//! `tillhook config check`, `show` and `schema`.

use std::io::Write;

use super::Exit;
use crate::config::{self, Environment, Loaded, Source, load};

/// `config check`: all problems at once, else warnings and advice. Exits with 2 when there are problems.
///
/// # Errors
/// When the output cannot be written.
pub fn check(source: &Source, environment: &Environment, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let loaded = match load(source, environment) {
        Ok(loaded) => loaded,
        Err(problems) => {
            writeln!(out, "{problems}\n\n{}", counted(problems.0.len(), "problem"))?;
            return Ok(Exit::Usage);
        }
    };
    for warning in &loaded.warnings {
        writeln!(out, "{}\n", warning.titled("warning"))?;
    }
    for advice in config::advice(&loaded) {
        writeln!(out, "{}\n", advice.titled("advice"))?;
    }
    let sizes = (counted(loaded.config.shops.len(), "shop"), counted(loaded.config.sinks.len(), "sink"));
    writeln!(out, "{} is valid: {}, {}", origin(&loaded), sizes.0, sizes.1)?;
    Ok(Exit::Ok)
}

/// `config show`: the values in force with their origin, secrets masked.
///
/// # Errors
/// When the configuration has problems or the output cannot be written.
pub fn show(source: &Source, environment: &Environment, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let loaded = load(source, environment)?;
    write!(out, "{}", config::show(&loaded))?;
    Ok(Exit::Ok)
}

/// `config schema`: the JSON Schema of the file.
///
/// # Errors
/// When the output cannot be written.
pub fn schema(out: &mut dyn Write) -> anyhow::Result<Exit> {
    serde_json::to_writer_pretty(&mut *out, &config::schema())?;
    writeln!(out)?;
    Ok(Exit::Ok)
}

fn origin(loaded: &Loaded) -> String {
    let file = loaded.file.as_ref().map(|file| file.display().to_string());
    file.unwrap_or_else(|| "the embedded configuration".to_owned())
}

fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

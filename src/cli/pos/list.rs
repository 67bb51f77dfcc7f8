//! `tillhook pos list`: what the till knows, as a table or as the till writes it.

use std::{io::Write, sync::Arc};

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::shop::{Whose, note_unread, stop};
use crate::{
    cli::{
        Exit,
        print::{Table, excerpt, or_dash},
    },
    clock::Clock,
    config::Config,
    till::api::{self, Entry, ListFormat},
};

/// How much of what else is known about an entry is shown, in characters.
const MORE: usize = 90;

/// Which list.
#[derive(Debug, Args)]
pub struct List {
    /// What to list
    #[arg(value_name = "RESOURCE")]
    resource: Resource,
    /// As the till writes it, byte for byte [default: a table]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    #[command(flatten)]
    whose: Whose,
}

/// A list, by its name in plain English.
#[derive(Clone, Copy, Debug)]
struct Resource(api::List);

impl ValueEnum for Resource {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [Resource; 14] = {
            let mut all = [Resource(api::List::Articles); 14];
            let mut index = 0;
            while index < all.len() {
                all[index] = Resource(api::List::ALL[index]);
                index += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.word()))
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Json,
    Csv,
    Html,
}

impl From<Format> for ListFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Json => Self::Json,
            Format::Csv => Self::Csv,
            Format::Html => Self::Html,
        }
    }
}

/// Prints the list.
///
/// # Errors
/// When no till is meant, or it gives no list.
pub async fn run(
    wanted: &List,
    config: &Config,
    clock: &Arc<dyn Clock>,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let till = wanted.whose.till(config, clock)?.client;
    let Resource(resource) = wanted.resource;
    if let Some(format) = wanted.format {
        out.write_all(&till.list_raw(resource, format.into()).await.map_err(stop)?.bytes)?;
        return Ok(Exit::Ok);
    }
    let listing = till.list(resource).await.map_err(stop)?;
    let mut table = Table::new(&["ID", "NAME", "MORE"]);
    for entry in &listing.entries {
        table.row([or_dash(entry.id.clone()), or_dash(entry.name.clone()), more(entry)]);
    }
    match listing.entries.len() {
        0 => writeln!(out, "no {}", resource.word().replace('-', " "))?,
        _ => table.write("", out)?,
    }
    note_unread(&listing.unread, &resource.word().replace('-', " "), notes)?;
    Ok(Exit::Ok)
}

/// What else the till says, under its own names, where it is a text or a number.
fn more(entry: &Entry) -> String {
    let shown = |text: &str| Some(text) == entry.id.as_deref() || Some(text) == entry.name.as_deref();
    let said = entry.fields.iter().filter_map(|(name, value)| match value {
        Value::String(text) if text.trim().is_empty() || shown(text.trim()) => None,
        Value::String(text) => Some(format!("{name} {}", text.trim())),
        Value::Number(number) if shown(&number.to_string()) => None,
        Value::Number(_) | Value::Bool(_) => Some(format!("{name} {value}")),
        _ => None,
    });
    excerpt(&said.collect::<Vec<_>>().join(", "), MORE)
}

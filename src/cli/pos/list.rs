//! `tillhook pos list`: what the till knows, as a table or as the till writes it.

use std::{io::Write, sync::Arc};

use clap::Args;
use serde_json::Value;

use super::{
    document,
    shop::{Whose, note_unread, stop},
    typed::one_of,
};
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
    #[arg(value_name = "RESOURCE", value_parser = one_of(&api::List::ALL, api::List::word))]
    resource: api::List,
    /// As the till writes it, byte for byte [default: a table]
    #[arg(long, value_name = "FORMAT", value_parser = one_of(&ListFormat::ALL, ListFormat::word))]
    format: Option<ListFormat>,
    #[command(flatten)]
    whose: Whose,
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
    if let Some(format) = wanted.format {
        let list = till.list_raw(wanted.resource, format).await.map_err(stop)?.bytes;
        if format == ListFormat::Html {
            document::check_page(&list, notes)?;
        }
        out.write_all(&list)?;
        return Ok(Exit::Ok);
    }
    let listing = till.list(wanted.resource).await.map_err(stop)?;
    let things = wanted.resource.word().replace('-', " ");
    let mut table = Table::new(&["ID", "NAME", "MORE"]);
    for entry in &listing.entries {
        table.row([or_dash(entry.id.clone()), or_dash(entry.name.clone()), more(entry)]);
    }
    match listing.entries.len() {
        0 => writeln!(out, "no {things}")?,
        _ => table.write("", out)?,
    }
    note_unread(&listing.unread, &things, notes)?;
    Ok(Exit::Ok)
}

/// What else the till says, under its own names, where it is a text or a number.
fn more(entry: &Entry) -> String {
    let columns = [&entry.id, &entry.name].into_iter().flatten();
    let shown: Vec<&str> = columns.flat_map(|text| fields_of(entry, text)).collect();
    let others = entry.fields.iter().filter(|(name, _)| !shown.contains(&name.as_str()));
    let said = others.filter_map(|(name, value)| Some(format!("{name} {}", scalar(value)?)));
    excerpt(&said.collect::<Vec<_>>().join(", "), MORE)
}

/// The names of the fields that a column shows: of one, or of a first and a last name that stand there together.
fn fields_of<'a>(entry: &'a Entry, shown: &str) -> Vec<&'a str> {
    let both = |at: usize| Some([field_of(entry, &shown[..at])?, field_of(entry, &shown[at + 1..])?]);
    match field_of(entry, shown) {
        Some(one) => vec![one],
        None => shown.match_indices(' ').find_map(|(at, _)| both(at)).map(Vec::from).unwrap_or_default(),
    }
}

/// The name of the field with this value: of several the plainest, `id` and not `idRayon`.
fn field_of<'a>(entry: &'a Entry, text: &str) -> Option<&'a str> {
    let with_it = entry.fields.iter().filter(|(_, value)| scalar(value).as_deref() == Some(text));
    with_it.map(|(name, _)| name.as_str()).min_by_key(|name| name.len())
}

/// A text that says something, a number or a truth value.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

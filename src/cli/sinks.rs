//! `tillhook sinks`: who is told, how they fare, and a hand on the tap.

use std::{collections::BTreeMap, io::Write};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    Exit,
    args::Listing,
    desk::Desk,
    print::{self, Table},
};
use crate::{
    order::SinkName,
    store::{SinkLine, StoreError},
};

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Sinks {
    /// List the sinks, and how they fare
    #[command(after_help = "Example: tillhook sinks list")]
    List(List),
}

/// How to list the sinks.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    listing: Listing,
}

/// A sink in a list (contract §2).
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    #[serde(rename = "type")]
    kind: Option<&'static str>,
    status: String,
    waiting: u64,
    dead: u64,
    #[serde(skip)]
    remark: String,
}

/// Carries out one of them.
///
/// # Errors
/// When something is not found or refused, or the database or the output fails.
pub async fn run(command: &Sinks, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        Sinks::List(wanted) => list(wanted.listing, desk, out).await,
    }
}

async fn list(listing: Listing, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut rows = rows(desk).await?;
    rows.truncate(usize::try_from(listing.limit).unwrap_or(usize::MAX));
    if listing.json {
        print::page(&rows, out)?;
    } else if rows.is_empty() {
        writeln!(out, "no sink is configured: nobody is told of a sale; add a [sink.NAME] table")?;
    } else {
        let mut table = Table::new(&["NAME", "TYPE", "STATUS", ">WAITING", ">DEAD", "REMARKS"]);
        for row in rows {
            let kind = row.kind.unwrap_or("–").to_owned();
            table.row([row.name, kind, row.status, row.waiting.to_string(), row.dead.to_string(), row.remark]);
        }
        table.write("", out)?;
    }
    Ok(Exit::Ok)
}

/// The configured sinks with their state, and those that are no longer configured but still keep a queue.
async fn rows(desk: &Desk) -> Result<Vec<Row>, StoreError> {
    let mut known: BTreeMap<SinkName, SinkLine> =
        desk.store.list_sinks().await?.into_iter().map(|line| (line.name.clone(), line)).collect();
    let configured = desk.config.sinks.iter().map(|(name, settings)| {
        let kind = Some(settings.options.kind());
        known.remove(name).map_or_else(|| never_ran(name, kind), |line| row(line, kind))
    });
    let mut rows: Vec<Row> = configured.collect();
    rows.extend(known.into_values().filter(|line| line.waiting + line.dead > 0).map(|line| row(line, None)));
    Ok(rows)
}

fn row(line: SinkLine, kind: Option<&'static str>) -> Row {
    let remark =
        line.reason.filter(|_| line.status != "ok").map(|reason| print::excerpt(&reason, 60)).unwrap_or_default();
    Row { name: line.name.to_string(), kind, status: line.status, waiting: line.waiting, dead: line.dead, remark }
}

fn never_ran(name: &SinkName, kind: Option<&'static str>) -> Row {
    let remark = "has not run yet".to_owned();
    Row { name: name.to_string(), kind, status: "ok".to_owned(), waiting: 0, dead: 0, remark }
}

//! `tillhook sinks`: who is told, how they fare, and a hand on the tap.

use std::{collections::BTreeMap, io::Write};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    Exit, Stop,
    args::Listing,
    desk::Desk,
    find,
    print::{self, Table, counted},
    recover::{self, Recover},
    sink_test,
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
    /// Try a sink: is it reachable, and does it take a message?
    #[command(after_help = "Example: tillhook sinks test accountant")]
    Test(Named),
    /// Stop attempts to a sink and keep its queue
    #[command(after_help = "Example: tillhook sinks pause erp")]
    Pause(Named),
    /// Let a paused sink go on: what waits is due at once
    #[command(after_help = "Example: tillhook sinks resume erp")]
    Resume(Named),
    /// Enqueue what a sink's present rules would have selected and it never got
    #[command(after_help = "Example: tillhook sinks recover erp --since 3d --dry-run")]
    Recover(Recover),
}

/// Which sink.
#[derive(Debug, Args)]
pub struct Named {
    /// The sink
    #[arg(value_name = "NAME")]
    pub name: String,
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
        Sinks::Test(wanted) => sink_test::run(&wanted.name, &desk.config, &desk.clock, out).await,
        Sinks::Pause(wanted) => pause(&wanted.name, desk, out).await,
        Sinks::Resume(wanted) => resume(&wanted.name, desk, out).await,
        Sinks::Recover(wanted) => recover::run(wanted, desk, out).await,
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
        desk.readable(desk.store.list_sinks().await?).into_iter().map(|line| (line.name.clone(), line)).collect();
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

async fn pause(name: &str, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let sink = find::any_sink(desk, name).await?;
    if desk.store.pause_sink(&sink, "by hand", desk.now()).await? {
        writeln!(out, "{sink} is paused: its queue grows until `tillhook sinks resume {sink}`")?;
    } else {
        writeln!(out, "{sink} was paused already")?;
    }
    Ok(Exit::Ok)
}

async fn resume(name: &str, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let sink = find::any_sink(desk, name).await?;
    if !desk.config.sinks.contains_key(&sink) {
        let what = format!("`{sink}` is no longer in the configuration, so nothing can be sent to it");
        return Err(Stop::with_fix(Exit::Failed, what, "put it back and reload the service: it resumes by itself"));
    }
    let (waiting, _) = desk.store.backlog(&sink).await?;
    if desk.store.resume_sink(&sink, desk.now()).await? {
        writeln!(out, "{sink} goes on: {} due now", counted(waiting, "delivery is", "deliveries are"))?;
    } else {
        writeln!(out, "{sink} was not paused")?;
    }
    Ok(Exit::Ok)
}

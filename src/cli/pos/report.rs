//! `tillhook pos report`: the till's own report of a day, to a file.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;

use super::{
    document,
    shop::{Asked, Whose, stop},
    typed::one_of,
};
use crate::{
    cli::{Exit, Stop, day::Day, print, target::Target},
    clock::Clock,
    config::Config,
    order::day_of,
    till::api::ReportFormat,
};

/// Which report.
#[derive(Debug, Args)]
pub struct Report {
    /// The day: 2026-11-21, today, yesterday
    #[arg(long, value_name = "D", default_value = "yesterday")]
    day: Day,
    /// What it is written in: std is a web page, fec the French tax administration's file of entries, saft the audit file
    /// of the OECD (SAF-T)
    #[arg(long, value_name = "F", default_value = ReportFormat::Std.word(), value_parser = one_of(&ReportFormat::ALL, ReportFormat::word))]
    format: ReportFormat,
    /// The file to write, `-` for standard output, to which `std` goes by itself
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    whose: Whose,
}

/// Writes the report.
///
/// # Errors
/// When no till is meant, it gives no report, or the file is there already or cannot be written.
pub async fn run(
    wanted: &Report,
    config: &Config,
    clock: &Arc<dyn Clock>,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let Asked { shop, client } = wanted.whose.till(config, clock)?;
    let day = wanted.day.seen_from(day_of(clock.now(), &shop.shop.timezone));
    if wanted.output.is_none() && wanted.format != ReportFormat::Std {
        let fix = "name a file with -o FILE, or write -o - to pass it on";
        return Err(Stop::with_fix(Exit::Usage, "this report is no text for a terminal", fix));
    }
    let output = wanted.output.as_deref().filter(|path| *path != Path::new("-"));
    // Before the till is asked: it may take a minute.
    let target = output.map(|path| Target::begin(path, wanted.force)).transpose()?;
    let report = client.report(Some(day), wanted.format).await.map_err(stop)?;
    match wanted.format {
        ReportFormat::Std => document::check_page(&report.bytes, notes)?,
        // Some spreadsheets are a page with a table in it.
        ReportFormat::Xls if report.bytes.starts_with(b"<") => document::check_page(&report.bytes, notes)?,
        // That a PDF is one is seen to already; what else tables in text look like is the till's to say.
        ReportFormat::Pdf | ReportFormat::Xls | ReportFormat::Csv | ReportFormat::Fec | ReportFormat::Saft => {}
    }
    let (Some(target), Some(path)) = (target, output) else {
        out.write_all(&report.bytes)?;
        return Ok(Exit::Ok);
    };
    target.file().write_all(&report.bytes).map_err(|error| target.explained(error.into()))?;
    target.complete()?;
    writeln!(out, "{}: the till's report of {day}, {}", path.display(), print::size(report.bytes.len() as u64))?;
    Ok(Exit::Ok)
}

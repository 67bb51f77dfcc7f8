//! `tillhook export --as zip`: both tables and the PDFs in one archive, made in one reading.
//!
//! The PDFs go in as they are met; meanwhile the table of invoices, which may be long, grows in a file without a name.

use std::io::{BufReader, BufWriter, Seek as _, Write};

use super::{Period, Report};
use crate::{
    cli::{print, target::Target},
    digest::{
        Line,
        files::{Separated, Zip, invoices, vat},
    },
    invoice::Archive,
    order::{Csv, InvoiceStatus, ReportFile},
    store::Booked,
};

/// The file that names the orders that could not be read, where there are any.
const UNREADABLE: &str = "ILLISIBLE-UNREADABLE.txt";

/// What that file begins with.
const WHAT_IT_IS: &str = "Ces commandes n’ont pas pu être lues : elles manquent dans tous les fichiers de cette archive.\r\n\
    These orders could not be read: they are missing in every file of this archive.\r\n\r\n";

/// The folder of the PDFs in the archive.
const FOLDER: &str = "invoices";

/// Fills the archive. A PDF that is lost or changed on disk is named to `err`, and left out; an order that cannot be read is
/// named in a file of its own.
pub(super) async fn write(
    period: &Period<'_>,
    style: Csv,
    target: &Target,
    err: &mut dyn Write,
) -> anyhow::Result<Report> {
    let pdfs = period.desk.outbox().archive;
    let mut zip = Zip::begin(BufWriter::new(target.file()));
    let mut sums = vat::Sums::default();
    let mut by_invoice = Separated::begin(BufWriter::new(target.scratch()?), style, invoices::COLUMNS)?;
    let mut report = Report { left_out: period.misdated().await?, ..Report::default() };
    for places in period.places().await? {
        let mut lines = Vec::new();
        for booked in period.orders_at(&places, &mut report).await? {
            let pdf = original(&pdfs, &booked, &mut zip, &mut report, err).await?;
            lines.push(Line { pdf, ..Line::from(&booked) });
        }
        lines.iter().for_each(|line| sums.add(line));
        by_invoice.rows(&invoices::rows(&lines, style))?;
    }
    let mut by_rate = Separated::begin(Vec::new(), style, vat::COLUMNS)?;
    by_rate.rows(&sums.rows())?;
    zip.add(ReportFile::Vat.as_str(), &mut &by_rate.finish()?[..])?;
    let mut table = by_invoice.finish()?.into_inner().map_err(|error| error.into_error())?;
    table.rewind()?;
    zip.add(ReportFile::Invoices.as_str(), &mut BufReader::new(table))?;
    if !report.left_out.is_empty() {
        let lines = report.left_out.iter().map(|row| format!("{}\r\n", print::harmless(&row.to_string())));
        let text: String = [WHAT_IT_IS.to_owned()].into_iter().chain(lines).collect();
        zip.add(UNREADABLE, &mut text.as_bytes())?;
    }
    zip.finish()?.flush()?;
    Ok(report)
}

/// Puts an order's PDF into the archive; returns the name that it has there.
async fn original(
    pdfs: &Archive,
    booked: &Booked,
    zip: &mut Zip<BufWriter<&std::fs::File>>,
    report: &mut Report,
    err: &mut dyn Write,
) -> anyhow::Result<Option<String>> {
    let Some(file) = &booked.pdf else {
        report.absent += u64::from(booked.booking.pdf.status != InvoiceStatus::None);
        return Ok(None);
    };
    match pdfs.read(&file.path, &file.sha256).await {
        Ok(bytes) => {
            let name = zip.add(&format!("{FOLDER}/{}", file.filename), &mut &bytes[..])?;
            Ok(name.strip_prefix(FOLDER).map(|name| name.trim_start_matches('/').to_owned()))
        }
        Err(error) => {
            report.lost += 1;
            writeln!(err, "{}", print::harmless(&format!("order {}: {error}", booked.booking.number)))?;
            Ok(None)
        }
    }
}

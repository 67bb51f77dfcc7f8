//! The files that go with a summary: pure functions from its lines to bytes.
//!
//! `vat.rs`, `invoices.rs` and `journal.rs` know what is in a table, `separated.rs` and `workbook.rs` how one is written,
//! `plain.rs` what no cell may hold. `originals.rs` packs the PDFs.
//!
//! **Invariant:** the same lines make the same bytes, so that every attempt sends the same file.

pub mod invoices;
mod journal;
mod originals;
mod plain;
mod separated;
mod table;
#[cfg(test)]
mod tests;
pub mod vat;
mod workbook;

use std::io;

pub use journal::{Journal, journal, journal_sums};
pub use originals::{Zip, split, zip};
pub use separated::Separated;
pub use table::{Cell, Column, Row};

use super::Line;
use crate::order::{self, Accounting, Csv, LeftOut, ReportFile};

/// A table that was made.
#[derive(Clone, Debug, Default)]
pub struct Made {
    /// The file.
    pub bytes: Vec<u8>,
    /// The orders that are not in it, and why; of the journal alone.
    pub left_out: Vec<LeftOut>,
}

/// Why a file could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There are more lines than a workbook has.
    #[error("the workbook could not be made: {0}; a file vat.csv or invoices.csv has no such limit")]
    Workbook(#[from] rust_xlsxwriter::XlsxError),
    /// It could not be written.
    #[error("the file could not be written: {0}")]
    Io(#[from] io::Error),
}

/// A table of these lines. `None` where `kind` is none: the PDFs are not in the lines (see [`zip()`]), the
/// till's own reports are none of ours, and there is no journal without accounts.
///
/// # Errors
/// When there are more lines than a workbook has.
pub fn make(
    kind: ReportFile,
    lines: &[Line],
    style: Csv,
    accounting: Option<&Accounting>,
) -> Result<Option<Made>, FileError> {
    let bytes = match kind {
        ReportFile::Vat => separated::table(style, vat::COLUMNS, &vat::rows(lines))?,
        ReportFile::Invoices => separated::table(style, invoices::COLUMNS, &invoices::rows(by_number(lines), style))?,
        ReportFile::Workbook => workbook::make(lines, style)?,
        ReportFile::Originals | ReportFile::TillPdf | ReportFile::TillFec | ReportFile::TillCsv => return Ok(None),
        ReportFile::Journal => {
            let Some(accounting) = accounting else { return Ok(None) };
            let Journal { bytes, left_out } = journal(lines, style, accounting)?;
            return Ok(Some(Made { bytes, left_out }));
        }
    };
    Ok(Some(Made { bytes, left_out: Vec::new() }))
}

/// The lines in the order of their numbers, as people look them up; those of one number stay as they are.
fn by_number(lines: &[Line]) -> Vec<&Line> {
    let mut sorted: Vec<&Line> = lines.iter().collect();
    sorted.sort_by(|one, other| order::by_number(&one.booking.number, &other.booking.number));
    sorted
}

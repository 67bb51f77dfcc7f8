//! The keys of a mail sink that are about summaries: when they are sent, which files go with them, and above how many
//! mails they take the place of single ones.

use jiff::civil::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    order::{Cadence, ReportFile, clock_time},
    sink::Limit,
};

/// What goes with a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MailFile {
    /// The invoice PDF, byte for byte.
    #[serde(rename = "invoice")]
    Invoice,
    /// Of a digest: a line for each day, till and VAT rate.
    #[serde(rename = "vat.csv")]
    Vat,
    /// Of a digest: a line for each invoice and VAT rate.
    #[serde(rename = "invoices.csv")]
    Invoices,
    /// Of a digest: the same tables as a workbook.
    #[serde(rename = "invoices.xlsx")]
    Workbook,
    /// Of a digest: the original PDFs.
    #[serde(rename = "invoices.zip")]
    Originals,
    /// Of a digest: the accounting journal (`[accounting]`).
    #[serde(rename = "journal.csv")]
    Journal,
}

impl MailFile {
    /// The file of a summary that it is; `None` for the invoice.
    pub(super) fn of_summary(self) -> Option<ReportFile> {
        match self {
            Self::Invoice => None,
            Self::Vat => Some(ReportFile::Vat),
            Self::Invoices => Some(ReportFile::Invoices),
            Self::Workbook => Some(ReportFile::Workbook),
            Self::Originals => Some(ReportFile::Originals),
            Self::Journal => Some(ReportFile::Journal),
        }
    }
}

/// A report that the till makes of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TillFile {
    /// To read.
    #[serde(rename = "till.pdf")]
    Pdf,
    /// Accounting entries (FEC).
    #[serde(rename = "till.fec")]
    Fec,
    /// A table.
    #[serde(rename = "till.csv")]
    Csv,
}

impl From<TillFile> for ReportFile {
    fn from(file: TillFile) -> Self {
        match file {
            TillFile::Pdf => Self::TillPdf,
            TillFile::Fec => Self::TillFec,
            TillFile::Csv => Self::TillCsv,
        }
    }
}

/// When summaries are sent: `{ every = "daily 20:00" }`, or `{ on = "cashbox.closed", or_at = "23:55" }`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct When(pub(super) Cadence);

/// As it is written.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// "daily 20:00", "weekly mon 07:00" or "monthly 1 06:00": before noon about the days up to yesterday, from noon on up
    /// to today.
    every: Option<String>,
    /// "cashbox.closed": when the till closes.
    on: Option<String>,
    /// At what time where the till does not close: "23:55".
    or_at: Option<String>,
}

impl TryFrom<Written> for When {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match (&written.every, written.on.as_deref(), &written.or_at) {
            (Some(every), None, None) => {
                every.parse().map(Self).map_err(|error: crate::order::CadenceError| error.to_string())
            }
            (None, Some("cashbox.closed"), at) => {
                let at = at.as_deref().unwrap_or(LAST_MINUTES);
                let time: Option<Time> = clock_time(at);
                let wrong = || format!("`{at}` is not a time of day: use one such as \"23:55\"");
                time.map(|at| Self(Cadence::Closing(at))).ok_or_else(wrong)
            }
            _ => {
                Err("must say when: use { every = \"daily 20:00\" } or { on = \"cashbox.closed\", or_at = \"23:55\" }"
                    .to_owned())
            }
        }
    }
}

/// When a day is over for whoever does not say.
const LAST_MINUTES: &str = "23:55";

/// Above how many mails the rest of the day comes in a summary.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitTable {
    /// In an hour.
    #[schemars(range(min = 1))]
    pub(super) per_hour: Option<u32>,
    /// On a day.
    #[schemars(range(min = 1))]
    pub(super) per_day: Option<u32>,
}

impl From<LimitTable> for Limit {
    fn from(table: LimitTable) -> Self {
        Self { per_hour: table.per_hour, per_day: table.per_day }
    }
}

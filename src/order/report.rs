//! The files that an accountant is given, and how they are written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Locale, Money, Number};

/// How tables are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Csv {
    /// As a French spreadsheet reads it: UTF-8 with a byte order mark, semicolons, decimal commas, 21/11/2026.
    #[default]
    Fr,
    /// As programs read it: UTF-8, commas, decimal points, 2026-11-21.
    Iso,
}

impl From<Locale> for Csv {
    /// As readers of a language have their tables.
    fn from(locale: Locale) -> Self {
        match locale {
            Locale::Fr => Self::Fr,
            Locale::En => Self::Iso,
        }
    }
}

/// A file that goes with the summary of a period: made of its orders, or the till's own report of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReportFile {
    /// A line for each day, till and VAT rate.
    #[serde(rename = "vat.csv")]
    Vat,
    /// A line for each invoice and VAT rate.
    #[serde(rename = "invoices.csv")]
    Invoices,
    /// The same two tables as a workbook.
    #[serde(rename = "invoices.xlsx")]
    Workbook,
    /// The original PDFs.
    #[serde(rename = "invoices.zip")]
    Originals,
    /// A line for each entry of the accounting journal (`[accounting]`).
    #[serde(rename = "journal.csv")]
    Journal,
    /// The till's own report of the day, to read.
    #[serde(rename = "till.pdf")]
    TillPdf,
    /// The till's own accounting entries of the day (FEC).
    #[serde(rename = "till.fec")]
    TillFec,
    /// The till's own report of the day, as a table.
    #[serde(rename = "till.csv")]
    TillCsv,
}

impl ReportFile {
    /// The file's name: `vat.csv`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vat => "vat.csv",
            Self::Invoices => "invoices.csv",
            Self::Workbook => "invoices.xlsx",
            Self::Originals => "invoices.zip",
            Self::Journal => "journal.csv",
            Self::TillPdf => "till.pdf",
            Self::TillFec => "till.fec",
            Self::TillCsv => "till.csv",
        }
    }

    /// The end of the name under which it is attached. Programs that read a FEC look for a text file.
    pub fn ending(self) -> &'static str {
        match self {
            Self::TillFec => "till-fec.txt",
            _ => self.as_str(),
        }
    }

    /// Whether the till makes it, and not we.
    pub fn is_of_the_till(self) -> bool {
        matches!(self, Self::TillPdf | Self::TillFec | Self::TillCsv)
    }

    /// What it is, as mail programs name it.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Vat | Self::Invoices | Self::Journal => "text/csv; charset=utf-8",
            Self::Workbook => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Originals => "application/zip",
            Self::TillPdf => "application/pdf",
            // In whatever charset the till writes.
            Self::TillFec => "text/plain",
            Self::TillCsv => "text/csv",
        }
    }
}

/// Which accounts sales are entered into (`[accounting]`). Nothing is assumed: a rate that is not named has no accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accounting {
    /// The journal: `VE`.
    pub journal: String,
    /// The account that is debited with what was sold, VAT included: `411000`.
    pub customer: String,
    /// The accounts of each VAT rate, by percent: `"20"`, `"5.5"`.
    pub rates: BTreeMap<String, Accounts>,
}

/// The accounts of a VAT rate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    /// Credited with the sale without VAT: `707000`.
    pub revenue: String,
    /// Credited with the VAT: `445710`. Not needed where there is none.
    pub vat: Option<String>,
}

impl Accounting {
    /// The accounts of a rate.
    pub fn accounts(&self, rate: Number) -> Option<&Accounts> {
        let rate = rate.to_string();
        self.rates.iter().find(|(known, _)| known.replace(',', ".").trim() == rate).map(|(_, accounts)| accounts)
    }
}

/// An order that is not in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its number.
    pub number: String,
    /// Why not.
    pub why: NotEntered,
    /// With VAT.
    #[serde(default)]
    pub gross: Option<Money>,
}

/// What is in a journal and what is not, so that it and the total of the sales explain each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalSums {
    /// What is entered, with VAT.
    pub entered: Option<Money>,
    /// What is left out, with VAT; `None` where an order of it lacks its total.
    pub left_out: Option<Money>,
}

/// Why an order is not in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotEntered {
    /// The till did not send all of its amounts.
    Incomplete,
    /// The till sent its amounts, and not by rate.
    NotByRate,
    /// The till sent VAT by rate, and what was sold at each does not follow from it.
    NoBases,
    /// A refund with a positive total, or a sale with a negative one.
    Sign,
    /// Its rates do not add up to its total.
    Unbalanced,
    /// No accounts are named for this rate.
    NoAccounts(Number),
    /// No account is named for the VAT of this rate.
    NoVatAccount(Number),
}

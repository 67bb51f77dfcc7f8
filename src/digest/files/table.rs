//! A table before it is written: its columns, and cells that know what they are.
//!
//! **Invariant:** an amount is a number and a text is a text from here on, so no writer has to guess which of them may
//! begin with a minus.

use jiff::civil::Date;

use crate::order::{Csv, Money, Number};

/// A column: its heading in both styles, and how many characters wide it is in a workbook.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    fr: &'static str,
    iso: &'static str,
    /// Its width in a workbook, in characters.
    pub width: u16,
}

impl Column {
    pub(super) const fn new(fr: &'static str, iso: &'static str, width: u16) -> Self {
        Self { fr, iso, width }
    }

    /// Its heading.
    pub fn heading(&self, style: Csv) -> &'static str {
        match style {
            Csv::Fr => self.fr,
            Csv::Iso => self.iso,
        }
    }
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Anybody's words; empty where there are none.
    Text(String),
    /// A day.
    Day(Date),
    /// A VAT rate, in percent; empty where it is not known.
    Rate(Option<Number>),
    /// An amount; empty where it is not known.
    Amount(Option<Money>),
    /// How many.
    Count(u64),
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn maybe(text: Option<&str>) -> Self {
        Self::text(text.unwrap_or_default())
    }
}

/// A row: as many cells as there are columns.
pub type Row = Vec<Cell>;

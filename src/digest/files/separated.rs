//! Tables as separated values, written row by row: for a French spreadsheet, or for programs (RFC 4180).

use std::io::{self, Write};

use csv::{ErrorKind, Terminator, Writer, WriterBuilder};

use super::{
    plain,
    table::{Cell, Column, Row},
};
use crate::order::Csv;

/// How a spreadsheet knows that a file is UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A table that is being written.
pub struct Separated<W: Write> {
    writer: Writer<W>,
    style: Csv,
}

impl<W: Write> Separated<W> {
    /// Begins with the headings.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn begin(mut to: W, style: Csv, columns: &[Column]) -> io::Result<Self> {
        let separator = match style {
            Csv::Fr => b';',
            Csv::Iso => b',',
        };
        if style == Csv::Fr {
            to.write_all(BYTE_ORDER_MARK.as_bytes())?;
        }
        let mut writer = WriterBuilder::new().delimiter(separator).terminator(Terminator::CRLF).from_writer(to);
        writer.write_record(columns.iter().map(|column| column.heading(style))).map_err(unwrapped)?;
        Ok(Self { writer, style })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn rows(&mut self, rows: &[Row]) -> io::Result<()> {
        let style = self.style;
        rows.iter().try_for_each(|row| {
            self.writer.write_record(row.iter().map(|cell| written(cell, style))).map_err(unwrapped)
        })
    }

    /// Ends it.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.writer.flush()?;
        self.writer.into_inner().map_err(|error| error.into_error())
    }
}

/// A whole table.
pub(super) fn table(style: Csv, columns: &[Column], rows: &[Row]) -> io::Result<Vec<u8>> {
    let mut table = Separated::begin(Vec::new(), style, columns)?;
    table.rows(rows)?;
    table.finish()
}

fn written(cell: &Cell, style: Csv) -> String {
    let number = |text: String| match style {
        Csv::Fr => text.replace('.', ","),
        Csv::Iso => text,
    };
    match cell {
        Cell::Text(text) => plain::defused(text),
        Cell::Day(day) => match style {
            Csv::Fr => day.strftime("%d/%m/%Y").to_string(),
            Csv::Iso => day.to_string(),
        },
        Cell::Rate(rate) => rate.map(|rate| number(rate.to_string())).unwrap_or_default(),
        Cell::Amount(amount) => amount.map(|amount| number(amount.to_string())).unwrap_or_default(),
        Cell::Count(count) => count.to_string(),
    }
}

/// What the output said, so that a reader who went away is known for that.
fn unwrapped(error: csv::Error) -> io::Error {
    match error.into_kind() {
        ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

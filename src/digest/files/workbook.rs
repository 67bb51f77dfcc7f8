//! `invoices.xlsx`: both tables in a workbook, the same bytes on every attempt.
//!
//! **Invariant:** no cell is a formula. Texts are written as texts whatever they begin with, and need no apostrophe here.

use jiff::civil::Date;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, Worksheet, XlsxError};

use super::{
    super::Line,
    by_number, invoices, plain,
    table::{Cell, Column, Row},
    vat,
};
use crate::order::{Csv, Money};

/// Digits that a number keeps in a workbook. An amount with more is written as text, so that none is lost.
const DIGITS: usize = 15;

/// The longest text that a cell takes, in UTF-16 units.
const LONGEST: usize = 32_767;

/// The workbook.
///
/// # Errors
/// When there are more rows than a sheet has (1,048,576).
pub(super) fn make(lines: &[Line], style: Csv) -> Result<Vec<u8>, XlsxError> {
    let [vat, invoices] = match style {
        Csv::Fr => ["TVA", "Factures"],
        Csv::Iso => ["VAT", "Invoices"],
    };
    let mut workbook = Workbook::new();
    // The time of the attempt would make each a file of its own.
    let properties = DocProperties::new().set_creation_datetime(&ExcelDateTime::from_ymd(2000, 1, 1)?);
    workbook.set_properties(&properties);
    fill(workbook.add_worksheet().set_name(vat)?, style, vat::COLUMNS, &vat::rows(lines))?;
    fill(
        workbook.add_worksheet().set_name(invoices)?,
        style,
        invoices::COLUMNS,
        &invoices::rows(by_number(lines), style),
    )?;
    workbook.save_to_buffer()
}

fn fill(sheet: &mut Worksheet, style: Csv, columns: &[Column], rows: &[Row]) -> Result<(), XlsxError> {
    let bold = Format::new().set_bold();
    for (place, column) in (0..).zip(columns) {
        sheet.write_string_with_format(0, place, column.heading(style), &bold)?;
        sheet.set_column_width(place, column.width)?;
    }
    sheet.set_freeze_panes(1, 0)?;
    for (number, row) in (1..).zip(rows) {
        for (place, cell) in (0..).zip(row) {
            write(sheet, style, (number, place), cell)?;
        }
    }
    Ok(())
}

fn write(sheet: &mut Worksheet, style: Csv, (row, column): (u32, u16), cell: &Cell) -> Result<(), XlsxError> {
    match cell {
        Cell::Text(text) => sheet.write_string(row, column, fitting(&plain::one_line(text)))?,
        Cell::Day(day) => match serial(*day) {
            Some(at) => sheet.write_datetime_with_format(row, column, at, &day_format(style))?,
            None => sheet.write_string(row, column, day.to_string())?,
        },
        Cell::Rate(Some(rate)) => number(sheet, (row, column), &rate.to_string(), &Format::new())?,
        Cell::Amount(Some(amount)) => number(sheet, (row, column), &amount.to_string(), &amount_format(*amount))?,
        Cell::Rate(None) | Cell::Amount(None) => sheet,
        Cell::Count(count) => number(sheet, (row, column), &count.to_string(), &Format::new())?,
    };
    Ok(())
}

/// A number as exact as a workbook can hold it: its file spells numbers out, and the nearest double of up to 15 digits is
/// spelled with just these.
fn number<'a>(
    sheet: &'a mut Worksheet,
    (row, column): (u32, u16),
    text: &str,
    format: &Format,
) -> Result<&'a mut Worksheet, XlsxError> {
    let digits = text.trim_start_matches(['-', '0', '.']).chars().filter(char::is_ascii_digit).count();
    match text.parse::<f64>() {
        Ok(value) if digits <= DIGITS => sheet.write_number_with_format(row, column, value, format),
        _ => sheet.write_string(row, column, text),
    }
}

/// As many decimals as the amount is written with.
fn amount_format(amount: Money) -> Format {
    let decimals = "0".repeat(amount.scale() as usize);
    Format::new().set_num_format(format!("#,##0.{decimals}").trim_end_matches('.'))
}

fn day_format(style: Csv) -> Format {
    Format::new().set_num_format(match style {
        Csv::Fr => "dd/mm/yyyy",
        Csv::Iso => "yyyy-mm-dd",
    })
}

/// The day as a workbook counts it; it knows none before 1900.
fn serial(day: Date) -> Option<ExcelDateTime> {
    let year = u16::try_from(day.year()).ok()?;
    ExcelDateTime::from_ymd(year, day.month().unsigned_abs(), day.day().unsigned_abs()).ok()
}

/// As much of a text as a cell takes.
fn fitting(text: &str) -> String {
    let mut room = LONGEST;
    let fits = |c: &char| {
        let left = room.checked_sub(c.len_utf16());
        room = left.unwrap_or(0);
        left.is_some()
    };
    text.chars().take_while(fits).collect()
}

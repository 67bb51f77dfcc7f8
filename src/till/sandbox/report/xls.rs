//! The report as a workbook: a sheet of sums and a sheet of orders. Amounts are numbers, as exact as a workbook holds them.

use rust_decimal::{Decimal, prelude::ToPrimitive as _};
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, Worksheet, XlsxError};

use super::DayReport;

/// The workbook; the same report makes the same bytes.
pub(super) fn workbook(report: &DayReport) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    // The time of the request would make each a file of its own.
    workbook.set_properties(&DocProperties::new().set_creation_datetime(&ExcelDateTime::from_ymd(2000, 1, 1)?));
    sums(workbook.add_worksheet().set_name("TVA")?, report)?;
    orders(workbook.add_worksheet().set_name("Commandes")?, report)?;
    workbook.save_to_buffer()
}

fn sums(sheet: &mut Worksheet, report: &DayReport) -> Result<(), XlsxError> {
    headings(sheet, &["TVA %", "HT", "TVA", "TTC"])?;
    let total = report.total;
    let rates = report.vat.iter().map(|it| (it.rate.to_string(), [it.net, it.vat, it.gross]));
    for (row, (name, amounts)) in (1..).zip(rates.chain([("TOTAL".to_owned(), [total.net, total.vat, total.gross])])) {
        sheet.write_string(row, 0, name)?;
        for (column, value) in (1..).zip(amounts) {
            amount(sheet, row, column, value)?;
        }
    }
    Ok(())
}

fn orders(sheet: &mut Worksheet, report: &DayReport) -> Result<(), XlsxError> {
    headings(sheet, &["Numéro", "HT", "TVA", "TTC"])?;
    for (row, order) in (1..).zip(&report.orders) {
        sheet.write_string(row, 0, &order.order_id)?;
        amount(sheet, row, 1, order.total() - order.total_vat())?;
        amount(sheet, row, 2, order.total_vat())?;
        amount(sheet, row, 3, order.total())?;
    }
    Ok(())
}

fn headings(sheet: &mut Worksheet, names: &[&str]) -> Result<(), XlsxError> {
    let bold = Format::new().set_bold();
    (0..).zip(names).try_for_each(|(column, name)| sheet.write_string_with_format(0, column, *name, &bold).map(|_| ()))
}

/// The nearest double of a sum of up to fifteen digits is spelled with just these.
fn amount(sheet: &mut Worksheet, row: u32, column: u16, amount: Decimal) -> Result<(), XlsxError> {
    let format = Format::new().set_num_format("#,##0.00");
    sheet.write_number_with_format(row, column, amount.to_f64().unwrap_or_default(), &format).map(|_| ())
}

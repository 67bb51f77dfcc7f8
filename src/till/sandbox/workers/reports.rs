//! `getSales.php`: the report of a day; without a date, of the day before (seed 003).

use jiff::{Timestamp, ToSpan as _, civil::Date};

use super::super::{
    answer::Answer,
    book::Book,
    params::Params,
    refusal::Refusal,
    report::{DayReport, Format},
    sales::wall_clock,
};

/// The report that is asked for.
pub(super) fn report(book: &Book, params: &Params, now: Timestamp) -> Result<Answer, Refusal> {
    let name = params.text("formatExport").unwrap_or_default();
    let format = Format::of(name).ok_or_else(|| {
        Refusal::new(format!("formatExport: `{name}` is none of Std, PDF, XLS, CSV, frafec and saft"))
    })?;
    let report = DayReport::of(&book.sales, day(book, params, now)?);
    report.answer(format).map_err(|error| Refusal::new(format!("the workbook cannot be made: {error}")))
}

fn day(book: &Book, params: &Params, now: Timestamp) -> Result<Date, Refusal> {
    let date = match (params.integer("y")?, params.integer("m")?, params.integer("d")?) {
        (None, None, None) => wall_clock(now, book.sales.zone()).date().checked_sub(1.day()).ok(),
        (Some(year), Some(month), Some(day)) => Date::new(year, month, day).ok(),
        _ => return Err(Refusal::new("d, m, y: give all three, or none for the day before")),
    };
    date.ok_or_else(|| Refusal::new("d, m, y: there is no such day"))
}

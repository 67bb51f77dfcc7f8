//! The sales report of a day, in the six formats of the till's report page.
//!
//! What the till's own files look like is unknown, so these are a stand-in's: well-formed, right to the cent, and **not
//! for tax use**. The XLS is a workbook of today's format (XLSX).
//!
//! **Invariant:** every format tells the same sums, and they are the sums of what the orders of the day announced. An
//! order counts for its value date in the shop's time, a payment for the day on which it came in.

mod csv;
mod fec;
mod html;
mod pdf;
mod saft;
mod xls;

use std::collections::BTreeMap;

use jiff::civil::Date;
use rust_decimal::Decimal;

use super::{answer::Answer, sales::Sales};
use crate::till::order::{TillOrder, TillVat};

/// The name of the sandbox's shop.
const SHOP: &str = "Boulangerie Dupont (bac à sable)";

/// What no reader of a report may miss.
const WARNING: &str = "Rapport d'un simulateur, sans valeur comptable ni fiscale.";

/// A report's format, as `formatExport` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `Std`.
    Html,
    /// `PDF`.
    Pdf,
    /// `XLS`.
    Xls,
    /// `CSV`.
    Csv,
    /// `frafec`: the French file of accounting entries.
    Fec,
    /// `saft`: the OECD's standard audit file.
    Saft,
}

impl Format {
    /// The format of this name.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "Std" => Some(Self::Html),
            "PDF" => Some(Self::Pdf),
            "XLS" => Some(Self::Xls),
            "CSV" => Some(Self::Csv),
            "frafec" => Some(Self::Fec),
            "saft" => Some(Self::Saft),
            _ => None,
        }
    }
}

/// What was sold on a day.
#[derive(Clone, Debug, PartialEq)]
pub struct DayReport {
    /// The day, in the shop's time.
    pub day: Date,
    /// Its validated orders, in the order of their numbers.
    pub orders: Vec<TillOrder>,
    /// How many of them gave money back.
    pub refunds: usize,
    /// The sums by VAT rate, the lowest first.
    pub vat: Vec<TillVat>,
    /// The sums of all.
    pub total: Total,
    /// What came in, and went back, on that day: by the name of the payment method.
    pub payments: BTreeMap<&'static str, Decimal>,
}

/// What all of it came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Without VAT.
    pub net: Decimal,
    /// The VAT.
    pub vat: Decimal,
    /// With VAT.
    pub gross: Decimal,
}

impl DayReport {
    /// The report of a day.
    pub fn of(sales: &Sales, day: Date) -> Self {
        let is_of_day = |order: &&TillOrder| order.value.as_ref().is_some_and(|at| at.date() == day);
        let orders: Vec<TillOrder> = sales.orders().filter(is_of_day).cloned().collect();
        let vat = by_rate(&orders);
        let total = vat.iter().fold(Total::default(), |sum, line| Total {
            net: sum.net + line.net,
            vat: sum.vat + line.vat,
            gross: sum.gross + line.gross,
        });
        let refunds = orders.iter().filter(|order| order.is_refund).count();
        Self { day, refunds, vat, total, payments: payments(sales, day), orders }
    }

    /// The report in a format.
    ///
    /// # Errors
    /// When there is more of it than a workbook takes.
    pub fn answer(&self, format: Format) -> Result<Answer, rust_xlsxwriter::XlsxError> {
        Ok(match format {
            Format::Html => Answer::new("text/html; charset=utf-8", html::page(self)),
            Format::Pdf => Answer::new("application/pdf", pdf::page(self)),
            Format::Xls => {
                let workbook = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
                Answer::new(workbook, xls::workbook(self)?)
            }
            Format::Csv => Answer::new("text/csv; charset=utf-8", csv::table(self)),
            Format::Fec => Answer::new("text/plain; charset=utf-8", fec::entries(self)),
            Format::Saft => Answer::new("application/xml", saft::file(self)),
        })
    }

    /// The sums as rows of texts: rate, net, VAT, gross; the last row is of all rates.
    fn sums(&self) -> Vec<[String; 4]> {
        let Total { net, vat, gross } = self.total;
        let rates = self.vat.iter().map(|it| [it.rate, it.net, it.vat, it.gross].map(|amount| amount.to_string()));
        rates.chain([["TOTAL".to_owned(), net.to_string(), vat.to_string(), gross.to_string()]]).collect()
    }
}

/// The rates of all orders together. What each order announced is summed, not computed again, so that a cent of rounding
/// stays where it was.
fn by_rate(orders: &[TillOrder]) -> Vec<TillVat> {
    let mut sums = BTreeMap::<Decimal, TillVat>::new();
    for line in orders.iter().flat_map(TillOrder::vat) {
        let sum = sums.entry(line.rate).or_insert_with(|| TillVat {
            rate: line.rate,
            net: Decimal::ZERO,
            vat: Decimal::ZERO,
            gross: Decimal::ZERO,
        });
        (sum.net, sum.vat, sum.gross) = (sum.net + line.net, sum.vat + line.vat, sum.gross + line.gross);
    }
    sums.into_values().collect()
}

fn payments(sales: &Sales, day: Date) -> BTreeMap<&'static str, Decimal> {
    let mut sums = BTreeMap::new();
    for payment in sales.tickets().flat_map(|ticket| &ticket.payments).filter(|payment| payment.at.date() == day) {
        *sums.entry(payment.method.title).or_default() += payment.amount;
    }
    sums
}

/// `1234,50`, as French accounting writes it.
fn french(amount: Decimal) -> String {
    amount.to_string().replace('.', ",")
}

#[cfg(test)]
mod tests;

//! The report as a file of accounting entries (FEC): the eighteen columns of article A47 A-1 of the French book of tax
//! procedures, separated by tabs, amounts with a comma.
//!
//! Only the journal of sales is written: for each order what the customer owes, and against it sales and VAT by rate. A
//! refund has the sides the other way round. It is a stand-in's, not for tax use.
//!
//! **Invariant:** each entry is balanced, and no amount is negative.

use rust_decimal::Decimal;

use super::{DayReport, french};
use crate::till::order::TillOrder;

/// The columns, as the norm names them.
const COLUMNS: [&str; 18] = [
    "JournalCode",
    "JournalLib",
    "EcritureNum",
    "EcritureDate",
    "CompteNum",
    "CompteLib",
    "CompAuxNum",
    "CompAuxLib",
    "PieceRef",
    "PieceDate",
    "EcritureLib",
    "Debit",
    "Credit",
    "EcritureLet",
    "DateLet",
    "ValidDate",
    "Montantdevise",
    "Idevise",
];

/// An account of the French plan: number and name.
type Ledger = (&'static str, &'static str);

const CUSTOMERS: Ledger = ("411000", "Clients");
const SALES: Ledger = ("707000", "Ventes de marchandises");
const VAT: Ledger = ("445710", "TVA collectée");

/// The file, in UTF-8.
pub(super) fn entries(report: &DayReport) -> String {
    let lines = (1..).zip(&report.orders).flat_map(|(number, order)| entry(number, order));
    [COLUMNS.join("\t")].into_iter().chain(lines).map(|line| line + "\r\n").collect()
}

fn entry(number: u32, order: &TillOrder) -> Vec<String> {
    let mut lines = vec![line(number, order, CUSTOMERS, "Total TTC", order.total())];
    for rate in order.vat() {
        lines.push(line(number, order, SALES, &format!("HT {} %", french(rate.rate)), -rate.net));
        if !rate.vat.is_zero() {
            lines.push(line(number, order, VAT, &format!("TVA {} %", french(rate.rate)), -rate.vat));
        }
    }
    lines
}

/// A line; what is above zero is debited, what is below credited.
fn line(number: u32, order: &TillOrder, ledger: Ledger, label: &str, amount: Decimal) -> String {
    let day = order.value.as_ref().map(|at| at.strftime("%Y%m%d").to_string()).unwrap_or_default();
    let zero = Decimal::new(0, 2);
    let [debit, credit] = if amount.is_sign_negative() { [zero, -amount] } else { [amount, zero] };
    let customer = (ledger == CUSTOMERS).then_some(order.customer.as_ref()).flatten();
    let cells = [
        "VE".to_owned(),
        "Ventes".to_owned(),
        number.to_string(),
        day.clone(),
        ledger.0.to_owned(),
        ledger.1.to_owned(),
        customer.map(|who| who.id.clone()).unwrap_or_default(),
        customer.map(|who| who.name()).unwrap_or_default(),
        order.order_id.clone(),
        day.clone(),
        label.to_owned(),
        french(debit),
        french(credit),
        String::new(),
        String::new(),
        day,
        String::new(),
        String::new(),
    ];
    cells.map(|cell| cell.replace(['\t', '\r', '\n'], " ")).join("\t")
}

//! The report as CSV: a line for each order and rate, then the sums.

use super::DayReport;
use crate::till::{order::TillOrder, sandbox::workers::separated};

const COLUMNS: &[&str] = &["date", "numero", "type", "taux_tva", "ht", "tva", "ttc"];

/// The table, in UTF-8.
pub(super) fn table(report: &DayReport) -> Vec<u8> {
    let day = report.day.to_string();
    let sums = report
        .sums()
        .into_iter()
        .map(|sum| [vec![day.clone(), String::new(), "total".to_owned()], sum.to_vec()].concat());
    let rows: Vec<Vec<String>> = report.orders.iter().flat_map(|order| lines(order, &day)).chain(sums).collect();
    separated(COLUMNS, &rows)
}

fn lines(order: &TillOrder, day: &str) -> Vec<Vec<String>> {
    let kind = if order.is_refund { "remboursement" } else { "vente" };
    let line = |it: &crate::till::order::TillVat| {
        let amounts = [it.rate, it.net, it.vat, it.gross].map(|amount| amount.to_string());
        [vec![day.to_owned(), order.order_id.clone(), kind.to_owned()], amounts.to_vec()].concat()
    };
    order.vat().iter().map(line).collect()
}

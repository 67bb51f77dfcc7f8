//! `invoices.csv`: every invoice, with a line for each of its VAT rates, and one for what the rates do not say of it.

use super::{
    super::Line,
    table::{Cell, Column, Row},
};
use crate::order::{Csv, Share};

/// The columns.
pub const COLUMNS: &[Column] = &[
    Column::new("date_valeur", "value_date", 12),
    Column::new("numero", "number", 16),
    Column::new("type", "type", 14),
    Column::new("client", "customer", 28),
    Column::new("taux_tva", "vat_rate", 10),
    Column::new("ht", "net", 12),
    Column::new("tva", "vat", 12),
    Column::new("ttc", "gross", 12),
    Column::new("soldee", "paid", 8),
    Column::new("pdf", "pdf", 48),
    Column::new("sha256", "sha256", 24),
];

/// A row for each order and rate, in the order of `lines`.
pub fn rows<'a>(lines: impl IntoIterator<Item = &'a Line>, style: Csv) -> Vec<Row> {
    let of_line = |line: &'a Line| line.booking.by_rate().into_iter().map(move |share| row(line, &share, style));
    lines.into_iter().flat_map(of_line).collect()
}

fn row(line: &Line, share: &Share, style: Csv) -> Row {
    let Line { booking, customer, pdf } = line;
    vec![
        Cell::Day(booking.date),
        Cell::text(&booking.number),
        Cell::text(kind(booking.is_refund, style)),
        Cell::maybe(customer.as_deref()),
        Cell::Rate(share.part.rate()),
        Cell::Amount(share.net),
        Cell::Amount(share.vat),
        Cell::Amount(share.gross),
        Cell::text(yes_or_no(booking.paid, style)),
        Cell::maybe(pdf.as_deref()),
        Cell::maybe(booking.pdf.sha256.as_deref()),
    ]
}

/// `facture` or `remboursement`.
fn kind(is_refund: bool, style: Csv) -> &'static str {
    match (style, is_refund) {
        (Csv::Fr, false) => "facture",
        (Csv::Fr, true) => "remboursement",
        (Csv::Iso, false) => "invoice",
        (Csv::Iso, true) => "refund",
    }
}

fn yes_or_no(yes: bool, style: Csv) -> &'static str {
    match (style, yes) {
        (Csv::Fr, true) => "oui",
        (Csv::Fr, false) => "non",
        (Csv::Iso, true) => "yes",
        (Csv::Iso, false) => "no",
    }
}

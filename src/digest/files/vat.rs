//! `vat.csv`: what was sold on a day, at a till, at a VAT rate.
//!
//! Amounts of different currencies are not added: where a shop changed its currency, a day has lines for each.
//!
//! **Invariant:** a sum is exact and of every order it stands for; where one of them does not say the amount, there is none,
//! and such orders have rows of their own.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::{
    super::Line,
    table::{Cell, Column, Row},
};
use crate::order::{Money, Number, Part, Share};

/// The columns.
pub const COLUMNS: &[Column] = &[
    Column::new("date", "date", 12),
    Column::new("caisse", "till", 10),
    Column::new("taux_tva", "vat_rate", 10),
    Column::new("base_ht", "net", 14),
    Column::new("tva", "vat", 14),
    Column::new("ttc", "gross", 14),
    Column::new("nb_ventes", "sales", 12),
    Column::new("nb_remboursements", "refunds", 18),
];

/// What is summed: the day, the till, the currency, and the rate, or what stands in its place.
type Key = (Date, Option<String>, String, (Option<Number>, Part));

/// What it came to.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    amounts: Option<[Option<Money>; 3]>,
    sales: u64,
    refunds: u64,
}

/// A table that grows with each order.
#[derive(Clone, Debug, Default)]
pub struct Sums(BTreeMap<Key, Sum>);

/// A row for each day, till and rate, in that order.
pub fn rows(lines: &[Line]) -> Vec<Row> {
    let mut sums = Sums::default();
    lines.iter().for_each(|line| sums.add(line));
    sums.rows()
}

impl Sums {
    /// Adds an order.
    pub fn add(&mut self, Line { booking, .. }: &Line) {
        for share in booking.by_rate() {
            let place = (share.part.rate(), share.part);
            let key = (booking.date, booking.till.clone(), booking.currency.code().to_owned(), place);
            let sum = self.0.entry(key).or_default();
            sum.add(&share);
            sum.count(booking.is_refund);
        }
    }

    /// A row for each day, till and rate, in that order; what is not told by rate before the rates, and what lacks an amount
    /// apart from what does not.
    pub fn rows(&self) -> Vec<Row> {
        self.0.iter().map(|(key, sum)| row(key, sum)).collect()
    }
}

impl Sum {
    fn add(&mut self, share: &Share) {
        let more = [share.net, share.vat, share.gross];
        self.amounts = Some(match self.amounts {
            None => more,
            Some(sums) => [0, 1, 2].map(|nth| sums[nth].zip(more[nth]).and_then(|(sum, one)| sum.checked_add(one))),
        });
    }

    fn count(&mut self, is_refund: bool) {
        let number = if is_refund { &mut self.refunds } else { &mut self.sales };
        *number += 1;
    }
}

fn row((day, till, _, (rate, _)): &Key, sum: &Sum) -> Row {
    let [net, vat, gross] = sum.amounts.unwrap_or_default();
    vec![
        Cell::Day(*day),
        Cell::maybe(till.as_deref()),
        Cell::Rate(*rate),
        Cell::Amount(net),
        Cell::Amount(vat),
        Cell::Amount(gross),
        Cell::Count(sum.sales),
        Cell::Count(sum.refunds),
    ]
}

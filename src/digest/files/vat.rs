//! `vat.csv`: what was sold on a day, at a till, at a VAT rate.
//!
//! Amounts of different currencies are not added: where a shop changed its currency, a day has lines for each.
//!
//! **Invariant:** a sum is exact and of every order it stands for; where one of them does not say the amount, there is none.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::{
    super::Line,
    table::{Cell, Column, Row},
};
use crate::order::{Money, Number, VatLine};

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

/// What is summed: the day, the till, the currency, the rate.
type Key<'a> = (Date, Option<&'a str>, &'a str, Option<Number>);

/// What it came to.
#[derive(Default)]
struct Sum {
    amounts: Option<[Option<Money>; 3]>,
    sales: u64,
    refunds: u64,
}

/// A row for each day, till and rate, in that order.
pub fn rows(lines: &[Line]) -> Vec<Row> {
    let mut sums: BTreeMap<Key<'_>, Sum> = BTreeMap::new();
    for Line { booking, .. } in lines {
        let mut counted = BTreeSet::new();
        for rate in booking.by_rate() {
            let key = (booking.date, booking.till.as_deref(), booking.currency.code(), rate.rate);
            let sum = sums.entry(key).or_default();
            sum.add(&rate);
            // A till may list a rate twice in an order.
            if counted.insert(rate.rate) {
                sum.count(booking.is_refund);
            }
        }
    }
    sums.into_iter().map(|(key, sum)| row(key, &sum)).collect()
}

impl Sum {
    fn add(&mut self, line: &VatLine) {
        let more = [line.net, line.vat, line.gross];
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

fn row((day, till, _, rate): Key<'_>, sum: &Sum) -> Row {
    let [net, vat, gross] = sum.amounts.unwrap_or_default();
    vec![
        Cell::Day(day),
        Cell::maybe(till),
        Cell::Rate(rate),
        Cell::Amount(net),
        Cell::Amount(vat),
        Cell::Amount(gross),
        Cell::Count(sum.sales),
        Cell::Count(sum.refunds),
    ]
}

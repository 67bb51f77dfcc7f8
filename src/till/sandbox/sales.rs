//! The memory of the simulated till: which orders there are, and the numbers they were given.
//!
//! It is pure: the time is told to it and chance comes from a seed, so the same calls make the same sales.
//!
//! **Invariant:** the order numbers of a day have no holes, and no internal id is given twice.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::till::{
    dice::Dice,
    goods::{account_customer, any_order, refunded},
    order::TillOrder,
};

/// The first internal id; far from the order numbers, so that nobody takes one for the other.
const FIRST_INTERNAL_ID: u64 = 8_841_001;

/// A till and what it sold.
#[derive(Debug)]
pub struct Sales {
    dice: Dice,
    zone: TimeZone,
    origin: String,
    day: Date,
    sold_today: u32,
    orders: BTreeMap<String, TillOrder>,
}

impl Sales {
    /// A till that has sold nothing yet and serves its invoices below `origin` (`http://127.0.0.1:9000`).
    pub fn new(seed: u64, zone: TimeZone, origin: &str) -> Self {
        Self {
            dice: Dice::new(seed),
            zone,
            origin: origin.to_owned(),
            day: Date::ZERO,
            sold_today: 0,
            orders: BTreeMap::new(),
        }
    }

    /// Sells something to somebody at the counter.
    pub fn sell(&mut self, now: Timestamp) -> TillOrder {
        let order = any_order(&mut self.dice, &self.zone, now);
        self.number(order, now)
    }

    /// Sells something to a company that pays later.
    pub fn sell_on_account(&mut self, now: Timestamp) -> TillOrder {
        let mut order = any_order(&mut self.dice, &self.zone, now);
        order.customer = Some(account_customer(&mut self.dice));
        self.number(order, now)
    }

    /// Gives the money for an order back: an order of its own, with negative amounts.
    pub fn refund(&mut self, original: &TillOrder, now: Timestamp) -> TillOrder {
        let mut order = any_order(&mut self.dice, &self.zone, now);
        order.customer = original.customer.clone();
        order.items = original.items.clone();
        self.number(refunded(order), now)
    }

    /// The order with this internal id.
    pub fn order(&self, internal_id: &str) -> Option<&TillOrder> {
        self.orders.get(internal_id)
    }

    /// Every order, the oldest first.
    pub fn orders(&self) -> impl Iterator<Item = &TillOrder> {
        self.orders.values()
    }

    /// Gives the order its numbers and its invoice, and keeps it.
    fn number(&mut self, mut order: TillOrder, now: Timestamp) -> TillOrder {
        let today = now.to_zoned(self.zone.clone()).date();
        if today != self.day {
            (self.day, self.sold_today) = (today, 0);
        }
        self.sold_today += 1;
        order.order_id = format!("{}{:03}", today.strftime("%Y%m%d"), self.sold_today);
        order.internal_id = (FIRST_INTERNAL_ID + self.orders.len() as u64).to_string();
        order.pdf_url = Some(format!("{}/invoice/{}.pdf", self.origin, order.internal_id));
        self.orders.insert(order.internal_id.clone(), order.clone());
        order
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn till() -> Sales {
        Sales::new(11, TimeZone::get("Europe/Paris").expect("a zone"), "http://127.0.0.1:9")
    }

    fn noon() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().expect("an instant")
    }

    #[test]
    fn a_thousand_orders_are_numbered_without_holes_and_have_ids_of_their_own() {
        let mut till = till();
        for n in 1..=1000 {
            let order = if n % 7 == 0 { till.sell_on_account(noon()) } else { till.sell(noon()) };
            assert_eq!(order.order_id, format!("20261121{n:03}"));
        }
        let ids: BTreeSet<_> = till.orders().map(|order| &order.internal_id).collect();
        assert_eq!(ids.len(), 1000);
    }

    #[test]
    fn a_new_day_in_the_shop_begins_at_one() {
        let mut till = till();
        till.sell(noon());
        let after_midnight_in_paris = "2026-11-21T23:30:00Z".parse().expect("an instant");
        assert_eq!(till.sell(after_midnight_in_paris).order_id, "20261122001");
    }

    #[test]
    fn a_refund_is_a_new_order_that_takes_back_the_same_amount() {
        let mut till = till();
        let sale = till.sell(noon());
        let refund = till.refund(&sale, noon());
        assert_eq!(refund.total(), -sale.total());
        assert_eq!((refund.is_refund, refund.order_id.as_str()), (true, "20261121002"));
        assert_ne!(refund.internal_id, sale.internal_id);
    }
}

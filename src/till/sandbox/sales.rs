//! The memory of the simulated till: which orders there are, how far each is, and the numbers they were given.
//!
//! It is pure: the time is told to it and chance comes from a seed, so the same calls make the same sales.
//!
//! **Invariant:** an order has its internal id from the start and its number from the moment it is validated; the order
//! numbers of a day have no holes, and no internal id is given twice.

use std::collections::BTreeMap;

use jiff::{Timestamp, Zoned, civil::Date, tz::TimeZone};

use super::{
    catalogue::{CARD, CARD_REFUND, METHODS, Method},
    refusal::Refusal,
    ticket::{Stage, Ticket},
};
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
    next_internal_id: u64,
    tickets: BTreeMap<String, Ticket>,
    /// The internal ids of the validated orders, in the order of their numbers.
    validated: Vec<String>,
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
            next_internal_id: FIRST_INTERNAL_ID,
            tickets: BTreeMap::new(),
            validated: Vec::new(),
        }
    }

    /// Sells something to somebody at the counter, who pays at once.
    pub fn sell(&mut self, now: Timestamp) -> TillOrder {
        let order = any_order(&mut self.dice, &self.zone, now);
        self.sold(order, Some(CARD), now)
    }

    /// Sells something to a company that pays later.
    pub fn sell_on_account(&mut self, now: Timestamp) -> TillOrder {
        let mut order = any_order(&mut self.dice, &self.zone, now);
        order.customer = Some(account_customer(&mut self.dice));
        self.sold(order, None, now)
    }

    /// Gives the money for an order back: an order of its own, with negative amounts.
    pub fn refund(&mut self, original: &TillOrder, now: Timestamp) -> TillOrder {
        let mut order = any_order(&mut self.dice, &self.zone, now);
        order.customer = original.customer.clone();
        order.items = original.items.clone();
        let refund = self.sold(refunded(order), Some(CARD_REFUND), now);
        self.mark_refunded(&original.internal_id, &refund.internal_id);
        refund
    }

    /// Begins an order: it gets its internal id and stays a quote.
    pub fn open(&mut self, order: TillOrder) -> String {
        let id = self.next_internal_id.to_string();
        self.next_internal_id += 1;
        self.open_as(&id, order);
        id
    }

    /// The same with an internal id of one's own, which must be free.
    pub fn open_as(&mut self, id: &str, mut order: TillOrder) {
        order.internal_id = id.to_owned();
        order.verification_url = Some(format!("{}/verify/{id}", self.origin));
        (order.validated, order.value) = (None, None);
        self.tickets.insert(id.to_owned(), Ticket::quote(order));
    }

    /// Validates a quote: it gets the next number and an invoice, and counts for today unless it has a value date. Any other
    /// order stays as it is.
    pub fn validate(&mut self, id: &str, now: Timestamp) {
        let Some(ticket) = self.tickets.get_mut(id).filter(|ticket| ticket.stage == Stage::Quote) else { return };
        let at = wall_clock(now, &self.zone);
        if at.date() != self.day {
            (self.day, self.sold_today) = (at.date(), 0);
        }
        self.sold_today += 1;
        ticket.order.order_id = format!("{}{:03}", at.strftime("%Y%m%d"), self.sold_today);
        ticket.order.pdf_url = Some(format!("{}/invoice/{id}.pdf", self.origin));
        ticket.order.value.get_or_insert_with(|| at.clone());
        ticket.order.validated = Some(at);
        ticket.stage = Stage::Invoiced;
        self.validated.push(id.to_owned());
    }

    /// Takes a payment for an invoice; without an amount, all that is owed.
    ///
    /// # Errors
    /// When there is no such order, or that much is not owed.
    pub fn pay(
        &mut self,
        id: &str,
        method: Method,
        amount: Option<rust_decimal::Decimal>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let at = wall_clock(now, &self.zone);
        self.tickets.get_mut(id).ok_or_else(|| Refusal::unknown("order", id))?.pay(method, amount, at)
    }

    /// Remembers which order gave the money for this one back.
    pub fn mark_refunded(&mut self, id: &str, refund: &str) {
        if let Some(ticket) = self.tickets.get_mut(id) {
            ticket.refunded_by = Some(refund.to_owned());
        }
    }

    /// The validated order with this internal id.
    pub fn order(&self, internal_id: &str) -> Option<&TillOrder> {
        self.ticket(internal_id).filter(|ticket| ticket.stage > Stage::Quote).map(|ticket| &ticket.order)
    }

    /// Every validated order, the oldest number first.
    pub fn orders(&self) -> impl Iterator<Item = &TillOrder> {
        self.validated.iter().filter_map(|id| self.order(id))
    }

    /// An order with this internal id, and how far it is.
    pub fn ticket(&self, internal_id: &str) -> Option<&Ticket> {
        self.tickets.get(internal_id)
    }

    /// The same, to be changed.
    pub fn ticket_mut(&mut self, internal_id: &str) -> Option<&mut Ticket> {
        self.tickets.get_mut(internal_id)
    }

    /// Everything that was ever begun, by internal id.
    pub fn tickets(&self) -> impl Iterator<Item = &Ticket> {
        self.tickets.values()
    }

    /// Where the shop's wall clock hangs.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Where invoices are served.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// An order as the shop's own people make one: validated at once, and paid with this method.
    fn sold(&mut self, order: TillOrder, method: Option<u64>, now: Timestamp) -> TillOrder {
        let id = self.open(order);
        self.validate(&id, now);
        if let Some(method) = method.and_then(|id| METHODS.iter().find(|known| known.id == id)) {
            let _all_of_it = self.pay(&id, *method, None, now);
        }
        self.tickets[&id].order.clone()
    }
}

/// What the shop's clock shows, to the second.
pub(super) fn wall_clock(now: Timestamp, zone: &TimeZone) -> Zoned {
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_zoned(zone.clone())
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
    fn a_quote_takes_no_number_until_it_is_validated() {
        let mut till = till();
        let draft = till.sell(noon());
        let id = till.open(draft);
        assert_eq!(till.ticket(&id).map(|quote| quote.stage), Some(Stage::Quote));
        assert_eq!(till.sell(noon()).order_id, "20261121002");
        till.validate(&id, noon());
        till.validate(&id, noon());
        assert_eq!(till.order(&id).map(|order| order.order_id.as_str()), Some("20261121003"));
        assert_eq!(till.orders().count(), 3);
    }

    #[test]
    fn what_is_sold_at_the_counter_is_paid_and_what_is_sold_on_account_is_owed() {
        let mut till = till();
        let (paid, owed) = (till.sell(noon()), till.sell_on_account(noon()));
        assert_eq!(till.ticket(&paid.internal_id).map(|ticket| ticket.stage), Some(Stage::Paid));
        assert_eq!(till.ticket(&owed.internal_id).map(Ticket::owed), Some(owed.total()));
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
        assert_eq!(till.ticket(&sale.internal_id).and_then(|sale| sale.refunded_by.clone()), Some(refund.internal_id));
    }
}

//! Recording a sale and editing an order: what `webapp.php` and `editOrder.php` do (seeds 000 and 001).
//!
//! The rules are the documented ones; where a page is silent, this is decided: lines that `editOrder` brings are added to
//! the order's own; a payment on a quote validates it first; a refund method in `webapp` sells in reverse, and in
//! `editOrder` gives back the whole of an order that was paid. Part of an order is given back by recording the lines that
//! come back with `webapp` and a refund method.
//!
//! **Invariant:** everything is checked before anything is changed, so a refused call leaves no trace.

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::{
    book::Book,
    catalogue::{CASH_BOXES, Method, TABLES},
    refusal::Refusal,
    sales::wall_clock,
    ticket::{Notes, Stage, Ticket},
    wanted::{Buyer, Pay, Wanted},
};
use crate::{
    order::Phase,
    till::{
        goods::refunded,
        order::{TillCustomer, TillItem, TillOrder},
    },
};

/// How goods are handed over where nobody says it: at the counter.
const DEFAULT_DELIVERY_METHOD: u8 = 4;

/// What came of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The internal id of the order it was about.
    pub id: String,
    /// What the webhook is to be told, in this order.
    pub announcements: Vec<(TillOrder, Phase)>,
}

impl Book {
    /// Records a sale.
    ///
    /// # Errors
    /// When something it names does not exist, or it sells nothing, or pays too much.
    pub fn record(&mut self, wanted: &Wanted, now: Timestamp) -> Result<Recorded, Refusal> {
        if wanted.lines.is_empty() {
            return Err(Refusal::new("itemsList: a sale needs at least one line"));
        }
        let (method, items) = (self.check(wanted)?, self.items(wanted)?);
        let mut order = self.blank(now);
        order.items = items;
        check_amount(wanted.amount, order.total())?;
        if method.is_some_and(|method| method.is_refund) {
            if wanted.amount.is_some_and(|amount| amount != order.total()) {
                return Err(Refusal::new("paymentAmount: a refund gives back the whole of its lines"));
            }
            order = refunded(order);
        }
        let id = self.sales.open(order);
        self.fill_in(&id, wanted);
        Ok(self.go_on(id, wanted, method, now))
    }

    /// Edits an order: all of it while it is a quote, afterwards only its payments.
    ///
    /// # Errors
    /// When there is no such order, it is too late, something named does not exist, or too much is paid.
    pub fn edit(&mut self, id: &str, wanted: &Wanted, now: Timestamp) -> Result<Recorded, Refusal> {
        let method = self.check(wanted)?;
        let ticket = self.sales.ticket(id).ok_or_else(|| Refusal::unknown("order", id))?;
        if ticket.stage == Stage::Quote {
            return self.edit_quote(id, wanted, method, now);
        }
        let Some(method) = method.filter(|_| !wanted.changes_the_order()) else {
            return Err(Refusal::new(format!("order {id} is validated: only payments can be recorded for it")));
        };
        if method.is_refund {
            return self.give_back(id, wanted, method, now);
        }
        ticket.check_payment(wanted.amount)?;
        Ok(self.go_on(id.to_owned(), wanted, Some(method), now))
    }

    /// Pays an invoice, in full or in part.
    ///
    /// # Errors
    /// When there is no such invoice, or that much is not owed.
    pub fn pay(
        &mut self,
        id: &str,
        method: Method,
        amount: Option<Decimal>,
        now: Timestamp,
    ) -> Result<Recorded, Refusal> {
        let is_invoice = self.sales.order(id).is_some();
        if !is_invoice {
            return Err(Refusal::unknown("order", id));
        }
        self.sales.pay(id, method, amount, now)?;
        Ok(self.recorded(id.to_owned(), false))
    }

    fn edit_quote(
        &mut self,
        id: &str,
        wanted: &Wanted,
        method: Option<Method>,
        now: Timestamp,
    ) -> Result<Recorded, Refusal> {
        if method.is_some_and(|method| method.is_refund) {
            return Err(Refusal::new(format!("order {id} is a quote: there is nothing to give back")));
        }
        let items = self.items(wanted)?;
        let before = self.sales.ticket(id).map(|ticket| ticket.order.total()).unwrap_or_default();
        check_amount(wanted.amount, before + items.iter().map(TillItem::total).sum::<Decimal>())?;
        if let Some(ticket) = self.sales.ticket_mut(id) {
            ticket.order.items.extend(items);
        }
        self.fill_in(id, wanted);
        Ok(self.go_on(id.to_owned(), wanted, method, now))
    }

    fn give_back(&mut self, id: &str, wanted: &Wanted, method: Method, now: Timestamp) -> Result<Recorded, Refusal> {
        let ticket = self.sales.ticket(id).ok_or_else(|| Refusal::unknown("order", id))?;
        let total = ticket.order.total();
        if ticket.stage != Stage::Paid || ticket.order.is_refund {
            return Err(Refusal::new(format!(
                "order {id} is not a sale that was paid in full: there is nothing to give back"
            )));
        }
        if let Some(refund) = &ticket.refunded_by {
            return Err(Refusal::new(format!("order {id} was given back already, by order {refund}")));
        }
        if wanted.amount.is_some_and(|amount| amount != total) {
            let how = "to give back a part, record the lines that come back with webapp.php and a refund method";
            return Err(Refusal::new(format!(
                "paymentAmount: order {id} can only be given back whole ({total}); {how}"
            )));
        }
        let at = wall_clock(now, self.sales.zone());
        let refund = refunded(TillOrder { created: Some(at), ..ticket.order.clone() });
        let new = self.sales.open(refund);
        self.sales.mark_refunded(id, &new);
        self.note(&new, &wanted.notes);
        Ok(self.go_on(new, &Wanted { amount: None, ..wanted.clone() }, Some(method), now))
    }

    /// Validates and pays as wanted; this cannot fail any more.
    fn go_on(&mut self, id: String, wanted: &Wanted, method: Option<Method>, now: Timestamp) -> Recorded {
        let was_quote = self.sales.ticket(&id).is_some_and(|ticket| ticket.stage == Stage::Quote);
        let validates = was_quote && matches!(wanted.pay, Some(Pay::Invoice | Pay::By(_)));
        if validates {
            self.sales.validate(&id, now);
        }
        if let Some(method) = method {
            // Money goes back as a whole, so there is no amount to it.
            let amount = wanted.amount.filter(|_| !method.is_refund);
            let _checked_before = self.sales.pay(&id, method, amount, now);
        }
        self.recorded(id, validates)
    }

    /// What is to be announced of an order that was just validated, or paid, or both.
    fn recorded(&self, id: String, validated: bool) -> Recorded {
        let mut announcements = Vec::new();
        if let Some(Ticket { order, stage, .. }) = self.sales.ticket(&id) {
            announcements.extend(validated.then(|| (order.clone(), Phase::Validated)));
            announcements.extend((*stage == Stage::Paid).then(|| (order.clone(), Phase::Terminated)));
        }
        Recorded { id, announcements }
    }

    /// Whether all that is named exists; returns the payment method, where one is.
    fn check(&self, wanted: &Wanted) -> Result<Option<Method>, Refusal> {
        let Notes { user, table, .. } = &wanted.notes;
        let refuse = |what: &str, id: Option<u64>, exists: &dyn Fn(u64) -> bool| match id {
            Some(id) if !exists(id) => Err(Refusal::unknown(what, id)),
            _ => Ok(()),
        };
        refuse("user", *user, &|id| self.catalogue.user(id).is_some())?;
        refuse("table", *table, &|id| TABLES.contains(&id))?;
        refuse("cash box", wanted.cash_box, &|id| CASH_BOXES.contains(&id))?;
        if let Buyer::Known(id) = wanted.buyer {
            refuse("customer", Some(id), &|id| self.catalogue.customer(id).is_some())?;
        }
        match wanted.pay {
            Some(Pay::By(id)) => {
                self.catalogue.method(id).map(Some).ok_or_else(|| Refusal::unknown("payment method", id))
            }
            _ => Ok(None),
        }
    }

    fn items(&self, wanted: &Wanted) -> Result<Vec<TillItem>, Refusal> {
        wanted.lines.iter().map(|line| line.item(&self.catalogue)).collect()
    }

    /// An order with nothing on it.
    pub(super) fn blank(&self, now: Timestamp) -> TillOrder {
        TillOrder {
            order_id: String::new(),
            internal_id: String::new(),
            customer: None,
            items: Vec::new(),
            is_refund: false,
            cash_box_id: CASH_BOXES[0].to_string(),
            delivery_method: DEFAULT_DELIVERY_METHOD,
            created: Some(wall_clock(now, self.sales.zone())),
            validated: None,
            value: None,
            pdf_url: None,
            verification_url: None,
            test: false,
        }
    }

    /// Writes what is said of a quote, besides its lines, onto it.
    fn fill_in(&mut self, id: &str, wanted: &Wanted) {
        let (buyer, value) = (self.buyer(&wanted.buyer), wanted.value.map(|at| wall_clock(at, self.sales.zone())));
        if let Some(ticket) = self.sales.ticket_mut(id) {
            let order = &mut ticket.order;
            order.value = value.or_else(|| order.value.take());
            order.customer = buyer.or_else(|| order.customer.take());
            order.cash_box_id = wanted.cash_box.map_or_else(|| order.cash_box_id.clone(), |id| id.to_string());
            order.delivery_method = wanted.delivery_method.unwrap_or(order.delivery_method);
        }
        self.note(id, &wanted.notes);
    }

    fn buyer(&mut self, buyer: &Buyer) -> Option<TillCustomer> {
        match buyer {
            Buyer::Nobody => None,
            Buyer::Known(id) => self.catalogue.customer(*id).cloned(),
            Buyer::New(who) => Some(self.catalogue.add_customer((**who).clone())),
        }
    }

    /// Adds to the notes of an order. Where nobody says who sold it, it was the "webservice" user.
    fn note(&mut self, id: &str, new: &Notes) {
        let nobody = self.sales.ticket(id).is_some_and(|ticket| ticket.notes.user.is_none());
        let fallback = (nobody && new.user.is_none()).then(|| self.catalogue.webservice_user());
        let Some(Ticket { notes, .. }) = self.sales.ticket_mut(id) else { return };
        notes.user = new.user.or(notes.user).or(fallback);
        notes.table = new.table.or(notes.table);
        notes.covers = new.covers.or(notes.covers);
        notes.pager = new.pager.or(notes.pager);
        notes.public_comment = new.public_comment.clone().or_else(|| notes.public_comment.take());
        notes.private_comment = new.private_comment.clone().or_else(|| notes.private_comment.take());
    }
}

fn check_amount(amount: Option<Decimal>, total: Decimal) -> Result<(), Refusal> {
    match amount {
        Some(amount) if amount > total => {
            Err(Refusal::new(format!("paymentAmount: {amount} is more than the {total} of the order")))
        }
        _ => Ok(()),
    }
}

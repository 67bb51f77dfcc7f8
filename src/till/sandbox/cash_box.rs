//! Cash boxes: opened in the morning, closed with what came in meanwhile.

use std::collections::BTreeMap;

use jiff::{Timestamp, Zoned};
use rust_decimal::Decimal;

use super::{Sandbox, Topic, book::Book, catalogue::CASH_BOXES, refusal::Refusal, sales::wall_clock};
use crate::till::cash_box::{CashBoxCall, CashBoxClosing};

/// The cash boxes that are open, each with the time since which it is.
pub(super) type OpenBoxes = BTreeMap<u64, Zoned>;

impl Sandbox {
    /// Opens a cash box; the webhook is called.
    ///
    /// # Errors
    /// When there is no such box, or it is open.
    pub fn open_cash_box(&self, id: u64) -> Result<(), Refusal> {
        let now = self.counter.clock.now();
        let mut book = self.counter.book();
        book.open_box(id, now)?;
        self.counter.tell(Topic::CashBox(CashBoxCall { cash_box_id: id.to_string(), closing: None }));
        Ok(())
    }

    /// Closes a cash box and returns what was found; the webhook is called.
    ///
    /// # Errors
    /// When it is not open.
    pub fn close_cash_box(&self, id: u64) -> Result<CashBoxClosing, Refusal> {
        let now = self.counter.clock.now();
        let mut book = self.counter.book();
        let closing = book.close_box(id, now)?;
        let call = CashBoxCall { cash_box_id: id.to_string(), closing: Some(closing.clone()) };
        self.counter.tell(Topic::CashBox(call));
        Ok(closing)
    }
}

impl Book {
    fn open_box(&mut self, id: u64, now: Timestamp) -> Result<(), Refusal> {
        if !CASH_BOXES.contains(&id) {
            return Err(Refusal::unknown("cash box", id));
        }
        if self.open_boxes.contains_key(&id) {
            return Err(Refusal::new(format!("cash box {id} is open already")));
        }
        self.open_boxes.insert(id, wall_clock(now, self.sales.zone()));
        Ok(())
    }

    fn close_box(&mut self, id: u64, now: Timestamp) -> Result<CashBoxClosing, Refusal> {
        let opened = self.open_boxes.remove(&id).ok_or_else(|| Refusal::new(format!("cash box {id} is not open")))?;
        let closed = wall_clock(now, self.sales.zone());
        let total = self.takings(id, &opened, &closed);
        let verification_url = format!("{}/verify/{}", self.sales.origin(), closing_id(id, &closed));
        self.closings.push(closing_id(id, &closed));
        Ok(CashBoxClosing { total, opened, closed, verification_url })
    }

    /// What came in, less what went back, of the orders of a cash box.
    fn takings(&self, id: u64, opened: &Zoned, closed: &Zoned) -> Decimal {
        let id = id.to_string();
        let of_box = self.sales.tickets().filter(|ticket| ticket.order.cash_box_id == id);
        let payments = of_box.flat_map(|ticket| &ticket.payments).filter(|it| *opened <= it.at && it.at <= *closed);
        payments.map(|payment| payment.amount).sum::<Decimal>() + Decimal::new(0, 2)
    }

    /// Whether an order or a closing of this id is of this till.
    pub(super) fn is_ours(&self, id: &str) -> bool {
        self.sales.ticket(id).is_some() || self.closings.iter().any(|known| known == id)
    }
}

/// What a closing is called where it can be verified.
fn closing_id(id: u64, closed: &Zoned) -> String {
    format!("cashbox-{id}-{}", closed.timestamp().as_second())
}

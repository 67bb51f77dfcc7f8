//! How the search for an invoice ended: the PDF is in the archive, or it cannot be had.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    Policy, alert,
    fan_out::{self, Standing},
};
use crate::{
    order::{EventData, EventId, EventType, OrderKey},
    sink::Purpose,
    store::{GivenUp, Intake, Keys, KnownDelivery, NewDelivery, NewEvent, StoredFile, StoredOrder, View},
};

/// How the search for an invoice ended.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// The PDF is in the archive.
    Stored(StoredFile),
    /// This link does not give it, because of that.
    Missing {
        /// The link.
        url: String,
        /// What happened, for people.
        reason: String,
    },
}

pub(super) struct Ended {
    pub order: OrderKey,
    /// The order; `None` where it cannot be read.
    pub stored: Option<StoredOrder>,
    pub arrival: Arrival,
    pub policy: Arc<Policy>,
    pub now: Timestamp,
}

impl Intake for Ended {
    type Outcome = ();

    fn keys(&self) -> Keys {
        Keys { order: Some(self.order), ..Keys::default() }
    }

    fn plan(&self, view: &mut View) {
        let order = self.order;
        // Who was told of an order that cannot be read is not known, so nobody is told now.
        let stored = self.stored.as_ref().filter(|_| view.unreadable_order(order).is_none());
        match &self.arrival {
            Arrival::Stored(file) => {
                view.invoice_arrived(order, file.clone(), self.now);
                let Some(stored) = stored else { return };
                let event = self.event(EventType::InvoiceStored, stored);
                self.follow_up(view, &event);
                let standing = Standing { complete: self.is_complete(view), changed: true };
                fan_out::order_event(view, &self.policy.rules, &event, standing);
                view.add_event(event);
            }
            Arrival::Missing { url, reason } => {
                let given_up = GivenUp { order, url: url.clone(), reason: reason.clone(), at: self.now };
                if let (true, Some(stored)) = (view.invoice_given_up(given_up), stored) {
                    alert::tell(view, &self.policy.rules, self.event(EventType::InvoiceMissing, stored));
                }
            }
        }
    }
}

impl Ended {
    fn is_complete(&self, view: &View) -> bool {
        view.order(self.order).is_some_and(|order| order.timeline.is_complete())
    }

    /// A message that should have carried the PDF and went without it is followed by a reply that does; one that was not
    /// sent for lack of it is sent now.
    fn follow_up(&self, view: &mut View, event: &NewEvent) {
        for rule in self.policy.rules.iter().filter(|rule| rule.attaches_invoice) {
            let known: Vec<_> = view.deliveries(self.order, &rule.sink).cloned().collect();
            // To such a sink whatever is still open carries the PDF, for it is not made before.
            let was_told =
                |known: &KnownDelivery| rule.needs_invoice && !["skipped", "dead"].contains(&known.status.as_str());
            let followed = known.iter().any(|delivery| delivery.purpose == Purpose::LateInvoice || was_told(delivery));
            let lacks = |delivery: &&KnownDelivery| match rule.needs_invoice {
                true => delivery.skipped_because.as_deref() == Some(fan_out::NO_INVOICE),
                false => delivery.without_invoice && delivery.status != "dead",
            };
            let without = known.iter().rev().find(lacks);
            if let (false, Some(first)) = (followed, without) {
                let reply = fan_out::delivery(rule, event, Purpose::LateInvoice, event.at);
                view.add_delivery(NewDelivery { thread_of: Some(first.id), ..reply });
            }
        }
    }

    fn event(&self, kind: EventType, stored: &StoredOrder) -> NewEvent {
        let shop = self.policy.shops.get(&stored.shop).map(|policy| policy.shop.name.clone());
        NewEvent {
            id: EventId::new(self.now),
            kind,
            shop: Some((stored.shop.clone(), shop.unwrap_or_else(|| stored.shop.to_string()))),
            order: Some(self.order),
            at: self.now,
            test: stored.test,
            data: EventData::Order(Box::new(stored.order.clone())).to_text().into(),
        }
    }
}

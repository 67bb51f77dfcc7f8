//! How the search for an invoice ended: the PDF is in the archive, or it cannot be had.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    Policy, alert,
    fan_out::{self, Standing},
};
use crate::{
    order::{EventId, EventType, OrderKey},
    sink::Purpose,
    store::{GivenUp, Intake, Keys, KnownDelivery, NewDelivery, NewEvent, StoredFile, View},
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
        // That the search is over is written also where the order cannot be read, or it would begin again. Who was told of
        // such an order is not known, so nobody is told now.
        match &self.arrival {
            Arrival::Stored(file) => {
                view.invoice_arrived(order, file.clone(), self.now);
                let Some(event) = self.event(view, EventType::InvoiceStored) else { return };
                self.follow_up(view, &event);
                let standing = Standing { complete: self.is_complete(view), changed: true };
                fan_out::order_event(view, &self.policy.rules, &event, standing);
                view.add_event(event);
            }
            Arrival::Missing { url, reason } => {
                let given_up = GivenUp { order, url: url.clone(), reason: reason.clone(), at: self.now };
                if view.invoice_given_up(given_up)
                    && let Some(event) = self.event(view, EventType::InvoiceMissing)
                {
                    alert::tell(view, &self.policy.rules, event);
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

    /// The event, with the order as it stands when this is written: it was paid, perhaps, while its PDF was fetched. `None`
    /// where it cannot be read, or was pruned.
    fn event(&self, view: &View, kind: EventType) -> Option<NewEvent> {
        let order = view.order(self.order)?;
        let shop = self.policy.shops.get(&order.shop).map(|policy| policy.shop.name.clone());
        Some(NewEvent {
            id: EventId::new(self.now),
            kind,
            shop: Some((order.shop.clone(), shop.unwrap_or_else(|| order.shop.to_string()))),
            order: Some(self.order),
            at: self.now,
            test: order.test,
            data: view.snapshot(self.order)?,
        })
    }
}

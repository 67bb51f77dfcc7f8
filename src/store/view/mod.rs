//! What the database knows of the orders that a group of calls is about (`load.rs`), and what the group adds to it.
//!
//! **Invariant:** what a call adds is known to the next call of the group, and nothing is written before all are planned.

mod load;

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;

pub(super) use load::{invoice_status, phase, purpose};

use super::{
    Changes, DeliveryMerge, FoundOrder, NewDelivery, NewEvent, NewReceipt, SavedOrder, intake::Numbered, unread::Unread,
};
use crate::{
    order::{DeliveryId, EventId, Fingerprint, InvoiceStatus, OrderKey, Phase, ShopId, SinkName, Timeline},
    sink::Purpose,
};

/// What is known, and what was decided since.
#[derive(Default)]
pub struct View {
    orders: HashMap<OrderKey, KnownOrder>,
    /// What the newest event says of those that were asked for by key.
    snapshots: HashMap<OrderKey, Arc<str>>,
    by_internal_id: HashMap<(ShopId, bool, String), OrderKey>,
    by_order_id: HashMap<(ShopId, bool, String), Vec<OrderKey>>,
    announced: HashMap<(OrderKey, Phase, Fingerprint), EventId>,
    deliveries: HashMap<OrderKey, Vec<KnownDelivery>>,
    invoices: HashMap<OrderKey, KnownInvoice>,
    notices: HashMap<(ShopId, String, [u8; 32]), (EventId, Timestamp)>,
    unread: Unread,
    changes: Changes,
}

/// An order as it stands.
#[derive(Clone, Debug)]
pub struct KnownOrder {
    /// Its key.
    pub key: OrderKey,
    /// The shop.
    pub shop: ShopId,
    /// Whether it is a test order.
    pub test: bool,
    /// `orderInternalID`, once known.
    pub internal_id: Option<String>,
    /// `orderID`, once known.
    pub order_id: Option<String>,
    /// Both phases.
    pub timeline: Arc<Timeline>,
    /// When it was first heard of.
    pub received_at: Timestamp,
    /// Sinks that were told of it by deliveries that are pruned since.
    pub told: Vec<SinkName>,
    /// Whether its customer was erased.
    pub erased: bool,
}

/// A delivery of an order.
#[derive(Clone, Debug)]
pub struct KnownDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// Where it goes.
    pub sink: SinkName,
    /// The event it tells.
    pub event: EventId,
    /// That event's type.
    pub event_type: String,
    /// Why.
    pub purpose: Purpose,
    /// `pending`, `sending`, …
    pub status: String,
    /// Attempts so far; the body is frozen from the first on.
    pub attempts: u32,
    /// Which rule skipped it.
    pub skipped_because: Option<String>,
    /// Whether its frozen body lacks the invoice that it should carry.
    pub without_invoice: bool,
}

/// The invoice of an order.
#[derive(Clone, Debug)]
pub struct KnownInvoice {
    /// Whether it is with us.
    pub status: InvoiceStatus,
    /// Where it can be fetched.
    pub url: Option<String>,
    /// When the first link was seen.
    pub first_seen_at: Timestamp,
    /// How long deliveries wait for it.
    pub wait_until: Timestamp,
    /// Whether it was with us once, also where it is pruned since.
    pub was_stored: bool,
}

impl View {
    /// The order with this internal id.
    pub fn by_internal_id(&self, shop: &ShopId, test: bool, id: &str) -> Option<&KnownOrder> {
        let key = self.by_internal_id.get(&(shop.clone(), test, id.to_owned()))?;
        self.orders.get(key)
    }

    /// Every order with this accounting number.
    pub fn by_order_id(&self, shop: &ShopId, test: bool, id: &str) -> Vec<&KnownOrder> {
        let keys = self.by_order_id.get(&(shop.clone(), test, id.to_owned()));
        keys.into_iter().flatten().filter_map(|key| self.orders.get(key)).collect()
    }

    /// What the newest event says of an order that was asked for by its key; `None` where that cannot be read.
    pub fn snapshot(&self, key: OrderKey) -> Option<Arc<str>> {
        let Some(saved) = self.changes.orders.get(&key) else { return self.snapshots.get(&key).cloned() };
        let event = self.changes.events.iter().find(|event| event.id == saved.last_event)?;
        Some(event.data.clone())
    }

    /// The order with this key.
    pub fn order(&self, key: OrderKey) -> Option<&KnownOrder> {
        self.orders.get(&key)
    }

    /// Why nothing can be decided of a call that carries these numbers: it is, or may be, about an order of which something
    /// stored cannot be read.
    pub fn unreadable(&self, numbers: &Numbered) -> Option<&str> {
        let is_known = |id: &String| self.by_internal_id(&numbers.shop, numbers.test, id).is_some();
        self.unread.order(numbers, numbers.internal_id.as_ref().is_some_and(is_known))
    }

    /// The same of an order by its key.
    pub fn unreadable_order(&self, key: OrderKey) -> Option<&str> {
        self.unread.order_of_key(&key.to_string())
    }

    /// The same of a call about no order, which may have been heard before.
    pub fn unreadable_notice(&self, shop: &ShopId, kind: &str, digest: &[u8; 32]) -> Option<&str> {
        self.unread.notice(shop, kind, digest)
    }

    /// The event of an equal call of this phase.
    pub fn announced(&self, key: OrderKey, phase: Phase, content: Fingerprint) -> Option<EventId> {
        self.announced.get(&(key, phase, content)).copied()
    }

    /// The event of any call of this phase.
    pub fn announced_any(&self, key: OrderKey, phase: Phase) -> Option<EventId> {
        let said = |((order, of, _), event): (&(OrderKey, Phase, Fingerprint), &EventId)| {
            (*order == key && *of == phase).then_some(*event)
        };
        self.announced.iter().find_map(said)
    }

    /// Remembers that an order was found in the till's list, so that somebody is told.
    pub fn found(&mut self, order: FoundOrder) {
        self.changes.found.push(order);
    }

    /// What a sink was, or is to be, told of an order, oldest first.
    pub fn deliveries<'a>(
        &'a self,
        key: OrderKey,
        sink: &'a SinkName,
    ) -> impl DoubleEndedIterator<Item = &'a KnownDelivery> {
        self.deliveries.get(&key).into_iter().flatten().filter(move |delivery| delivery.sink == *sink)
    }

    /// The invoice of an order, once a link was seen.
    pub fn invoice(&self, key: OrderKey) -> Option<&KnownInvoice> {
        self.invoices.get(&key)
    }

    /// The event of an equal call about no order, and when it was recorded.
    pub fn notice(&self, shop: &ShopId, kind: &str, digest: &[u8; 32]) -> Option<(EventId, Timestamp)> {
        self.notices.get(&(shop.clone(), kind.to_owned(), *digest)).copied()
    }

    /// Leaves a receipt.
    pub fn add_receipt(&mut self, receipt: NewReceipt) {
        self.changes.receipts.push(receipt);
    }

    /// Marks a quarantined receipt as settled: `reprocessed` or `dismissed`.
    pub fn resolve_receipt(&mut self, id: crate::order::ReceiptId, resolution: &'static str, at: Timestamp) {
        self.changes.resolved.push((id, resolution, at));
    }

    /// Writes an order as it now stands.
    pub fn save_order(&mut self, saved: SavedOrder) {
        let order = saved.order.clone();
        self.index(&order);
        self.changes.orders.insert(order.key, saved);
        self.orders.insert(order.key, order);
    }

    /// Remembers what a phase said.
    pub fn announce(&mut self, key: OrderKey, phase: Phase, content: Fingerprint, event: EventId) {
        self.announced.insert((key, phase, content), event);
        self.changes.announcements.push((key, phase, content, event));
    }

    /// Remembers a call about no order.
    pub fn save_notice(&mut self, shop: ShopId, kind: &str, digest: [u8; 32], event: EventId, at: Timestamp) {
        self.notices.insert((shop.clone(), kind.to_owned(), digest), (event, at));
        self.changes.notices.push((shop, kind.to_owned(), digest, event, at));
    }

    /// Records an event.
    pub fn add_event(&mut self, event: NewEvent) {
        self.changes.events.push(event);
    }

    /// Adds to the outbox, or leaves a row that says why not.
    pub fn add_delivery(&mut self, delivery: NewDelivery) {
        if let Some(key) = delivery.order {
            self.deliveries.entry(key).or_default().push(KnownDelivery {
                id: delivery.id,
                sink: delivery.sink.clone(),
                event: delivery.event,
                event_type: delivery.event_type.clone(),
                purpose: delivery.purpose,
                status: if delivery.skipped_because.is_some() { "skipped" } else { "pending" }.to_owned(),
                attempts: 0,
                skipped_because: delivery.skipped_because.map(str::to_owned),
                without_invoice: false,
            });
        }
        self.changes.deliveries.push(delivery);
    }

    /// How many deliveries were planned so far that will be sent.
    pub fn planned_deliveries(&self) -> usize {
        self.changes.deliveries.iter().filter(|delivery| delivery.skipped_because.is_none()).count()
    }

    /// Makes a delivery that was not attempted yet tell a later event, or go sooner.
    pub fn merge_delivery(&mut self, merge: DeliveryMerge) {
        for known in self.deliveries.values_mut().flatten().filter(|known| known.id == merge.id) {
            known.event = merge.event;
            known.event_type.clone_from(&merge.event_type);
        }
        let fresh = self.changes.deliveries.iter_mut().find(|delivery| delivery.id == merge.id);
        match fresh {
            Some(delivery) => merge.apply_to(delivery),
            None => self.changes.merges.push(merge),
        }
    }

    /// Writes what is known of an order's invoice before it was fetched.
    pub fn save_invoice(&mut self, key: OrderKey, shop: ShopId, invoice: KnownInvoice) {
        self.changes.invoices.insert(key, (shop, invoice.clone()));
        self.invoices.insert(key, invoice);
    }

    /// Has the till asked whether it made a call.
    pub fn verify(&mut self, call: super::NewVerification) {
        self.changes.verifications.push(call);
    }

    /// A repeat of the call that made `event` brought this URL: it is asked there, unless it is asked elsewhere, or was
    /// confirmed.
    pub fn verify_elsewhere(&mut self, event: EventId, url: String, at: Timestamp) {
        self.changes.other_urls.push((event, url, at));
    }

    /// Remembers that somebody was told of a sink's outage (`Some`), or of its end (`None`).
    pub fn told_of_sink(&mut self, sink: SinkName, at: Option<Timestamp>) {
        self.changes.told.push((sink, at));
    }

    /// Writes that an order's invoice arrived, and lets waiting deliveries go.
    pub fn invoice_arrived(&mut self, key: OrderKey, file: super::StoredFile, at: Timestamp) {
        self.changes.arrived.push((key, file, at));
    }

    /// Writes that a link gives no invoice, and lets waiting deliveries go. Returns whether it is still the order's link.
    pub fn invoice_given_up(&mut self, given_up: super::GivenUp) -> bool {
        let current = self.invoices.get(&given_up.order).is_some_and(|known| known.url.as_ref() == Some(&given_up.url));
        // Of an order that cannot be read nothing is known here; the link is compared when it is written.
        if current || self.unreadable_order(given_up.order).is_some() {
            self.changes.given_up.push(given_up);
        }
        current
    }

    /// Everything that was decided.
    pub fn into_changes(self) -> Changes {
        self.changes
    }

    fn index(&mut self, order: &KnownOrder) {
        if let Some(id) = &order.internal_id {
            self.by_internal_id.insert((order.shop.clone(), order.test, id.clone()), order.key);
        }
        if let Some(id) = &order.order_id {
            let keys = self.by_order_id.entry((order.shop.clone(), order.test, id.clone())).or_default();
            if !keys.contains(&order.key) {
                keys.push(order.key);
            }
        }
    }
}

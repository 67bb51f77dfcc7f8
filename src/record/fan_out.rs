//! Which messages follow from an event (contract §5, `per_order`).
//!
//! - `each`: every selected event is a message.
//! - `once`: one message an order, ever; later events merge into it while it was not attempted, and are skipped after.
//! - `follow`: the same, but what changes the order after the first attempt is a message of its own, behind the first in
//!   its lane; an announcement that comes late and says nothing new is merged.
//!   (A body is frozen at its first attempt, so a change can merge only before that.)

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    order::{DeliveryId, InvoiceStatus, OrderKey},
    route::{PerOrder, Rule, lane},
    sink::Purpose,
    store::{DeliveryMerge, Intake, Keys, KnownDelivery, NewDelivery, NewEvent, StoredEvent, View},
};

/// Why a row is there that tells nothing: another message of the order tells it.
pub(super) const MERGED: &str = "merged";

/// Why nothing was sent to a sink that has no use for a message without the invoice. It is told when the PDF arrives.
pub const NO_INVOICE: &str = "no_invoice";

/// How an order stands after an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// Both announcements are in.
    pub complete: bool,
    /// The event changed what can be told of the order. An announcement that comes late may say nothing new.
    pub changed: bool,
}

/// Enqueues what the rules want of an event about an order.
pub(super) fn order_event(view: &mut View, rules: &[Rule], event: &NewEvent, standing: Standing) {
    let shop = event.shop.as_ref().map(|(id, _)| id);
    for rule in rules.iter().filter(|rule| rule.admits(shop)) {
        order_event_for(view, rule, event, standing);
    }
}

/// Enqueues what the rules want of an event that is about no order.
pub(super) fn plain_event(view: &mut View, rules: &[Rule], event: &NewEvent) {
    let shop = event.shop.as_ref().map(|(id, _)| id);
    for rule in rules.iter().filter(|rule| rule.admits(shop) && rule.selects(event.kind)) {
        view.add_delivery(delivery(rule, event, Purpose::First, event.at));
    }
}

fn order_event_for(view: &mut View, rule: &Rule, event: &NewEvent, Standing { complete, changed }: Standing) {
    let Some(order) = event.order.filter(|_| !rule.digests) else { return };
    if rule.per_order == PerOrder::Each {
        if rule.selects(event.kind) {
            let first = waiting_for_invoice(view, rule, order, delivery(rule, event, Purpose::First, event.at));
            view.add_delivery(first);
        }
        return;
    }
    match position(view, rule, order) {
        Position::Nothing if rule.per_order == PerOrder::Once && was_told(view, rule, order) => {
            if rule.selects(event.kind) {
                view.add_delivery(merged(rule, event));
            }
        }
        Position::Nothing if rule.begins(event.kind) => begin(view, rule, event, order, complete),
        Position::Nothing => {}
        Position::NotAttempted(waiting) => merge(view, rule, event, &waiting, complete),
        Position::Told(first) if rule.selects(event.kind) && rule.per_order == PerOrder::Follow && changed => {
            let change = NewDelivery { thread_of: Some(first), ..delivery(rule, event, Purpose::Change, event.at) };
            view.add_delivery(change);
        }
        Position::Told(_) if rule.selects(event.kind) => view.add_delivery(merged(rule, event)),
        Position::Told(_) => {}
    }
}

/// How far a sink is with an order.
enum Position {
    /// It is to be told for the first time.
    Nothing,
    /// A message waits, and can still change.
    NotAttempted(KnownDelivery),
    /// A message was attempted, and cannot change any more. It is the first of the order.
    Told(DeliveryId),
}

fn position(view: &View, rule: &Rule, order: OrderKey) -> Position {
    let mut first = None;
    for known in view.deliveries(order, &rule.sink) {
        let is_first = known.purpose == Purpose::First;
        match known.status.as_str() {
            "pending" if known.attempts == 0 && known.purpose != Purpose::LateInvoice => {
                return Position::NotAttempted(known.clone());
            }
            // The order was not wanted as it stood; it may be now.
            "skipped" if is_first && known.skipped_because.as_deref().is_some_and(is_condition) => {}
            "skipped" if known.skipped_because.as_deref() == Some(MERGED) => {}
            // Told in its place, if the PDF comes: by a message that is then the first.
            "skipped" if known.skipped_because.as_deref() == Some(NO_INVOICE) => first = first.or(Some(known.id)),
            _ if rule.needs_invoice && known.purpose == Purpose::LateInvoice => first = Some(known.id),
            "dead" if rule.per_order == PerOrder::Follow => first = first.filter(|_| !is_first),
            _ if is_first => first = Some(known.id),
            // The first died while this change waited behind it, and it was sent in full, in its place.
            _ if known.purpose == Purpose::Change => first = first.or(Some(known.id)),
            _ => {}
        }
    }
    first.map_or(Position::Nothing, Position::Told)
}

/// Whether the message is pruned that told the sink of the order.
fn was_told(view: &View, rule: &Rule, order: OrderKey) -> bool {
    view.order(order).is_some_and(|known| known.told.contains(&rule.sink))
}

fn is_condition(rule: &str) -> bool {
    rule.starts_with("only.")
}

fn begin(view: &mut View, rule: &Rule, event: &NewEvent, order: OrderKey, complete: bool) {
    let settle_until = if complete { event.at } else { event.at + rule.settle };
    let first = delivery(rule, event, Purpose::First, settle_until);
    let first = waiting_for_invoice(view, rule, order, first);
    view.add_delivery(first);
}

/// The waiting message tells the latest selected event; the row of the one that it would have told says so.
fn merge(view: &mut View, rule: &Rule, event: &NewEvent, waiting: &KnownDelivery, complete: bool) {
    let selected = rule.selects(event.kind);
    if selected {
        let mut earlier = merged(rule, event);
        earlier.event = waiting.event;
        earlier.event_type.clone_from(&waiting.event_type);
        view.add_delivery(earlier);
    }
    let pending = event.order.filter(|_| rule.attaches_invoice).and_then(|order| view.invoice(order));
    let invoice_until =
        pending.filter(|invoice| invoice.status == InvoiceStatus::Pending).map(|invoice| invoice.wait_until);
    view.merge_delivery(DeliveryMerge {
        id: waiting.id,
        event: if selected { event.id } else { waiting.event },
        event_type: if selected { event.kind.as_str().to_owned() } else { waiting.event_type.clone() },
        settled_at: complete.then_some(event.at),
        invoice_until,
    });
}

fn merged(rule: &Rule, event: &NewEvent) -> NewDelivery {
    NewDelivery { skipped_because: Some(MERGED), ..delivery(rule, event, Purpose::First, event.at) }
}

/// Lets a first message wait for a PDF that is on its way.
fn waiting_for_invoice(view: &View, rule: &Rule, order: OrderKey, first: NewDelivery) -> NewDelivery {
    let pending = view.invoice(order).filter(|invoice| invoice.status == InvoiceStatus::Pending);
    match pending.filter(|_| rule.attaches_invoice) {
        Some(invoice) => NewDelivery { invoice_until: invoice.wait_until.max(first.at), ..first },
        None => first,
    }
}

/// A row for the outbox that is due when `settle_until` is.
pub(super) fn delivery(rule: &Rule, event: &NewEvent, purpose: Purpose, settle_until: Timestamp) -> NewDelivery {
    let shop = event.shop.as_ref().map(|(id, _)| id.clone());
    NewDelivery {
        id: DeliveryId::new(event.at),
        sink: rule.sink.clone(),
        event: event.id,
        event_type: event.kind.as_str().to_owned(),
        lane: lane(&rule.sink, shop.as_ref(), event.order),
        shop,
        order: event.order,
        purpose,
        thread_of: None,
        settle_until,
        invoice_until: event.at,
        at: event.at,
        skipped_because: None,
    }
}

/// An earlier event for a sink that its present rule selects, enqueued unless the sink was to be told of it already.
pub(super) struct Recovered {
    pub rule: Rule,
    pub event: StoredEvent,
    pub now: Timestamp,
}

impl Intake for Recovered {
    type Outcome = bool;

    fn keys(&self) -> Keys {
        Keys { order: self.event.order_key, ..Keys::default() }
    }

    fn plan(&self, view: &mut View) -> bool {
        let stored = &self.event;
        let shop = stored.shop.as_ref().map(|(id, _)| id);
        let told = |order| view.deliveries(order, &self.rule.sink).any(|delivery| delivery.event == stored.id);
        // Of an order that cannot be read it is not known who was told.
        let is_unreadable = stored.order_key.is_some_and(|order| view.unreadable_order(order).is_some());
        if is_unreadable || stored.kind.is_alert() || !self.rule.admits(shop) || stored.order_key.is_some_and(told) {
            return false;
        }
        let event = NewEvent {
            id: stored.id,
            kind: stored.kind,
            shop: stored.shop.clone(),
            order: stored.order_key,
            at: self.now,
            test: stored.test,
            data: Arc::default(),
        };
        let complete =
            stored.order_key.and_then(|key| view.order(key)).is_some_and(|order| order.timeline.is_complete());
        let before = view.planned_deliveries();
        match stored.order_key {
            Some(_) => {
                let standing = Standing { complete, changed: true };
                order_event(view, std::slice::from_ref(&self.rule), &event, standing);
            }
            None => plain_event(view, std::slice::from_ref(&self.rule), &event),
        }
        view.planned_deliveries() > before
    }
}

//! Orders that were found in the till's own list, and the call that may come for them all the same.
//!
//! The till's list and its calls may tell an order in other words, so what such a phase said is no measure for the first
//! call of it: that call is the one that was lost, and says nothing new, unless it tells of another amount, or of VAT or
//! items of which the list said nothing. The calls after it are compared as always. Both is remembered among what the phase said, under digests that no content has.

use jiff::Timestamp;

use crate::{
    order::{EventId, Fingerprint, OrderContent, OrderNotice, Phase},
    store::{FoundOrder, KnownOrder, View},
};

/// What a phase that was found in the list said, among what phases say.
pub fn was_found() -> Fingerprint {
    Fingerprint::of_bytes(&[b"found in the till's list"])
}

/// Its call came after all.
fn was_called() -> Fingerprint {
    Fingerprint::of_bytes(&[b"called after it was found"])
}

/// Remembers that a phase was found, and that somebody is to be told. `whole` says that nothing of the order was with us.
pub(super) fn mark(
    view: &mut View,
    order: &KnownOrder,
    notice: &OrderNotice,
    whole: bool,
    event: EventId,
    now: Timestamp,
) {
    view.announce(order.key, notice.phase, was_found(), event);
    // Of an order of which nothing came somebody is told once, also where it is paid later.
    let other = match notice.phase {
        Phase::Validated => Phase::Terminated,
        Phase::Terminated => Phase::Validated,
    };
    if !whole && view.announced(order.key, other, was_found()).is_some() {
        return;
    }
    let content = &notice.content;
    let number = content.order_id.as_ref().or(content.internal_id.as_ref());
    view.found(FoundOrder {
        shop: order.shop.clone(),
        number: number.cloned().unwrap_or_default(),
        whole,
        at: content.dates.validated.map_or(now, |validated| validated.timestamp()),
    });
}

/// The event of a phase that was found, where this is the first call of it and tells of the same amount.
pub(super) fn called(
    view: &mut View,
    known: &KnownOrder,
    notice: &OrderNotice,
    content: Fingerprint,
) -> Option<EventId> {
    let (order, phase) = (known.key, notice.phase);
    let event = view.announced(order, phase, was_found())?;
    if view.announced(order, phase, was_called()).is_some() {
        return None;
    }
    view.announce(order, phase, was_called(), event);
    // Of an order that was pruned nothing is left to compare with.
    let total = known.timeline.said(phase).and_then(|said| said.total);
    if total.is_some_and(|total| notice.content.total.is_some_and(|told| told != total)) {
        return None;
    }
    if known.timeline.said(phase).is_some_and(|said| tells_more(&notice.content, said)) {
        return None;
    }
    if view.announced(order, phase, content).is_none() {
        view.announce(order, phase, content, event);
    }
    Some(event)
}

/// Whether a call brings what the books need and the list did not say.
fn tells_more(call: &OrderContent, list: &OrderContent) -> bool {
    let is_new = |told: bool, known: bool| told && !known;
    is_new(call.vat.is_some(), list.vat.is_some())
        || is_new(call.total_vat.is_some(), list.total_vat.is_some())
        || is_new(call.items.is_some(), list.items.is_some())
}

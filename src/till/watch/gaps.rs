//! Numbers that are missing between others: orders of the till that did not reach us.
//!
//! The till numbers its invoices without holes, so a number that stays open is an order whose calls were lost. Whenever
//! something came, the sequences are reckoned anew from the newest orders: a look costs the same with a million orders, and a
//! hole that was none, because another till counts for itself, goes by itself. What came before the first look is not judged.
//!
//! **Invariant:** nothing is told before it was open for `gap_after`, by a clock that is read after the database was.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Watch, Watched};
use crate::{
    digest,
    order::{EventType, Gap, Sequence, Shop, reckon},
    store::{Look, MissingOrder, NumberWatch, Reconciliation, StoreError},
    till::reconcile::{NAMED, ON_ITS_WAY},
};

/// For how long a number stays listed that somebody was told of: as long as summaries are corrected.
const KEPT: Duration = Duration::from_hours(24 * 62);

/// How soon a comparison with the till's own list must have found what is missing.
const FOUND_WITHIN: Duration = Duration::from_hours(2);

/// After how long a comparison finds what is missing: it leaves out what was sold a moment before it, and takes its time.
const FINDABLE_AFTER: Duration = ON_ITS_WAY.saturating_mul(2);

/// Looks at what came since the last time, and tells of what is missing for too long.
pub(super) async fn look(
    watch: &Watch,
    Watched { shop, is_compared, .. }: &Watched,
    after: Duration,
) -> Result<(), StoreError> {
    let looked_until = catch_up(watch, shop).await?;
    let store = &watch.store;
    store.forget_missing(&shop.id, watch.clock.now() - KEPT).await?;
    store.notice_missing_now(&shop.id, watch.clock.now()).await?;
    let missing = store.missing_orders(Some(&shop.id)).await?;
    let state = if *is_compared { store.reconciliation(&shop.id).await? } else { None };
    // What is read meanwhile may have been noticed meanwhile.
    let now = watch.clock.now();
    let mut untold: Vec<MissingOrder> = missing.into_iter().filter(|order| order.told_at.is_none()).collect();
    if *is_compared {
        ask_for(watch, shop, &untold, state.as_ref(), now);
    }
    untold.retain(|order| order.since + after <= now);
    untold.retain(|order| !*is_compared || !may_be_found(order, after, state.as_ref(), now));
    if untold.is_empty() {
        return Ok(());
    }
    let (recorder, of_shop) = (watch.recorder.clone(), shop.id.clone());
    let words =
        move |told: &[MissingOrder]| recorder.alert_of_shop(EventType::TillOrderMissing, &of_shop, &facts(told), now);
    let told = store.tell_of_missing(&untold, looked_until, now, words).await?;
    if told > 0 {
        tracing::warn!(shop.id = %shop.id, orders = told, "orders of the till did not reach us; see `tillhook orders missing`");
    }
    Ok(())
}

/// Asks for a comparison with the till's own list, once for each order that it may find and that none looked for yet.
fn ask_for(watch: &Watch, shop: &Shop, untold: &[MissingOrder], state: Option<&Reconciliation>, now: Timestamp) {
    let ended_at = state.and_then(|state| state.ended_at);
    let is_findable = |order: &&MissingOrder| {
        let findable_at = order.since + FINDABLE_AFTER;
        findable_at <= now && ended_at.is_none_or(|ended_at| ended_at < findable_at)
    };
    if let Some(newest) = untold.iter().filter(is_findable).map(|order| order.opened).max() {
        watch.ask_for(&shop.id, newest);
    }
}

/// Whether the next comparison with the till's own list is soon and may find the order, so that nobody is told first that
/// it is missing and then that it was found.
fn may_be_found(order: &MissingOrder, after: Duration, state: Option<&Reconciliation>, now: Timestamp) -> bool {
    let late_at = order.since + after;
    let Some(Reconciliation { trouble: None, ended_at, .. }) = state else { return false };
    let looked_at = order.since + after.max(FINDABLE_AFTER);
    ended_at.is_none_or(|ended_at| ended_at < looked_at) && (late_at..late_at + FOUND_WITHIN).contains(&now)
}

/// The facts of an alert, with the keys of contract §6, and with the steps ahead that may be other sequences.
fn facts(missing: &[MissingOrder]) -> Value {
    let (jumps, orders): (Vec<_>, Vec<_>) = missing.iter().partition(|order| order.last.is_some());
    let numbers: Vec<&str> = orders.iter().take(NAMED).map(|order| order.number.as_str()).collect();
    let since = missing.iter().map(|order| order.since).min();
    let mut facts = json!({ "order_ids": numbers, "count": orders.len(), "since": since, "source": "numbers" });
    if !jumps.is_empty() {
        let jump = |jump: &&MissingOrder| json!({ "first": jump.number, "last": jump.last, "count": jump.count });
        facts["jumps"] = jumps.iter().take(NAMED).map(jump).collect();
    }
    facts
}

/// Reckons what is missing now, where something came since the last time. Returns the place of the newest order that was
/// looked at.
async fn catch_up(watch: &Watch, shop: &Shop) -> Result<i64, StoreError> {
    let store = &watch.store;
    let known = begin(watch, shop).await?;
    let (newest, seen) = store.newest_places(&shop.id).await?;
    if seen == known.seen {
        return Ok(newest);
    }
    let mut numbers = store.numbers_lately(&shop.id).await?;
    let from = numbers.counted.iter().map(|order| (order.seq, order.came_at)).min();
    digest::complete_numbers(store, &shop.id, &mut numbers).await?;
    let reckoning = reckon(&numbers.counted);
    let now = watch.clock.now();
    let gaps: Vec<Gap> = reckoning.sequences.iter().flat_map(Sequence::gaps).collect();
    let mut missing: Vec<MissingOrder> = gaps.iter().flat_map(|gap| orders(shop, gap, now)).collect();
    missing.extend(reckoning.jumps.iter().map(|jump| step(shop, jump, now)));
    let watch = NumberWatch { seen, ..known };
    store.note_look(Look { shop: shop.id.clone(), watch, missing, from }).await?;
    Ok(newest)
}

/// The orders that a gap is of, one by one. A clock that was ahead noticed nothing in the future.
fn orders(shop: &Shop, gap: &Gap, now: Timestamp) -> Vec<MissingOrder> {
    let order = |number: String| MissingOrder {
        shop: shop.id.clone(),
        number,
        last: None,
        count: 1,
        till: gap.till.clone(),
        opened: gap.opened.0,
        source: "numbers".to_owned(),
        since: gap.opened.1.min(now),
        told_at: None,
    };
    gap.numbers().map(|number| order(number.to_string())).collect()
}

/// A step ahead, in one row.
fn step(shop: &Shop, jump: &Gap, now: Timestamp) -> MissingOrder {
    let hole = jump.hole();
    let (opened, came_at) = jump.opened;
    MissingOrder {
        shop: shop.id.clone(),
        number: hole.first,
        last: Some(hole.last),
        count: hole.count,
        till: hole.till,
        opened,
        source: "numbers".to_owned(),
        since: came_at.min(now),
        told_at: None,
    }
}

/// How far the shop's numbers were looked at. At the first look it is remembered what was there.
pub(super) async fn begin(watch: &Watch, shop: &Shop) -> Result<NumberWatch, StoreError> {
    if let Some(known) = watch.store.number_watch(&shop.id).await? {
        return Ok(known);
    }
    let (judged_from, _) = watch.store.newest_places(&shop.id).await?;
    let known = NumberWatch { seen: 0, judged_from };
    let look = Look { shop: shop.id.clone(), watch: known, missing: Vec::new(), from: None };
    watch.store.note_look(look).await?;
    Ok(known)
}

//! Numbers that are missing between others: orders of the till that did not reach us.
//!
//! The till numbers its invoices without holes, so a number that stays open is an order whose calls were lost. Orders are
//! looked at in the order of their commits, each once, and of each shop it is remembered how far and up to which numbers: a
//! look costs the same with a million orders. What came before the first look is not judged.

use std::time::Duration;

use jiff::{Timestamp, ToSpan as _, civil::Date};
use serde_json::{Value, json};

use super::{Watch, Watched};
use crate::{
    order::{EventType, NumberRange, OrderNumber, Period, Shop, WIDEST, day_of, hear},
    store::{Heard, MissingOrder, NumberWatch, NumberedEvent, Reconciliation, StoreError},
    till::reconcile::{NAMED, ON_ITS_WAY},
};

/// How many events are looked at in one step.
const STEP: u32 = 1_000;

/// How far back the sequences begin that are known at the first look, in days.
const BEFORE: i64 = 31;

/// How many sequences of a shop are remembered: a till that numbers by day has one a day.
const SEQUENCES: usize = 64;

/// For how long a number stays listed that somebody was told of: as long as summaries are corrected.
const KEPT: Duration = Duration::from_hours(24 * 62);

/// How soon a comparison with the till's own list must have found what is missing: it is made once an hour.
const FOUND_WITHIN: Duration = Duration::from_hours(2);

/// Looks at what came since the last time, and tells of what is missing for too long.
pub(super) async fn look(
    watch: &Watch,
    Watched { shop, is_compared, .. }: &Watched,
    after: Duration,
    now: Timestamp,
) -> Result<(), StoreError> {
    catch_up(watch, shop, now).await?;
    watch.store.forget_missing(&shop.id, now - KEPT).await?;
    let missing = watch.store.missing_orders(Some(&shop.id)).await?;
    // What was noticed in the future was noticed when the clock was ahead.
    let is_late = |order: &MissingOrder| order.since + after <= now || order.since > now;
    let mut untold: Vec<MissingOrder> =
        missing.into_iter().filter(|order| order.told_at.is_none() && is_late(order)).collect();
    if *is_compared && !untold.is_empty() {
        let state = watch.store.reconciliation(&shop.id).await?;
        untold.retain(|order| !may_be_found(order, after, state.as_ref(), now));
    }
    if untold.is_empty() {
        return Ok(());
    }
    let (recorder, of_shop) = (watch.recorder.clone(), shop.id.clone());
    let words =
        move |told: &[MissingOrder]| recorder.alert_of_shop(EventType::TillOrderMissing, &of_shop, &facts(told), now);
    let told = watch.store.tell_of_missing(&untold, now, words).await?;
    if told > 0 {
        tracing::warn!(shop.id = %shop.id, orders = told, "orders of the till did not reach us; see `tillhook orders missing`");
    }
    Ok(())
}

/// Whether the next comparison with the till's own list is soon and may find the order, so that nobody is told first that
/// it is missing and then that it was found.
fn may_be_found(order: &MissingOrder, after: Duration, state: Option<&Reconciliation>, now: Timestamp) -> bool {
    let late_at = order.since + after;
    let Some(Reconciliation { trouble: None, ended_at, .. }) = state else { return false };
    // A comparison leaves out what was sold a moment before it, and takes its time.
    let looked_at = order.since + after.max(2 * ON_ITS_WAY);
    ended_at.is_none_or(|ended_at| ended_at < looked_at) && (late_at..late_at + FOUND_WITHIN).contains(&now)
}

/// The facts of an alert, with the keys of contract §6.
fn facts(missing: &[MissingOrder]) -> Value {
    let numbers: Vec<&str> = missing.iter().take(NAMED).map(|order| order.number.as_str()).collect();
    let since = missing.iter().map(|order| order.since).min();
    json!({ "order_ids": numbers, "count": missing.len(), "since": since, "source": "numbers" })
}

async fn catch_up(watch: &Watch, shop: &Shop, now: Timestamp) -> Result<(), StoreError> {
    let store = &watch.store;
    let mut known = begin(watch, shop, now).await?;
    loop {
        let fresh = store.numbers_after(&shop.id, known.seen, STEP).await?;
        let Some(newest) = fresh.last() else { return Ok(()) };
        known.seen = newest.seq;
        let (mut open, mut arrived) = (Vec::new(), Vec::new());
        for NumberedEvent { at, number, .. } in fresh {
            let Some(number) = number else { continue };
            if let Some(number) = OrderNumber::parse(&number) {
                open.extend(hear(&mut known.sequences, number, WIDEST).into_iter().map(|open| (open, at)));
            }
            arrived.push(number);
        }
        forget(&mut known.sequences);
        let heard = Heard { shop: shop.id.clone(), watch: known.clone(), open, arrived };
        store.hear_numbers(heard).await?;
    }
}

/// How far the shop's numbers were looked at. At the first look these are the sequences as they stand, without a word about
/// what is missing in them.
pub(super) async fn begin(watch: &Watch, shop: &Shop, now: Timestamp) -> Result<NumberWatch, StoreError> {
    if let Some(known) = watch.store.number_watch(&shop.id).await? {
        return Ok(known);
    }
    // Asked for first: what comes meanwhile is looked at twice rather than never.
    let seen = watch.store.newest_event().await?;
    let today: Date = day_of(now, &shop.timezone);
    let lately = Period { first: today.saturating_sub(BEFORE.days()), last: today.saturating_add(1.day()) };
    let numbers = watch.store.numbers_of(&shop.id, lately).await?;
    let mut numbers: Vec<OrderNumber> = numbers.iter().filter_map(|number| OrderNumber::parse(number)).collect();
    numbers.sort_unstable();
    let mut sequences = Vec::new();
    for number in numbers {
        hear(&mut sequences, number, WIDEST);
    }
    forget(&mut sequences);
    let known = NumberWatch { seen, sequences };
    let heard = Heard { shop: shop.id.clone(), watch: known.clone(), open: Vec::new(), arrived: Vec::new() };
    watch.store.hear_numbers(heard).await?;
    Ok(known)
}

/// Keeps the sequences that were begun last.
fn forget(sequences: &mut Vec<NumberRange>) {
    let too_many = sequences.len().saturating_sub(SEQUENCES);
    sequences.drain(..too_many);
}

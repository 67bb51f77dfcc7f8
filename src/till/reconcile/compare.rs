//! One comparison of a shop's orders: which days to look at, what is missing in each, and taking it over.

use bytes::Bytes;
use jiff::{Timestamp, ToSpan as _};

use super::{
    ALWAYS, AT_MOST, ON_ITS_WAY, Reconciler, Tally, Trouble,
    read::{self, JSON, Listed, Unfit},
};
use crate::{
    order::{Notification, Period, Phase, Shop, day_of},
    record::{Call, Origin, Outcome, Raw, was_found},
    store::{ListedNumbers, Reconciliation, StoreError},
    till::api::{Client, OrdersQuery},
};

/// How much is asked for at once, in hours.
const STEP: i64 = 24;

/// What an announcement that nobody made has in place of a method.
const METHOD: &str = "reconciliation";

/// Looks at everything that is due, oldest first; `None` where there is nothing yet to ask for.
pub(super) async fn run(reconciler: &mut Reconciler, shop: &Shop, client: &Client) -> Result<Option<Tally>, Trouble> {
    let now = reconciler.clock.now();
    let mut state = begin(reconciler, shop, client, now).await?;
    let steps = steps(&state, now);
    if steps.is_empty() {
        return Ok(None);
    }
    let mut tally = Tally::default();
    if !state.recognised {
        recognise(reconciler, shop, client, &mut state, &steps).await?;
    }
    let (mut trouble, mut is_whole) = (None, true);
    for (from, to) in steps {
        let left = tally.left;
        match ask(shop, client, from, to, &mut tally).await {
            Ok(listed) => take_over(reconciler, shop, listed, now - ON_ITS_WAY, &mut tally).await?,
            // A day whose list cannot be read holds up no other.
            Err(Trouble::Till(error)) if error.is_about_the_answer() => trouble = Some(error),
            Err(other) => return Err(other),
        }
        // What was left, or could not be read, is looked for again however long ago it was.
        is_whole &= trouble.is_none() && tally.left == left;
        if is_whole {
            state.done_until = state.done_until.max(to);
            reconciler.store.save_reconciliation(&state).await?;
        }
    }
    if let Some(error) = trouble {
        return Err(error.into());
    }
    let ended_at = Some(reconciler.clock.now());
    let unread = u32::try_from(tally.unread).unwrap_or(u32::MAX);
    reconciler.store.save_reconciliation(&Reconciliation { ended_at, unread, trouble: None, ..state }).await?;
    Ok(Some(tally))
}

/// How far the last run came. The first one begins with the shop's first order, so that nobody is told of what was sold
/// before this service was there; a time in the future was written by a clock that was ahead. Another account at the till
/// may have other numbers.
pub(super) async fn begin(
    reconciler: &Reconciler,
    shop: &Shop,
    client: &Client,
    now: Timestamp,
) -> Result<Reconciliation, StoreError> {
    let store = &reconciler.store;
    let mut state = match store.reconciliation(&shop.id).await? {
        Some(state) => state,
        None => {
            let since = store.first_order_at(&shop.id).await?.unwrap_or(now);
            let state = Reconciliation {
                shop: shop.id.clone(),
                since,
                done_until: since.max(now - ALWAYS),
                till: client.account(),
                recognised: false,
                ended_at: None,
                unread: 0,
                trouble: None,
            };
            store.save_reconciliation(&state).await?;
            state
        }
    };
    if state.till != client.account() {
        (state.till, state.recognised, state.trouble) = (client.account(), false, None);
    }
    state.since = state.since.min(now);
    state.done_until = state.done_until.min(now);
    if state.done_until < now - AT_MOST {
        tracing::warn!(
            shop.id = %shop.id,
            since = %state.done_until,
            "the till's orders were not compared for more than 31 days; those before are not looked for"
        );
        state.done_until = now - AT_MOST;
    }
    Ok(state)
}

/// The periods to ask for, each at most a day, the oldest first.
fn steps(state: &Reconciliation, now: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let until = now - ON_ITS_WAY;
    let mut from = state.done_until.min(now - ALWAYS).max(state.since);
    let mut steps = Vec::new();
    while from < until {
        let to = (from + STEP.hours()).min(until);
        steps.push((from, to));
        from = to;
    }
    steps
}

/// Whether the till's list names orders that it announced, by both of their numbers. It has to be seen once: a list with
/// other numbers would make a second one of each order. What was taken from the list itself is no proof.
async fn recognise(
    reconciler: &Reconciler,
    shop: &Shop,
    client: &Client,
    state: &mut Reconciliation,
    steps: &[(Timestamp, Timestamp)],
) -> Result<(), Trouble> {
    let (Some((first, _)), Some((_, last))) = (steps.first(), steps.last()) else { return Ok(()) };
    let days = Period { first: day_of(*first, &shop.timezone), last: day_of(*last, &shop.timezone) };
    let known = reconciler.store.announced_orders(&shop.id, days, was_found()).await?;
    let mut listed_any = false;
    for (from, to) in steps.iter().rev() {
        let numbers: Vec<ListedNumbers> =
            ask(shop, client, *from, *to, &mut Tally::default()).await?.into_iter().map(|one| one.numbers).collect();
        listed_any |= !numbers.is_empty();
        if numbers.iter().any(|numbers| known.contains(numbers)) {
            state.recognised = true;
            return Ok(reconciler.store.save_reconciliation(state).await?);
        }
    }
    if listed_any && !known.is_empty() { Err(Trouble::Unfamiliar) } else { Ok(()) }
}

/// The validated orders of a period, in the order in which they were made.
async fn ask(
    shop: &Shop,
    client: &Client,
    from: Timestamp,
    to: Timestamp,
    tally: &mut Tally,
) -> Result<Vec<Listed>, Trouble> {
    let query = OrdersQuery { validated: Some(true), ..OrdersQuery::between(from, to) };
    let answer = client.orders(&query).await?;
    tally.listed += answer.orders.len() + answer.unread_count();
    tally.unread += answer.unread_count();
    let mut listed = Vec::new();
    for order in answer.orders {
        match read::read(order, shop) {
            Ok(order) => listed.push(order),
            Err(Unfit::Quote) => tally.quotes += 1,
            Err(Unfit::Unread(reason)) => {
                tracing::debug!(shop.id = %shop.id, reason, "an order of the till's list could not be read");
                tally.unread += 1;
            }
        }
    }
    listed.sort_by(|one, other| {
        let place = |order: &Listed| (order.at, order.numbers.order_id.len(), order.numbers.order_id.clone());
        place(one).cmp(&place(other))
    });
    Ok(listed)
}

/// Records what is not with us. Each announcement is written after the one before it, so that the till's calls never wait
/// behind more than one.
async fn take_over(
    reconciler: &mut Reconciler,
    shop: &Shop,
    listed: Vec<Listed>,
    until: Timestamp,
    tally: &mut Tally,
) -> Result<(), StoreError> {
    let numbers: Vec<ListedNumbers> = listed.iter().map(|order| order.numbers.clone()).collect();
    let heard = reconciler.store.heard_phases(&shop.id, &numbers).await?;
    for (order, heard) in listed.into_iter().zip(heard) {
        if order.at.is_some_and(|at| at > until) || is_payment_on_its_way(reconciler, shop, &order, &heard) {
            tally.left += 1;
            continue;
        }
        let is_new = heard.is_empty();
        let mut stored = false;
        for (notice, words) in order.announcements {
            if heard.contains(&notice.phase) {
                continue;
            }
            let raw = Raw {
                method: METHOD.to_owned(),
                content_type: Some(JSON.to_owned()),
                query: None,
                body: Bytes::from(words),
            };
            let call = Call { shop: shop.id.clone(), raw, origin: Origin::Reconciliation };
            let notification: Result<_, String> = Ok(Notification::Order(Box::new(notice)));
            let accepted = reconciler.recorder.accept(call, notification).await?;
            stored |= accepted.outcome == Outcome::Stored;
            tally.unread += usize::from(accepted.outcome == Outcome::Quarantined);
        }
        match (stored, is_new) {
            (true, true) => tally.found += 1,
            (true, false) => tally.completed += 1,
            (false, _) => {}
        }
    }
    Ok(())
}

/// Whether the till lists an order as paid, and only since a moment ago, that we know as unpaid.
fn is_payment_on_its_way(reconciler: &mut Reconciler, shop: &Shop, order: &Listed, heard: &[Phase]) -> bool {
    let key = (shop.id.clone(), order.numbers.internal_id.clone());
    let is_paid = order.announcements.iter().any(|(notice, _)| notice.phase == Phase::Terminated);
    if !is_paid || heard != [Phase::Validated] {
        reconciler.paid.remove(&key);
        return false;
    }
    let now = reconciler.clock.now();
    let since = reconciler.paid.entry(key).or_insert(now);
    // A clock that was set back must not make it wait for ever.
    *since = (*since).min(now);
    now < *since + ON_ITS_WAY
}

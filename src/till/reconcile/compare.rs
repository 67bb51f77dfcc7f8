//! One comparison of a shop's orders: which days to look at, what is missing in each, and taking it over.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::{
    ALWAYS, AT_MOST, ON_ITS_WAY, Reconciler, Tally, Trouble,
    read::{JSON, Listed, Unfit},
    unlisted::{self, Roll},
};
use crate::{
    order::{Notification, Period, Phase, Shop, day_of, midnight},
    record::{Call, Origin, Outcome, Raw, was_found},
    store::{ListedNumbers, Reconciliation, Store, StoreError},
    till::api::{ApiError, Client, OrdersQuery},
};

/// How much is asked for at once.
const STEP: Duration = Duration::from_hours(24);

/// After how many questions in a row that nobody answered the others are not asked.
const UNANSWERED: usize = 2;

/// What an announcement that nobody made has in place of a method.
const METHOD: &str = "reconciliation";

/// Looks at everything that is due, oldest first; `None` where there is nothing yet to ask for.
pub(super) async fn run(reconciler: &Reconciler, shop: &Shop, client: &Client) -> Result<Option<Tally>, Trouble> {
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
    let (mut trouble, mut is_whole, mut unanswered) = (None, true, 0);
    let (since, mut roll) = (steps.first().map_or(now, |(from, _)| *from), Roll::default());
    for (from, to) in steps {
        let before = tally;
        match ask(shop, client, from, to, &mut tally, &mut roll).await {
            Ok(listed) => {
                unanswered = 0;
                take_over(reconciler, shop, listed, now - ON_ITS_WAY, &mut tally).await?;
            }
            // A day whose list cannot be had holds up no other; a till that does not answer is left alone.
            Err(Trouble::Till(error)) => {
                unanswered = if error.is_an_answer() { 0 } else { unanswered + 1 };
                trouble = Some(error);
                if unanswered == UNANSWERED {
                    break;
                }
            }
            Err(other) => return Err(other),
        }
        // What was left, or could not be read, is looked for again however long ago it was.
        is_whole &= trouble.is_none() && tally.left == before.left && !tally.is_all_unread_since(before);
        if is_whole {
            state.done_until = state.done_until.max(to);
            reconciler.store.save_reconciliation(&state).await?;
        }
    }
    if let Some(error) = trouble {
        return Err(error.into());
    }
    if tally.is_all_unread_since(Tally::default()) {
        return Err(ApiError::Unreadable("none of the orders in it can be read").into());
    }
    if state.recognised {
        unlisted::look(reconciler, shop, client, &roll, (since, now - ON_ITS_WAY)).await?;
    }
    let ended_at = Some(reconciler.clock.now());
    let unread = u32::try_from(tally.unread).unwrap_or(u32::MAX);
    reconciler.store.save_reconciliation(&Reconciliation { ended_at, unread, trouble: None, ..state }).await?;
    Ok(Some(tally))
}

/// How far the last run came. The first one begins with the shop's first order, so that nobody is told of what was sold
/// before this service was there. Another account at the till may have other numbers.
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
            let since = first_order(store, shop, now).await?;
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
        store.save_reconciliation(&state).await?;
    }
    // The clock may have been ahead at the first start, or far behind.
    if state.since > now || (state.ended_at.is_none() && state.since < now - AT_MOST) {
        state.since = first_order(store, shop, now).await?;
    }
    state.done_until = state.done_until.max(state.since).min(now);
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

async fn first_order(store: &Store, shop: &Shop, now: Timestamp) -> Result<Timestamp, StoreError> {
    Ok(store.first_order_at(&shop.id).await?.filter(|at| *at <= now).unwrap_or(now))
}

/// The periods to ask for, each at most a day, the oldest first.
fn steps(state: &Reconciliation, now: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let until = now - ON_ITS_WAY;
    let mut from = state.done_until.min(now - ALWAYS).max(state.since);
    let mut steps = Vec::new();
    while from < until {
        let to = (from + STEP).min(until);
        steps.push((from, to));
        from = to;
    }
    steps
}

/// Whether the till's list names orders that it announced, by both of their numbers. It has to be seen once: a list with
/// other numbers, or another shop's, would make a second one of each order. What was taken from the list itself is no proof.
/// Only where the till never announced anything there is nothing to know it by.
async fn recognise(
    reconciler: &Reconciler,
    shop: &Shop,
    client: &Client,
    state: &mut Reconciliation,
    steps: &[(Timestamp, Timestamp)],
) -> Result<(), Trouble> {
    let (Some((first, _)), Some((_, last))) = (steps.first(), steps.last()) else { return Ok(()) };
    let days = Period { first: day_of(*first, &shop.timezone), last: day_of(*last, &shop.timezone) };
    let mut known = reconciler.store.announced_orders(&shop.id, days, was_found()).await?;
    let mut asked: Vec<(Timestamp, Timestamp)> = steps.iter().rev().copied().collect();
    let is_quiet = known.is_empty();
    if is_quiet {
        let Some((order, day)) = reconciler.store.last_announced(&shop.id, was_found()).await? else {
            tracing::info!(shop.id = %shop.id, "the till has announced nothing yet: its list cannot be checked against that");
            return Ok(());
        };
        known.insert(order);
        // The list may count an order for the day before or after.
        let begins = midnight(day, &shop.timezone);
        asked = vec![(begins - STEP, begins + 2 * STEP)];
    }
    let (mut listed_any, mut trouble) = (false, None);
    for (from, to) in asked {
        let listed = match ask(shop, client, from, to, &mut Tally::default(), &mut Roll::default()).await {
            Ok(listed) => listed,
            Err(Trouble::Till(error)) if error.is_an_answer() => {
                trouble = Some(error);
                continue;
            }
            Err(other) => return Err(other),
        };
        listed_any |= !listed.is_empty();
        if listed.iter().any(|order| known.contains(&order.numbers)) {
            state.recognised = true;
            return Ok(reconciler.store.save_reconciliation(state).await?);
        }
    }
    match trouble {
        Some(error) => Err(error.into()),
        None if is_quiet || listed_any => Err(Trouble::Unfamiliar),
        None => Ok(()),
    }
}

/// The validated orders of a period, in the order in which they were made.
async fn ask(
    shop: &Shop,
    client: &Client,
    from: Timestamp,
    to: Timestamp,
    tally: &mut Tally,
    roll: &mut Roll,
) -> Result<Vec<Listed>, Trouble> {
    let query = OrdersQuery { validated: Some(true), ..OrdersQuery::between(from, to) };
    let answer = client.orders(&query).await?;
    tally.listed += answer.orders.len() + answer.unread_count();
    tally.unread += answer.unread_count();
    roll.is_partial |= answer.unread_count() > 0;
    let mut listed = Vec::new();
    for order in answer.orders {
        match roll.read(order, shop) {
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
    reconciler: &Reconciler,
    shop: &Shop,
    listed: Vec<Listed>,
    until: Timestamp,
    tally: &mut Tally,
) -> Result<(), StoreError> {
    let numbers: Vec<ListedNumbers> = listed.iter().map(|order| order.numbers.clone()).collect();
    let heard = reconciler.store.heard_phases(&shop.id, &numbers).await?;
    let paid = listed.iter().zip(&heard).filter(|(order, heard)| is_paid_only_there(order, heard));
    let paid = paid.map(|(order, _)| order.numbers.internal_id.clone()).collect();
    let paid_since = reconciler.store.listed_as_paid(&shop.id, paid, reconciler.clock.now()).await?;
    for (order, heard) in listed.into_iter().zip(heard) {
        // The list does not say since when it is paid: since it was first seen to be.
        let paid_since = paid_since.get(&order.numbers.internal_id).filter(|_| is_paid_only_there(&order, &heard));
        if order.at.max(paid_since.copied()).is_some_and(|at| at > until) {
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
                announced: None,
            };
            let call = Call { shop: shop.id.clone(), raw, origin: Origin::Reconciliation };
            let notification: Result<_, String> = Ok(Notification::Order(Box::new(notice)));
            let accepted = reconciler.recorder.accept(call, || notification).await?;
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

/// Whether the till lists an order as paid that we know as unpaid.
fn is_paid_only_there(order: &Listed, heard: &[Phase]) -> bool {
    heard == [Phase::Validated] && order.announcements.iter().any(|(notice, _)| notice.phase == Phase::Terminated)
}

//! Asks the till whether it made a call: once for each call that said something new, in the background, so that the till
//! never waits for it.
//!
//! The webhook's address is the only secret the till can keep, and whoever knows it can invent a sale. The URL that comes
//! with a call (`signatureVerificationURL`) leads to the till itself, and is followed like that of an invoice: on the shop's
//! own `till_hosts` only. What counts as a yes is up to `decode/verification.rs`.
//!
//! **Invariant:** nothing here sends a message or drops one; an order that is not confirmed waits, and a person is told.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::{FutureExt as _, future::join_all};
use jiff::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    decode,
    deliver::{HostsOf, Outbox, POLL},
    order::{EventType, ShopId, Verification, Verify},
    record::Alert,
    sink::{LinkError, TillHost, client::ClientError, follow},
    store::{Asked, DueVerification, StoreError},
};

/// How many calls are asked about at the same time.
pub const CONCURRENCY: u32 = 4;

/// How long the till may take to answer.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// How much of an answer is read, in bytes: it is a word.
pub const ANSWER_CAP: usize = 64 * 1024;

/// How long to wait before a till that did not answer is asked again; the last wait is repeated until [`GIVE_UP_AFTER`].
pub const RETRY: [Duration; 6] = [
    Duration::from_secs(10),
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(15),
    Duration::from_hours(1),
    Duration::from_hours(3),
];

/// How long a till that does not answer is asked again.
pub const GIVE_UP_AFTER: Duration = Duration::from_hours(24);

/// How long an order may be held back before a person is told.
pub const TOLD_AFTER: Duration = Duration::from_mins(10);

/// A person is told of a shop's orders at most that often.
pub const TOLD_EVERY: Duration = Duration::from_hours(1);

/// How many orders an alert names.
const NAMED: u32 = 50;

/// Asks about what is due until `shutdown`. What is cut off is asked again at the next start.
pub async fn run(outbox: Outbox, hosts: HostsOf, shutdown: CancellationToken) {
    let asking = async {
        let mut commits = outbox.store.commits();
        loop {
            commits.borrow_and_update();
            // A call that was under way while `require` went may have been written since.
            release(&outbox).await;
            let now = outbox.clock.now();
            let wake_at = match round(&outbox, &hosts, now).await {
                Ok(next) => next.filter(|at| *at > now).unwrap_or(now + POLL).min(now + POLL),
                Err(error) => {
                    tracing::error!(error = %error, "the calls to verify cannot be read; trying again");
                    now + POLL
                }
            };
            // Where no shop asks its till there is nothing in a commit for us.
            let is_wanted = outbox.recorder.policy().shops.values().any(|shop| shop.verify != Verify::Off);
            tokio::select! {
                _ = commits.changed(), if is_wanted => {}
                () = outbox.clock.sleep_until(wake_at) => {}
            }
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = asking => {}
    }
}

/// Lets go what was held back by a shop that no longer requires anything.
async fn release(outbox: &Outbox) {
    match outbox.store.release_all_but(&requiring(outbox)).await {
        Ok(0) => {}
        Ok(orders) => {
            tracing::warn!(orders, "orders that the till did not confirm are let go: it is no longer required");
        }
        Err(error) => tracing::error!(error = %error, "orders that are no longer to be held back still are"),
    }
}

fn requiring(outbox: &Outbox) -> Vec<ShopId> {
    let policy = outbox.recorder.policy();
    let requiring = policy.shops.iter().filter(|(_, shop)| shop.verify == Verify::Require);
    requiring.map(|(id, _)| id.clone()).collect()
}

/// Asks about everything that is due, tells who has to know, and says when there is more to do.
async fn round(outbox: &Outbox, hosts: &HostsOf, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let mut asked = Ok(());
    while asked.is_ok() {
        let due = outbox.store.due_verifications(outbox.clock.now(), CONCURRENCY).await?;
        if due.is_empty() {
            break;
        }
        let asking = due.into_iter().map(|due| async {
            let hosts = hosts(&due.shop);
            AssertUnwindSafe(ask(outbox, &hosts, due)).catch_unwind().await.unwrap_or(Err(StoreError::Bug))
        });
        asked = join_all(asking).await.into_iter().collect();
    }
    for shop in requiring(outbox) {
        tell(outbox, &shop, now).await?;
    }
    asked?;
    outbox.store.next_verification_at().await
}

/// Asks about one call and writes down what came of it.
async fn ask(outbox: &Outbox, hosts: &[TillHost], due: DueVerification) -> Result<(), StoreError> {
    let answer = answer(hosts, &due.url).await;
    let now = outbox.clock.now();
    let give_up_at = due.first_seen_at + GIVE_UP_AFTER;
    let (status, reason, again_at) = match answer {
        Ok((status, reason)) => (status, reason, None),
        Err(reason) if now >= give_up_at => (Verification::Unreachable, Some(reason), None),
        Err(reason) => {
            let wait = RETRY[(due.attempts as usize).min(RETRY.len() - 1)];
            (Verification::Pending, Some(reason), Some((now + wait).min(give_up_at)))
        }
    };
    let (attempt, reason_shown) = (due.attempts + 1, reason.as_deref().unwrap_or_default());
    match status {
        Verification::Verified => tracing::debug!(event.id = %due.event, "the till confirms a call"),
        Verification::Pending => {
            tracing::warn!(event.id = %due.event, verification.attempt = attempt, verification.reason = reason_shown, "the till could not be asked about a call yet");
        }
        _ => {
            tracing::warn!(event.id = %due.event, verification.status = status.as_str(), verification.reason = reason_shown, "the till does not confirm a call; see `tillhook orders list`");
        }
    }
    outbox.store.asked(Asked { event: due.event, url: due.url, status, reason, again_at }).await
}

/// What the till says, and why that is no yes; or why it is to be asked again.
async fn answer(hosts: &[TillHost], url: &str) -> Result<(Verification, Option<String>), String> {
    let fetched = match follow(hosts, url, ANSWER_CAP, TIMEOUT).await {
        Ok(fetched) => fetched,
        Err(LinkError::Refused) => return Ok((Verification::Refused, Some(LinkError::Refused.to_string()))),
        Err(LinkError::Client(error @ ClientError::TooLarge(_))) => {
            return Ok((Verification::Unknown, Some(error.to_string())));
        }
        Err(error) => return Err(error.to_string()),
    };
    let said = format!("the till answered {}", fetched.status);
    match fetched.status {
        408 | 425 | 429 | 500.. => Err(said),
        200 => Ok((decode::verification(200, &fetched.body), None)),
        status => Ok((decode::verification(status, &fetched.body), Some(said))),
    }
}

/// Tells a person of orders that are held back for long, and of no others for a while.
async fn tell(outbox: &Outbox, shop: &ShopId, now: Timestamp) -> Result<(), StoreError> {
    let held = outbox.store.untold_holds(shop, now, (TOLD_AFTER, TOLD_EVERY), NAMED).await?;
    let Some(first) = held.first() else { return Ok(()) };
    // Both calls about an order may be among them.
    let mut numbers: Vec<&str> = Vec::new();
    for one in &held {
        if !numbers.contains(&one.number.as_str()) {
            numbers.push(&one.number);
        }
    }
    let facts = json!({ "order_ids": numbers, "since": first.since, "reason": first.reason });
    let alert = Alert {
        kind: EventType::TillUnverified,
        shop: Some(shop.clone()),
        about: None,
        also: None,
        facts: facts.as_object().cloned().unwrap_or_default(),
        marks_told: None,
    };
    let orders = numbers.len();
    tracing::warn!(shop.id = %shop, orders, "orders are held back: the till has not confirmed them; see `tillhook orders list`");
    let events: Vec<_> = held.iter().map(|one| one.event).collect();
    let policy = outbox.recorder.policy();
    outbox.store.tell_holds(&events, now, move || alert.clone().into_changes(&policy, now)).await
}

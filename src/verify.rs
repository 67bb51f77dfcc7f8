//! Asks the till whether it made a call: once for each call that said something new, in the background, so that the till
//! never waits for it, and each shop's till by itself, so that no other shop does.
//!
//! The webhook's address is the only secret the till can keep, and whoever knows it can invent a sale. The URL that comes
//! with a call (`signatureVerificationURL`) leads to the till itself, and is followed like that of an invoice: on the shop's
//! own `till_hosts` only. What counts as a yes is up to `decode/verification.rs`.
//!
//! A URL is good for one order, or one closing of a till: that another brought before is not asked, and is a no. So is the
//! yes to which redirects lead through the URL of another.
//!
//! **Invariant:** nothing here sends a message or drops one; an order that is not confirmed waits, and a person is told.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::future::{join, join_all};
use jiff::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    decode,
    deliver::{Errands, HostsOf, Outbox, POLL, wait_after},
    order::{EventId, EventType, ShopId, Verification, Verify, url_digest},
    sink::{LinkError, TillHost, client::ClientError, follow_noting},
    store::{Asked, DueVerification, StoreError},
};

/// How many calls of a shop are asked about at the same time.
pub const CONCURRENCY: usize = 4;

/// How long the till may take to answer.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// How much of an answer is read, in bytes: it is a word.
pub const ANSWER_CAP: usize = 64 * 1024;

/// How long to wait at the most before a till that did not answer is asked again, until [`GIVE_UP_AFTER`].
pub const LONGEST_WAIT: Duration = Duration::from_hours(3);

/// How long a till that does not answer is asked again.
pub const GIVE_UP_AFTER: Duration = Duration::from_hours(24);

/// How long an order may be held back before a person is told.
pub const TOLD_AFTER: Duration = Duration::from_mins(10);

/// A person is told of a shop's orders at most that often.
pub const TOLD_EVERY: Duration = Duration::from_hours(1);

/// After that a call that was under way while the configuration changed is on disk.
const LANDED_AFTER: Duration = Duration::from_mins(1);

/// How many reasons an alert gives, of which there are few.
const REASONS: usize = 5;

/// How many orders an alert names; it counts the others.
const NAMED: usize = 50;

/// Of how many calls an alert tells; of what is beyond that, the next one.
const TOLD_AT_ONCE: u32 = 10_000;

/// Why a call is refused that brought the URL of another: a reason of its own, for somebody copied that.
const USED: &str = "its `signatureVerificationURL` came with another order before, so the till was not asked";

/// The same where the URL is a redirect to that of another.
const LEADS_TO_USED: &str = "its `signatureVerificationURL` leads to that of another order";

/// Asks about what is due until `shutdown`. What is cut off is asked again at the next start. Which shops ask is read once:
/// a reload starts this anew.
pub async fn run(outbox: Outbox, hosts: HostsOf, shutdown: CancellationToken) {
    let policy = outbox.recorder.policy();
    let tills = policy.shops.iter().map(|(shop, policy)| Till {
        outbox: &outbox,
        shop,
        hosts: hosts(shop).into(),
        verify: policy.verify,
    });
    let asking = join_all(tills.map(Till::ask));
    tokio::select! {
        () = shutdown.cancelled() => {}
        _ = join(release(&outbox), asking) => {}
    }
}

/// Lets go what was held back by a shop that no longer requires anything; and once more what a call held back that was under
/// way when that changed.
async fn release(outbox: &Outbox) {
    release_now(outbox).await;
    outbox.clock.sleep(LANDED_AFTER).await;
    release_now(outbox).await;
}

async fn release_now(outbox: &Outbox) {
    let policy = outbox.recorder.policy();
    let requiring = policy.shops.iter().filter(|(_, shop)| shop.verify == Verify::Require);
    let requiring: Vec<ShopId> = requiring.map(|(id, _)| id.clone()).collect();
    let orders = loop {
        match outbox.store.release_all_but(&requiring).await {
            Ok(orders) => break orders,
            Err(error) => {
                tracing::error!(error = %error, "orders that are no longer to be held back still are; trying again");
                outbox.clock.sleep(POLL).await;
            }
        }
    };
    if orders > 0 {
        tracing::warn!(orders, "orders that the till did not confirm are let go: it is no longer required");
    }
}

/// The till of one shop.
struct Till<'a> {
    outbox: &'a Outbox,
    shop: &'a ShopId,
    hosts: Arc<[TillHost]>,
    verify: Verify,
}

impl Till<'_> {
    /// Asks about the shop's calls for ever.
    async fn ask(self) {
        let mut errands = Errands::new(self.outbox, "verifying a call", CONCURRENCY);
        loop {
            let next = self.look(&mut errands).await;
            // Where the till is not asked there is nothing in a commit for us; what is left of before still is to be.
            errands.rest(next, self.verify != Verify::Off).await;
        }
    }

    /// Has asked what is due, tells who has to know, and says when there is more to do.
    async fn look(&self, errands: &mut Errands<EventId>) -> Result<Option<Timestamp>, StoreError> {
        let Self { outbox, shop, .. } = self;
        let now = errands.look();
        for due in outbox.store.due_verifications(shop, now, now + LONGEST_WAIT, errands.wanted()).await? {
            let (outbox, shop, hosts) = ((*outbox).clone(), (*shop).clone(), self.hosts.clone());
            errands.send(due.event, async move { ask(&outbox, &shop, &hosts, due).await });
        }
        if self.verify == Verify::Require {
            tell(outbox, shop, outbox.clock.now()).await?;
        }
        outbox.store.next_verification_at(shop, now).await
    }
}

/// Asks about one call and writes down what came of it.
async fn ask(outbox: &Outbox, shop: &ShopId, hosts: &[TillHost], due: DueVerification) -> Result<(), StoreError> {
    let answer = match is_used(outbox, &due).await? {
        true => Ok((Verification::Refused, Some(USED.to_owned()))),
        false => own_answer(outbox, hosts, &due).await?,
    };
    let now = outbox.clock.now();
    let give_up_at = due.asked_since + GIVE_UP_AFTER;
    let (status, reason, again_at) = match answer {
        Ok((status, reason)) => (status, reason, None),
        Err(reason) if now >= give_up_at => (Verification::Unreachable, Some(reason), None),
        Err(reason) => {
            let again_at = (now + wait_after(due.attempts, LONGEST_WAIT)).min(give_up_at);
            (Verification::Pending, Some(reason), Some(again_at))
        }
    };
    let (attempt, why) = (due.attempts + 1, reason.as_deref());
    match status {
        Verification::Verified => tracing::debug!(shop.id = %shop, event.id = %due.event, "the till confirms a call"),
        Verification::Pending => {
            tracing::warn!(shop.id = %shop, event.id = %due.event, verification.attempt = attempt, verification.reason = why, "the till could not be asked about a call yet");
        }
        _ => {
            tracing::warn!(shop.id = %shop, event.id = %due.event, verification.status = status.as_str(), verification.reason = why, "the till does not confirm a call; see `tillhook orders list`");
        }
    }
    outbox.store.asked(Asked { event: due.event, url: due.url, status, reason, again_at }).await
}

/// Whether another order brought the same URL before: a yes would be the other one's.
async fn is_used(outbox: &Outbox, due: &DueVerification) -> Result<bool, StoreError> {
    match url_digest(&due.url) {
        Some(digest) => outbox.store.is_url_of_another(due.event, digest).await,
        None => Ok(false),
    }
}

/// What the till says, and why that is no yes; or why it is to be asked again.
type Answer = Result<(Verification, Option<String>), String>;

/// What the till says of this call: a yes that stands where another order's URL leads is none.
async fn own_answer(outbox: &Outbox, hosts: &[TillHost], due: &DueVerification) -> Result<Answer, StoreError> {
    let mut hops = Vec::new();
    let answer = answer(hosts, &due.url, &mut hops).await;
    let is_yes = matches!(answer, Ok((Verification::Verified, _)));
    if !is_yes || hops.is_empty() || outbox.store.reach(due.event, hops).await? {
        return Ok(answer);
    }
    Ok(Ok((Verification::Refused, Some(LEADS_TO_USED.to_owned()))))
}

/// What stands at a URL, and where redirects led from there.
async fn answer(hosts: &[TillHost], url: &str, hops: &mut Vec<String>) -> Answer {
    let fetched = match follow_noting(hosts, url, ANSWER_CAP, TIMEOUT).await {
        Ok((fetched, urls)) => {
            hops.extend(urls.into_iter().map(String::from));
            fetched
        }
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
    let held = outbox.store.untold_holds(shop, now, (TOLD_AFTER, TOLD_EVERY), TOLD_AT_ONCE).await?;
    let Some(first) = held.first() else { return Ok(()) };
    // Both calls about an order may be among them.
    let mut known = HashSet::new();
    let numbers: Vec<&str> =
        held.iter().map(|one| one.number.as_str()).filter(|number| known.insert(*number)).collect();
    let mut reasons: Vec<&str> = Vec::new();
    for reason in held.iter().map(|one| one.reason.as_str()) {
        if !reasons.contains(&reason) && reasons.len() < REASONS {
            reasons.push(reason);
        }
    }
    let named = &numbers[..numbers.len().min(NAMED)];
    let facts =
        json!({ "order_ids": named, "count": numbers.len(), "since": first.since, "reason": reasons.join("; ") });
    let orders = numbers.len();
    tracing::warn!(shop.id = %shop, orders, "orders are held back: the till has not confirmed them; see `tillhook orders list`");
    let calls: Vec<_> = held.iter().map(|one| one.call.clone()).collect();
    let (recorder, of_shop) = (outbox.recorder.clone(), shop.clone());
    let words = move || recorder.alert_of_shop(EventType::TillUnverified, &of_shop, &facts, now);
    outbox.store.tell_holds(&calls, now, words).await
}

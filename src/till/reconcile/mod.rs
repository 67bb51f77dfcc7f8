//! Compares the till's own list of orders with ours, and takes over what was never announced (contract §9).
//!
//! The webhook is probably called once and never again, so what was sold while it could not be reached would be lost. At
//! the start and once an hour the orders of the last days are asked for, a day at a time; what is not with us is
//! recorded as if it had been announced, so that every sink gets it once, and somebody is told. How far the comparison
//! came is remembered after each day, so that a run that is cut off goes on where it was.
//!
//! **Invariant:** what the till's list says of an order that we know changes nothing, and an order that may be on its way
//! is left to the next run.

mod compare;
mod read;
mod unlisted;

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use super::api::{ApiError, Client};
use crate::{
    clock::Clock,
    order::{EventType, Shop},
    record::Recorder,
    store::{FoundOrder, NotCompared, Reconciliation, Store, StoreError},
};

/// How often the lists are compared.
const EVERY: Duration = Duration::from_hours(1);

/// How soon they are compared again where that was not possible.
const TRY_AGAIN: Duration = Duration::from_mins(10);

/// How long an announcement may be on its way: what is younger is left to the next run.
pub const ON_ITS_WAY: Duration = Duration::from_mins(5);

/// How far back every run looks: an order may be entered, or paid, later than it was sold.
pub const ALWAYS: Duration = Duration::from_hours(3 * 24);

/// How far back a run looks at most, after a long outage.
pub const AT_MOST: Duration = Duration::from_hours(31 * 24);

/// How long no comparison comes to its end before a person is told.
pub const TOLD_AFTER: Duration = Duration::from_hours(24);

/// How many numbers an alert names; the others are counted.
pub const NAMED: usize = 100;

/// Why the lists of a shop could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The till.
    #[error("{}", .0.for_log())]
    Till(#[from] ApiError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The list names none of the orders that we know.
    #[error(
        "the till's list names none of the orders that it announced, so its numbers are not the ones that we know; nothing \
         was taken from it: see that `shop_id` in `[shop.NAME.api]` is this shop's"
    )]
    Unfamiliar,
}

/// What a run did about a shop; orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// That the till listed.
    pub listed: usize,
    /// Of which nothing was with us, and which were taken over.
    pub found: usize,
    /// Of which one announcement was with us, and the other was taken over.
    pub completed: usize,
    /// That may be on their way.
    pub left: usize,
    /// That are not validated.
    pub quotes: usize,
    /// That could not be read.
    pub unread: usize,
}

impl Tally {
    /// Whether orders were listed since, and none of them could be read: the till writes them in another way than we know.
    fn is_all_unread_since(self, before: Self) -> bool {
        let unread = self.unread - before.unread;
        unread > 0 && unread == self.listed - before.listed
    }
}

/// Compares the lists of all shops whose till can be asked.
pub struct Reconciler {
    store: Store,
    clock: Arc<dyn Clock>,
    recorder: Recorder,
    shops: Vec<(Shop, Client)>,
}

impl Reconciler {
    /// Those of these shops.
    pub fn new(store: Store, clock: Arc<dyn Clock>, recorder: Recorder, shops: Vec<(Shop, Client)>) -> Self {
        Self { store, clock, recorder, shops }
    }

    /// Remembers since when each shop's orders are compared, before the first call is taken.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn begin(&self) -> Result<(), StoreError> {
        for (shop, client) in &self.shops {
            compare::begin(self, shop, client, self.clock.now()).await?;
        }
        Ok(())
    }

    /// Compares until `stop`, also when `wanted` says so. Whoever else holds it may compare between two times.
    pub async fn run(shared: Arc<Mutex<Self>>, wanted: Arc<Notify>, stop: CancellationToken) {
        let clock = {
            let reconciler = shared.lock().await;
            if reconciler.shops.is_empty() {
                return;
            }
            reconciler.clock.clone()
        };
        while !stop.is_cancelled() {
            let began = clock.now();
            let ended = tokio::select! {
                () = stop.cancelled() => return,
                ended = async { shared.lock().await.pass().await } => ended,
            };
            let pause = if ended { EVERY } else { TRY_AGAIN };
            tokio::select! {
                () = stop.cancelled() => {}
                () = clock.rest(began, pause) => {}
                () = wanted.notified() => {}
            }
        }
    }

    /// Compares once, one shop after another. Returns whether every comparison came to its end.
    pub async fn pass(&self) -> bool {
        let mut ended = true;
        for (shop, client) in &self.shops {
            match self.shop(shop, client).await {
                // Asked again soon: a wrong key is to be known before an hour is over.
                Ok(None) => ended = false,
                Ok(Some(tally)) => tracing::info!(
                    shop.id = %shop.id,
                    orders.listed = tally.listed,
                    orders.found = tally.found,
                    orders.completed = tally.completed,
                    orders.left = tally.left,
                    orders.quotes = tally.quotes,
                    orders.unread = tally.unread,
                    "compared the till's orders with ours"
                ),
                Err(trouble) => {
                    ended = false;
                    tracing::warn!(shop.id = %shop.id, error = %trouble, "the till's orders could not be compared with ours; trying again");
                    self.note(shop, &trouble).await;
                }
            }
        }
        ended
    }

    /// What came of it is told also where it did not come to its end.
    async fn shop(&self, shop: &Shop, client: &Client) -> Result<Option<Tally>, Trouble> {
        let compared = compare::run(self, shop, client).await;
        self.tell(shop).await?;
        compared
    }

    async fn tell(&self, shop: &Shop) -> Result<(), StoreError> {
        let (recorder, of_shop, now) = (self.recorder.clone(), shop.id.clone(), self.clock.now());
        let words = move |found: &[FoundOrder]| {
            recorder.alert_of_shop(EventType::TillOrderMissing, &of_shop, &facts(found), now)
        };
        let told = self.store.tell_of_found(&shop.id, words).await?;
        if told > 0 {
            tracing::warn!(shop.id = %shop.id, orders = told, "orders were never announced, and were taken from the till's list");
        }
        Ok(())
    }

    /// Remembers for `orders missing` why a comparison did not come to its end, and tells somebody where none has for long.
    async fn note(&self, shop: &Shop, trouble: &Trouble) {
        let noted = async {
            let Some(state) = self.store.reconciliation(&shop.id).await? else { return Ok(()) };
            let (now, reason) = (self.clock.now(), trouble.to_string());
            let known = state.trouble.as_ref();
            // What began in the future began when the clock was ahead.
            let since = known.map_or(now, |known| known.since).min(now);
            let told_at = known.and_then(|known| known.told_at);
            let is_news = told_at.is_none() && now >= since + TOLD_AFTER;
            let trouble =
                NotCompared { reason: reason.clone(), since, told_at: if is_news { Some(now) } else { told_at } };
            let state = Reconciliation { trouble: Some(trouble), ..state };
            if !is_news {
                return self.store.save_reconciliation(&state).await;
            }
            let (recorder, of_shop) = (self.recorder.clone(), shop.id.clone());
            let facts = json!({ "since": since, "reason": reason });
            let words = move || recorder.alert_of_shop(EventType::TillNotCompared, &of_shop, &facts, now);
            self.store.save_reconciliation_and_tell(&state, words).await
        };
        if let Err(error) = noted.await {
            tracing::error!(error = %error, "why the till's orders could not be compared could not be written down");
        }
    }
}

/// The facts of an alert, with the keys of contract §6, and with the orders of which one announcement was with us.
fn facts(found: &[FoundOrder]) -> Value {
    let numbers = |whole: bool| -> Vec<&str> {
        let numbers = found.iter().filter(|order| order.whole == whole).map(|order| order.number.as_str());
        numbers.take(NAMED).collect()
    };
    let since = found.iter().map(|order| order.at).min();
    let whole = found.iter().filter(|order| order.whole).count();
    json!({
        "order_ids": numbers(true),
        "count": whole,
        "incomplete_ids": numbers(false),
        "incomplete_count": found.len() - whole,
        "since": since,
        "source": "reconciliation",
    })
}

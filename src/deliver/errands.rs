//! Errands to a till: a few at a time, in the background, each run by one task only.
//!
//! Whoever has some looks, sends out what is due, and rests until there is a reason to look again: one is back, something
//! was committed, or the next is due. What is due stays so in the database while it is under way, and is found again after a
//! crash.

use std::{collections::HashSet, future::Future, hash::Hash, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::{sync::watch, task::JoinSet};

use super::{
    Outbox,
    worker::{GRACE, POLL},
};
use crate::store::StoreError;

/// How long to wait before a till that gave nothing is asked again. After the last of these, whoever asks says.
const WAITS: [Duration; 5] = [
    Duration::from_secs(10),
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(15),
    Duration::from_hours(1),
];

/// How long to wait after a try that followed so many others; `longest` is repeated.
pub fn wait_after(attempts: u32, longest: Duration) -> Duration {
    WAITS.get(attempts as usize).copied().unwrap_or(longest)
}

/// What is under way. Dropping it cuts off whatever is.
pub struct Errands<K> {
    outbox: Outbox,
    /// What one of them is, for the log.
    name: &'static str,
    limit: usize,
    under_way: JoinSet<K>,
    keys: HashSet<K>,
    commits: watch::Receiver<u64>,
    looked_at: Timestamp,
}

impl<K: Copy + Eq + Hash + Send + 'static> Errands<K> {
    /// At most `limit` at a time. `name` is what one is, in the log: "fetching an invoice".
    pub fn new(outbox: &Outbox, name: &'static str, limit: usize) -> Self {
        let (commits, looked_at) = (outbox.store.commits(), outbox.clock.now());
        Self {
            outbox: outbox.clone(),
            name,
            limit,
            under_way: JoinSet::new(),
            keys: HashSet::new(),
            commits,
            looked_at,
        }
    }

    /// Begins to look for what is due, and says at what time: what is committed, or becomes due, from here on ends the next
    /// rest.
    pub fn look(&mut self) -> Timestamp {
        self.commits.borrow_and_update();
        self.looked_at = self.outbox.clock.now();
        self.looked_at
    }

    /// How many to look for, so that as many as there is room for are new: those under way are found again.
    pub fn wanted(&self) -> usize {
        2 * self.limit
    }

    /// Sends one out, unless it is under way already or there is no room; both end a rest later.
    pub fn send(&mut self, key: K, errand: impl Future<Output = Result<(), StoreError>> + Send + 'static) {
        if self.keys.len() == self.limit || !self.keys.insert(key) {
            return;
        }
        let (clock, name) = (self.outbox.clock.clone(), self.name);
        self.under_way.spawn(async move {
            let ran = AssertUnwindSafe(errand).catch_unwind().await.unwrap_or(Err(StoreError::Bug));
            if let Err(error) = ran {
                tracing::error!(error = %error, "how {name} ended could not be written; it is done again");
                clock.sleep(WAITS[0]).await;
            }
            key
        });
    }

    /// Returns when there is a reason to look again: at `next` at the latest, which is when the next is due, or soon, because
    /// the command line is another process. Where no commit can bring an errand, `heeds_commits` is false.
    pub async fn rest(&mut self, next: Result<Option<Timestamp>, StoreError>, heeds_commits: bool) {
        let next = next.unwrap_or_else(|error| {
            tracing::error!(error = %error, "{} has to wait: what is due cannot be read; trying again", self.name);
            None
        });
        let clock = self.outbox.clock.clone();
        let wake_at = next.filter(|at| *at > self.looked_at).unwrap_or(self.looked_at + POLL);
        tokio::select! {
            Some(done) = self.under_way.join_next() => match done {
                Ok(key) => { self.keys.remove(&key); }
                Err(error) => tracing::error!(error = %error, "{} ended without a result", self.name),
            },
            _ = self.commits.changed(), if heeds_commits => {}
            () = clock.sleep_until(wake_at) => {}
            // The clock may be set back while we sleep: looking now and then does not depend on it.
            () = clock.sleep(POLL) => {}
        }
    }

    /// Lets those that are under way end, for a little while.
    pub async fn wind_up(mut self) {
        let rest = async { while self.under_way.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, rest).await;
    }
}

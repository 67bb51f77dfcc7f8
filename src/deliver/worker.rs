//! The worker of one sink: looks for what is due, has it attempted, sleeps until there is more.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    Lane, Outbox, attempt,
    health::{Ended, Health},
    limit, prepare,
};
use crate::store::{Candidate, Found, Started, StoreError, Unreadable};

/// How often to look although nothing was heard: the command line is another process.
pub const POLL: Duration = Duration::from_secs(2);

/// How long attempts that are under way may go on after the service was told to stop. What is cut off is attempted
/// again at the next start.
pub const GRACE: Duration = Duration::from_secs(5);

/// Delivers to one sink until `shutdown`.
pub async fn run(outbox: Outbox, lane: Lane, shutdown: CancellationToken) {
    let large = Arc::new(Semaphore::new(1));
    let mut worker = Worker { outbox, lane, under_way: JoinSet::new(), large, not_before: None };
    let mut commits = worker.outbox.store.commits();
    while !shutdown.is_cancelled() {
        // First listen, then look: what is committed in between is noticed.
        commits.borrow_and_update();
        let wake_at = match worker.launch().await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(sink.name = %worker.lane.name, error = %error, "the outbox cannot be read; trying again");
                None
            }
        };
        let clock = worker.outbox.clock.clone();
        let due = async {
            match wake_at {
                Some(at) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        // The clock may be set back while we sleep: looking now and then does not depend on it.
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(done) = worker.under_way.join_next() => worker.look_at(done),
            _ = commits.changed() => {}
            () = due => {}
            () = clock.sleep(POLL) => {}
        }
    }
    worker.wind_up().await;
}

/// A delivery whose message tells what cannot be read.
fn unreadable(lane: &Lane, candidate: &Candidate, error: &StoreError) -> Unreadable {
    let reason = error.to_string();
    Unreadable { seq: candidate.seq, id: candidate.id.to_string(), sink: lane.name.clone(), reason }
}

struct Worker {
    outbox: Outbox,
    lane: Lane,
    under_way: JoinSet<()>,
    /// The sink's permit for large messages, of which it has one under way.
    large: Arc<Semaphore>,
    /// The far side's pace.
    not_before: Option<Timestamp>,
}

impl Worker {
    /// Starts as many attempts as there is room for; says when to look again, if that is known.
    async fn launch(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let room = self.lane.concurrency.saturating_sub(self.under_way.len());
        if room == 0 {
            return Ok(None);
        }
        let now = self.outbox.clock.now();
        let Some(state) = self.outbox.store.sink_state(&self.lane.name).await? else { return Ok(None) };
        if state.paused.is_some() {
            return Ok(None);
        }
        // A pace that seems to last longer than it can was measured before the clock was set back.
        let longest = self.lane.sink.min_interval().map(|pace| now + pace);
        self.not_before = self.not_before.filter(|until| Some(*until) <= longest);
        if let Some(until) = state.held_until.max(self.not_before).filter(|until| *until > now) {
            return Ok(Some(until));
        }
        let limit = if self.lane.sink.min_interval().is_some() { 1 } else { room };
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        // While a large message is under way small ones go past those that wait.
        let large = self.large.available_permits() > 0 && self.outbox.large.available_permits() > 0;
        let found = self.outbox.store.candidates(&self.lane.name, now, limit, large).await?;
        // Set back while we read, the clock makes what came since look due before its time.
        let is_now = self.outbox.clock.now();
        if is_now < now {
            return Ok(Some(is_now));
        }
        if found.is_empty() {
            return self.outbox.store.next_due(&self.lane.name, now).await;
        }
        let (mut candidates, mut large) = (Vec::with_capacity(found.len()), None);
        for found in found {
            match found {
                Found::Candidate(candidate) => candidates.push(*candidate),
                Found::Large(seq) => large = large.or(Some(seq)),
                Found::Unreadable(row) => self.give_up(row, now).await?,
            }
        }
        if !candidates.is_empty() {
            self.start(candidates, None, now).await?;
        } else if let Some(seq) = large {
            self.start_large(seq, limit, now).await?;
        }
        // There may be more, or what was read had changed meanwhile: look again at once, unless there is no room.
        let room_left = self.under_way.len() < self.lane.concurrency;
        Ok(if room_left { Some(self.not_before.unwrap_or(now)) } else { None })
    }

    /// Ends a delivery that cannot be read, and tells whoever has to know.
    async fn give_up(&self, row: Unreadable, now: Timestamp) -> Result<(), StoreError> {
        let (policy, pause_after) = (self.outbox.recorder.policy(), self.lane.pause_after);
        let health = Health { policy, pause_after, ended: Ended::NeedsAPerson, now };
        let (id, reason) = (row.id.clone(), row.reason.clone());
        if self.outbox.store.bury(row, now, health).await? {
            let sink = &self.lane.name;
            tracing::error!(sink.name = %sink, delivery.id = id, error = reason, "a delivery cannot be read and is given up");
        }
        Ok(())
    }

    /// Starts the attempt of a large message, whose texts are read by themselves.
    async fn start_large(&mut self, seq: i64, limit: u32, now: Timestamp) -> Result<(), StoreError> {
        let Ok(of_sink) = self.large.clone().try_acquire_owned() else { return Ok(()) };
        let Ok(of_all) = self.outbox.large.clone().try_acquire_owned() else { return Ok(()) };
        let _turn = self.outbox.recorder.large_turn().take().await;
        match self.outbox.store.large_candidate(&self.lane.name, now, limit, seq).await? {
            Some(Found::Candidate(candidate)) => self.start(vec![*candidate], Some([of_sink, of_all]), now).await?,
            Some(Found::Unreadable(row)) => self.give_up(row, now).await?,
            Some(Found::Large(_)) | None => {}
        }
        Ok(())
    }

    /// Starts these attempts. The permits are those of a large message, which is then alone.
    async fn start(
        &mut self,
        candidates: Vec<Candidate>,
        permits: Option<[OwnedSemaphorePermit; 2]>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let candidates = limit::keep(&self.outbox, &self.lane, candidates, now).await?;
        let context = prepare::Context {
            recorder: &self.outbox.recorder,
            public_url: self.outbox.public_url.as_ref(),
            names: &self.outbox.names,
            now,
        };
        let (mut prepared, permits) = (Vec::with_capacity(candidates.len()), Arc::new(permits));
        for mut candidate in candidates {
            match prepare::prepare(&self.lane, &candidate, &context) {
                Ok(made) => {
                    candidate.forget_texts();
                    prepared.push((candidate, made));
                }
                Err(error) => self.give_up(unreadable(&self.lane, &candidate, &error), now).await?,
            }
        }
        if prepared.is_empty() {
            // A commit wakes every worker, this one too.
            return Ok(());
        }
        let batch: Vec<Started> = prepared.iter().map(|(_, made)| made.started.clone()).collect();
        let sending = self.outbox.store.start(batch).await?;
        for (candidate, made) in prepared {
            let Ok(payload) = made.started.how else { continue };
            if !sending.contains(&candidate.id) {
                continue;
            }
            // Counted from here: the commit may have taken a while, and the far side counts what it gets.
            self.not_before = self.lane.sink.min_interval().map(|pace| self.outbox.clock.now() + pace);
            let (outbox, lane, permits) = (self.outbox.clone(), self.lane.clone(), permits.clone());
            self.under_way.spawn(async move {
                attempt::attempt(outbox, lane, candidate, payload, made.failure).await;
                drop(permits);
            });
        }
        Ok(())
    }

    fn look_at(&self, done: Result<(), tokio::task::JoinError>) {
        if done.is_err() {
            tracing::error!(sink.name = %self.lane.name, "an attempt ended without a result; it is made again at the next start");
        }
    }

    /// Waits a little for what is under way.
    async fn wind_up(mut self) {
        let grace = tokio::time::sleep(GRACE);
        tokio::pin!(grace);
        while !self.under_way.is_empty() {
            tokio::select! {
                Some(done) = self.under_way.join_next() => self.look_at(done),
                () = &mut grace => return,
            }
        }
    }
}

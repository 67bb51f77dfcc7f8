//! How often the till is asked: one question at a time, a pause between two, and a second and third try of what changes
//! nothing.
//!
//! **Invariant:** every wait is the clock's, and none is longer than [`LONGEST_WAIT`].

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    clock::Clock,
    sink::{
        answer,
        client::{ClientError, Fetched},
    },
};

/// The least time between two questions.
pub const PAUSE: Duration = Duration::from_millis(250);

/// The waits before the second and the third try.
const TRY_AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// How long the till may ask us to wait (`Retry-After`) before it is left alone altogether.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Takes turns.
pub(super) struct Manners {
    clock: Arc<dyn Clock>,
    /// When the last question was answered.
    last: Mutex<Option<Timestamp>>,
}

/// The right to ask.
pub(super) struct Turn<'a> {
    manners: &'a Manners,
    last: MutexGuard<'a, Option<Timestamp>>,
}

impl Manners {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, last: Mutex::new(None) }
    }

    /// Waits until it is our turn.
    pub(super) async fn turn(&self) -> Turn<'_> {
        Turn { manners: self, last: self.last.lock().await }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Turn<'_> {
    /// Asks once, a pause after the last question.
    pub(super) async fn once<T>(&mut self, ask: impl Future<Output = T>) -> T {
        if let Some(last) = *self.last {
            let since = Duration::try_from(self.manners.now().duration_since(last)).unwrap_or_default();
            let rest = PAUSE.saturating_sub(since);
            if !rest.is_zero() {
                self.manners.clock.sleep(rest).await;
            }
        }
        let answer = ask.await;
        *self.last = Some(self.manners.now());
        answer
    }

    /// Asks what changes nothing: again where nobody answered, or the till is busy.
    pub(super) async fn patiently<F>(&mut self, ask: impl Fn() -> F) -> Result<Fetched, ClientError>
    where
        F: Future<Output = Result<Fetched, ClientError>>,
    {
        for wait in TRY_AGAIN {
            let answer = self.once(ask()).await;
            let Some(asked) = worth_another_try(&answer, self.manners.now()) else { return answer };
            if asked > LONGEST_WAIT {
                return answer;
            }
            self.manners.clock.sleep(wait.max(asked)).await;
        }
        self.once(ask()).await
    }
}

/// Whether, and after how long at least, another try may give more.
fn worth_another_try(answer: &Result<Fetched, ClientError>, now: Timestamp) -> Option<Duration> {
    match answer {
        Ok(answer) if matches!(answer.status, 429 | 502 | 503 | 504) => Some(wait_of(answer, now).unwrap_or_default()),
        Err(ClientError::TimedOut(_) | ClientError::Connect(_) | ClientError::Broken(_) | ClientError::CutOff(_)) => {
            Some(Duration::ZERO)
        }
        _ => None,
    }
}

/// How long the till asks to be left alone.
pub(super) fn wait_of(answer: &Fetched, now: Timestamp) -> Option<Duration> {
    answer.retry_after.as_deref().and_then(|value| answer::wait(value, now))
}

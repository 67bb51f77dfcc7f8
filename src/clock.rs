//! The clock: where every part of the program gets its time from.
//!
//! Two clocks exist: the system's, and one that a test turns by hand, so that "down for an hour" takes no time.
//!
//! **Invariant:** nothing outside this file asks the system what time it is.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::watch;

/// How long a sleep on the system's clock lasts at most before the time is read again: a clock that was set, or a
/// machine that slept, is noticed after that.
const LONGEST_NAP: Duration = Duration::from_secs(30);

/// A future that a clock hands out.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tells the time and wakes those who wait for it.
pub trait Clock: Send + Sync + 'static {
    /// What time it is.
    fn now(&self) -> Timestamp;

    /// Ends when the wall clock shows `at`, at once when it already does.
    fn sleep_until(&self, at: Timestamp) -> Sleep;

    /// Ends after `duration`, however the wall clock is set meanwhile.
    fn sleep(&self, duration: Duration) -> Sleep;

    /// Ends `pause` after work that began at `began`, and `pause` from now at the latest: the clock may be set ahead while
    /// one works, and back while one sleeps.
    fn rest(&self, began: Timestamp, pause: Duration) -> Sleep {
        let (due, longest) = (self.sleep_until(began + pause), self.sleep(pause));
        Box::pin(async move {
            tokio::select! {
                () = due => {}
                () = longest => {}
            }
        })
    }
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep_until(&self, at: Timestamp) -> Sleep {
        Box::pin(async move {
            while let Ok(left) = Duration::try_from(at.duration_since(Self.now())) {
                if left.is_zero() {
                    break;
                }
                tokio::time::sleep(left.min(LONGEST_NAP)).await;
            }
        })
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that stands still until it is turned.
#[derive(Clone, Debug)]
pub struct ManualClock {
    hand: Arc<watch::Sender<Timestamp>>,
}

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self { hand: Arc::new(watch::Sender::new(start)) }
    }

    /// Turns the clock forward and wakes whoever's time has come.
    pub fn advance(&self, by: Duration) {
        self.hand.send_modify(|now| *now += by);
    }

    /// Sets the clock, also backwards.
    pub fn set(&self, to: Timestamp) {
        self.hand.send_replace(to);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.hand.borrow()
    }

    fn sleep_until(&self, at: Timestamp) -> Sleep {
        let mut hand = self.hand.subscribe();
        Box::pin(async move {
            if hand.wait_for(|now| *now >= at).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now() + duration)
    }
}

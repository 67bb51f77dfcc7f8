//! Work that costs processor time, on threads of its own and a few at a time, so that the threads that answer calls and
//! deliver are free for whoever else calls meanwhile.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A bound on how much of such work is done at a time; clones share it.
#[derive(Clone, Debug)]
pub struct Pool {
    permits: Arc<Semaphore>,
}

/// The work panicked; what it panicked over is in the log, by place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the work panicked")]
pub struct Panicked;

impl Pool {
    /// At most so many at a time.
    pub fn new(threads: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(threads)) }
    }

    /// One a processor.
    pub fn of_processors() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// Does the work once it is its turn. It goes on to its end when nobody waits for it any more.
    ///
    /// # Errors
    /// When it panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Panicked> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| Panicked)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        done.await.map_err(|_| Panicked)
    }
}

/// One turn at a time, for work that takes many times as much memory as what it is about has bytes; clones share it.
#[derive(Clone, Debug)]
pub struct Turn(Arc<Semaphore>);

impl Default for Turn {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Turn {
    /// Waits for the turn; dropping it gives it to the next.
    pub async fn take(&self) -> Option<OwnedSemaphorePermit> {
        self.0.clone().acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_is_done_a_few_at_a_time_and_a_panic_is_told_and_costs_no_turn() {
        let pool = Pool::new(1);
        assert_eq!(pool.run(|| -> () { panic!("a bug") }).await, Err(Panicked));
        let (first, held) = mpsc::channel::<()>();
        let slow = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(move || held.recv()).await }
        });
        while pool.permits.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let next = pool.run(|| 7);
        tokio::pin!(next);
        assert!(futures_util::poll!(next.as_mut()).is_pending());
        first.send(()).expect("it waits");
        assert_eq!(next.await, Ok(7));
        assert!(slow.await.expect("no panic").is_ok());
    }
}

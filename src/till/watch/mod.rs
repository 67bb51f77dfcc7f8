//! Notices without the till's API what the till should have said: an order that its own numbers betray, and a till that
//! has fallen silent.
//!
//! **Invariant:** nothing is said twice, whatever restarts and whatever the clock does, and nothing of what came meanwhile.

mod gaps;
mod silence;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    order::{Shop, ShopId},
    record::Recorder,
    store::{Store, StoreError},
};

/// How often to look.
const EVERY: Duration = Duration::from_secs(30);

/// A shop that is watched.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The shop.
    pub shop: Shop,
    /// After what time a number that is missing is told; `None` where none is.
    pub gap_after: Option<Duration>,
    /// After what time a silent till is told; `None` where it is not.
    pub silent_after: Option<Duration>,
    /// Whether the till's own list is compared with ours, so that what is missing may yet be found there.
    pub is_compared: bool,
}

/// Watches the tills of all shops.
pub struct Watch {
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who is told of alerts.
    pub recorder: Recorder,
    /// The shops.
    pub shops: Vec<Watched>,
    /// Who compares the till's own list with ours, where somebody does, and for which order it was asked to last.
    comparing: Option<Arc<Notify>>,
    asked: Mutex<HashMap<ShopId, i64>>,
}

impl Watch {
    /// What watches these shops.
    pub fn new(store: Store, clock: Arc<dyn Clock>, recorder: Recorder, shops: Vec<Watched>) -> Self {
        Self { store, clock, recorder, shops, comparing: None, asked: Mutex::default() }
    }

    /// Has the till's own list compared when a number is missing.
    pub fn asking(self, comparing: Arc<Notify>) -> Self {
        Self { comparing: Some(comparing), ..self }
    }

    /// Remembers where the numbers of each shop stand, before the first call is taken: what comes from then on is judged.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn begin(&self) -> Result<(), StoreError> {
        for watched in self.shops.iter().filter(|watched| watched.gap_after.is_some()) {
            gaps::begin(self, &watched.shop).await?;
        }
        Ok(())
    }

    /// Watches until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let began = self.clock.now();
            if let Err(error) = self.pass().await {
                tracing::error!(error = %error, "whether orders are missing could not be looked up; trying again");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.clock.rest(began, EVERY) => {}
            }
        }
    }

    /// Looks once.
    ///
    /// # Errors
    /// When the database does not answer, or something of what was found is not on disk.
    pub async fn pass(&self) -> Result<(), StoreError> {
        // One shop holds up no other.
        let mut looked = Ok(());
        for watched in &self.shops {
            looked = self.look(watched).await.and(looked);
        }
        looked
    }

    async fn look(&self, watched: &Watched) -> Result<(), StoreError> {
        if let Some(gap_after) = watched.gap_after {
            gaps::look(self, watched, gap_after).await?;
        }
        if let Some(silent_after) = watched.silent_after {
            silence::look(self, &watched.shop, silent_after, self.clock.now()).await?;
        }
        Ok(())
    }

    /// Asks for a comparison for the sake of an order (by its place), unless it was asked for one that came after it.
    fn ask_for(&self, shop: &ShopId, opened: i64) {
        let Some(comparing) = &self.comparing else { return };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.insert(shop.clone(), opened).is_none_or(|before| before < opened) {
            comparing.notify_one();
        }
    }
}

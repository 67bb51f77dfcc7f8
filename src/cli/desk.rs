//! What most commands work at: the configuration, the database and the clock.
//!
//! The database is opened beside a running service: what a command enqueues, the service notices within two seconds.

use std::sync::Arc;

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    app::assemble,
    clock::Clock,
    config::Config,
    deliver::Outbox,
    order::day_of,
    record::Recorder,
    store::{Access, OpenError, Store},
    upkeep,
};

/// A place to work at.
pub struct Desk {
    /// What the operator decided.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What writes events.
    pub recorder: Recorder,
}

impl Desk {
    /// Opens the database of this configuration.
    ///
    /// # Errors
    /// When there is none yet, or it cannot be used.
    pub async fn open(config: Config, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let store = upkeep::open(&config.storage.path, Access::Command, clock.now()).await?;
        let recorder = Recorder::new(store.clone(), clock.clone(), assemble::policy(&config));
        Ok(Self { config, store, clock, recorder })
    }

    /// Closes the database. What was written is on disk before that; this leaves its files tidy.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What delivers, for the parts of it that a command uses.
    pub fn outbox(&self) -> Outbox {
        assemble::outbox(&self.config, self.store.clone(), self.clock.clone(), self.recorder.clone())
    }

    /// The zone of a shop's wall clock; for what concerns no shop, or one that is no longer configured, the first shop's.
    pub fn zone(&self, shop: Option<&str>) -> TimeZone {
        let named = self.config.shops.iter().find(|(id, _)| Some(id.as_str()) == shop);
        let settings = named.map(|(_, settings)| settings).or_else(|| self.config.shops.values().next());
        settings.map_or(TimeZone::UTC, |settings| settings.shop.timezone.clone())
    }

    /// The day on a shop's wall.
    pub fn today(&self, shop: Option<&str>) -> Date {
        day_of(self.now(), &self.zone(shop))
    }

    /// A time on a shop's wall clock: `2026-11-21 14:05`.
    pub fn time(&self, at: Timestamp, shop: Option<&str>) -> String {
        at.to_zoned(self.zone(shop)).strftime("%Y-%m-%d %H:%M").to_string()
    }
}

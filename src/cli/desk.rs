//! What most commands work at: the configuration, the database and the clock.
//!
//! The database is opened beside a running service: what a command enqueues, the service notices within two seconds. What a
//! command leaves out because it cannot be read is remembered here, and said at its end ([`Desk::tell_left_out`]).

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::print::{counted, harmless};
use crate::{
    app::assemble,
    clock::Clock,
    config::Config,
    deliver::Outbox,
    order::{DeliveryId, OrderKey, day_of},
    record::Recorder,
    store::{Access, InvoiceRow, OpenError, Rows, Store, StoreError, StoredDelivery, UnreadableRow},
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
    left_out: Mutex<Vec<UnreadableRow>>,
}

/// How many rows that cannot be read are named.
const NAMED: usize = 50;

impl Desk {
    /// Opens the database of this configuration.
    ///
    /// # Errors
    /// When there is none yet, or it cannot be used.
    pub async fn open(config: Config, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let store = upkeep::open(&config.storage.path, Access::Command, clock.now()).await?;
        Ok(Self::at(config, store, clock))
    }

    /// At a database that is open.
    pub fn at(config: Config, store: Store, clock: Arc<dyn Clock>) -> Self {
        let recorder = Recorder::new(store.clone(), clock.clone(), assemble::policy(&config));
        Self { config, store, clock, recorder, left_out: Mutex::default() }
    }

    /// The rows that can be read; the others are named at the end of the command.
    pub fn readable<T>(&self, rows: Rows<T>) -> Vec<T> {
        let (rows, unreadable) = rows.into_parts();
        self.leave_out(unreadable);
        rows
    }

    /// Rows that cannot be read, to be named at the end of the command.
    pub fn leave_out(&self, unreadable: impl IntoIterator<Item = UnreadableRow>) {
        let Ok(mut left_out) = self.left_out.lock() else { return };
        for row in unreadable {
            if !left_out.contains(&row) {
                left_out.push(row);
            }
        }
    }

    /// The invoice of an order; none, and named at the end of the command, where it cannot be read.
    ///
    /// # Errors
    /// What the database says.
    pub async fn invoice(&self, order: OrderKey) -> Result<Option<InvoiceRow>, StoreError> {
        match self.store.invoice(order).await {
            Err(StoreError::Corrupt(reason)) => {
                let (what, name) = ("invoice of order", order.to_string());
                self.leave_out([UnreadableRow { what, name, shop: None, reason }]);
                Ok(None)
            }
            invoice => invoice,
        }
    }

    /// A delivery with its attempts, as far as they can be read; what cannot be is named at the end of the command.
    ///
    /// # Errors
    /// What the database says.
    pub async fn delivery(&self, id: DeliveryId) -> Result<Option<StoredDelivery>, StoreError> {
        match self.store.delivery(id).await {
            Err(StoreError::Corrupt(reason)) => {
                let (what, name) = ("delivery", id.to_string());
                self.leave_out([UnreadableRow { what, name, shop: None, reason }]);
                Ok(None)
            }
            delivery => {
                let delivery = delivery?;
                self.leave_out(delivery.iter().flat_map(|delivery| delivery.unreadable.clone()));
                Ok(delivery)
            }
        }
    }

    /// Names what was left out, and says what to do about it.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn tell_left_out(&self, err: &mut dyn Write) -> io::Result<()> {
        let left_out = self.left_out.lock().map(|mut rows| std::mem::take(&mut *rows)).unwrap_or_default();
        if left_out.is_empty() {
            return Ok(());
        }
        let rows = counted(left_out.len() as u64, "row cannot be read, and is", "rows cannot be read, and are");
        writeln!(err, "warning: {rows} left out here:")?;
        left_out.iter().take(NAMED).try_for_each(|row| writeln!(err, "  {}", harmless(&row.to_string())))?;
        if left_out.len() > NAMED {
            writeln!(err, "  and {} more", left_out.len() - NAMED)?;
        }
        writeln!(err, "  fix: see \"A row that cannot be read\" in docs/en/backup.md: restore a backup, or report it")
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

//! The backup that the service makes each night by itself.
//!
//! One that fails is tried again every hour; the first failure in a row is logged, and told as `storage.low` where room is
//! what is missing. `/readyz` warns until one succeeds.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    deliver::Outbox,
    order::EventType,
    record::Alert,
    store::{DATABASE, LARGEST_SHARE, LOW, StoreError},
    upkeep::{self, Backup, BackupError, Nightly},
};

/// How long after a backup that failed the next one is tried.
const AGAIN: Duration = Duration::from_hours(1);

/// Makes a backup each night until `stop`; one that is under way then is thrown away.
pub(super) async fn run(
    outbox: Outbox,
    directory: PathBuf,
    nightly: Nightly,
    failed: Arc<AtomicBool>,
    stop: CancellationToken,
) {
    let night = Night { outbox, directory, nightly, stop, failed };
    while !night.stop.is_cancelled() {
        let again_at = night.pass().await;
        tokio::select! {
            () = night.stop.cancelled() => {}
            () = night.outbox.clock.sleep_until(again_at) => {}
        }
    }
}

struct Night {
    outbox: Outbox,
    directory: PathBuf,
    nightly: Nightly,
    stop: CancellationToken,
    /// Whether the last backup failed, and was spoken of.
    failed: Arc<AtomicBool>,
}

impl Night {
    /// Makes the backup that is due, where there is none yet, and says when to look again.
    async fn pass(&self) -> Timestamp {
        let now = self.outbox.clock.now();
        match self.back_up(now).await {
            Ok(made) => {
                if let Some(made) = made {
                    self.said(&made);
                }
                self.failed.store(false, Ordering::Relaxed);
                self.nightly.next(now)
            }
            Err(BackupError::Stopped) => now + AGAIN,
            Err(error) => {
                if !self.failed.swap(true, Ordering::Relaxed) {
                    self.tell(&error).await;
                }
                self.nightly.next(now).min(now + AGAIN)
            }
        }
    }

    /// Makes the backup. `None` where it is there, or where there is nothing to keep yet.
    async fn back_up(&self, now: Timestamp) -> Result<Option<Backup>, BackupError> {
        let file = self.directory.join(upkeep::FOLDER).join(self.nightly.name(self.nightly.due(now)));
        if file.exists() || self.outbox.store.is_empty().await.map_err(BackupError::Store)? {
            return Ok(None);
        }
        if !self.has_room() {
            return Err(BackupError::Full(self.directory.join(upkeep::FOLDER)));
        }
        upkeep::make(&self.outbox.store, &self.directory, &file, false, now, &self.stop).await.map(Some)
    }

    /// Whether there is ample room for a backup: the database twice, the invoices as the last one held them, and what
    /// selling needs meanwhile. Finding out by filling the disk would refuse calls.
    fn has_room(&self) -> bool {
        let Ok(disk) = rustix::fs::statvfs(&self.directory) else { return true };
        let size = |file: PathBuf| file.metadata().map_or(0, |file| file.len());
        let folder = std::fs::read_dir(self.directory.join(upkeep::FOLDER)).into_iter().flatten().flatten();
        let largest = folder.map(|entry| size(entry.path())).max().unwrap_or(0);
        let spare = LOW.min(disk.f_blocks.saturating_mul(disk.f_frsize) / LARGEST_SHARE);
        let needed = 2 * size(self.directory.join(DATABASE)) + largest + spare;
        disk.f_bavail.saturating_mul(disk.f_frsize) >= needed
    }

    fn said(&self, made: &Backup) {
        tracing::info!(
            backup.file = %made.file.display(),
            backup.bytes = made.bytes,
            backup.orders = made.orders,
            backup.invoices = made.invoices,
            "the nightly backup was made and read back"
        );
        if !made.missing.is_empty() {
            tracing::error!(
                invoices = made.missing.len(),
                "invoices are lost or changed on disk, and not in the backup; see `tillhook invoices verify`"
            );
        }
        if let Err(error) = self.nightly.rotate(&self.directory.join(upkeep::FOLDER)) {
            tracing::warn!(error = %error, "old nightly backups could not be deleted");
        }
    }

    async fn tell(&self, error: &BackupError) {
        tracing::error!(error = %error, "the nightly backup failed; it is tried again every hour");
        let is_full = matches!(error, BackupError::Full(_) | BackupError::Store(StoreError::Full));
        if is_full && let Err(error) = self.outbox.recorder.alert(self.storage_low()).await {
            tracing::error!(error = %error, "nobody could be told that the disk is nearly full");
        }
    }

    fn storage_low(&self) -> Alert {
        let free = rustix::fs::statvfs(&self.directory).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        let facts = json!({ "free": free, "path": self.directory });
        Alert {
            kind: EventType::StorageLow,
            shop: None,
            about: None,
            facts: facts.as_object().cloned().unwrap_or_default(),
            also: None,
            marks_told: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::{civil::time, tz::TimeZone};

    use super::*;
    use crate::{
        clock::{Clock, ManualClock},
        deliver::large_messages,
        invoice::Archive,
        record::{Policy, Recorder},
        store::{Access, Store},
    };

    #[tokio::test]
    async fn a_backup_that_finds_no_room_is_told_with_what_is_left_and_where() {
        let home = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new("2026-11-22T02:30:00Z".parse().unwrap()));
        let store = Store::open(home.path(), Access::Service).await.unwrap();
        let recorder = Recorder::new(
            store.clone(),
            clock.clone(),
            Policy { shops: Default::default(), rules: Vec::new(), largest_order: usize::MAX },
        );
        let archive = Archive::new(home.path().to_owned());
        let outbox = Outbox {
            store: store.clone(),
            clock,
            recorder,
            archive,
            public_url: None,
            names: Default::default(),
            large: large_messages(),
        };
        let nightly = Nightly { at: time(3, 30, 0, 0), zone: TimeZone::UTC, keep: 7 };
        let directory = home.path().to_owned();
        let night = Night { outbox, directory, nightly, stop: CancellationToken::new(), failed: Arc::default() };
        night.tell(&BackupError::Busy(home.path().to_owned())).await;
        night.tell(&BackupError::Full(home.path().to_owned())).await;
        let events = store.events_after(0, 10).await.unwrap();
        assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventType::StorageLow]);
        let data: serde_json::Value = serde_json::from_str(&events[0].data).unwrap();
        assert!(data["free"].is_u64(), "{data}");
        assert_eq!(data["path"], home.path().to_str().unwrap());
        store.close().await;
    }
}

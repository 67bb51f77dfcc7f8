//! The room that the database has: what is free, what is set aside, and whether somebody was told that it is short.
//!
//! The reserve is a file of allocated blocks beside the database. When a commit finds the disk full the writer empties the
//! file and commits once more, so that selling goes on while a person is told; only when that room is used up too is the
//! till answered 503.
//!
//! **Invariant:** the reserve takes at most [`LARGEST_SHARE`] of the file system, and is only made while space stays
//! free beside it.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use tokio::sync::watch;

use super::{Changes, Store, StoreError, changes, micros};

/// The reserve, and the mark below which space is low, are at most one part in so many of the file system (5 %).
pub const LARGEST_SHARE: u64 = 20;

/// Less free space than this is low, in bytes: what a few days of a busy shop's invoices take (64 MiB).
pub const LOW: u64 = 64 << 20;

/// The room as it is now, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What may still be written, besides the reserve.
    pub free: u64,
    /// Less than this is low.
    pub low_below: u64,
    /// Whether all of the reserve is set aside.
    pub is_reserve_whole: bool,
}

impl Space {
    /// Whether a person should know.
    pub fn is_low(self) -> bool {
        self.free < self.low_below || !self.is_reserve_whole
    }

    /// Whether it is so clearly over that the next time is another time.
    pub fn is_ample(self) -> bool {
        self.free >= 2 * self.low_below && self.is_reserve_whole
    }
}

/// The reserve of one data directory; cheap to clone.
#[derive(Clone)]
pub(super) struct Reserve {
    file: PathBuf,
    releases: Arc<watch::Sender<u64>>,
}

impl Reserve {
    /// Nothing is set aside until [`Store::set_aside`].
    pub fn new(directory: &Path) -> Self {
        Self { file: directory.join("tillhook.reserve"), releases: Arc::new(watch::Sender::new(0)) }
    }

    /// Gives its room back to the file system. Returns whether there was any.
    pub fn release(&self) -> bool {
        if self.len() == 0 || OpenOptions::new().write(true).truncate(true).open(&self.file).is_err() {
            return false;
        }
        tracing::error!("the disk is full: what was set aside for this is used now; make room, or enlarge the disk");
        self.releases.send_modify(|count| *count += 1);
        true
    }

    fn len(&self) -> u64 {
        std::fs::metadata(&self.file).map_or(0, |file| file.len())
    }

    fn resize(&self, size: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.file)?;
        let made = if size > 0 { allocate(&file, size) } else { Ok(()) };
        // What could only be had in part is no reserve, and stands in the way.
        file.set_len(if made.is_ok() { size } else { 0 })?;
        made
    }

    /// Makes the reserve whole where there is room, and says how things are then.
    fn set_aside(&self, wanted: u64) -> io::Result<Space> {
        let directory = self.file.parent().unwrap_or(Path::new("."));
        let found = statvfs(directory)?;
        let share = found.f_blocks * found.f_frsize / LARGEST_SHARE;
        let (wanted, low_below) = (wanted.min(share), LOW.min(share));
        let free = found.f_bavail * found.f_frsize;
        let missing = wanted.saturating_sub(self.len());
        if self.len() != wanted && free >= missing + low_below {
            self.resize(wanted)?;
        }
        let free = statvfs(directory)?.f_bavail * found.f_frsize;
        Ok(Space { free, low_below, is_reserve_whole: self.len() >= wanted })
    }
}

fn allocate(file: &File, size: u64) -> io::Result<()> {
    fallocate(file, FallocateFlags::empty(), 0, size)?;
    Ok(())
}

impl Store {
    /// Makes the reserve `wanted` bytes large (or as large as the file system allows) where there is room for it, and
    /// looks at what is free. Not in any transaction.
    ///
    /// # Errors
    /// What the file system says.
    pub fn set_aside(&self, wanted: u64) -> io::Result<Space> {
        self.inner.reserve.set_aside(wanted)
    }

    /// Counts how often the reserve was used.
    pub fn releases(&self) -> watch::Receiver<u64> {
        self.inner.reserve.releases.subscribe()
    }

    /// Writes an alert, unless one was written since [`Store::space_is_ample`]. Returns whether it was. Atomic.
    ///
    /// # Errors
    /// When nothing of it is on disk.
    pub async fn tell_of_space(
        &self,
        now: Timestamp,
        alert: impl Fn() -> Changes + Send + Sync + 'static,
    ) -> Result<bool, StoreError> {
        let alert = Arc::new(alert);
        self.write(move |conn| {
            let alert = alert.clone();
            Box::pin(async move {
                let told = sqlx::query("INSERT OR IGNORE INTO space_outage (id, told_at) VALUES (1, $1)")
                    .bind(micros(now))
                    .execute(&mut *conn)
                    .await?;
                if told.rows_affected() == 0 {
                    return Ok(false);
                }
                changes::apply(conn, alert()).await?;
                Ok::<_, sqlx::Error>(true)
            })
        })
        .await
    }

    /// The next time that space is low is told again. Returns whether it was low until now.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn space_is_ample(&self) -> Result<bool, StoreError> {
        let told: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM space_outage)").fetch_one(self.readers()).await?;
        if !told {
            return Ok(false);
        }
        self.write(|conn| {
            Box::pin(async move { sqlx::query("DELETE FROM space_outage").execute(conn).await.map(drop) })
        })
        .await?;
        Ok(true)
    }
}

//! The room that the database has: what is free, what is set aside, and whether somebody was told that it is short.
//!
//! The reserve is a file of allocated blocks beside the database. When a commit finds the disk full the writer gives most of
//! it back and commits once more, so that selling goes on while a person is told. The last part is kept for telling: it
//! is given back for what is no call of the till, and while it is in use calls are refused (503), or they would take it.
//!
//! **Invariant:** the reserve takes at most [`LARGEST_SHARE`] of the file system, and is only made while space stays
//! free beside it.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
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

/// One part in so many of the reserve is kept for deliveries and alerts.
const LAST_PART: u64 = 4;

/// The reserve of one data directory; cheap to clone.
#[derive(Clone)]
pub(super) struct Reserve {
    directory: PathBuf,
    state: Arc<State>,
}

/// In bytes; both are 0 until [`Store::set_aside`].
#[derive(Default)]
struct State {
    wanted: AtomicU64,
    left: AtomicU64,
    releases: watch::Sender<u64>,
}

impl Reserve {
    /// Nothing is set aside until [`Store::set_aside`].
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), state: Arc::default() }
    }

    /// The disk is full: gives room back, the last part only for `the_rest`, which is no call of the till. Returns
    /// whether there was any.
    pub fn release(&self, the_rest: bool) -> bool {
        let keep = if the_rest { 0 } else { self.wanted() / LAST_PART };
        if self.left() <= keep {
            return false;
        }
        if let Err(error) = self.file().and_then(|file| file.set_len(keep)) {
            tracing::error!(error = %error, "what was set aside for a full disk cannot be used");
            return false;
        }
        tracing::error!(storage.left = keep, "the disk is full: using what was set aside for this; make room on it");
        self.state.left.store(keep, Relaxed);
        self.state.releases.send_modify(|count| *count += 1);
        true
    }

    /// Whether calls may be taken in: not while the last part is in use, unless more than that is free.
    pub fn admits_calls(&self) -> bool {
        let wanted = self.wanted();
        wanted == 0 || self.left() > 0 || self.look().is_ok_and(|(free, _)| free > wanted / LAST_PART)
    }

    fn wanted(&self) -> u64 {
        self.state.wanted.load(Relaxed)
    }

    fn left(&self) -> u64 {
        self.state.left.load(Relaxed)
    }

    fn path(&self) -> PathBuf {
        self.directory.join("tillhook.reserve")
    }

    fn file(&self) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.path())
    }

    /// What is free, and how large the file system is, in bytes.
    fn look(&self) -> io::Result<(u64, u64)> {
        let found = statvfs(&self.directory)?;
        Ok((found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize))
    }

    fn resize(&self, size: u64) -> io::Result<()> {
        let file = self.file()?;
        let made = if size > 0 { allocate(&file, size) } else { Ok(()) };
        // What could only be had in part is no reserve, and stands in the way; what was there before is kept.
        let size = if made.is_ok() { size } else { self.left().min(size) };
        file.set_len(size)?;
        self.state.left.store(size, Relaxed);
        made
    }

    /// Makes the reserve whole where there is room, and says how things are then, also where it could not be made.
    fn set_aside(&self, wanted: u64) -> io::Result<(Space, io::Result<()>)> {
        let (free, size) = self.look()?;
        let (wanted, low_below) = (wanted.min(size / LARGEST_SHARE), LOW.min(size / LARGEST_SHARE));
        let left = std::fs::metadata(self.path()).map_or(0, |file| file.len());
        self.state.left.store(left, Relaxed);
        self.state.wanted.store(wanted, Relaxed);
        let mut made = Ok(());
        if left != wanted && free >= wanted.saturating_sub(left) + low_below {
            made = self.resize(wanted);
        }
        Ok((Space { free: self.look()?.0, low_below, is_reserve_whole: self.left() >= wanted }, made))
    }
}

fn allocate(file: &File, size: u64) -> io::Result<()> {
    fallocate(file, FallocateFlags::empty(), 0, size)?;
    Ok(())
}

impl Store {
    /// Makes the reserve `wanted` bytes large (or as large as the file system allows) where there is room for it, and
    /// looks at what is free; says beside it whether the reserve could be made. Not in any transaction.
    ///
    /// # Errors
    /// When the disk cannot be looked at.
    pub fn set_aside(&self, wanted: u64) -> io::Result<(Space, io::Result<()>)> {
        self.inner.reserve.set_aside(wanted)
    }

    /// Counts how often the reserve was used.
    pub fn releases(&self) -> watch::Receiver<u64> {
        self.inner.reserve.state.releases.subscribe()
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

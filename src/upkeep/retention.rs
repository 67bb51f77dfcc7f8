//! Retention: what is older than the configuration keeps it goes, in small steps that the till does not feel.
//!
//! Each step is one transaction over a few hundred rows, in a commit that no call of the till shares; between two of them
//! whatever waits is written first. On a full disk a step fails by itself, nothing is lost, and the round begins again an
//! hour later. The database file does not shrink: its free space is used again.

use std::sync::Arc;

use jiff::{Span, Timestamp, tz::TimeZone};
use tokio_util::sync::CancellationToken;

use super::copies;
use crate::{
    clock::Clock,
    invoice::{Archive, ArchiveError},
    store::{PrunedRows, Store, StoreError},
};

/// How often to look for what is old.
pub const EVERY: std::time::Duration = std::time::Duration::from_hours(1);

/// How long things are kept (contract §4); calendar spans, counted in UTC.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Bodies and queries of calls.
    pub raw: Span,
    /// Attempts.
    pub attempts: Span,
    /// Orders, events, deliveries and receipts.
    pub events: Span,
    /// Invoices.
    pub invoices: Span,
    /// Copies from before an upgrade or a restore.
    pub copies: Span,
}

/// What a round pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Bodies that were emptied.
    pub bodies: u64,
    /// Attempts that were deleted.
    pub attempts: u64,
    /// Events that were deleted, their orders and deliveries with them.
    pub events: u64,
    /// Receipts that were deleted.
    pub receipts: u64,
    /// Invoices whose files were forgotten.
    pub invoices: u64,
}

/// Why a round ended before its end.
#[derive(Debug, thiserror::Error)]
enum RetentionError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("a copy from before an upgrade or a restore: {0}")]
    Copies(std::io::Error),
}

/// What is pruned step by step.
#[derive(Clone, Copy)]
enum Table {
    Bodies,
    Attempts,
    Events,
    Receipts,
}

/// Prunes one data directory.
pub struct Retention {
    store: Store,
    archive: Archive,
    keep: Keep,
    clock: Arc<dyn Clock>,
    /// Receipts up to here have no old body any more; they stay for years, and need not be looked at every hour.
    bodies_after: i64,
}

impl Retention {
    /// Prunes what is in `store` and `archive`.
    pub fn new(store: Store, archive: Archive, keep: Keep, clock: Arc<dyn Clock>) -> Self {
        Self { store, archive, keep, clock, bodies_after: 0 }
    }

    /// Prunes now, and every hour, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let next = self.clock.now() + EVERY;
            self.round(&stop).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    /// Prunes everything that is old now, or until `stop`. What fails is logged, and left for the next round.
    pub async fn round(&mut self, stop: &CancellationToken) -> Pruned {
        let mut pruned = Pruned::default();
        let ended = self.prune(&mut pruned, stop).await.and(self.remove_copies().await);
        if let Err(error) = &ended {
            tracing::warn!(error = %error, "what is older than it is to be kept could not all be removed; trying again in an hour");
        }
        if pruned != Pruned::default() {
            let Pruned { bodies, attempts, events, receipts, invoices } = pruned;
            tracing::info!(bodies, attempts, events, receipts, invoices, "removed what is older than it is to be kept");
        }
        if ended.is_err() || pruned != Pruned::default() {
            // A step that failed on a full disk has left the log as large as it could get.
            if let Err(error) = self.store.checkpoint().await {
                tracing::warn!(error = %error, "the write-ahead log could not be brought back to nothing; trying again");
            }
        }
        pruned
    }

    /// Each is logged by name, for nobody asked for it to go.
    async fn remove_copies(&self) -> Result<(), RetentionError> {
        let (directory, now, keep) = (self.archive.root().to_owned(), self.clock.now(), self.keep.copies);
        let removed = tokio::task::spawn_blocking(move || copies::remove_old(&directory, now, keep)).await;
        removed.unwrap_or_else(|error| Err(std::io::Error::other(error))).map(drop).map_err(RetentionError::Copies)
    }

    /// What fails keeps nothing else from being removed; the first error is returned.
    async fn prune(&mut self, pruned: &mut Pruned, stop: &CancellationToken) -> Result<(), RetentionError> {
        let now = self.clock.now();
        // Files first: their space is free at once, and the rest may need it.
        let invoices = self.prune_invoices(before(now, self.keep.invoices), &mut pruned.invoices, stop).await;
        let (raw, events) = (before(now, self.keep.raw), before(now, self.keep.events));
        let bodies = self.steps(Table::Bodies, self.bodies_after, raw, &mut pruned.bodies, stop).await;
        let bodies = bodies.map(|after| self.bodies_after = after);
        let resolved = self.store.prune_resolved_bodies(raw).await.map(|rows| pruned.bodies += rows);
        let attempts =
            self.steps(Table::Attempts, 0, before(now, self.keep.attempts), &mut pruned.attempts, stop).await;
        let over = self.steps(Table::Events, 0, events, &mut pruned.events, stop).await;
        let receipts = self.steps(Table::Receipts, 0, events, &mut pruned.receipts, stop).await;
        let notices = self.store.prune_notices(events).await;
        let rows = bodies.and(resolved).and(attempts).and(over).and(receipts).and(notices);
        invoices.and(rows.map_err(Into::into))
    }

    /// Takes one step after another until there is nothing left to look at. Returns how far it came.
    async fn steps(
        &self,
        table: Table,
        mut after: i64,
        before: Timestamp,
        count: &mut u64,
        stop: &CancellationToken,
    ) -> Result<i64, StoreError> {
        while !stop.is_cancelled() {
            let step = match table {
                Table::Bodies => self.store.prune_bodies(after, before).await?,
                Table::Attempts => self.store.prune_attempts(after, before).await?,
                Table::Events => self.store.prune_events(after, before).await?,
                Table::Receipts => self.store.prune_receipts(after, before).await?,
            };
            let Some(PrunedRows { last, rows }) = step else { break };
            after = last;
            *count += rows;
        }
        Ok(after)
    }

    /// Removes files that no younger row refers to, then what the rows know of them: a crash in between leaves rows that
    /// the next round finds again, and no file that nobody knows of.
    /// A file that cannot be removed keeps its row.
    async fn prune_invoices(
        &self,
        before: Timestamp,
        forgotten: &mut u64,
        stop: &CancellationToken,
    ) -> Result<(), RetentionError> {
        let (mut removed, mut after) = (Ok(()), None);
        while !stop.is_cancelled() {
            let old = self.store.old_invoices(after, before).await?;
            let Some(last) = old.last() else { break };
            after = Some(last.order);
            let mut orders = Vec::with_capacity(old.len());
            for invoice in old {
                let gone = if invoice.shared { Ok(()) } else { self.archive.remove(&invoice.path).await };
                match gone {
                    Ok(()) => orders.push(invoice.order),
                    Err(error) => removed = removed.and(Err(error.into())),
                }
            }
            *forgotten += self.store.forget_invoices(&orders, before).await?;
        }
        removed
    }
}

/// The time before which things are old; what is kept for longer than the calendar goes back is never old.
pub(super) fn before(now: Timestamp, keep: Span) -> Timestamp {
    let now = now.to_zoned(TimeZone::UTC);
    now.checked_sub(keep).map_or(Timestamp::MIN, |then| then.timestamp())
}

//! The database: the only place that knows SQL, and that it is SQLite.
//!
//! One writer commits in groups (`writer.rs`), read-only connections answer everything else. What is written together
//! and survives together is said by each function. Files here follow the tables: calls and orders (`intake.rs`,
//! `view/`, `changes.rs`), the outbox (`outbox.rs`, `attempts.rs`, `review.rs`), sinks and their limits, invoices, whether the till confirms its calls
//! and what waits for that (`verifications.rs`, `holds.rs`), the books and the summaries of them (`books.rs`, `digests.rs`),
//! what people list (`listing.rs`), mean (`finding.rs`) or read in place of numbers (`names.rs`), and what goes
//! (`retention.rs`, `erasure.rs`). A row that cannot be read stops no other (`rows.rs`). `schema.rs`, `detached.rs` and `swap.rs` are about whole files: migrations, copies, and
//! putting a copy in the database's place; `space.rs` is about the disk below.
//!
//! **Invariant:** a function that returns `Ok` after writing has committed with `synchronous=FULL`.

mod attempts;
mod books;
mod changes;
mod connect;
mod customers;
mod detached;
mod digests;
mod erasure;
mod finding;
mod holds;
mod intake;
mod invoices;
mod limits;
mod listing;
mod missing;
mod names;
mod numbers;
mod opaque;
mod outbox;
mod pages;
mod quarantine;
mod reading;
mod recipients;
mod reconciliation;
mod retention;
mod review;
mod rows;
mod schema;
mod silence;
mod sinks;
mod space;
mod swap;
#[cfg(test)]
mod tests;
mod unlisted;
mod unread;
mod verifications;
mod view;
mod writer;

use std::{path::Path, sync::Arc};

use futures_util::future::BoxFuture;
use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::watch;

use crate::json;

pub use attempts::{AttemptRow, Finished, Verdict};
pub use books::{Booked, BookedFile, CashBoxEvent};
pub use changes::{Changes, DeliveryMerge, NewDelivery, NewEvent, NewReceipt, Raw, SavedOrder};
pub use connect::{Access, DATABASE, OpenError, is_served};
pub use customers::{CustomerLine, KeptBody};
pub use detached::{Detached, Heading, HeldBack, InvoiceFile};
pub use digests::{ChangedOrder, DigestLine, DigestPlan, MadeDigest, NOTHING_TO_TELL, NewDigest};
pub use erasure::ErasedRows;
pub use finding::Called;
pub use holds::{Accepted, CallId, Holding};
pub use intake::{Intake, Keys, Numbered};
pub use invoices::{DueInvoice, FetchFailure, GivenUp, InvoiceRow, StoredFile};
pub use limits::LIMIT;
pub use listing::{
    DeliveryFilter, DeliveryLine, InvoiceLine, OrderFilter, OrderLine, QuarantineLine, ReceiptOutcome, SinkLine,
};
pub use missing::{Look, MissingOrder, NumberWatch};
pub use names::NameList;
pub use numbers::OrderNumbers;
pub use opaque::Opaque;
pub use outbox::{Candidate, Found, Started, Unreadable};
pub use quarantine::QuarantinedBody;
pub use reading::{FeedItem, StoredAttempt, StoredDelivery, StoredEvent, StoredOrder};
pub use recipients::{RecipientRow, RecipientStatus, RefusedRecipient, Shared};
pub use reconciliation::{FoundOrder, ListedNumbers, NotCompared, Reconciliation};
pub use retention::{OldInvoice, PrunedRows};
pub use review::Review;
pub use rows::{Rows, UnreadableRow};
pub use schema::{Outdated, Schema};
pub use silence::TillWord;
pub use sinks::SinkState;
pub use space::{LARGEST_SHARE, LOW, Space};
pub use swap::{ASIDE, Replacement};
pub use unlisted::{Announced, UnlistedOrder};
pub use verifications::{Asked, DueVerification, NewVerification};
pub use view::{KnownDelivery, KnownInvoice, KnownOrder, View};

/// A handle on the database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    writer: writer::Writer,
    readers: SqlitePool,
    reserve: space::Reserve,
    logged: rows::Logged,
    /// Held for as long as a service runs on this directory.
    _lock: Option<std::fs::File>,
}

/// Why the database did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A statement, a commit or a connection failed. Nothing of this call is on disk.
    #[error("the database could not be used: {0}")]
    Database(String),
    /// The disk is full. Nothing of this call is on disk.
    #[error("the disk is full")]
    Full,
    /// Another program kept the database to itself for longer than we wait. Nothing of this call is on disk.
    #[error("another program keeps the database busy")]
    Busy,
    /// The store is shutting down.
    #[error("the database is closed")]
    Closed,
    /// The calls of one commit are about more than is held in memory at a time. Nothing of it is on disk, and each is taken
    /// by itself.
    #[error("the calls of a commit are about too much")]
    TooMuch,
    /// We panicked over it. Nothing of this call is on disk.
    #[error("a bug in tillhook was contained")]
    Bug,
    /// What is stored cannot be read back. It says which part, and quotes nothing of it.
    #[error("a stored value cannot be read: {0}")]
    Corrupt(String),
}

/// SQLite's codes for a full disk and for a lock that another program holds (<https://sqlite.org/rescode.html>). The low
/// byte of an extended code is the plain one.
const SQLITE_FULL: u32 = 13;
const SQLITE_BUSY: u32 = 5;

impl StoreError {
    /// Why a value cannot be read, where that is all that is wrong.
    ///
    /// # Errors
    /// Any other error: that of the database stays one.
    pub fn corrupt_only(self) -> Result<String, Self> {
        match self {
            Self::Corrupt(reason) => Ok(reason),
            other => Err(other),
        }
    }

    /// What was read, where it can be.
    ///
    /// # Errors
    /// The same.
    pub fn readable<T>(read: Result<T, Self>) -> Result<Option<T>, Self> {
        read.map(Some).or_else(|error| error.corrupt_only().map(|_| None))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        // The database answered; what it holds is not what we wrote.
        if let sqlx::Error::ColumnDecode { source, .. } | sqlx::Error::Decode(source) = &error {
            return Self::Corrupt(match () {
                () if source.is::<std::str::Utf8Error>() => "a text that is not UTF-8".to_owned(),
                () if source.is::<sqlx::error::UnexpectedNullError>() => "something that is not there".to_owned(),
                () => "a value that cannot be what it is for".to_owned(),
            });
        }
        let code = error.as_database_error().and_then(|cause| cause.code()?.parse::<u32>().ok());
        match code.map(|code| code & 0xff) {
            Some(SQLITE_FULL) => Self::Full,
            Some(SQLITE_BUSY) => Self::Busy,
            _ => Self::Database(error.to_string()),
        }
    }
}

impl Store {
    /// Opens, and for a service creates, the database under `directory`.
    ///
    /// # Errors
    /// Says what to do when the directory cannot be used, another service runs on it, or the schema is newer.
    /// [`OpenError::Older`] where it has to be migrated first (see [`Outdated`]).
    pub async fn open(directory: &Path, access: Access) -> Result<Self, OpenError> {
        Self::open_as(directory, access, &Schema::ours()).await
    }

    /// The same for a program whose tables are these.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_as(directory: &Path, access: Access, schema: &Schema) -> Result<Self, OpenError> {
        let connect::Opened { writer, connect, readers, lock } = connect::open(directory, access, schema).await?;
        let reserve = space::Reserve::new(directory);
        let writer = writer::Writer::start(writer, connect, reserve.clone(), access == Access::Service);
        Ok(Self { inner: Arc::new(Inner { writer, readers, reserve, logged: rows::Logged::default(), _lock: lock }) })
    }

    /// Counts the commits. Subscribe *before* looking for work: whatever is committed afterwards is then noticed.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.inner.writer.commits()
    }

    /// Finishes what is queued, checkpoints the log and closes every connection.
    pub async fn close(&self) {
        self.inner.writer.close().await;
        self.inner.readers.close().await;
    }

    /// Whether calls can be stored: commits a transaction that changes a row, and asks for the room that calls need. What
    /// is kept for deliveries and alerts would take that row on a disk on which every call is refused.
    ///
    /// # Errors
    /// What the database says; [`StoreError::Full`] while calls are refused.
    pub async fn probe(&self) -> Result<(), StoreError> {
        // A row that changes: a commit of nothing would succeed on a full disk.
        const PROBE: &str =
            "INSERT INTO probe (id, times) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET times = times + 1";
        self.write(|conn| Box::pin(async move { sqlx::query(PROBE).execute(conn).await.map(drop) })).await?;
        if self.inner.reserve.admits_calls() { Ok(()) } else { Err(StoreError::Full) }
    }

    /// Brings the write-ahead log back to nothing where no reader needs it. Returns whether it is.
    ///
    /// # Errors
    /// What the database says.
    pub async fn checkpoint(&self) -> Result<bool, StoreError> {
        self.inner.writer.checkpoint().await
    }

    /// Writes a consistent copy of the database as it is now to `to`, readable by us alone. Others read and write
    /// meanwhile.
    ///
    /// # Errors
    /// When there is no complete copy.
    pub async fn snapshot(&self, to: &Path) -> Result<(), StoreError> {
        let mut reader = self.readers().acquire().await?;
        detached::copy(&mut reader, to).await
    }

    /// Whether nothing was ever stored here.
    ///
    /// # Errors
    /// What the database says.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        let empty = sqlx::query_scalar(
            "SELECT NOT EXISTS (SELECT 1 FROM receipt) AND NOT EXISTS (SELECT 1 FROM event)
                 AND NOT EXISTS (SELECT 1 FROM invoice)",
        );
        Ok(empty.fetch_one(self.readers()).await?)
    }

    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.inner.readers
    }

    /// Runs `work` in the writer's next transaction. It may be run more than once; only the last run is committed.
    pub(crate) async fn write<T, E, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        E: Into<StoreError> + 'static,
        F: for<'a> Fn(&'a mut SqliteConnection) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
    {
        self.inner.writer.write(work).await
    }

    /// The same, in a transaction that is nobody else's: when it fails, it fails alone.
    pub(crate) async fn write_alone<T, E, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        E: Into<StoreError> + 'static,
        F: for<'a> Fn(&'a mut SqliteConnection) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
    {
        self.inner.writer.write_alone(work).await
    }

    /// Rewrites the whole file, so that nothing deleted is left in it; [`Store::checkpoint`] does the same for the log.
    /// Nobody can write meanwhile, which takes as long as copying the file. Atomic.
    ///
    /// # Errors
    /// What the database says; the file is then as it was.
    pub async fn rewrite(&self) -> Result<(), StoreError> {
        self.inner.writer.rewrite().await
    }

    /// Takes in one call of the till, or an alert of our own: everything that `intake` plans is in one commit.
    ///
    /// # Errors
    /// When nothing of it is on disk.
    pub async fn take_in<I: Intake>(&self, intake: I) -> Result<I::Outcome, StoreError> {
        self.inner.writer.take_in(intake).await
    }
}

/// A point in time as the database keeps it: microseconds since 1970.
pub(crate) fn micros(at: jiff::Timestamp) -> i64 {
    at.as_microsecond()
}

/// The reverse of [`micros`].
pub(crate) fn timestamp(micros: i64) -> Result<jiff::Timestamp, StoreError> {
    jiff::Timestamp::from_microsecond(micros).map_err(|_| StoreError::Corrupt("a time that cannot be".to_owned()))
}

/// Reads an id or a name back from its column.
pub(crate) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, StoreError> {
    let kind = std::any::type_name::<T>().rsplit("::").next().unwrap_or_default();
    // The error would quote what stands there.
    text.parse().map_err(|_: T::Err| StoreError::Corrupt(format!("a text that is no {kind}")))
}

/// Reads a JSON column back.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, StoreError> {
    json::kept(json).map_err(|error| corrupt(&error))
}

/// Where JSON cannot be read, without what stands there: that may be a customer.
pub(crate) fn corrupt(error: &serde_json::Error) -> StoreError {
    use serde_json::error::Category;
    StoreError::Corrupt(match error.classify() {
        Category::Eof => "its JSON is cut off".to_owned(),
        Category::Syntax | Category::Io => format!("its JSON is broken at character {}", error.column()),
        Category::Data if error.line() == 0 => "its JSON is deeper than is read, or not ours".to_owned(),
        Category::Data => format!("its JSON is not what belongs there, at character {}", error.column()),
    })
}

//! A database file that nobody works on: a copy that is made, checked, and prepared before it takes the place of another.
//!
//! Copies are made by `VACUUM INTO` on a reading connection: one consistent moment, compact, and nobody waits for it.
//! While it runs the write-ahead log cannot start over, so the log grows by what is sold in those seconds and is cut back
//! at the next checkpoint. SQLite's backup interface starts again whenever another connection commits, so that on a busy
//! day it might never end.
//!
//! **Invariant:** a detached file never has a log beside it: it works with a rollback journal.

use std::{collections::BTreeMap, path::Path, time::Duration};

use jiff::Timestamp;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{Schema, StoreError, connect, micros, parse, rows::lossy, schema, sinks::REMOVED};
use crate::order::SinkName;

/// The database's own tables are counted, SQLite's and the list of migrations are not.
const TABLES: &str = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'
    AND name <> '_sqlx_migrations' ORDER BY name";

/// Sinks for which deliveries are open, a row each; sinks to which something may have been sent since, as 0: those for which
/// summaries are made, and all of them where orders are taken from the till's own list. The tables that have them, which
/// the copy of an older program may lack.
const HELD: [(&str, &str); 3] = [
    ("delivery", "SELECT sink, 1 AS open FROM delivery WHERE open = 1"),
    ("digest_plan", "SELECT sink, 0 FROM digest_plan"),
    ("reconciliation", "SELECT sink, 0 FROM sink_state WHERE EXISTS (SELECT 1 FROM reconciliation)"),
];

/// What a file of ours does not have: it would run, or be computed, while we look.
const FOREIGN: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type NOT IN ('table', 'index')
    OR (type = 'table' AND sql NOT LIKE 'CREATE TABLE%'))";

/// More than all our tables and indexes together, in number or in bytes.
const MUCH: &str = "SELECT count(*) > 1000 OR coalesce(sum(octet_length(sql)), 0) > 1048576 FROM sqlite_schema";

/// How many tables, and sinks, a file of ours may have.
const MANY: usize = 1000;

/// The longest name of a table or a sink, in bytes.
const LONG: i64 = 200;

/// How much memory SQLite may take where somebody else may have made the file, in all connections together.
const MEMORY: &str = "PRAGMA hard_heap_limit = 67108864";

/// Invoices of a page.
const PAGE: i64 = 1000;

/// A database file of ours, open for as long as it is looked at.
pub struct Detached {
    conn: SqliteConnection,
}

/// What a database file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// The number of its last migration.
    pub schema: i64,
    /// The rows of each table.
    pub rows: BTreeMap<String, u64>,
}

/// A file of the invoice archive as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceFile {
    /// Where it is, relative to the data directory.
    pub path: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// A sink to which nothing is sent until somebody says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBack {
    /// Which one.
    pub sink: SinkName,
    /// How many deliveries wait.
    pub waiting: u64,
}

impl Detached {
    /// Opens a file.
    ///
    /// # Errors
    /// When it is not a database.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Delete)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::ZERO)
            .pragma("trusted_schema", "OFF")
            .disable_statement_logging();
        Ok(Self { conn: options.connect().await? })
    }

    /// Opens a file that somebody else may have made: SQLite takes no more than 64 MiB of memory in this process from then on,
    /// and nothing that is defined in it is run.
    ///
    /// # Errors
    /// When it is not a database; [`StoreError::Corrupt`] where it defines what tillhook does not.
    pub async fn open_foreign(file: &Path) -> Result<Self, StoreError> {
        let mut database = Self::open(file).await?;
        sqlx::query(MEMORY).fetch_all(&mut database.conn).await?;
        if database.is_foreign().await? {
            return Err(StoreError::Corrupt(
                "it defines views, triggers, indexes or tables that tillhook does not make".to_owned(),
            ));
        }
        Ok(database)
    }

    /// Whether it defines what the steps that it has taken do not: whatever that is would be run by us, now or later. Of a
    /// newer program only the kinds are known, and it is refused for being that.
    async fn is_foreign(&mut self) -> Result<bool, StoreError> {
        let much: bool = sqlx::query_scalar(MUCH).fetch_one(&mut self.conn).await?;
        if much || sqlx::query_scalar(FOREIGN).fetch_one(&mut self.conn).await? {
            return Ok(true);
        }
        match schema::version(&mut self.conn).await? {
            Some(version) if version <= Schema::ours().version() => {
                let ours = schema::definitions_of(version).await?;
                Ok(!schema::definitions(&mut self.conn).await?.is_subset(&ours))
            }
            _ => Ok(false),
        }
    }

    /// Looks for damage; `thorough` compares every index with its table too.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with the first damage, which quotes nothing that is stored.
    pub async fn check(&mut self, thorough: bool) -> Result<(), StoreError> {
        let check = if thorough { "PRAGMA integrity_check(1)" } else { "PRAGMA quick_check(1)" };
        let said: String = sqlx::query_scalar(check).fetch_one(&mut self.conn).await?;
        if said == "ok" { Ok(()) } else { Err(StoreError::Corrupt(said)) }
    }

    /// What it is.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where tillhook did not make it.
    pub async fn heading(&mut self) -> Result<Heading, StoreError> {
        let schema = schema::version(&mut self.conn).await?;
        let schema = schema.ok_or_else(|| StoreError::Corrupt("these are not tillhook's tables".to_owned()))?;
        let tables = self.tables().await?;
        let mut rows = BTreeMap::new();
        for table in tables {
            let count = format!("SELECT count(*) FROM \"{}\"", table.replace('"', "\"\""));
            let count: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut self.conn).await?;
            rows.insert(table, count.unsigned_abs());
        }
        Ok(Heading { schema, rows })
    }

    async fn tables(&mut self) -> Result<Vec<String>, StoreError> {
        let long = format!("SELECT EXISTS (SELECT 1 FROM ({TABLES}) WHERE octet_length(name) > {LONG})");
        let long: bool = sqlx::query_scalar(AssertSqlSafe(long)).fetch_one(&mut self.conn).await?;
        let tables = format!("{TABLES} LIMIT {}", MANY + 1);
        let tables: Vec<String> = match long {
            true => Vec::new(),
            false => sqlx::query_scalar(AssertSqlSafe(tables)).fetch_all(&mut self.conn).await?,
        };
        if long || tables.len() > MANY {
            return Err(StoreError::Corrupt("it has more tables than tillhook makes".to_owned()));
        }
        Ok(tables)
    }

    /// For how many orders the file is missing that the invoice archive has to hold, as `is_there` says of each path.
    ///
    /// # Errors
    /// What the database says.
    pub async fn count_missing_invoices(&mut self, is_there: impl Fn(&str) -> bool) -> Result<usize, StoreError> {
        const STORED: &str = "SELECT order_key, iif(octet_length(path) <= $2, path, '') FROM invoice
            WHERE order_key > $1 AND octet_length(order_key) <= $2 AND status = 'stored' AND path IS NOT NULL
              AND sha256 IS NOT NULL ORDER BY order_key LIMIT $3";
        let (mut missing, mut after) = (0, String::new());
        loop {
            let page = sqlx::query_as(STORED).bind(&after).bind(LONG).bind(PAGE);
            let page: Vec<(String, String)> = page.fetch_all(&mut self.conn).await?;
            let Some((last, _)) = page.last() else { return Ok(missing) };
            missing += page.iter().filter(|(_, path)| !is_there(path)).count();
            after.clone_from(last);
        }
    }

    /// The files that the invoice archive has to hold, each once.
    ///
    /// # Errors
    /// What the database says.
    pub async fn invoices(&mut self) -> Result<Vec<InvoiceFile>, StoreError> {
        let rows = sqlx::query(
            "SELECT path, sha256, max(bytes) FROM invoice WHERE status = 'stored' AND path IS NOT NULL
                 AND sha256 IS NOT NULL GROUP BY path, sha256 ORDER BY path",
        );
        let rows = rows.fetch_all(&mut self.conn).await?;
        rows.iter()
            .map(|row| {
                let bytes: Option<i64> = row.try_get(2)?;
                Ok(InvoiceFile {
                    // What is none is no file that is there, and said to be missing.
                    path: lossy(row, 0).unwrap_or_default(),
                    sha256: lossy(row, 1).unwrap_or_default(),
                    bytes: bytes.unwrap_or(0).unsigned_abs(),
                })
            })
            .collect()
    }

    /// Pauses every sink for which deliveries are open or summaries are made, and all of them where what was sold since comes
    /// from the till's own list, and returns them: since the copy was made at `since` these may have been sent. A pause that a person made stays theirs. `because` says why, given how many wait. Atomic.
    ///
    /// # Errors
    /// When nothing of it is on disk.
    pub async fn hold_back(
        &mut self,
        since: Timestamp,
        because: impl Fn(&SinkName, u64) -> String,
    ) -> Result<Vec<HeldBack>, StoreError> {
        let tables = self.tables().await?;
        let parts = HELD.iter().filter(|(table, _)| tables.iter().any(|known| known == table));
        let parts: Vec<&str> = parts.map(|(_, part)| *part).collect();
        let held = format!(
            "SELECT iif(octet_length(sink) <= {LONG}, sink, '') AS name, sum(open) FROM ({}) GROUP BY name ORDER BY name LIMIT {}",
            parts.join(" UNION ALL "),
            MANY + 1
        );
        let rows = sqlx::query(AssertSqlSafe(held)).fetch_all(&mut self.conn).await?;
        if rows.len() > MANY {
            return Err(StoreError::Corrupt("it has more sinks than anybody has".to_owned()));
        }
        let mut transaction = self.conn.begin_with("BEGIN IMMEDIATE").await?;
        let mut held = Vec::new();
        for row in rows {
            // What goes to no sink that could be is sent to nobody.
            let Ok(sink) = row.try_get(0).map_err(StoreError::from).and_then(parse::<SinkName>) else { continue };
            let waiting: i64 = row.try_get(1)?;
            let waiting = waiting.unsigned_abs();
            // A sink that is no longer configured would wake by itself once it is again.
            let pause = sqlx::query(
                "INSERT INTO sink_state (sink, first_ran_at, paused_at, paused_because) VALUES ($1, $2, $2, $3)
                 ON CONFLICT (sink) DO UPDATE SET paused_at = $2, paused_because = $3
                     WHERE paused_at IS NULL OR paused_because = $4",
            );
            let pause = pause.bind(sink.as_str()).bind(micros(since)).bind(because(&sink, waiting)).bind(REMOVED);
            pause.execute(&mut *transaction).await?;
            held.push(HeldBack { sink, waiting });
        }
        transaction.commit().await?;
        Ok(held)
    }

    /// Closes it.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn close(self) -> Result<(), StoreError> {
        Ok(self.conn.close().await?)
    }
}

/// Copies the database behind `conn`, as it is now, into a new file that only we can read.
pub(super) async fn copy(conn: &mut SqliteConnection, to: &Path) -> Result<(), StoreError> {
    let unusable = |cause: String| StoreError::Database(format!("no copy can be made at {}: {cause}", to.display()));
    // Into an empty file: one that SQLite makes could be read by others.
    connect::private(to).map_err(|error| unusable(error.to_string()))?;
    let name = to.to_str().ok_or_else(|| unusable("the path is not UTF-8".to_owned()))?;
    sqlx::query("VACUUM INTO $1").bind(name).execute(conn).await?;
    Ok(())
}

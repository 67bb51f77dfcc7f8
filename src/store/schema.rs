//! The schema: which steps make today's tables, and bringing an older database up to date.
//!
//! **Invariant:** a database that holds data is migrated by [`Outdated::migrate`] alone, under the lock, so that whoever
//! calls it has had the occasion to keep a copy ([`Outdated::snapshot`]).

use std::{
    borrow::Cow,
    collections::BTreeSet,
    fs::File,
    path::{Path, PathBuf},
};

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, migrate::Migrator};

use super::{OpenError, StoreError, connect, detached};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The steps from an empty file to the tables of a program.
pub struct Schema {
    steps: Cow<'static, [sqlx::migrate::Migration]>,
}

/// What stands in a database that this program may use.
pub(super) enum Found {
    /// Nothing at all: it was made just now.
    Nothing,
    /// The tables of this program.
    Current,
}

impl Schema {
    /// That of this program.
    pub fn ours() -> Self {
        Self { steps: MIGRATIONS.migrations.clone() }
    }

    /// That of a later program, which takes one more step.
    #[cfg(test)]
    pub fn with_one_more(sql: &'static str) -> Self {
        use sqlx::{SqlSafeStr as _, migrate::Migration, migrate::MigrationType::Simple};
        let mut steps = MIGRATIONS.migrations.to_vec();
        let next = steps.iter().map(|step| step.version).max().unwrap_or(0) + 1;
        steps.push(Migration::new(next, "later".into(), Simple, sql.into_sql_str(), false));
        Self { steps: steps.into() }
    }

    /// The number of its last step.
    pub fn version(&self) -> i64 {
        self.steps.iter().map(|step| step.version).max().unwrap_or(0)
    }

    /// Whether the database can be used as it is.
    pub(super) async fn judge(&self, directory: &Path, conn: &mut SqliteConnection) -> Result<Found, OpenError> {
        let path = directory.to_owned();
        let stored = version(conn).await.map_err(|cause| OpenError::Database { path: path.clone(), cause })?;
        match stored {
            None => Ok(Found::Nothing),
            Some(version) if version > self.version() => Err(OpenError::Newer { path, version }),
            Some(version) if version < self.version() => Err(OpenError::Older { path, version }),
            // Nothing is left to do, and what was done is compared.
            Some(_) => self.migrate(directory, conn).await.map(|()| Found::Current),
        }
    }

    /// Takes the steps that are missing, each in a transaction of its own.
    pub(super) async fn migrate(&self, directory: &Path, conn: &mut SqliteConnection) -> Result<(), OpenError> {
        let steps = Migrator::with_migrations(self.steps.to_vec());
        steps.run(conn).await.map_err(|error| connect::refused(directory, error))
    }
}

/// What a database defines: kind, name, table and statement of each table and index that SQLite does not make by itself.
pub(super) type Definitions = BTreeSet<(String, String, String, String)>;

const DEFINITIONS: &str = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL";

/// What the steps up to this one define.
///
/// # Errors
/// What the database says.
pub(super) async fn definitions_of(version: i64) -> Result<Definitions, StoreError> {
    let mut conn = SqliteConnection::connect("sqlite::memory:").await?;
    let steps = MIGRATIONS.migrations.iter().filter(|step| step.version <= version).cloned().collect();
    let made = Migrator::with_migrations(steps).run(&mut conn).await;
    made.map_err(|error| StoreError::Database(error.to_string()))?;
    definitions(&mut conn).await
}

/// What a database defines. It may be anybody's: the caller has looked how much that is.
///
/// # Errors
/// What the database says.
pub(super) async fn definitions(conn: &mut SqliteConnection) -> Result<Definitions, StoreError> {
    Ok(sqlx::query_as(DEFINITIONS).fetch_all(conn).await?.into_iter().collect())
}

/// The number of the last step that was taken; `None` where none was.
pub(super) async fn version(conn: &mut SqliteConnection) -> Result<Option<i64>, sqlx::Error> {
    let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')")
        .fetch_one(&mut *conn)
        .await?;
    if !known {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success").fetch_one(conn).await
}

/// A database of an older program, which nobody else uses for as long as this is held.
pub struct Outdated {
    directory: PathBuf,
    conn: SqliteConnection,
    _lock: File,
}

impl Outdated {
    /// Takes hold of it: an older program that still runs must not find its tables changed.
    ///
    /// # Errors
    /// [`OpenError::InUse`] where a service runs on it, and whatever SQLite says.
    pub async fn hold(directory: &Path) -> Result<Self, OpenError> {
        let lock = connect::lock(directory)?;
        let failed = |cause| OpenError::Database { path: directory.to_owned(), cause };
        let conn = connect::options(&directory.join(connect::DATABASE)).connect().await.map_err(failed)?;
        Ok(Self { directory: directory.to_owned(), conn, _lock: lock })
    }

    /// Writes a consistent copy of it to `to`, readable by us alone.
    ///
    /// # Errors
    /// When there is no complete copy.
    pub async fn snapshot(&mut self, to: &Path) -> Result<(), StoreError> {
        detached::copy(&mut self.conn, to).await
    }

    /// Brings it up to date. Each step is atomic; after an error those before it stay.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn migrate(mut self, schema: &Schema) -> Result<(), OpenError> {
        let migrated = schema.migrate(&self.directory, &mut self.conn).await;
        let _ = self.conn.close().await;
        migrated
    }
}

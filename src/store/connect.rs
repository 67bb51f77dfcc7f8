//! Opening the database file: its directory, its rights, its lock, its settings.
//!
//! **Invariant:** every connection runs with `synchronous=FULL`, and no file of ours is readable by others.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection, SqliteConnection, SqlitePool,
    migrate::MigrateError,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    schema::{self, Schema},
    swap,
};

/// The database's file in the data directory.
pub const DATABASE: &str = "tillhook.db";

/// The first SQLite without the write-ahead log corruption bug of 3.7.0–3.51.2.
const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);

/// How long a statement waits for another process that writes (the command line beside the service).
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a reader waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections for reading; SQLite answers from the page cache, so more would only wait for the two cores of a small server.
const READERS: u32 = 4;

/// Above this size the write-ahead log is cut back after a checkpoint.
const WAL_LIMIT: &str = "16777216";

/// After how many pages of log (4 KiB each) a commit also moves them into the database. Pages that many commits change,
/// those of the indexes above all, are moved once instead of every time.
const CHECKPOINT_PAGES: &str = "3000";

/// KiB of pages that the writer keeps at hand.
const WRITER_CACHE: &str = "-8192";

/// File systems on which SQLite's locks cannot be trusted.
const NETWORK_FILE_SYSTEMS: &[&str] = &["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p"];

/// Who opens the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The service: creates the database where there is none, and keeps every other service out.
    Service,
    /// A command: works beside a running service on a database that is there.
    Command,
}

/// Why the database cannot be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory is missing, or not ours to write.
    #[error("cannot use the data directory {}: {cause}\n  fix: create it and let this user write to it, or set storage.path", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// It is on a network file system.
    #[error("the data directory {} is on {kind}, where a database is not safe\n  fix: set storage.path to a local disk", path.display())]
    Network {
        /// The directory.
        path: PathBuf,
        /// `nfs4`, `cifs`, …
        kind: String,
    },
    /// Another service runs on it.
    #[error("another tillhook already runs on {}\n  fix: stop it first, or give this one its own storage.path", .0.display())]
    InUse(PathBuf),
    /// A command was given before the service ever ran.
    #[error("there is no database in {} yet\n  fix: start `tillhook serve` once, or name the right configuration with --config", .0.display())]
    Absent(PathBuf),
    /// A newer program wrote it.
    #[error("the database in {} was written by a newer tillhook (schema {version})\n  fix: run that version, or restore a backup", path.display())]
    Newer {
        /// The directory.
        path: PathBuf,
        /// The schema's number.
        version: i64,
    },
    /// An older program wrote it, so it has to be migrated before it is used.
    #[error("the database in {} was written by an older tillhook (schema {version})\n  fix: start `tillhook serve` once, which brings it up to date", path.display())]
    Older {
        /// The directory.
        path: PathBuf,
        /// The schema's number.
        version: i64,
    },
    /// It was not migrated, because it could not be backed up before that.
    #[error("the database in {} has to be brought up to date, and could not be backed up before that, so nothing was changed: {cause}\n  fix: make room in the folder backups there and let this user write to it, then start again", path.display())]
    NotBackedUp {
        /// The directory.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// An SQLite that may damage files.
    #[error(
        "this program is linked with SQLite {0}, which may damage the database\n  fix: build it with SQLite 3.51.3 or later"
    )]
    OldSqlite(String),
    /// Anything else that SQLite says.
    #[error("cannot open the database in {}: {cause}", path.display())]
    Database {
        /// The directory.
        path: PathBuf,
        /// What SQLite says.
        cause: sqlx::Error,
    },
}

pub(super) struct Opened {
    pub writer: SqliteConnection,
    pub connect: SqliteConnectOptions,
    pub readers: SqlitePool,
    pub lock: Option<File>,
}

pub(super) async fn open(directory: &Path, access: Access, schema: &Schema) -> Result<Opened, OpenError> {
    let file = directory.join(DATABASE);
    let lock = match access {
        Access::Service => Some(prepare(directory, &file)?),
        Access::Command => {
            finish_restore(directory)?;
            None
        }
    };
    if access == Access::Command && !file.exists() {
        return Err(OpenError::Absent(directory.to_owned()));
    }
    let failed = |cause| OpenError::Database { path: directory.to_owned(), cause };
    let connect = options(&file).pragma("cache_size", WRITER_CACHE);
    let mut writer = connect.connect().await.map_err(failed)?;
    refuse_old_sqlite(&mut writer).await?;
    match schema.judge(directory, &mut writer).await? {
        schema::Found::Nothing if access == Access::Command => return Err(OpenError::Absent(directory.to_owned())),
        schema::Found::Nothing => schema.migrate(directory, &mut writer).await?,
        schema::Found::Current => {}
    }
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options(&file).read_only(true).create_if_missing(false));
    Ok(Opened { writer, connect, readers, lock })
}

pub(super) fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("journal_size_limit", WAL_LIMIT)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("trusted_schema", "OFF")
        .pragma("secure_delete", "ON")
        .disable_statement_logging()
}

/// Makes the directory and an empty database file that only we can read (SQLite gives its log the same rights), and
/// takes the lock that keeps a second service out.
fn prepare(directory: &Path, file: &Path) -> Result<File, OpenError> {
    let lock = hold(directory)?;
    private(file).map_err(|cause| OpenError::Directory { path: directory.to_owned(), cause })?;
    Ok(lock)
}

/// Makes the directory, and takes the lock that a service holds. A restore that was cut off is brought to its end.
pub(super) fn hold(directory: &Path) -> Result<File, OpenError> {
    let failed = |cause| OpenError::Directory { path: directory.to_owned(), cause };
    make(directory).map_err(failed)?;
    if let Some(kind) = network_file_system(directory) {
        return Err(OpenError::Network { path: directory.to_owned(), kind });
    }
    let lock = lock(directory)?;
    swap::finish(directory).map_err(failed)?;
    Ok(lock)
}

/// Makes a directory that only we can enter, on the disk for certain: whatever is in it could go with it otherwise.
fn make(directory: &Path) -> io::Result<()> {
    let missing: Vec<_> =
        directory.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists()).collect();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    for made in missing {
        let around = made.parent().filter(|around| !around.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(around)?.sync_all()?;
    }
    Ok(())
}

/// Where a restore was cut off there is no telling the old data from the new before it is brought to its end.
fn finish_restore(directory: &Path) -> Result<(), OpenError> {
    if swap::is_pending(directory) { hold(directory).map(drop) } else { Ok(()) }
}

/// Opens a file that only we can read, and makes it where it is not there.
pub(super) fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Takes the lock that a service holds for as long as it runs.
pub(super) fn lock(directory: &Path) -> Result<File, OpenError> {
    let failed = |cause| OpenError::Directory { path: directory.to_owned(), cause };
    let lock = private(&directory.join("tillhook.lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(directory.to_owned())),
        Err(TryLockError::Error(cause)) => Err(failed(cause)),
    }
}

/// Whether a service runs on this data directory.
pub fn is_served(directory: &Path) -> bool {
    matches!(lock(directory), Err(OpenError::InUse(_)))
}

/// The kind of network file system that holds `directory`, by the longest matching mount point.
fn network_file_system(directory: &Path) -> Option<String> {
    let directory = directory.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let holder = mounts.filter(|(point, _)| directory.starts_with(point)).max_by_key(|(point, _)| point.len());
    holder.map(|(_, kind)| kind).filter(|kind| NETWORK_FILE_SYSTEMS.contains(kind)).map(str::to_owned)
}

async fn refuse_old_sqlite(conn: &mut SqliteConnection) -> Result<(), OpenError> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(conn).await.unwrap_or_default();
    if is_safe(&version) { Ok(()) } else { Err(OpenError::OldSqlite(version)) }
}

fn is_safe(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next()) >= OLDEST_SQLITE
}

pub(super) fn refused(directory: &Path, error: MigrateError) -> OpenError {
    let path = directory.to_owned();
    match error {
        MigrateError::VersionMissing(version) => OpenError::Newer { path, version },
        MigrateError::Execute(cause) => OpenError::Database { path, cause },
        other => OpenError::Database { path, cause: sqlx::Error::Migrate(Box::new(other)) },
    }
}

/// Closes a connection whose state is unknown: what it had begun is rolled back by SQLite.
pub(super) async fn discard(conn: SqliteConnection) {
    let _ = conn.close_hard().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sqlite_that_may_damage_the_database_is_refused() {
        for version in ["3.7.0", "3.9.99", "3.50.4", "3.51.2", "3.51", "2.99.99", "", "unknown"] {
            assert!(!is_safe(version), "{version}");
        }
        for version in ["3.51.3", "3.51.10", "3.52.0", "3.100.0", "4.0.0"] {
            assert!(is_safe(version), "{version}");
        }
    }

    #[tokio::test]
    async fn the_sqlite_in_this_program_is_not_refused() {
        let mut conn = SqliteConnection::connect("sqlite::memory:").await.expect("a database");
        refuse_old_sqlite(&mut conn).await.expect("one without the bug");
    }
}

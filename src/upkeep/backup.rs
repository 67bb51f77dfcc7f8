//! Making a backup: the database and its invoices in one file, while the service runs or not.
//!
//! Everything is made in a hidden directory beside the file, and the file gets its name last, once it was synced and read
//! again. A backup that is cut off leaves that directory, which the next one sweeps away.
//!
//! **Invariant:** a file under its final name is complete, on disk, and was read back and compared.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{
    archive::{self, Hashing, ReadError, Stoppable},
    erased::ERASURES,
    manifest::{Entry, FORMAT, FORMAT_WITHOUT_ERASURES, Manifest, TOKEN},
};
use crate::{
    invoice::Archive,
    order::hex,
    store::{DATABASE, Detached, Heading, InvoiceFile, Store, StoreError},
};

/// Where backups are that nobody gave another name, below the data directory.
pub const FOLDER: &str = "backups";

/// How the directory is called in which a backup is made.
const DRAFT: &str = ".tillhook-backup-";

/// A backup that was made.
#[derive(Clone, Debug)]
pub struct Backup {
    /// The file.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// How many orders are in it.
    pub orders: u64,
    /// How many invoices are in it.
    pub invoices: u64,
    /// The invoices that should be and are not: lost or changed on disk.
    pub missing: Vec<String>,
}

/// Why there is no backup. Nothing is left under the file's name, and an earlier file of that name is untouched.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file is there already.
    #[error("{} is there already\n  fix: name another file, or replace it with --force", .0.display())]
    Exists(PathBuf),
    /// Another backup is made in the same place.
    #[error("another backup is being written to {}\n  fix: wait until it is done", .0.display())]
    Busy(PathBuf),
    /// There is no room.
    #[error("there is no room for the backup in {}\n  fix: make room there, or name a file on another disk", .0.display())]
    Full(PathBuf),
    /// The database cannot be copied.
    #[error("the database could not be copied: {0}")]
    Store(StoreError),
    /// The database is damaged.
    #[error(
        "the database is damaged, so it was not backed up: {0}\n  fix: keep the earlier backups, and restore the newest one"
    )]
    Damaged(StoreError),
    /// The place cannot be used, or a file cannot be read.
    #[error("the backup could not be written to {}: {cause}\n  fix: name a file in a directory that is there and that this user may write to", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What happened.
        cause: io::Error,
    },
    /// It did not come back as it was written.
    #[error(
        "the backup was written and could not be read back, so it was thrown away: {0}\n  fix: check the disk, or name a file on another one"
    )]
    Unverified(ReadError),
    /// The service ends.
    #[error("the backup was cut off because the service ends")]
    Stopped,
}

/// The name of a backup that was given none, from the time in UTC: `tillhook-20261121-130500.tar.gz`.
pub fn default_name(now: Timestamp) -> String {
    format!("tillhook-{}.tar.gz", stamp(now))
}

/// The time in UTC as it stands in names: `20261121-130500`.
pub(super) fn stamp(now: Timestamp) -> String {
    now.strftime("%Y%m%d-%H%M%S").to_string()
}

/// Copies the database and the invoices below `directory` to the file `to`, which nobody else can read. It replaces a file
/// only where `replace` says so. Takes the space of the database twice while it is made.
///
/// # Errors
/// When there is no complete backup, or `stop` was cancelled.
pub async fn make(
    store: &Store,
    directory: &Path,
    to: &Path,
    replace: bool,
    now: Timestamp,
    stop: &CancellationToken,
) -> Result<Backup, BackupError> {
    let draft = Draft::begin(directory, to, replace)?;
    let database = draft.database();
    // What was begun is finished in the background, on a file that nobody looks at any more.
    tokio::select! {
        copied = store.snapshot(&database) => copied.map_err(|error| draft.of_store(error))?,
        () = stop.cancelled() => return Err(BackupError::Stopped),
    }
    draft.complete(Some(directory), now, stop).await
}

/// A backup that is being made.
pub(super) struct Draft {
    to: PathBuf,
    /// The directory of `to`.
    folder: PathBuf,
    work: TempDir,
    /// Keeps other backups out of the directory, where its file system knows how to.
    _turn: Option<File>,
}

impl Draft {
    /// Makes room for a backup. Only the usual folder for them is made where it is not there.
    pub fn begin(directory: &Path, to: &Path, replace: bool) -> Result<Self, BackupError> {
        let above = to.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = |cause| BackupError::Io { path: above.to_owned(), cause };
        if above == directory.join(FOLDER) && !above.exists() {
            DirBuilder::new().mode(0o700).create(above).map_err(failed)?;
            File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
        }
        let folder = above.canonicalize().map_err(failed)?;
        if to.is_dir() || to.file_name().is_none() {
            return Err(failed(io::Error::other(format!("{} is no name of a file", to.display()))));
        }
        if to.symlink_metadata().is_ok() && !replace {
            return Err(BackupError::Exists(to.to_owned()));
        }
        let turn = take_turn(&folder)?;
        let work = tempfile::Builder::new().prefix(DRAFT).tempdir_in(&folder).map_err(|cause| full(&folder, cause))?;
        Ok(Self { to: to.to_owned(), folder, work, _turn: turn })
    }

    /// Where the copy of the database has to be put.
    pub fn database(&self) -> PathBuf {
        self.work.path().join(DATABASE)
    }

    /// Checks the copy of the database, packs it up with the invoices below `invoices`, and names the file.
    pub async fn complete(
        self,
        invoices: Option<&Path>,
        now: Timestamp,
        stop: &CancellationToken,
    ) -> Result<Backup, BackupError> {
        let database = self.database();
        let (heading, files) = tokio::select! {
            inspected = inspect(&database) => inspected?,
            () = stop.cancelled() => return Err(BackupError::Stopped),
        };
        let (invoices, stop) = (invoices.map(Path::to_owned), stop.clone());
        let packed = tokio::task::spawn_blocking(move || {
            let packed = self.pack(heading, files, invoices.as_deref(), now, &stop);
            if stop.is_cancelled() { packed.map_err(|_| BackupError::Stopped) } else { packed }
        });
        packed.await.map_err(|error| BackupError::Io { path: PathBuf::new(), cause: io::Error::other(error) })?
    }

    fn pack(
        self,
        heading: Heading,
        files: Vec<InvoiceFile>,
        invoices: Option<&Path>,
        now: Timestamp,
        stop: &CancellationToken,
    ) -> Result<Backup, BackupError> {
        let failed = |cause| full(&self.folder, cause);
        let orders = heading.rows.get("customer_order").copied().unwrap_or(0);
        let mut manifest = Manifest {
            format: FORMAT_WITHOUT_ERASURES,
            tillhook: env!("CARGO_PKG_VERSION").to_owned(),
            made_at: now,
            schema: heading.schema,
            rows: heading.rows,
            with_invoices: invoices.is_some(),
            files: vec![entry(DATABASE, &self.database(), stop).map_err(failed)?],
            missing: Vec::new(),
        };
        if let Some(directory) = invoices {
            self.list_erasures(&mut manifest, directory, stop).map_err(failed)?;
            list_files(&mut manifest, directory, files, stop).map_err(failed)?;
        }
        manifest.files.sort_by_key(Entry::rank);
        manifest.files.dedup();
        let draft = self.work.path().join("archive");
        let target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(failed)?;
        let open = |entry: &Entry| match invoices {
            Some(directory) if !entry.is_copy() => File::open(directory.join(entry.path())),
            _ => File::open(self.work.path().join(entry.path())),
        };
        archive::write(target, &manifest, stop, open).map_err(failed)?;
        let read =
            archive::read(&draft, |_, inner| io::copy(&mut Stoppable { inner, stop }, &mut io::sink()).map(drop))
                .map_err(BackupError::Unverified)?;
        let bytes = draft.metadata().map_err(failed)?.len();
        fs::rename(&draft, &self.to).map_err(failed)?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(Backup { file: self.to, bytes, orders, invoices: read.invoices, missing: manifest.missing })
    }

    /// Adds who was erased until now, so that a restore elsewhere knows it. A copy is packed: another process may add a line
    /// meanwhile. Where nobody was erased an older program can read the backup too.
    fn list_erasures(&self, manifest: &mut Manifest, directory: &Path, stop: &CancellationToken) -> io::Result<()> {
        let copy = self.work.path().join(ERASURES);
        match fs::copy(directory.join(ERASURES), &copy) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            copied => copied?,
        };
        manifest.files.push(entry(ERASURES, &copy, stop)?);
        manifest.format = FORMAT;
        Ok(())
    }

    /// What the database says while it is copied here.
    pub fn of_store(&self, error: StoreError) -> BackupError {
        match error {
            StoreError::Full => BackupError::Full(self.folder.clone()),
            other => BackupError::Store(other),
        }
    }
}

/// One backup at a time in a directory, so that whatever drafts are there were cut off, and can go.
fn take_turn(folder: &Path) -> Result<Option<File>, BackupError> {
    let failed = |cause| BackupError::Io { path: folder.to_owned(), cause };
    let turn = File::open(folder).map_err(failed)?;
    match turn.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(BackupError::Busy(folder.to_owned())),
        // Network file systems cannot lock a directory: drafts stay then, in case somebody works there.
        Err(TryLockError::Error(_)) => return Ok(None),
    }
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_draft = entry.file_name().to_string_lossy().starts_with(DRAFT);
        if is_draft && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            fs::remove_dir_all(entry.path()).map_err(failed)?;
        }
    }
    Ok(Some(turn))
}

/// What the copy is, once it is known to be whole. Its indexes were made just now, so the quick check is enough.
async fn inspect(database: &Path) -> Result<(Heading, Vec<InvoiceFile>), BackupError> {
    let mut copy = Detached::open(database).await.map_err(BackupError::Damaged)?;
    copy.check(false).await.map_err(BackupError::Damaged)?;
    let heading = copy.heading().await.map_err(BackupError::Damaged)?;
    let files = copy.invoices().await.map_err(BackupError::Damaged)?;
    copy.close().await.map_err(BackupError::Damaged)?;
    Ok((heading, files))
}

/// Adds the token and every invoice that is what it should be; the others are named as missing.
fn list_files(
    manifest: &mut Manifest,
    directory: &Path,
    invoices: Vec<InvoiceFile>,
    stop: &CancellationToken,
) -> io::Result<()> {
    let token = directory.join(TOKEN);
    if token.is_file() {
        manifest.files.extend(entry(TOKEN, &token, stop).map(Some).or_else(|error| match error.kind() {
            // Larger than any token.
            io::ErrorKind::InvalidData => Ok(None),
            _ => Err(error),
        })?);
    }
    let archive = Archive::new(directory.to_owned());
    for InvoiceFile { path, sha256, .. } in invoices {
        if stop.is_cancelled() {
            return Err(io::Error::other("stopped"));
        }
        let found = archive.locate(&path).ok().and_then(|file| entry(&path, &file, stop).ok());
        match found.filter(|found| hex(found.sha256) == sha256) {
            Some(found) => manifest.files.push(found),
            None => manifest.missing.push(path),
        }
    }
    Ok(())
}

/// A file as it stands in the list; `InvalidData` where a backup has no place for it.
fn entry(path: &str, file: &Path, stop: &CancellationToken) -> io::Result<Entry> {
    let (bytes, sha256) = Hashing::new(Stoppable { inner: File::open(file)?, stop }).finish()?;
    Entry::new(path, bytes, &hex(sha256)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Says where there is no room.
fn full(folder: &Path, cause: io::Error) -> BackupError {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BackupError::Full(folder.to_owned()),
        _ => BackupError::Io { path: folder.to_owned(), cause },
    }
}

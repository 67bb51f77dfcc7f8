//! Putting a backup back in place of what a data directory holds.
//!
//! What was still to be delivered when the backup was made may have been delivered since, and a restored database does not
//! know it. So the sinks concerned are paused, and a person says whether to send or to drop.
//!
//! **Invariant:** nothing of the directory is changed before the whole backup was unpacked beside it, compared with its
//! manifest and synced.

use std::{
    collections::BTreeSet,
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{
    archive::{self, ReadError},
    manifest::{Entry, Manifest},
};
use crate::{
    order::SinkName,
    store::{DATABASE, Detached, Heading, HeldBack, OpenError, Replacement, Schema, StoreError},
};

/// What to restore, and how.
#[derive(Clone, Copy, Debug)]
pub struct Restore<'a> {
    /// The backup.
    pub file: &'a Path,
    /// The data directory.
    pub directory: &'a Path,
    /// Whether data that is there may be moved aside.
    pub force: bool,
    /// Whether open deliveries go out without asking.
    pub resend: bool,
    /// What time it is.
    pub now: Timestamp,
}

/// A backup that was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// When it was made.
    pub made_at: Timestamp,
    /// How many orders are back.
    pub orders: u64,
    /// How many invoices are back.
    pub invoices: usize,
    /// How many invoices the database knows that are not in the directory.
    pub missing: usize,
    /// Whether the invoices were in the backup at all.
    pub with_invoices: bool,
    /// The sinks that were paused, and what waits for them.
    pub held: Vec<HeldBack>,
    /// Where the data went that was there.
    pub aside: Option<PathBuf>,
}

/// Why nothing was restored, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is no such file.
    #[error("there is no file {}\n  fix: give the path of a backup that `tillhook backup` made", .0.display())]
    Absent(PathBuf),
    /// The directory cannot be used, or a service runs on it.
    #[error(transparent)]
    Directory(#[from] OpenError),
    /// There is data already.
    #[error("{} holds data\n  fix: restore into an empty storage.path, or with --force, which moves what is there aside", .0.display())]
    HoldsData(PathBuf),
    /// The file is no backup, or damaged.
    #[error("{} cannot be restored: {cause}\n  fix: {}", file.display(), advice(cause))]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        cause: ReadError,
    },
    /// Its database is newer than this program.
    #[error("{} was made by tillhook {tillhook}, whose database is newer (schema {schema}) than this program\n  fix: restore it with that version or a later one", file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// The version that made it.
        tillhook: String,
        /// The number of its last migration.
        schema: i64,
    },
    /// The database in it is damaged.
    #[error("the database in {} is damaged: {cause}\n  fix: restore an earlier backup", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What SQLite says.
        cause: StoreError,
    },
    /// It cannot be put in place.
    #[error("the backup could not be put into {}: {cause}\n  fix: make room there and let this user write to it, then restore again", path.display())]
    Io {
        /// The data directory.
        path: PathBuf,
        /// What happened.
        cause: io::Error,
    },
}

impl Restore<'_> {
    /// Restores the backup. After a crash at any moment the directory holds either what was there or what was restored.
    ///
    /// # Errors
    /// When the data that is there stays; see [`RestoreError`].
    pub async fn run(self) -> Result<Restored, RestoreError> {
        let Self { file, directory, .. } = self;
        if !file.is_file() {
            return Err(RestoreError::Absent(file.to_owned()));
        }
        let replacement = Replacement::begin(directory)?;
        if replacement.holds_data() && !self.force {
            return Err(RestoreError::HoldsData(directory.to_owned()));
        }
        self.refuse_newer(&archive::manifest(file).map_err(|cause| self.unusable(cause))?)?;
        let failed = |cause| RestoreError::Io { path: directory.to_owned(), cause };
        let draft = replacement.draft().map_err(failed)?;
        let manifest = self.unpack(draft.path()).await?;
        let Prepared { orders, missing, held } = self.prepare(draft.path(), &manifest).await?;
        sync_folders(draft.path(), &manifest).map_err(failed)?;
        let aside = replacement.exchange(draft, self.now).map_err(failed)?;
        let (invoices, with_invoices) = (manifest.invoices(), manifest.with_invoices);
        Ok(Restored { made_at: manifest.made_at, orders, invoices, missing, with_invoices, held, aside })
    }

    fn refuse_newer(&self, manifest: &Manifest) -> Result<(), RestoreError> {
        if manifest.schema <= Schema::ours().version() {
            return Ok(());
        }
        let tillhook = manifest.tillhook.escape_debug().to_string();
        Err(RestoreError::Newer { file: self.file.to_owned(), tillhook, schema: manifest.schema })
    }

    fn unusable(&self, cause: ReadError) -> RestoreError {
        match cause {
            ReadError::Target(cause) => RestoreError::Io { path: self.directory.to_owned(), cause },
            cause => RestoreError::Unusable { file: self.file.to_owned(), cause },
        }
    }

    /// Unpacks everything into the draft and compares it with the manifest.
    async fn unpack(&self, draft: &Path) -> Result<Manifest, RestoreError> {
        let (file, draft) = (self.file.to_owned(), draft.to_owned());
        let unpacked = tokio::task::spawn_blocking(move || {
            let manifest = archive::read(&file, |entry, bytes| put(&draft, entry, bytes))?;
            if manifest.with_invoices {
                folder(&draft.join("invoices")).map_err(ReadError::Target)?;
            }
            Ok(manifest)
        });
        let unpacked = unpacked.await.unwrap_or_else(|error| Err(ReadError::Target(io::Error::other(error))));
        unpacked.map_err(|cause| self.unusable(cause))
    }

    /// Proves that the database is whole and is the one of the manifest, and holds back what it would send.
    async fn prepare(&self, draft: &Path, manifest: &Manifest) -> Result<Prepared, RestoreError> {
        let damaged = |cause| RestoreError::Damaged { file: self.file.to_owned(), cause };
        let mut database = Detached::open(&draft.join(DATABASE)).await.map_err(damaged)?;
        database.check(true).await.map_err(damaged)?;
        let heading = database.heading().await.map_err(damaged)?;
        if heading != (Heading { schema: manifest.schema, rows: manifest.rows.clone() }) {
            return Err(self.unusable(ReadError::Foreign("its database is not the one its manifest describes".into())));
        }
        let files = database.invoices().await.map_err(damaged)?;
        let root = if manifest.with_invoices { draft } else { self.directory };
        let missing = files.iter().filter(|file| !root.join(&file.path).is_file()).count();
        let because = |sink: &SinkName, waiting: u64| because(manifest.made_at, sink, waiting);
        let held = match self.resend {
            true => Vec::new(),
            false => database.hold_back(manifest.made_at, because).await.map_err(damaged)?,
        };
        database.close().await.map_err(damaged)?;
        let orders = heading.rows.get("customer_order").copied().unwrap_or(0);
        Ok(Prepared { orders, missing, held })
    }
}

/// What is known once the database is ready.
struct Prepared {
    orders: u64,
    missing: usize,
    held: Vec<HeldBack>,
}

/// Why a sink is paused after a restore, and what to do about it.
fn because(made_at: Timestamp, sink: &SinkName, waiting: u64) -> String {
    if waiting == 0 {
        return format!(
            "restored from a backup of {}: what came since may have been sent; `tillhook sinks resume {sink}` sends it \
             again, `tillhook deliveries skip --sink {sink} --paused` drops it",
            made_at.strftime("%Y-%m-%d %H:%M UTC")
        );
    }
    format!(
        "restored from a backup of {}: {waiting} waiting; `tillhook sinks resume {sink}` sends them, `tillhook deliveries skip ID` drops one",
        made_at.strftime("%Y-%m-%d %H:%M UTC")
    )
}

/// Writes a file of the backup into the draft, and syncs it.
fn put(draft: &Path, entry: &Entry, bytes: &mut dyn Read) -> io::Result<()> {
    let path = draft.join(&entry.path);
    folder(path.parent().unwrap_or(draft))?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::copy(bytes, &mut file)?;
    file.sync_all()
}

fn folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes the names in the draft durable.
fn sync_folders(draft: &Path, manifest: &Manifest) -> io::Result<()> {
    let mut folders = BTreeSet::from([draft.to_owned()]);
    for entry in &manifest.files {
        let path = draft.join(&entry.path);
        folders.extend(path.ancestors().skip(1).take_while(|above| above.starts_with(draft)).map(Path::to_owned));
    }
    folders.iter().try_for_each(|folder| File::open(folder)?.sync_all())
}

fn advice(cause: &ReadError) -> &'static str {
    match cause {
        ReadError::Newer(_) => "restore it with that version or a later one",
        ReadError::Io(_) => "check that this user may read it",
        ReadError::Foreign(_) => "give a file that `tillhook backup` made, as it was made",
        ReadError::Damaged(_) | ReadError::Target(_) => {
            "copy it again from where it came, or restore an earlier backup"
        }
    }
}

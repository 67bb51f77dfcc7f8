//! Putting a backup back in place of what a data directory holds.
//!
//! What was still to be delivered when the backup was made may have been delivered since, and a restored database does not
//! know it. So the sinks concerned are paused, and a person says whether to send or to drop. Customers who were erased since
//! are erased again in what is restored.
//!
//! The file may come from anybody: what it says is measured before it is held, and against the room that there is.
//!
//! **Invariant:** nothing of the directory is changed before the whole backup was unpacked beside it, compared with its
//! manifest and synced.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    archive::{self, ReadError},
    erase_again::{self, Again},
    erased::{ERASURES, Erasures},
    listing::Listed,
    manifest::Entry,
};
use crate::{
    clock::Clock,
    order::{Shop, SinkName},
    store::{
        Access, DATABASE, Detached, Heading, HeldBack, OpenError, Outdated, Replacement, Schema, Store, StoreError,
    },
};

/// What is left behind in the draft once its database was worked on: a lock, and a log that was emptied.
const LEFT_OVER: [&str; 3] = ["tillhook.lock", "tillhook.db-wal", "tillhook.db-shm"];

/// What to restore, and how.
#[derive(Clone, Copy)]
pub struct Restore<'a> {
    /// The backup.
    pub file: &'a Path,
    /// The data directory.
    pub directory: &'a Path,
    /// Whether data that is there may be moved aside.
    pub force: bool,
    /// Whether open deliveries go out without asking.
    pub resend: bool,
    /// The shops that are configured, for the names of invoices of which a customer is taken out.
    pub shops: &'a [Shop],
    /// The clock.
    pub clock: &'a Arc<dyn Clock>,
}

/// A backup that was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// When it was made.
    pub made_at: Timestamp,
    /// How many orders are back.
    pub orders: u64,
    /// How many invoices are back.
    pub invoices: u64,
    /// For how many orders the database knows an invoice that are not in the directory.
    pub missing: usize,
    /// Whether the invoices were in the backup at all.
    pub with_invoices: bool,
    /// Who was erased again, because they were erased since the backup was made.
    pub erased: Again,
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
    /// There is no room for what it holds.
    #[error("{} would take {needed} bytes in {}, where {free} are free\n  fix: make room there, then restore again", file.display(), path.display())]
    NoRoom {
        /// The file.
        file: PathBuf,
        /// The data directory.
        path: PathBuf,
        /// What its files take up.
        needed: u64,
        /// What is free.
        free: u64,
    },
    /// Who was erased since is not known.
    #[error("the list of erasures in {} cannot be used, so nothing was restored: {cause}\n  fix: let this user write to it; or move {ERASURES} away, restore, and erase again who was erased since", path.display())]
    Erasures {
        /// The data directory.
        path: PathBuf,
        /// What happened.
        cause: io::Error,
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
        let announced = archive::manifest(file).map_err(|cause| self.unusable(cause))?;
        self.refuse_newer(&announced)?;
        self.refuse_without_room(&announced)?;
        let failed = |cause| RestoreError::Io { path: directory.to_owned(), cause };
        let draft = replacement.draft().map_err(failed)?;
        let (listed, folders) = self.unpack(draft.path()).await?;
        let Prepared { orders, missing, held } = self.prepare(draft.path(), &listed).await?;
        let (erased, brought) = self.erase_again(draft.path(), listed.made_at).await?;
        // From here on nothing is refused any more.
        brought.add_to(directory).map_err(|cause| RestoreError::Erasures { path: directory.to_owned(), cause })?;
        folders.iter().try_for_each(|folder| File::open(folder)?.sync_all()).map_err(failed)?;
        let aside = replacement.exchange(draft, self.clock.now()).map_err(failed)?;
        let Listed { made_at, invoices, with_invoices, .. } = listed;
        Ok(Restored { made_at, orders, invoices, missing, with_invoices, erased, held, aside })
    }

    fn refuse_newer(&self, listed: &Listed) -> Result<(), RestoreError> {
        if listed.schema <= Schema::ours().version() {
            return Ok(());
        }
        let tillhook = listed.tillhook.escape_debug().to_string();
        Err(RestoreError::Newer { file: self.file.to_owned(), tillhook, schema: listed.schema })
    }

    /// The old data stays beside the new, so there has to be room for both.
    fn refuse_without_room(&self, listed: &Listed) -> Result<(), RestoreError> {
        let Ok(disk) = rustix::fs::statvfs(self.directory) else { return Ok(()) };
        let (needed, free) = (listed.total, disk.f_bavail.saturating_mul(disk.f_frsize));
        if needed <= free {
            return Ok(());
        }
        let (file, path) = (self.file.to_owned(), self.directory.to_owned());
        Err(RestoreError::NoRoom { file, path, needed, free })
    }

    fn unusable(&self, cause: ReadError) -> RestoreError {
        match cause {
            ReadError::Target(cause) => RestoreError::Io { path: self.directory.to_owned(), cause },
            cause => RestoreError::Unusable { file: self.file.to_owned(), cause },
        }
    }

    /// Unpacks everything into the draft and compares it with the manifest. Returns also the folders that were made.
    async fn unpack(&self, draft: &Path) -> Result<(Listed, BTreeSet<PathBuf>), RestoreError> {
        let (file, draft) = (self.file.to_owned(), draft.to_owned());
        let unpacked = tokio::task::spawn_blocking(move || {
            let mut folders = BTreeSet::from([draft.clone()]);
            let listed = archive::read(&file, |entry, bytes| put(&draft, entry, bytes, &mut folders))?;
            if listed.with_invoices {
                folder(&draft.join("invoices")).map_err(ReadError::Target)?;
            }
            Ok((listed, folders))
        });
        let unpacked = unpacked.await.unwrap_or_else(|error| Err(ReadError::Target(io::Error::other(error))));
        unpacked.map_err(|cause| self.unusable(cause))
    }

    fn damaged(&self, cause: StoreError) -> RestoreError {
        RestoreError::Damaged { file: self.file.to_owned(), cause }
    }

    /// Proves that the database is whole and is the one of the manifest, and holds back what it would send.
    async fn prepare(&self, draft: &Path, listed: &Listed) -> Result<Prepared, RestoreError> {
        let damaged = |cause| self.damaged(cause);
        let mut database = Detached::open_foreign(&draft.join(DATABASE)).await.map_err(damaged)?;
        database.check(true).await.map_err(damaged)?;
        let heading = database.heading().await.map_err(damaged)?;
        if heading != (Heading { schema: listed.schema, rows: listed.rows.clone() }) {
            return Err(self.unusable(ReadError::Foreign("its database is not the one its manifest describes".into())));
        }
        let root = if listed.with_invoices { draft } else { self.directory };
        let missing = database.count_missing_invoices(|path| root.join(path).is_file()).await.map_err(damaged)?;
        let because = |sink: &SinkName, waiting: u64| because(listed.made_at, sink, waiting);
        let held = match self.resend {
            true => Vec::new(),
            false => database.hold_back(listed.made_at, because).await.map_err(damaged)?,
        };
        database.close().await.map_err(damaged)?;
        let orders = heading.rows.get("customer_order").copied().unwrap_or(0);
        Ok(Prepared { orders, missing, held })
    }

    /// Erases whom the directory's own list, or that of the backup, says to have been erased since the backup was made. Returns
    /// also what the backup knows of erasures, which is to be added to the directory's list so that no later restore misses it.
    async fn erase_again(&self, draft: &Path, made_at: Timestamp) -> Result<(Again, Erasures), RestoreError> {
        let unusable = |cause| RestoreError::Erasures { path: self.directory.to_owned(), cause };
        let brought = Erasures::brought(draft)
            .map_err(|error| self.unusable(ReadError::Foreign(format!("its list of erasures: {error}"))))?;
        remove(&draft.join(ERASURES)).map_err(unusable)?;
        let all = Erasures::of(self.directory).and_then(|known| known.and(&brought)).map_err(unusable)?;
        // A backup of the future comes from a wrong clock, or from somebody who wants nobody erased.
        let since = all.since(made_at.min(self.clock.now()));
        if since.is_empty() {
            return Ok((Again::default(), brought));
        }
        let store = self.open(draft).await?;
        let again =
            erase_again::again(&store, self.clock, &since, self.shops).await.map_err(|cause| self.damaged(cause));
        store.close().await;
        let again = again?;
        // Opened and closed once more it has no log beside it.
        let database = Detached::open(&draft.join(DATABASE)).await.map_err(|cause| self.damaged(cause))?;
        database.close().await.map_err(|cause| self.damaged(cause))?;
        LEFT_OVER.iter().try_for_each(|name| remove(&draft.join(name))).map_err(unusable)?;
        Ok((again, brought))
    }

    /// Opens the database that is to be restored, brought up to date where it is an older one: the backup still is the copy of
    /// how it was.
    async fn open(&self, draft: &Path) -> Result<Store, RestoreError> {
        let failed = |error: OpenError| self.damaged(StoreError::Database(error.to_string()));
        match Store::open(draft, Access::Command).await {
            Err(OpenError::Older { .. }) => {
                Outdated::hold(draft).await.map_err(failed)?.migrate(&Schema::ours()).await.map_err(failed)?;
                Store::open(draft, Access::Command).await.map_err(failed)
            }
            opened => opened.map_err(failed),
        }
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

/// Writes a file of the backup into the draft, and syncs it. Takes note of the folders that hold it.
fn put(draft: &Path, entry: &Entry, bytes: &mut dyn Read, folders: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    let path = draft.join(entry.path());
    let above = path.parent().unwrap_or(draft);
    if !folders.contains(above) {
        folder(above)?;
        folders.extend(above.ancestors().take_while(|above| above.starts_with(draft)).map(Path::to_owned));
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::copy(bytes, &mut file)?;
    file.sync_all()
}

fn folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Removes a file that may not be there.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
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

//! Putting other data in the place of what is there, so that a crash at any moment leaves either the old or the new.
//!
//! A directory cannot be exchanged as a whole: it may be a volume, and it keeps the backups. So the new data is made ready
//! beside the old one, and gets the name `restoring-TIME` once it is complete and on disk. From then on whoever opens the
//! directory first brings the exchange to its end, one rename after the other; before that nothing has changed.
//!
//! **Invariant:** what is in `restoring-TIME` has not been exchanged yet, and the database is exchanged last. Nothing old
//! is deleted: it goes to `before-restore-TIME`. A log of the old database never stands beside the new one.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use tempfile::TempDir;

use super::{OpenError, connect};

/// Where new data is made ready; what a crash leaves there is swept away by whoever takes the lock next.
const DRAFT: &str = ".restore-";

/// Where complete new data waits for its exchange.
const READY: &str = "restoring-";

/// Where the old data goes.
pub const ASIDE: &str = "before-restore-";

/// What belongs to the database and to no other.
const DATABASE_FILES: [&str; 4] = [connect::DATABASE, "tillhook.db-wal", "tillhook.db-shm", "tillhook.db-journal"];

/// What is exchanged besides it, where there is new.
const OTHERS: [&str; 2] = ["invoices", "token"];

/// A data directory that nobody else uses, while its data is about to be replaced.
pub struct Replacement {
    directory: PathBuf,
    _lock: File,
}

impl Replacement {
    /// Takes hold of the directory, and makes it where it is not there.
    ///
    /// # Errors
    /// [`OpenError::InUse`] where a service runs on it; otherwise when the directory cannot be used.
    pub fn begin(directory: &Path) -> Result<Self, OpenError> {
        let lock = connect::hold(directory)?;
        Ok(Self { directory: directory.to_owned(), _lock: lock })
    }

    /// Whether there is anything that would be replaced. A log without its database counts.
    pub fn holds_data(&self) -> bool {
        let there = |name: &&str| self.directory.join(name).symlink_metadata().is_ok_and(|file| file.len() > 0);
        let invoices = fs::read_dir(self.directory.join("invoices")).is_ok_and(|mut entries| entries.next().is_some());
        DATABASE_FILES.iter().any(there) || invoices
    }

    /// An empty directory on the same file system, for the new data: `tillhook.db`, and where they are to be replaced too
    /// `invoices/` and `token`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn draft(&self) -> io::Result<TempDir> {
        tempfile::Builder::new().prefix(DRAFT).tempdir_in(&self.directory)
    }

    /// Puts the draft, which is complete and synced, in the place of what is there. Returns where the old data went.
    ///
    /// # Errors
    /// When a rename fails. Where it was the first, nothing has changed; otherwise the next to open the directory goes on.
    pub fn exchange(self, draft: TempDir, at: Timestamp) -> io::Result<Option<PathBuf>> {
        let stamp = self.free_stamp(at);
        fs::rename(draft.path(), self.directory.join(format!("{READY}{stamp}")))?;
        let _ = draft.keep();
        sync(&self.directory)?;
        finish(&self.directory)?;
        let aside = self.directory.join(format!("{ASIDE}{stamp}"));
        Ok(aside.is_dir().then_some(aside))
    }

    /// The time, or the first second after it that no other restore has.
    fn free_stamp(&self, at: Timestamp) -> String {
        let taken =
            |stamp: &String| [READY, ASIDE].iter().any(|kind| self.directory.join(format!("{kind}{stamp}")).exists());
        let mut seconds = (0_i64..).filter_map(|later| Timestamp::from_second(at.as_second() + later).ok());
        let stamp = |at: Timestamp| at.strftime("%Y%m%d-%H%M%S").to_string();
        seconds.by_ref().map(stamp).find(|stamp| !taken(stamp)).unwrap_or_else(|| stamp(at))
    }
}

/// Whether an exchange was begun and not ended.
pub(super) fn is_pending(directory: &Path) -> bool {
    named(directory, READY).is_ok_and(|ready| !ready.is_empty())
}

/// Ends an exchange that was begun, and sweeps away what was made ready for one and never got so far. Whoever calls holds
/// the lock.
pub(super) fn finish(directory: &Path) -> io::Result<()> {
    named(directory, DRAFT)?.iter().try_for_each(fs::remove_dir_all)?;
    for ready in named(directory, READY)? {
        while let Some((from, to)) = next_step(directory, &ready) {
            take(&from, &to)?;
        }
        fs::remove_dir(&ready)?;
        sync(directory)?;
    }
    Ok(())
}

/// Renames, durably before anything else happens.
fn take(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(above) = to.parent().filter(|above| !above.exists()) {
        fs::DirBuilder::new().mode(0o700).create(above)?;
    }
    fs::rename(from, to)?;
    // The new name first: after a power cut a name may be there twice, and must not be gone.
    to.parent().into_iter().chain(from.parent()).try_for_each(sync)
}

/// The next rename. It depends on nothing but what is there, so that it does not matter where the last run ended.
fn next_step(directory: &Path, ready: &Path) -> Option<(PathBuf, PathBuf)> {
    let stamp = ready.file_name()?.to_str()?.strip_prefix(READY)?;
    let aside = directory.join(format!("{ASIDE}{stamp}"));
    let moves = |name: &str, from: &Path, to: &Path| {
        from.join(name).symlink_metadata().ok().map(|_| (from.join(name), to.join(name)))
    };
    let is_new = |name: &&&str| ready.join(name).symlink_metadata().is_ok();
    is_new(&&connect::DATABASE).then_some(())?;
    let old = DATABASE_FILES.iter().chain(OTHERS.iter().filter(is_new));
    let new = OTHERS.iter().chain([&connect::DATABASE]);
    old.filter_map(|name| moves(name, directory, &aside))
        .next()
        .or_else(|| new.filter_map(|name| moves(name, ready, directory)).next())
}

/// The directories in this one whose names begin like that, by name.
fn named(directory: &Path, prefix: &str) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?.collect::<io::Result<Vec<_>>>()?,
    };
    let ours = |entry: &fs::DirEntry| {
        entry.file_name().to_string_lossy().starts_with(prefix) && entry.file_type().is_ok_and(|kind| kind.is_dir())
    };
    let mut found: Vec<PathBuf> = entries.into_iter().filter(ours).map(|entry| entry.path()).collect();
    found.sort();
    Ok(found)
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "2026-11-21T13:05:00Z";
    const STAMP: &str = "20261121-130500";

    /// A directory with old data, and new data in a draft.
    fn directory() -> (TempDir, Replacement, TempDir) {
        let home = tempfile::tempdir().unwrap();
        let replacement = Replacement::begin(home.path()).unwrap();
        assert!(!replacement.holds_data());
        fill(
            home.path(),
            "old",
            &["tillhook.db", "tillhook.db-wal", "tillhook.db-shm", "token", "invoices/2025/a.pdf"],
        );
        fill(home.path(), "kept", &["backups/a.tar.gz"]);
        assert!(replacement.holds_data());
        let draft = replacement.draft().unwrap();
        fill(draft.path(), "new", &["tillhook.db", "token", "invoices/2026/b.pdf"]);
        (home, replacement, draft)
    }

    fn fill(directory: &Path, text: &str, names: &[&str]) {
        for name in names {
            fs::create_dir_all(directory.join(name).parent().unwrap()).unwrap();
            fs::write(directory.join(name), text).unwrap();
        }
    }

    /// Every file with what is in it.
    fn files(directory: &Path, below: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory.join(below)).unwrap() {
            let name = format!("{below}{}", entry.unwrap().file_name().to_str().unwrap());
            if directory.join(&name).is_dir() {
                files(directory, &format!("{name}/"), found);
            } else if name != "tillhook.lock" {
                found.push(format!("{name} {}", fs::read_to_string(directory.join(&name)).unwrap()));
            }
        }
        found.sort();
    }

    fn all(directory: &Path) -> Vec<String> {
        let mut found = Vec::new();
        files(directory, "", &mut found);
        found
    }

    fn exchanged() -> Vec<String> {
        let aside = ["invoices/2025/a.pdf", "tillhook.db", "tillhook.db-shm", "tillhook.db-wal", "token"];
        let aside = aside.map(|name| format!("before-restore-{STAMP}/{name} old"));
        let new = ["invoices/2026/b.pdf new", "tillhook.db new", "token new"].map(str::to_owned);
        [&["backups/a.tar.gz kept".to_owned()][..], &aside, &new].concat()
    }

    #[test]
    fn new_data_takes_the_place_of_the_old_which_is_moved_aside() {
        let (home, replacement, draft) = directory();
        let aside = replacement.exchange(draft, AT.parse().unwrap()).unwrap();
        assert_eq!(aside, Some(home.path().join(format!("before-restore-{STAMP}"))));
        let mut wanted = exchanged();
        wanted.sort();
        assert_eq!(all(home.path()), wanted);
    }

    #[test]
    fn an_exchange_that_is_cut_off_after_any_rename_is_brought_to_its_end_by_whoever_comes_next() {
        for renames in 0.. {
            let (home, replacement, draft) = directory();
            let ready = home.path().join(format!("{READY}{STAMP}"));
            fs::rename(draft.keep(), &ready).unwrap();
            let taken = (0..renames).take_while(|_| {
                let step = next_step(home.path(), &ready);
                step.is_some_and(|(from, to)| take(&from, &to).is_ok())
            });
            let taken = taken.count();
            drop(replacement);
            assert!(is_pending(home.path()));
            let next = Replacement::begin(home.path()).unwrap();
            assert!(next.holds_data() && !is_pending(home.path()));
            let mut wanted = exchanged();
            wanted.sort();
            assert_eq!(all(home.path()), wanted, "after {renames} renames");
            if taken < renames {
                assert_eq!(taken, 8, "five old names go, three new ones come");
                return;
            }
        }
    }

    #[test]
    fn a_draft_that_was_cut_off_changes_nothing_and_is_swept_away() {
        let (home, replacement, draft) = directory();
        let left = draft.keep();
        drop(replacement);
        let old = all(home.path());
        Replacement::begin(home.path()).unwrap();
        assert!(!left.exists());
        assert_eq!(all(home.path()), old.into_iter().filter(|file| !file.starts_with(DRAFT)).collect::<Vec<_>>());
    }

    #[test]
    fn what_the_new_data_does_not_hold_stays_and_two_restores_in_a_second_are_kept_apart() {
        let (home, replacement, draft) = directory();
        fs::remove_dir_all(draft.path().join("invoices")).unwrap();
        fs::remove_file(draft.path().join("token")).unwrap();
        let first = replacement.exchange(draft, AT.parse().unwrap()).unwrap();
        assert!(all(home.path()).contains(&"invoices/2025/a.pdf old".to_owned()));
        assert!(all(home.path()).contains(&"token old".to_owned()));
        let replacement = Replacement::begin(home.path()).unwrap();
        let draft = replacement.draft().unwrap();
        fill(draft.path(), "newer", &["tillhook.db"]);
        let second = replacement.exchange(draft, AT.parse().unwrap()).unwrap();
        assert_ne!(first, second);
        assert_eq!(fs::read_to_string(second.unwrap().join("tillhook.db")).unwrap(), "new");
    }
}

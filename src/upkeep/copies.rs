//! Copies of data that we made unasked: of the database before an upgrade, of everything before a restore.
//!
//! They are there in case something went wrong, which shows within days; and they hold customers, so they do not stay for ever.
//! They go when nightly backups of their age do, but not within a month.
//!
//! **Invariant:** nothing goes but what has a name that only we give, and its age stands in that name.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::{Span, Timestamp, ToSpan as _, civil::DateTime, tz::TimeZone};

use super::backup::{FOLDER, stamp};
use crate::store::ASIDE;

/// For how many days such a copy stays at the least.
pub const KEPT_AT_LEAST: i64 = 30;

/// How the copy of a database before an upgrade is called.
pub(super) const BEFORE_SCHEMA: &str = "before-schema-";

/// The end of the name of every backup.
const END: &str = ".tar.gz";

/// How long copies stay where so many nightly backups do.
pub fn kept_beside(nightly_backups: usize) -> Span {
    let nights = i64::try_from(nightly_backups).unwrap_or(i64::MAX).min(365_000);
    nights.max(KEPT_AT_LEAST).days()
}

/// Deletes the copies below a data directory that are older than they are kept. Returns which.
///
/// # Errors
/// The first reason for which a folder cannot be read or a copy cannot be deleted. All others are gone then.
pub(super) fn remove_old(directory: &Path, now: Timestamp, keep: Span) -> io::Result<Vec<PathBuf>> {
    let aside = named(directory, |name, kind| kind.is_dir().then(|| made_at(name.strip_prefix(ASIDE)?))?);
    let before_schema = named(&directory.join(FOLDER), |name, kind| {
        let (schema, made) = name.strip_prefix(BEFORE_SCHEMA)?.strip_suffix(END)?.split_once('-')?;
        let ours = kind.is_file() && schema.parse::<u32>().is_ok();
        made_at(made).filter(|_| ours)
    });
    let is_old = |at: Timestamp| at < super::retention::before(now, keep);
    remove_each([aside, before_schema], is_old, |path| match path.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    })
}

/// Deletes those that are old, whatever happens with others.
fn remove_each(
    found: [io::Result<Vec<(PathBuf, Timestamp)>>; 2],
    is_old: impl Fn(Timestamp) -> bool,
    remove: impl Fn(&Path) -> io::Result<()>,
) -> io::Result<Vec<PathBuf>> {
    let (mut removed, mut failed) = (Vec::new(), None);
    for copies in found {
        let copies = copies.unwrap_or_else(|error| {
            failed.get_or_insert(error);
            Vec::new()
        });
        for (path, _) in copies.into_iter().filter(|(_, at)| is_old(*at)) {
            if let Err(error) = remove(&path) {
                failed.get_or_insert(io::Error::new(error.kind(), format!("{}: {error}", path.display())));
                continue;
            }
            tracing::info!(copy.path = %path.display(), "removed a copy that was made before an upgrade or a restore: it is as old as backups get");
            removed.push(path);
        }
    }
    failed.map_or(Ok(removed), Err)
}

/// What is in a folder, where it is there, with a time by its name.
fn named(folder: &Path, at: impl Fn(&str, fs::FileType) -> Option<Timestamp>) -> io::Result<Vec<(PathBuf, Timestamp)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let at = at(&entry.file_name().to_string_lossy(), entry.file_type()?);
        found.extend(at.map(|at| (entry.path(), at)));
    }
    Ok(found)
}

/// The time in a name: `20261121-130500`, in UTC.
fn made_at(text: &str) -> Option<Timestamp> {
    let at = DateTime::strptime("%Y%m%d-%H%M%S", text).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    // Other spellings of a time are read as well.
    (stamp(at) == text).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_go_with_the_nightly_backups_of_their_age_and_never_within_a_month() {
        let home = tempfile::tempdir().unwrap();
        let backups = home.path().join("backups");
        fs::create_dir(&backups).unwrap();
        let theirs = [
            "before-schema-9-20200101-000000.tar",
            "before-schema-x-20200101-000000.tar.gz",
            "before-schema--20200101-000000.tar.gz",
            "before-schema-9-20200101-000060.tar.gz",
            "before-schema-9-20200101.tar.gz",
            "before-schema-9-20201301-000000.tar.gz",
            "tillhook-20200101-000000.tar.gz",
            "before-restore-20200101-000000",
        ];
        let ours = |day: &str| format!("before-schema-9-{day}-130500.tar.gz");
        for name in theirs.map(str::to_owned).into_iter().chain(["20261001", "20261022"].map(ours)) {
            fs::write(backups.join(name), "").unwrap();
        }
        for name in
            ["before-restore-20261001-130500", "before-restore-20261022-130500", "before-restore-mine", "invoices"]
        {
            fs::create_dir_all(home.path().join(name).join("invoices/2026")).unwrap();
        }
        fs::write(home.path().join("before-restore-20200101-000000"), "a file").unwrap();
        let there = || {
            let in_folder = |folder: &Path| {
                fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
            };
            let mut all: Vec<String> = in_folder(home.path());
            all.extend::<Vec<String>>(in_folder(&backups));
            all.iter().filter(|name| name.contains("2026")).count()
        };
        let now = |text: &str| -> Timestamp { text.parse().unwrap() };
        assert!(remove_old(home.path(), now("2026-10-31T13:05:00Z"), kept_beside(7)).unwrap().is_empty());
        assert_eq!(there(), 4, "the machine keeps 30 days");
        assert!(remove_old(home.path(), now("2026-11-30T13:05:00Z"), kept_beside(100)).unwrap().is_empty());
        let gone = remove_old(home.path(), now("2026-10-31T13:05:01Z"), kept_beside(7)).unwrap();
        assert_eq!((gone.len(), there()), (2, 2), "{gone:?}");
        assert_eq!(remove_old(home.path(), now("2026-12-31T00:00:00Z"), kept_beside(1)).unwrap().len(), 2);
        assert_eq!(there(), 0);
        assert_eq!(fs::read_dir(&backups).unwrap().count(), theirs.len());
        assert!(home.path().join("before-restore-mine").is_dir() && home.path().join("invoices").is_dir());
    }

    #[test]
    fn a_copy_that_cannot_be_deleted_keeps_no_other() {
        let at = |path: &str| (PathBuf::from(path), Timestamp::UNIX_EPOCH);
        let tried = std::cell::RefCell::new(Vec::new());
        let remove = |path: &Path| {
            tried.borrow_mut().push(path.display().to_string());
            match path.to_str() {
                Some("b" | "c") => Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem)),
                _ => Ok(()),
            }
        };
        let said = remove_each([Ok(vec![at("a"), at("b")]), Ok(vec![at("c"), at("d")])], |_| true, remove);
        assert_eq!(*tried.borrow(), ["a", "b", "c", "d"]);
        assert!(said.unwrap_err().to_string().starts_with("b: "), "the first that failed is told of");
    }

    #[test]
    fn a_folder_that_cannot_be_read_keeps_no_copy_elsewhere() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("backups"), "no folder").unwrap();
        let copy = home.path().join("before-restore-20261001-130500");
        fs::create_dir(&copy).unwrap();
        assert!(remove_old(home.path(), "2026-12-31T00:00:00Z".parse().unwrap(), kept_beside(1)).is_err());
        assert!(!copy.exists());
    }
}

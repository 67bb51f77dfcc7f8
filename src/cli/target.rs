//! A file that a command writes: an export, a report, a key.
//!
//! **Invariant:** a file under its final name is complete and on disk; an earlier one of that name is there until then.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use super::{Exit, Stop};

/// How the file is called while it is written, in front of some characters of chance.
const DRAFT: &str = ".tillhook-export-";

/// A file that is being written. It goes when it is not completed, and its owner alone can read it.
pub struct Target {
    draft: NamedTempFile,
    to: PathBuf,
    replace: bool,
}

impl Target {
    /// Makes a file beside `to` that nobody else can read.
    pub fn begin(to: &Path, replace: bool) -> anyhow::Result<Self> {
        if to.is_dir() || to.file_name().is_none() {
            let what = format!("{} is no name of a file", to.display());
            return Err(Stop::with_fix(Exit::Usage, what, "name a file in it"));
        }
        refuse_if_there(to, replace)?;
        let draft =
            tempfile::Builder::new().prefix(DRAFT).tempfile_in(folder(to)).map_err(|cause| unusable(to, &cause))?;
        Ok(Self { draft, to: to.to_owned(), replace })
    }

    /// What is written to.
    pub fn file(&self) -> &File {
        self.draft.as_file()
    }

    /// Another file on the same disk, without a name: it is gone when it is closed.
    pub fn scratch(&self) -> io::Result<File> {
        tempfile::tempfile_in(folder(&self.to))
    }

    /// An error while it is written, with what to do about it.
    pub fn explained(&self, error: anyhow::Error) -> anyhow::Error {
        error.downcast().map_or_else(|other| other, |cause: io::Error| unusable(&self.to, &cause))
    }

    /// Syncs it and gives it its name.
    pub fn complete(self) -> anyhow::Result<()> {
        self.draft.as_file().sync_all().map_err(|cause| unusable(&self.to, &cause))?;
        refuse_if_there(&self.to, self.replace)?;
        self.draft.persist(&self.to).map_err(|error| unusable(&self.to, &error.error))?;
        File::open(folder(&self.to)).and_then(|folder| folder.sync_all()).map_err(|cause| unusable(&self.to, &cause))
    }
}

fn folder(of: &Path) -> &Path {
    of.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn refuse_if_there(to: &Path, replace: bool) -> anyhow::Result<()> {
    if to.symlink_metadata().is_ok() && !replace {
        let what = format!("{} is there already", to.display());
        return Err(Stop::with_fix(Exit::Refused, what, "name another file, or replace it with --force"));
    }
    Ok(())
}

fn unusable(to: &Path, cause: &io::Error) -> anyhow::Error {
    let what = format!("{} cannot be written: {cause}", to.display());
    Stop::with_fix(
        Exit::Failed,
        what,
        "name a file in a directory that is there, that has room, and that this user may write to",
    )
}

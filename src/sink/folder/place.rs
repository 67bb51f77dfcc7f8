//! The open folder of a folder sink, and what may be in the way there.
//!
//! The folder itself may be a symbolic link, because the operator names it. What is in it may be anybody's who shares it.
//!
//! **Invariant:** nothing in the folder is followed, waited for or replaced that is no plain file.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    path::Path,
};

use rustix::{
    fs::{self, AtFlags, FileType, Mode, OFlags},
    io::Errno,
};

/// The rights of our files.
const OWNER_ALONE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Nothing is followed, and nothing is waited for.
const CAREFULLY: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);

/// Why nothing was written.
#[derive(Debug)]
pub(super) enum Fault {
    /// There is no such folder.
    NoFolder,
    /// Under a name of ours is something that we do not touch.
    InTheWay { name: String, what: &'static str },
    /// The folder, or the disk.
    Io(io::Error),
}

impl Fault {
    /// What, where, what to do.
    pub(super) fn said_of(self, folder: &Path) -> String {
        let folder = folder.display();
        match self {
            Self::NoFolder => format!("the folder {folder} does not exist"),
            Self::InTheWay { name, what } => {
                format!(
                    "{name} in the folder {folder} is {what} and no file: move it away; until then this is tried again"
                )
            }
            Self::Io(error) => format!("the folder {folder} cannot be written: {error}"),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for Fault {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// The open folder. Names are looked up in it, whatever becomes of its path meanwhile.
pub(super) struct Place(File);

impl Place {
    /// Opens the folder.
    pub(super) fn open(folder: &Path) -> Result<Self, Fault> {
        match fs::open(folder, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(folder) => Ok(Self(folder.into())),
            Err(Errno::NOENT) => Err(Fault::NoFolder),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether there is a file of this name. Anything else is in the way.
    fn has(&self, name: &str) -> Result<bool, Fault> {
        let what = match fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => match FileType::from_raw_mode(found.st_mode) {
                FileType::RegularFile => return Ok(true),
                FileType::Directory => "a folder",
                FileType::Symlink => "a symbolic link",
                FileType::Fifo => "a named pipe",
                _ => "a device or socket",
            },
            Err(Errno::NOENT) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        Err(Fault::InTheWay { name: name.to_owned(), what })
    }

    /// Whether there is a file of this name with other content.
    pub(super) fn has_other(&self, name: &str, bytes: &[u8]) -> Result<bool, Fault> {
        if !self.has(name)? {
            return Ok(false);
        }
        let file = File::from(fs::openat(&self.0, name, OFlags::RDONLY | CAREFULLY, Mode::empty())?);
        let found = file.metadata()?;
        if !found.is_file() || found.len() != bytes.len() as u64 {
            return Ok(true);
        }
        let mut present = Vec::with_capacity(bytes.len());
        file.take(found.len()).read_to_end(&mut present)?;
        Ok(present != bytes)
    }

    /// Takes a file away.
    pub(super) fn remove(&self, name: &str) -> Result<(), Fault> {
        Ok(fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Writes under a temporary name, makes sure that the bytes are on disk, and only then renames. Two deliveries that
    /// write a file of one name at once do it under the names of their events.
    pub(super) fn write_whole(&self, name: &str, event: &str, bytes: &[u8]) -> Result<(), Fault> {
        self.has(name)?;
        let temporary = format!(".{name}.{event}.part");
        match fs::unlinkat(&self.0, &temporary, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR | Errno::PERM) => return self.has(&temporary).and(Err(Errno::PERM.into())),
            Err(error) => return Err(error.into()),
        }
        let new = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | CAREFULLY;
        let mut file = File::from(fs::openat(&self.0, &temporary, new, OWNER_ALONE)?);
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::renameat(&self.0, &temporary, &self.0, name)?;
        Ok(self.0.sync_all()?)
    }
}

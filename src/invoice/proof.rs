//! Proof that a file of the archive is what was stored, by its SHA-256.
//!
//! The file is opened once, read piece by piece, and handed on as the same handle: a name that is given to another file
//! meanwhile changes nothing, and memory does not grow with the file.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use sha2::{Digest as _, Sha256};

use super::ArchiveError;
use crate::order::hex;

/// How much of a file is read at a time.
const PIECE: usize = 64 * 1024;

/// A PDF that is being read.
#[derive(Debug)]
pub struct OpenInvoice {
    /// Its bytes, from the first one.
    pub file: File,
    /// How many there are.
    pub bytes: u64,
}

/// Opens a file of the archive. A link, a pipe or a folder that somebody put in its place is not what was stored, and
/// nobody waits for a pipe.
pub(super) fn open_plain(file: &Path, path: &str) -> Result<File, ArchiveError> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(file, OFlags::RDONLY | flags, Mode::empty()) {
        Err(Errno::NOENT) => return Err(ArchiveError::Missing(path.to_owned())),
        Err(Errno::LOOP | Errno::NXIO) => return Err(ArchiveError::Altered(path.to_owned())),
        opened => File::from(opened.map_err(io::Error::from)?),
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(ArchiveError::Altered(path.to_owned())) }
}

/// Reads a file once from beginning to end; `None` where its bytes are not those with this digest.
pub(super) fn prove(mut file: File, sha256: &str) -> io::Result<Option<OpenInvoice>> {
    let (mut hasher, mut bytes, mut piece) = (Sha256::new(), 0, vec![0; PIECE]);
    loop {
        let length = match file.read(&mut piece) {
            Ok(0) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        hasher.update(&piece[..length]);
        bytes += length as u64;
    }
    file.rewind()?;
    Ok((hex(hasher.finalize()) == sha256).then_some(OpenInvoice { file, bytes }))
}

/// SHA-256 in hexadecimal: a PDF's name in the archive.
pub fn hex_sha256(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes))
}

//! Proof that a file of the archive is what was stored, by its SHA-256.
//!
//! The file is opened once, read piece by piece, and handed on as the same handle: a name that is given to another file
//! meanwhile changes nothing, and memory does not grow with the file. What is larger than any invoice is not read at all,
//! and nobody goes on reading for somebody who has left.

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
use tokio_util::sync::CancellationToken;

use super::{ArchiveError, MAX_BYTES};
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

/// Opens a file of the archive. A link, a pipe, a folder or a file larger than any invoice that somebody put in its place
/// is not what was stored, and nobody waits for a pipe.
pub(super) fn open_plain(file: &Path, path: &str) -> Result<File, ArchiveError> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(file, OFlags::RDONLY | flags, Mode::empty()) {
        Err(Errno::NOENT) => return Err(ArchiveError::Missing(path.to_owned())),
        Err(Errno::LOOP | Errno::NXIO) => return Err(ArchiveError::Altered(path.to_owned())),
        opened => File::from(opened.map_err(io::Error::from)?),
    };
    let found = file.metadata()?;
    let possible = found.is_file() && found.len() <= MAX_BYTES as u64;
    if possible { Ok(file) } else { Err(ArchiveError::Altered(path.to_owned())) }
}

/// What is in the file; `None` where its bytes are not those with this digest. It may grow while it is read.
pub(super) fn read_proven(file: File, sha256: &str) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok((hex_sha256(&bytes) == sha256).then_some(bytes))
}

/// Reads a file once from beginning to end; `None` where its bytes are not those with this digest. It may grow while it is
/// read. Whoever asked has left when `left` is cancelled.
pub(super) fn prove(mut file: File, sha256: &str, left: &CancellationToken) -> io::Result<Option<OpenInvoice>> {
    let (mut digest, mut bytes, mut piece) = (Fingerprint::default(), 0, vec![0; PIECE]);
    let mut bounded = (&mut file).take(MAX_BYTES as u64 + 1);
    loop {
        if left.is_cancelled() {
            return Err(io::Error::other("nobody waits for it any more"));
        }
        let length = match bounded.read(&mut piece) {
            Ok(0) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        digest.add(&piece[..length]);
        bytes += length as u64;
    }
    file.rewind()?;
    Ok(digest.is(sha256).then_some(OpenInvoice { file, bytes }))
}

/// The SHA-256 of bytes that come piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// The next piece.
    pub fn add(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// Whether the pieces so far are the bytes with this digest, in hexadecimal.
    pub fn is(&self, sha256: &str) -> bool {
        hex(self.0.clone().finalize()) == sha256
    }
}

/// SHA-256 in hexadecimal: a PDF's name in the archive.
pub fn hex_sha256(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn nobody_reads_on_for_a_reader_who_has_left() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"%PDF-1.7").unwrap();
        file.rewind().unwrap();
        let (left, sha256) = (CancellationToken::new(), hex_sha256(b"%PDF-1.7"));
        assert!(prove(file.try_clone().unwrap(), &sha256, &left).unwrap().is_some());
        left.cancel();
        assert!(prove(file.try_clone().unwrap(), &sha256, &left).is_err());
        assert_eq!(file.stream_position().unwrap(), 0, "not one piece was read");
    }

    #[test]
    fn what_grows_while_it_is_read_is_read_no_further_than_an_invoice_goes() {
        let huge = || {
            let file = tempfile::tempfile().unwrap();
            file.set_len(1 << 40).unwrap();
            file
        };
        let mut file = huge();
        assert!(read_proven(file.try_clone().unwrap(), "").unwrap().is_none());
        assert_eq!(file.stream_position().unwrap(), MAX_BYTES as u64 + 1);
        assert!(prove(huge(), "", &CancellationToken::new()).unwrap().is_none());
    }
}

//! The file that a backup is: tar in gzip, the manifest first, then exactly the files that it lists.
//!
//! Any tool can unpack it. Reading it trusts nothing: an entry that is not the next of the list (another name, a link, a
//! folder, another size, other bytes) ends it, so there is no path to escape by and nothing to grow without limit.
//!
//! **Invariant:** no file is in memory as a whole, but for the manifest.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write as _},
    path::Path,
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};
use tokio_util::sync::CancellationToken;

use super::manifest::{Entry, FORMAT, Manifest, hex};

/// The manifest's name in the archive.
const MANIFEST: &str = "manifest.json";

/// The largest manifest that is read: a million invoices.
const MANIFEST_BYTES: u64 = 256 << 20;

/// Padding that may follow the last entry; tar rounds up to 10 KiB.
const PADDING: u64 = 64 << 10;

/// Why an archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Io(io::Error),
    /// It is something else.
    #[error("it is not a backup that tillhook made: {0}")]
    Foreign(String),
    /// A newer program made it.
    #[error("a newer tillhook ({0}) made it")]
    Newer(String),
    /// Its bytes are not those that were written.
    #[error("it is damaged or cut off at {0:?}")]
    Damaged(String),
    /// What it holds could not be put where it was to go.
    #[error("its files cannot be written: {0}")]
    Target(io::Error),
}

/// Writes the manifest and the files that it lists to `to`, and syncs it. `open` finds a file's bytes.
///
/// # Errors
/// When a file is not what the manifest says, reading or writing fails, or `stop` is cancelled.
pub(super) fn write(
    to: File,
    manifest: &Manifest,
    stop: &CancellationToken,
    open: impl Fn(&Entry) -> io::Result<File>,
) -> io::Result<()> {
    let mut archive = tar::Builder::new(GzEncoder::new(BufWriter::new(to), Compression::default()));
    let json = serde_json::to_vec_pretty(manifest)?;
    archive.append(&header(manifest, MANIFEST, json.len() as u64)?, json.as_slice())?;
    for entry in &manifest.files {
        let mut bytes = Hashing::new(Stoppable { inner: open(entry)?, stop }.take(entry.bytes));
        archive.append(&header(manifest, &entry.path, entry.bytes)?, &mut bytes)?;
        if bytes.count != entry.bytes || bytes.digest() != entry.sha256 {
            return Err(io::Error::other(format!("{} changed while it was read", entry.path)));
        }
    }
    let mut file = archive.into_inner()?.finish()?;
    file.flush()?;
    file.get_ref().sync_all()
}

fn header(manifest: &Manifest, path: &str, bytes: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(path)?;
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(manifest.made_at.as_second().unsigned_abs());
    header.set_entry_type(EntryType::Regular);
    header.set_cksum();
    Ok(header)
}

/// Reads the manifest alone.
///
/// # Errors
/// When this is no backup that we understand.
pub(super) fn manifest(archive: &Path) -> Result<Manifest, ReadError> {
    let file = File::open(archive).map_err(ReadError::Io)?;
    let bytes = file.metadata().map_err(ReadError::Io)?.len();
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    let mut entries = archive.entries().map_err(|error| unreadable(error, MANIFEST))?.raw(true);
    first(&mut entries, bytes)
}

/// Reads the whole archive and compares everything with the manifest. `take` is given the bytes of each file in turn.
///
/// # Errors
/// At the first thing that is not as the manifest says; [`ReadError::Target`] where `take` fails.
pub(super) fn read(
    archive: &Path,
    mut take: impl FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
) -> Result<Manifest, ReadError> {
    let file = File::open(archive).map_err(ReadError::Io)?;
    let bytes = file.metadata().map_err(ReadError::Io)?.len();
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    let mut entries = archive.entries().map_err(|error| unreadable(error, MANIFEST))?.raw(true);
    let manifest = first(&mut entries, bytes)?;
    for wanted in &manifest.files {
        let entry = next(&mut entries, &wanted.path)?;
        if entry.size() != wanted.bytes {
            return Err(ReadError::Damaged(wanted.path.clone()));
        }
        let mut bytes = Hashing::new(entry);
        let taken = take(wanted, &mut bytes);
        // What goes wrong while the bytes are fetched is the archive's fault, and otherwise the place's where they go.
        if let Some(error) = bytes.failed.take() {
            return Err(unreadable(error, &wanted.path));
        }
        taken.map_err(ReadError::Target)?;
        if bytes.count != wanted.bytes || bytes.digest() != wanted.sha256 {
            return Err(ReadError::Damaged(wanted.path.clone()));
        }
    }
    if entries.next().is_some() {
        return Err(ReadError::Foreign("it holds more than its list says".to_owned()));
    }
    to_the_end(archive.into_inner())?;
    Ok(manifest)
}

/// Reads the manifest, which is the first entry.
fn first<R: Read>(entries: &mut tar::Entries<'_, R>, archive_bytes: u64) -> Result<Manifest, ReadError> {
    let entry = next(entries, MANIFEST)?;
    if entry.size() > MANIFEST_BYTES {
        return Err(ReadError::Foreign("its manifest is too large".to_owned()));
    }
    let mut json = Vec::new();
    entry.take(MANIFEST_BYTES).read_to_end(&mut json).map_err(|error| unreadable(error, MANIFEST))?;
    let foreign = |error: serde_json::Error| {
        ReadError::Foreign(format!("its manifest cannot be understood at line {}", error.line()))
    };
    /// What every later format has too.
    #[derive(serde::Deserialize)]
    struct Made {
        format: u32,
        tillhook: String,
    }
    let made: Made = serde_json::from_slice(&json).map_err(foreign)?;
    if made.format > FORMAT {
        return Err(ReadError::Newer(made.tillhook.escape_debug().to_string()));
    }
    let manifest: Manifest = serde_json::from_slice(&json).map_err(foreign)?;
    manifest.check(archive_bytes).map_err(ReadError::Foreign)?;
    Ok(manifest)
}

/// The next entry, which must be a plain file of this name.
fn next<'a, R: Read>(entries: &mut tar::Entries<'a, R>, name: &str) -> Result<tar::Entry<'a, R>, ReadError> {
    let entry = match entries.next() {
        Some(entry) => entry.map_err(|error| unreadable(error, name))?,
        None if name == MANIFEST => return Err(ReadError::Foreign("it is empty".to_owned())),
        None => return Err(ReadError::Damaged(name.to_owned())),
    };
    let found = entry.path_bytes().into_owned();
    if entry.header().entry_type() != EntryType::Regular || found != name.as_bytes() {
        let found = String::from_utf8_lossy(&found);
        return Err(ReadError::Foreign(format!("it holds {found:?} where a file {name:?} is expected")));
    }
    Ok(entry)
}

/// Reads what is left, so that gzip's own checksum is compared.
fn to_the_end(mut rest: impl Read) -> Result<(), ReadError> {
    let read = io::copy(&mut rest.by_ref().take(PADDING + 1), &mut io::sink());
    match read.map_err(|error| unreadable(error, "its end"))? {
        padding if padding > PADDING => Err(ReadError::Foreign("something follows its last file".to_owned())),
        _ => Ok(()),
    }
}

/// What the decoder and tar complain about is the archive; everything else is the disk.
fn unreadable(error: io::Error, at: &str) -> ReadError {
    match error.raw_os_error() {
        Some(_) => ReadError::Io(error),
        None if at == MANIFEST => ReadError::Foreign("it does not begin with a manifest".to_owned()),
        None => ReadError::Damaged(at.to_owned()),
    }
}

/// Counts and digests what is read.
pub(super) struct Hashing<R> {
    inner: R,
    digest: Sha256,
    count: u64,
    failed: Option<io::Error>,
}

impl<R: Read> Hashing<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, digest: Sha256::new(), count: 0, failed: None }
    }

    /// How many bytes there are to the end, and their SHA-256 in hexadecimal.
    pub fn finish(mut self) -> io::Result<(u64, String)> {
        io::copy(&mut self, &mut io::sink())?;
        Ok((self.count, self.digest()))
    }

    fn digest(self) -> String {
        hex(self.digest.finalize())
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer).inspect_err(|error| {
            if error.kind() == io::ErrorKind::Interrupted {
                return;
            }
            self.failed = Some(
                error
                    .raw_os_error()
                    .map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error),
            );
        })?;
        self.digest.update(&buffer[..read]);
        self.count += read as u64;
        Ok(read)
    }
}

/// A file that nobody needs to read to its end.
pub(super) struct Stoppable<'a, R> {
    pub inner: R,
    pub stop: &'a CancellationToken,
}

impl<R: Read> Read for Stoppable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_cancelled() {
            return Err(io::Error::other("stopped"));
        }
        self.inner.read(buffer)
    }
}

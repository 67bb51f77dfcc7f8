//! The file that a backup is: tar in gzip, the manifest first, then exactly the files that it lists.
//!
//! Any tool can unpack it. Reading it trusts nothing: an entry that is not the next of the list (another name, a link, a
//! folder, another size, other bytes) ends it, so there is no path to escape by and nothing to grow without limit. The list
//! is read from the archive a second time, file by file beside the files themselves, because it may be long.
//!
//! **Invariant:** no file is in memory as a whole, nor the list of them. Entries are read raw: `tar` would read the names and
//! attributes of extended headers (GNU long names, PAX) whole, and allocate for each piece of a sparse file.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::Path,
};

use flate2::{Compression, bufread::GzDecoder, write::GzEncoder};
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};
use tokio_util::sync::CancellationToken;

use super::{
    listing::{self, Listed},
    manifest::{Entry, FILES, LINE, Manifest},
};

/// The manifest's name in the archive.
pub(super) const MANIFEST: &str = "manifest.json";

/// The largest manifest that is read: a line for each file that a backup may hold.
const MANIFEST_BYTES: u64 = FILES * LINE;

/// How many times larger than the archive its manifest may be. An invoice takes 224 bytes of it, and some 70 of the archive
/// at the least: its digest stands in the list and before its bytes, and does not shrink.
const MANIFEST_EXPANSION: u64 = 8;

/// What a manifest may have beyond that: versions, tables, names of what is missing.
const MANIFEST_HEADROOM: u64 = 64 << 10;

/// A block of tar.
const BLOCK: u64 = 512;

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
    write_manifest(archive.get_mut(), manifest)?;
    for entry in &manifest.files {
        let mut bytes = Hashing::new(Stoppable { inner: open(entry)?, stop }.take(entry.bytes));
        archive.append(&header(manifest, &entry.path(), entry.bytes)?, &mut bytes)?;
        if bytes.count != entry.bytes || bytes.digest() != entry.sha256 {
            return Err(io::Error::other(format!("{} changed while it was read", entry.path())));
        }
    }
    let mut file = archive.into_inner()?.finish()?;
    file.flush()?;
    file.get_ref().sync_all()
}

/// Writes the first entry. It is made twice, for its length stands before it and it may be long.
fn write_manifest(archive: impl Write, manifest: &Manifest) -> io::Result<()> {
    let mut length = Counting(0);
    serde_json::to_writer_pretty(&mut length, manifest)?;
    let mut archive = BufWriter::new(archive);
    archive.write_all(header(manifest, MANIFEST, length.0)?.as_bytes())?;
    serde_json::to_writer_pretty(&mut archive, manifest)?;
    io::copy(&mut io::repeat(0).take(length.0.next_multiple_of(BLOCK) - length.0), &mut archive)?;
    archive.flush()
}

/// How long something is that is written.
struct Counting(u64);

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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

/// An archive that is read from its beginning.
struct Opened {
    tar: tar::Archive<GzDecoder<BufReader<File>>>,
    bytes: u64,
}

impl Opened {
    fn new(archive: &Path) -> Result<Self, ReadError> {
        let file = File::open(archive).map_err(ReadError::Io)?;
        let bytes = file.metadata().map_err(ReadError::Io)?.len();
        Ok(Self { tar: tar::Archive::new(GzDecoder::new(BufReader::new(file))), bytes })
    }

    fn entries(&mut self) -> Result<tar::Entries<'_, impl Read + use<>>, ReadError> {
        Ok(self.tar.entries().map_err(|error| unreadable(error, MANIFEST))?.raw(true))
    }

    /// Reads the manifest, which is the first entry, and gives each file of its list to `take`.
    fn manifest(mut self, take: &mut dyn FnMut(&Entry) -> Result<(), ReadError>) -> Result<Listed, ReadError> {
        let bytes = self.bytes;
        let entry = next(&mut self.entries()?, MANIFEST)?;
        let longest = MANIFEST_BYTES.min(MANIFEST_HEADROOM.saturating_add(bytes.saturating_mul(MANIFEST_EXPANSION)));
        if entry.size() > longest {
            let size = entry.size();
            return Err(ReadError::Foreign(format!(
                "its manifest would take {size} bytes, and that of a backup of this size takes {longest} at the most"
            )));
        }
        listing::read(entry, bytes, take)
    }
}

/// Reads the manifest alone, to its end.
///
/// # Errors
/// When this is no backup that we understand.
pub(super) fn manifest(archive: &Path) -> Result<Listed, ReadError> {
    Opened::new(archive)?.manifest(&mut |_| Ok(()))
}

/// Reads the whole archive and compares everything with the manifest. `take` is given the bytes of each file in turn.
///
/// # Errors
/// At the first thing that is not as the manifest says; [`ReadError::Target`] where `take` fails.
pub(super) fn read(
    archive: &Path,
    mut take: impl FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
) -> Result<Listed, ReadError> {
    let (list, mut files) = (Opened::new(archive)?, Opened::new(archive)?);
    let listed = all_files(list, files.entries()?, &mut take)?;
    to_the_end(files.tar.into_inner())?;
    Ok(listed)
}

/// Reads the list of the one beside the files of the other, until both are over.
fn all_files<R: Read>(
    list: Opened,
    mut entries: tar::Entries<'_, R>,
    take: &mut impl FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
) -> Result<Listed, ReadError> {
    next(&mut entries, MANIFEST)?;
    let listed = list.manifest(&mut |wanted| one_file(&mut entries, wanted, take))?;
    if entries.next().is_some() {
        return Err(ReadError::Foreign("it holds more than its list says".to_owned()));
    }
    Ok(listed)
}

/// Gives the bytes of the next file away, which must be the wanted one.
fn one_file<R: Read>(
    entries: &mut tar::Entries<'_, R>,
    wanted: &Entry,
    take: &mut impl FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
) -> Result<(), ReadError> {
    let path = wanted.path();
    let entry = next(entries, &path)?;
    if entry.size() != wanted.bytes {
        return Err(ReadError::Damaged(path));
    }
    let mut bytes = Hashing::new(entry);
    let taken = take(wanted, &mut bytes);
    // What goes wrong while the bytes are fetched is the archive's fault, and otherwise the place's where they go.
    if let Some(error) = bytes.failed.take() {
        return Err(unreadable(error, &path));
    }
    taken.map_err(ReadError::Target)?;
    if bytes.count != wanted.bytes || bytes.digest() != wanted.sha256 {
        return Err(ReadError::Damaged(path));
    }
    Ok(())
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

/// Reads what is left, so that gzip's own checksum is compared, and sees that nothing follows that.
fn to_the_end(mut rest: GzDecoder<BufReader<File>>) -> Result<(), ReadError> {
    let padding = io::copy(&mut rest.by_ref().take(PADDING + 1), &mut io::sink());
    let padding = padding.map_err(|error| unreadable(error, "its end"))?;
    let more = rest.into_inner().read(&mut [0]).map_err(ReadError::Io)?;
    if padding > PADDING || more > 0 {
        return Err(ReadError::Foreign("something follows its last file".to_owned()));
    }
    Ok(())
}

/// What the decoder and tar complain about is the archive; everything else is the disk.
pub(super) fn unreadable(error: io::Error, at: &str) -> ReadError {
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

    /// How many bytes there are to the end, and their SHA-256.
    pub fn finish(mut self) -> io::Result<(u64, [u8; 32])> {
        io::copy(&mut self, &mut io::sink())?;
        Ok((self.count, self.digest()))
    }

    fn digest(self) -> [u8; 32] {
        self.digest.finalize().into()
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

//! The invoice archive: PDFs on disk, each under the SHA-256 of its bytes.
//!
//! The till may stamp a second download DUPLICATA, so the first one is kept for good, and what goes out later is
//! proven to be what came in.
//!
//! **Invariant:** a file in the archive is complete, on disk and equal to its name from the moment the name exists; it
//! is never changed afterwards, only removed as a whole when its time is over.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
};

use bytes::Bytes;
use jiff::civil::Date;
use tokio_util::sync::CancellationToken;

use super::proof::{OpenInvoice, hex_sha256, open_plain, prove, read_proven};

/// The folder inside the storage path that holds the archive.
const FOLDER: &str = "invoices";

/// Where the PDFs are.
#[derive(Clone, Debug)]
pub struct Archive {
    root: PathBuf,
}

/// A PDF that the archive has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredInvoice {
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// Where it is, below the storage path: `invoices/2026/11/{sha256}.pdf`.
    pub path: String,
}

/// Why the archive could not do it.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// There is no such file.
    #[error("the invoice {0} is not in the archive: restore it from a backup, or `tillhook invoices import` it")]
    Missing(String),
    /// The file is not what was stored.
    #[error("the invoice {0} was changed on disk: restore it from a backup, or `tillhook invoices import` it")]
    Altered(String),
    /// The path is none of the archive's.
    #[error("{0} is no path in the invoice archive")]
    Foreign(String),
    /// The disk refuses.
    #[error("the invoice archive cannot be used: {0}")]
    Io(#[from] io::Error),
}

impl Archive {
    /// The archive below the storage path `root`. Nothing is created before the first PDF.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The storage path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Keeps these bytes in the folder of `at`. On return they are on disk, under their name, also after a power cut.
    /// The same bytes twice in a month are one file.
    ///
    /// # Errors
    /// When the disk refuses; nothing is left behind under the final name.
    pub async fn store(&self, bytes: Bytes, at: Date) -> Result<StoredInvoice, ArchiveError> {
        let root = self.root.clone();
        blocking(move || {
            let sha256 = hex_sha256(&bytes);
            // A backup has a place for years of four digits.
            let path = format!("{FOLDER}/{:04}/{:02}/{sha256}.pdf", at.year().clamp(0, 9999), at.month());
            put(&root, Path::new(&path), &bytes, &sha256)?;
            Ok(StoredInvoice { sha256, bytes: bytes.len() as u64, path })
        })
        .await
    }

    /// Puts a lost or changed PDF back where it was.
    ///
    /// # Errors
    /// [`ArchiveError::Altered`] where the bytes are not those that were stored; see also [`ArchiveError::Io`].
    pub async fn restore(&self, bytes: Bytes, path: &str, sha256: &str) -> Result<(), ArchiveError> {
        self.locate(path)?;
        let (root, path, sha256) = (self.root.clone(), path.to_owned(), sha256.to_owned());
        blocking(move || {
            if hex_sha256(&bytes) != sha256 {
                return Err(ArchiveError::Altered(path));
            }
            Ok(put(&root, Path::new(&path), &bytes, &sha256)?)
        })
        .await
    }

    /// The bytes of a stored PDF, proven to be those that were stored.
    ///
    /// # Errors
    /// [`ArchiveError::Missing`] and [`ArchiveError::Altered`] are for an operator to repair; see also
    /// [`ArchiveError::Io`].
    pub async fn read(&self, path: &str, sha256: &str) -> Result<Bytes, ArchiveError> {
        let (file, path, sha256) = (self.locate(path)?, path.to_owned(), sha256.to_owned());
        blocking(move || {
            let bytes = read_proven(open_plain(&file, &path)?, &sha256)?;
            bytes.map(Bytes::from).ok_or(ArchiveError::Altered(path))
        })
        .await
    }

    /// Opens a stored PDF, proven to be what was stored. It is not kept in memory, whatever its size. Dropping the future
    /// ends the proof after the piece that is being read.
    ///
    /// # Errors
    /// As [`Archive::read`].
    pub async fn open(&self, path: &str, sha256: &str) -> Result<OpenInvoice, ArchiveError> {
        let (file, path, sha256) = (self.locate(path)?, path.to_owned(), sha256.to_owned());
        let left = CancellationToken::new();
        let _waits = left.clone().drop_guard();
        blocking(move || {
            let opened = prove(open_plain(&file, &path)?, &sha256, &left)?;
            opened.ok_or(ArchiveError::Altered(path))
        })
        .await
    }

    /// Removes a PDF whose time is over. On return its name is gone, also after a power cut; it may have been gone before.
    ///
    /// # Errors
    /// [`ArchiveError::Foreign`] and [`ArchiveError::Io`].
    pub async fn remove(&self, path: &str) -> Result<(), ArchiveError> {
        let file = self.locate(path)?;
        blocking(move || match fs::remove_file(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => {
                removed?;
                Ok(File::open(file.parent().unwrap_or(&file))?.sync_all()?)
            }
        })
        .await
    }

    /// Whether a stored PDF is still what it was.
    ///
    /// # Errors
    /// As [`Archive::read`].
    pub async fn verify(&self, path: &str, sha256: &str) -> Result<(), ArchiveError> {
        self.open(path, sha256).await.map(drop)
    }

    /// The file at a path of the archive. The path comes from the database, or from a backup, so it is not trusted to
    /// stay inside.
    ///
    /// # Errors
    /// [`ArchiveError::Foreign`] where it leads out of the archive.
    pub fn locate(&self, path: &str) -> Result<PathBuf, ArchiveError> {
        let inside = Path::new(path);
        let plain = inside.components().all(|part| matches!(part, Component::Normal(_)));
        if plain && inside.starts_with(FOLDER) {
            Ok(self.root.join(inside))
        } else {
            Err(ArchiveError::Foreign(path.to_owned()))
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ArchiveError> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Makes sure that these bytes are on disk at `path`. A file that is already there may have been named a moment ago by
/// somebody else, so the folder is synced in any case.
fn put(root: &Path, path: &Path, bytes: &[u8], sha256: &str) -> io::Result<()> {
    let file = root.join(path);
    let folder = file.parent().unwrap_or(root);
    make_folder(root, folder)?;
    if !is_there(&file, sha256) {
        write(folder, &file, bytes, sha256)?;
    }
    File::open(folder)?.sync_all()
}

/// Whether the bytes are there in a file of the archive's own. What a link leads to is not: somebody else may change it.
fn is_there(file: &Path, sha256: &str) -> bool {
    let Ok(present) = open_plain(file, "") else { return false };
    matches!(prove(present, sha256, &CancellationToken::new()), Ok(Some(_)))
}

/// Writes under a temporary name, and gives the file its own once its bytes are on disk.
fn write(folder: &Path, file: &Path, bytes: &[u8], sha256: &str) -> io::Result<()> {
    let (mut draft, name) = create_draft(folder, sha256)?;
    let written = draft.write_all(bytes).and_then(|()| draft.sync_all()).and_then(|()| fs::rename(&name, file));
    if written.is_err() {
        let _ = fs::remove_file(&name);
    }
    written
}

/// Creates the folder and makes each new name in the chain above it durable. Only its owner may look inside.
fn make_folder(root: &Path, folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    folder
        .ancestors()
        .skip(1)
        .take_while(|above| above.starts_with(root))
        .try_for_each(|above| File::open(above)?.sync_all())
}

/// A new file that nobody else writes to. A draft that a crash left behind is passed over.
fn create_draft(folder: &Path, sha256: &str) -> io::Result<(File, PathBuf)> {
    for attempt in 0_u32.. {
        let name = folder.join(format!(".{sha256}.{attempt}.part"));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&name) {
            Ok(file) => return Ok((file, name)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invoice::MAX_BYTES;
    use jiff::civil::date;
    use rustix::fs::{FileType, Mode};
    use std::{io::Read as _, os::unix::fs::PermissionsExt as _};

    const PDF: &[u8] = b"%PDF-1.7\nsale 20261121042\n%%EOF\n";

    async fn stored() -> (tempfile::TempDir, Archive, StoredInvoice) {
        let home = tempfile::tempdir().unwrap();
        let archive = Archive::new(home.path().to_owned());
        let invoice = archive.store(Bytes::from_static(PDF), date(2026, 11, 21)).await.unwrap();
        (home, archive, invoice)
    }

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[tokio::test]
    async fn a_stored_invoice_lies_under_its_hash_and_is_read_back_byte_for_byte() {
        let (home, archive, invoice) = stored().await;
        assert_eq!(invoice.path, format!("invoices/2026/11/{}.pdf", invoice.sha256));
        assert_eq!(invoice.bytes, PDF.len() as u64);
        assert_eq!(archive.read(&invoice.path, &invoice.sha256).await.unwrap(), PDF);
        assert_eq!(names(&home.path().join("invoices/2026/11")), [format!("{}.pdf", invoice.sha256)]);
    }

    #[tokio::test]
    async fn a_year_before_christ_has_a_folder_that_a_backup_takes() {
        let home = tempfile::tempdir().unwrap();
        let archive = Archive::new(home.path().to_owned());
        let invoice = archive.store(Bytes::from_static(PDF), date(-5, 11, 21)).await.unwrap();
        assert_eq!(invoice.path, format!("invoices/0000/11/{}.pdf", invoice.sha256));
    }

    #[tokio::test]
    async fn only_the_owner_may_read_the_archive() {
        let (home, _, invoice) = stored().await;
        let mode = |path: &str| fs::metadata(home.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&invoice.path), 0o600);
        assert_eq!(["invoices", "invoices/2026", "invoices/2026/11"].map(mode), [0o700; 3]);
    }

    #[tokio::test]
    async fn the_same_invoice_twice_or_from_many_at_once_is_one_file() {
        let (home, archive, first) = stored().await;
        let many = (0..8).map(|_| archive.store(Bytes::from_static(PDF), date(2026, 11, 30)));
        for again in futures_util::future::join_all(many).await {
            assert_eq!(again.unwrap(), first);
        }
        assert_eq!(names(&home.path().join("invoices/2026/11")).len(), 1);
    }

    #[tokio::test]
    async fn a_changed_or_lost_invoice_is_noticed_and_storing_it_again_heals_it() {
        let (home, archive, invoice) = stored().await;
        let file = home.path().join(&invoice.path);
        fs::write(&file, "%PDF-1.7 forged").unwrap();
        assert!(matches!(archive.verify(&invoice.path, &invoice.sha256).await, Err(ArchiveError::Altered(_))));
        fs::remove_file(&file).unwrap();
        assert!(matches!(archive.verify(&invoice.path, &invoice.sha256).await, Err(ArchiveError::Missing(_))));
        fs::write(&file, "").unwrap();
        archive.store(Bytes::from_static(PDF), date(2026, 11, 21)).await.unwrap();
        archive.verify(&invoice.path, &invoice.sha256).await.unwrap();
    }

    #[tokio::test]
    async fn an_open_invoice_is_read_from_the_handle_that_was_proven() {
        let (home, archive, invoice) = stored().await;
        let file = home.path().join(&invoice.path);
        let OpenInvoice { file: mut opened, bytes } = archive.open(&invoice.path, &invoice.sha256).await.unwrap();
        fs::remove_file(&file).unwrap();
        fs::write(&file, "another").unwrap();
        let mut read = Vec::new();
        opened.read_to_end(&mut read).unwrap();
        assert_eq!((read.as_slice(), bytes), (PDF, PDF.len() as u64));
    }

    #[tokio::test]
    async fn what_is_no_plain_file_is_not_what_was_stored_and_nobody_waits_for_it() {
        let (home, archive, invoice) = stored().await;
        let (file, elsewhere) = (home.path().join(&invoice.path), home.path().join("elsewhere"));
        fs::rename(&file, &elsewhere).unwrap();
        let replacements: [&dyn Fn(); 3] = [
            &|| std::os::unix::fs::symlink(&elsewhere, &file).unwrap(),
            &|| rustix::fs::mknodat(rustix::fs::CWD, &file, FileType::Fifo, Mode::RUSR, 0).unwrap(),
            &|| fs::create_dir(&file).unwrap(),
        ];
        for replace in replacements {
            replace();
            assert!(matches!(archive.open(&invoice.path, &invoice.sha256).await, Err(ArchiveError::Altered(_))));
            assert!(matches!(archive.read(&invoice.path, &invoice.sha256).await, Err(ArchiveError::Altered(_))));
            let _ = fs::remove_file(&file);
        }
    }

    #[tokio::test]
    async fn a_file_larger_than_any_invoice_is_not_what_was_stored_and_is_not_read() {
        let (home, archive, _) = stored().await;
        // Its digest is the right one, so that only its size speaks against it.
        let huge = vec![0; MAX_BYTES + 1];
        let invoice = archive.store(huge.into(), date(2026, 11, 22)).await.unwrap();
        assert!(matches!(archive.read(&invoice.path, &invoice.sha256).await, Err(ArchiveError::Altered(_))));
        assert!(matches!(archive.verify(&invoice.path, &invoice.sha256).await, Err(ArchiveError::Altered(_))));
        let file = OpenOptions::new().write(true).open(home.path().join(&invoice.path)).unwrap();
        file.set_len(1 << 40).unwrap();
        assert!(matches!(archive.read(&invoice.path, &invoice.sha256).await, Err(ArchiveError::Altered(_))));
        assert!(matches!(archive.verify(&invoice.path, &invoice.sha256).await, Err(ArchiveError::Altered(_))));
    }

    #[tokio::test]
    async fn storing_an_invoice_replaces_a_link_to_the_same_bytes() {
        let (home, archive, invoice) = stored().await;
        let (file, elsewhere) = (home.path().join(&invoice.path), home.path().join("elsewhere"));
        fs::rename(&file, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        archive.store(Bytes::from_static(PDF), date(2026, 11, 21)).await.unwrap();
        fs::write(&elsewhere, "changed").unwrap();
        archive.verify(&invoice.path, &invoice.sha256).await.unwrap();
    }

    #[tokio::test]
    async fn a_draft_that_a_crash_left_behind_is_in_nobodys_way() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("invoices/2026/11");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!(".{}.0.part", hex_sha256(PDF))), "half").unwrap();
        let archive = Archive::new(home.path().to_owned());
        let invoice = archive.store(Bytes::from_static(PDF), date(2026, 11, 21)).await.unwrap();
        archive.verify(&invoice.path, &invoice.sha256).await.unwrap();
    }

    #[tokio::test]
    async fn a_path_that_leads_out_of_the_archive_is_refused() {
        let (home, archive, invoice) = stored().await;
        fs::write(home.path().join("tillhook.db"), "secrets").unwrap();
        let absolute = home.path().join(&invoice.path);
        for path in ["invoices/../tillhook.db", "tillhook.db", "", absolute.to_str().unwrap()] {
            assert!(matches!(archive.read(path, &invoice.sha256).await, Err(ArchiveError::Foreign(_))), "{path}");
        }
    }
}

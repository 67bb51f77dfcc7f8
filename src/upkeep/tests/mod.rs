//! Backups of a real database with real files: what is in them, what is refused, and which night makes one.

mod hostile;
mod migration;
mod nights;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use jiff::{Timestamp, civil::date};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{Backup, BackupError, Restore, RestoreError, Restored, make};
use crate::{
    clock::{Clock, ManualClock},
    invoice::{Archive, StoredInvoice},
    order::SinkName,
    store::{Access, Store},
};

const PDF: &[u8] = b"%PDF-1.7\nsale 20261121042\n%%EOF\n";

pub(super) fn now() -> Timestamp {
    "2026-11-21T13:05:00Z".parse().unwrap()
}

/// A data directory with an invoice, and a second place to restore to.
pub(super) struct House {
    pub dir: TempDir,
    pub invoice: StoredInvoice,
}

impl House {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let store = Store::open(&data, Access::Service).await.unwrap();
        store.declare_sinks(vec!["erp".parse().unwrap()], now()).await.unwrap();
        let invoice = Archive::new(data.clone()).store(Bytes::from_static(PDF), date(2026, 11, 21)).await.unwrap();
        fs::write(data.join("token"), "a-token-0123456789").unwrap();
        know(&store, &invoice).await;
        store.close().await;
        Self { dir, invoice }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn place(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub async fn back_up(&self, to: &Path) -> Result<Backup, BackupError> {
        let store = Store::open(&self.data(), Access::Command).await.unwrap();
        let made = make(&store, &self.data(), to, false, now(), &CancellationToken::new()).await;
        store.close().await;
        made
    }
}

/// Tells the database of an invoice of the archive.
async fn know(store: &Store, invoice: &StoredInvoice) {
    let (sha256, path) = (invoice.sha256.clone(), invoice.path.clone());
    let known = store.write(move |conn| {
        let (sha256, path) = (sha256.clone(), path.clone());
        Box::pin(async move {
            let row = sqlx::query(
                "INSERT INTO invoice (order_key, shop, status, first_seen_at, wait_until, sha256, bytes, filename, path)
                 VALUES ('ord', 'dupont', 'stored', 0, 0, $1, $2, 'a.pdf', $3)",
            );
            row.bind(sha256).bind(PDF.len() as i64).bind(path).execute(conn).await.map(drop)
        })
    });
    known.await.unwrap();
}

pub(super) async fn restore(file: &Path, directory: &Path, force: bool) -> Result<Restored, RestoreError> {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now()));
    Restore { file, directory, force, resend: false, shops: &[], clock: &clock }.run().await
}

#[tokio::test]
async fn a_backup_holds_the_database_the_token_and_the_invoices_and_comes_back_byte_for_byte() {
    let house = House::new().await;
    let file = house.place("all.tar.gz");
    let made = house.back_up(&file).await.unwrap();
    assert_eq!((made.invoices, made.missing.len()), (1, 0));
    assert_eq!(made.bytes, fs::metadata(&file).unwrap().len());
    let other = house.place("other");
    let restored = restore(&file, &other, false).await.unwrap();
    assert_eq!((restored.invoices, restored.missing, restored.aside), (1, 0, None));
    assert_eq!(fs::read(other.join(&house.invoice.path)).unwrap(), PDF);
    assert_eq!(fs::read_to_string(other.join("token")).unwrap(), "a-token-0123456789");
    let store = Store::open(&other, Access::Service).await.unwrap();
    let erp: SinkName = "erp".parse().unwrap();
    assert!(store.sink_state(&erp).await.unwrap().is_some_and(|state| state.paused.is_none()));
    store.close().await;
}

#[tokio::test]
async fn an_invoice_that_is_lost_or_changed_is_named_and_does_not_stop_the_backup() {
    let house = House::new().await;
    fs::write(house.data().join(&house.invoice.path), "%PDF-1.7 forged").unwrap();
    let file = house.place("all.tar.gz");
    let made = house.back_up(&file).await.unwrap();
    assert_eq!((made.invoices, made.missing), (0, vec![house.invoice.path.clone()]));
    let restored = restore(&file, &house.place("other"), false).await.unwrap();
    assert_eq!((restored.invoices, restored.missing), (0, 1));
}

#[tokio::test]
async fn only_the_owner_may_read_a_backup_and_what_is_restored() {
    use std::os::unix::fs::PermissionsExt as _;
    let house = House::new().await;
    let file = house.data().join("backups/a.tar.gz");
    house.back_up(&file).await.unwrap();
    let other = house.place("other");
    restore(&file, &other, false).await.unwrap();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let files = [file, other.join("tillhook.db"), other.join("token"), other.join(&house.invoice.path)];
    assert_eq!(files.map(mode), [0o600; 4]);
    let folders = [house.data().join("backups"), other.clone(), other.join("invoices"), other.join("invoices/2026/11")];
    assert_eq!(folders.map(mode), [0o700; 4]);
}

#[tokio::test]
async fn a_backup_that_is_stopped_or_has_no_place_leaves_nothing_behind() {
    let house = House::new().await;
    let store = Store::open(&house.data(), Access::Command).await.unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    let file = house.place("all.tar.gz");
    let made = make(&store, &house.data(), &file, false, now(), &stop).await;
    assert!(matches!(made, Err(BackupError::Stopped)), "{made:?}");
    for nowhere in ["no/such/folder.tar.gz", "data"] {
        let made = house.back_up(&house.place(nowhere)).await;
        assert!(matches!(made, Err(BackupError::Io { .. })), "{made:?}");
    }
    store.close().await;
    let left: Vec<_> = fs::read_dir(house.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["data"]);
}

#[tokio::test]
async fn a_backup_replaces_no_file_unasked_and_two_at_once_wait_for_each_other() {
    let house = House::new().await;
    let file = house.place("all.tar.gz");
    fs::write(&file, "something else").unwrap();
    assert!(matches!(house.back_up(&file).await, Err(BackupError::Exists(_))));
    assert_eq!(fs::read_to_string(&file).unwrap(), "something else");
    let other = super::backup::Draft::begin(&house.data(), &house.place("b.tar.gz"), false).unwrap();
    assert!(matches!(house.back_up(&house.place("c.tar.gz")).await, Err(BackupError::Busy(_))));
    drop(other);
    house.back_up(&house.place("c.tar.gz")).await.unwrap();
}

#[tokio::test]
async fn a_restore_that_was_cut_off_is_brought_to_its_end_by_whoever_opens_the_database() {
    let house = House::new().await;
    for access in [Access::Service, Access::Command] {
        let other = house.place(&format!("{access:?}"));
        let ready = other.join("restoring-20261121-130500");
        fs::create_dir_all(&ready).unwrap();
        fs::copy(house.data().join("tillhook.db"), ready.join("tillhook.db")).unwrap();
        fs::write(other.join("tillhook.db"), "the old one").unwrap();
        fs::write(other.join("tillhook.db-wal"), "its log").unwrap();
        let store = Store::open(&other, access).await.unwrap();
        assert!(!store.is_empty().await.unwrap());
        store.close().await;
        assert!(!ready.exists());
        let aside = other.join("before-restore-20261121-130500");
        assert_eq!(fs::read_to_string(aside.join("tillhook.db")).unwrap(), "the old one");
        assert_eq!(fs::read_to_string(aside.join("tillhook.db-wal")).unwrap(), "its log");
    }
}

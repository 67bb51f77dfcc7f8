//! Files that are no backup, or one that somebody changed: each is refused before anything is put in place.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::{Value, json};
use tar::{EntryType, Header};

use super::{House, PDF, restore};
use crate::{invoice::hex_sha256, upkeep::RestoreError};

/// An entry as it is written into an archive.
#[derive(Clone)]
struct Piece {
    name: String,
    kind: EntryType,
    bytes: Vec<u8>,
}

/// A good backup and its pieces; the first is the manifest.
struct Forge {
    house: House,
    pieces: Vec<Piece>,
}

impl Forge {
    async fn new() -> Self {
        let house = House::new().await;
        let file = house.place("good.tar.gz");
        house.back_up(&file).await.unwrap();
        let mut archive = tar::Archive::new(GzDecoder::new(File::open(&file).unwrap()));
        let pieces = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            Piece { name, kind: EntryType::Regular, bytes }
        });
        let pieces = pieces.collect();
        Self { house, pieces }
    }

    fn manifest(&self) -> Value {
        serde_json::from_slice(&self.pieces[0].bytes).unwrap()
    }

    fn with_manifest(&self, change: impl FnOnce(&mut Value)) -> Vec<Piece> {
        let mut manifest = self.manifest();
        change(&mut manifest);
        let mut pieces = self.pieces.clone();
        pieces[0].bytes = manifest.to_string().into_bytes();
        pieces
    }

    /// The pieces and one more at the end, which the manifest lists.
    fn with_listed(&self, name: &str, kind: EntryType, bytes: &[u8]) -> Vec<Piece> {
        let entry = json!({ "path": name, "bytes": bytes.len(), "sha256": hex_sha256(bytes) });
        let mut pieces = self.with_manifest(|manifest| manifest["files"].as_array_mut().unwrap().push(entry));
        pieces.push(Piece { name: name.to_owned(), kind, bytes: bytes.to_vec() });
        pieces
    }

    /// The pieces with another database, which the manifest describes but for its rows.
    async fn with_database(&self, sql: &str) -> Vec<Piece> {
        use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
        let file = self.house.place("forged.db");
        fs::write(&file, &self.pieces[1].bytes).unwrap();
        let mut conn = SqliteConnectOptions::new().filename(&file).connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        let database = fs::read(&file).unwrap();
        let mut pieces = self.with_manifest(|manifest| {
            manifest["files"][0]["bytes"] = json!(database.len());
            manifest["files"][0]["sha256"] = json!(hex_sha256(&database));
        });
        pieces[1].bytes = database;
        pieces
    }

    fn write(&self, pieces: &[Piece]) -> PathBuf {
        let file = self.house.place("forged.tar.gz");
        let mut archive = tar::Builder::new(GzEncoder::new(File::create(&file).unwrap(), Compression::fast()));
        for piece in pieces {
            let mut header = Header::new_ustar();
            // Not by `set_path`, which refuses what a forger writes.
            header.as_mut_bytes()[..piece.name.len()].copy_from_slice(piece.name.as_bytes());
            header.set_size(piece.bytes.len() as u64);
            header.set_entry_type(piece.kind);
            if piece.kind == EntryType::Symlink {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            archive.append(&header, piece.bytes.as_slice()).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap();
        file
    }

    /// Tries to restore the file over data that is there; returns why it was refused. Nothing has changed then.
    async fn refusal(&self, file: &Path) -> String {
        let target = self.house.place("target");
        fs::create_dir_all(target.join("invoices")).unwrap();
        fs::write(target.join("tillhook.db"), "the data that is there").unwrap();
        let refused = restore(file, &target, true).await.err().unwrap();
        assert!(
            matches!(
                refused,
                RestoreError::Unusable { .. } | RestoreError::Newer { .. } | RestoreError::Damaged { .. }
            ),
            "{refused:?}"
        );
        let mut left: Vec<_> = fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["invoices", "tillhook.db", "tillhook.lock"], "nothing is left behind");
        assert_eq!(fs::read_to_string(target.join("tillhook.db")).unwrap(), "the data that is there");
        refused.to_string()
    }

    async fn refuses(&self, pieces: &[Piece], because: &str) {
        let said = self.refusal(&self.write(pieces)).await;
        assert!(said.contains(because) && said.contains("\n  fix: "), "{said}");
    }
}

#[tokio::test]
async fn the_forge_makes_good_backups_where_nothing_is_changed() {
    let forge = Forge::new().await;
    let names: Vec<_> = forge.pieces.iter().map(|piece| piece.name.as_str()).collect();
    assert_eq!(names, ["manifest.json", "tillhook.db", "token", forge.house.invoice.path.as_str()]);
    restore(&forge.write(&forge.pieces), &forge.house.place("other"), false).await.unwrap();
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_is_refused() {
    let forge = Forge::new().await;
    let sha256 = hex_sha256(PDF);
    let absolute = format!("/tmp/invoices/2026/11/{sha256}.pdf");
    let upwards = format!("invoices/../../2026/11/{sha256}.pdf");
    let other = format!("invoices/2026/11/{}.pdf", "0".repeat(64));
    for name in ["../evil", "/etc/evil", "tillhook.db-wal", "invoices/x.pdf", &absolute, &upwards, &other] {
        forge.refuses(&forge.with_listed(name, EntryType::Regular, PDF), "has no place in a data directory").await;
        let mut unlisted = forge.pieces.clone();
        unlisted.push(Piece { name: name.to_owned(), kind: EntryType::Regular, bytes: PDF.to_vec() });
        forge.refuses(&unlisted, "it holds more than its list says").await;
        let mut renamed = forge.pieces.clone();
        renamed[3].name = name.to_owned();
        forge.refuses(&renamed, "is expected").await;
    }
}

#[tokio::test]
async fn links_folders_devices_and_long_names_are_refused() {
    let forge = Forge::new().await;
    let kinds = [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Directory,
        EntryType::Fifo,
        EntryType::Char,
        EntryType::GNUSparse,
        EntryType::GNULongName,
        EntryType::XHeader,
    ];
    for kind in kinds {
        for place in [1, 3] {
            let mut pieces = forge.pieces.clone();
            pieces[place].kind = kind;
            forge.refuses(&pieces, "is expected").await;
        }
    }
}

#[tokio::test]
async fn a_file_that_would_grow_without_limit_is_refused_before_it_is_unpacked() {
    let forge = Forge::new().await;
    let huge = forge.with_manifest(|manifest| manifest["files"][0]["bytes"] = json!(1_u64 << 40));
    forge.refuses(&huge, "which no backup of this size holds").await;
    let larger = forge.with_manifest(|manifest| {
        let bytes = manifest["files"][0]["bytes"].as_u64().unwrap();
        manifest["files"][0]["bytes"] = json!(bytes - 1);
    });
    forge.refuses(&larger, "damaged or cut off at \"tillhook.db\"").await;
    let twice = forge.with_manifest(|manifest| {
        let first = manifest["files"][2].clone();
        manifest["files"].as_array_mut().unwrap().push(first);
    });
    forge.refuses(&twice, "twice").await;
}

#[tokio::test]
async fn a_list_that_is_larger_than_any_of_ours_is_refused_before_it_is_read() {
    let forge = Forge::new().await;
    let long = forge.with_manifest(|manifest| {
        manifest["missing"] = vec!["invoices/2026/11/lost.pdf"; 20_000].into();
    });
    forge.refuses(&long, "its manifest would take").await;
    for (place, value) in [
        ("tillhook", json!("1".repeat(5000))),
        ("rows", json!({ "a".repeat(5000): 1 })),
        ("unknown", (0..9).fold(json!(1), |inner, _| json!([inner]))),
    ] {
        let odd = forge.with_manifest(|manifest| manifest[place] = value);
        forge.refuses(&odd, "it is longer or deeper than any list of ours").await;
    }
    let tables = forge.with_manifest(|manifest| {
        manifest["rows"] =
            (0..1001).map(|table| (format!("t{table}"), json!(1))).collect::<serde_json::Map<_, _>>().into();
    });
    forge.refuses(&tables, "its manifest cannot be understood").await;
    let private = forge.with_manifest(|manifest| {
        manifest["unknown"] = json!({ "$serde_json::private::RawValue": "[".repeat(4000) });
    });
    restore(&forge.write(&private), &forge.house.place("private"), false).await.expect("an unknown key is ignored");
    let first = forge.with_manifest(|manifest| {
        let list = manifest["files"].as_array_mut().unwrap();
        list.swap(1, 2);
    });
    forge.refuses(&first, "in the wrong place").await;
    let none = forge.with_manifest(|manifest| manifest["files"] = json!([]));
    forge.refuses(&none, "its list does not begin with the database").await;
}

#[tokio::test]
async fn a_database_that_would_run_something_is_refused_and_so_is_one_of_countless_tables() {
    let forge = Forge::new().await;
    for (sql, because) in [
        ("CREATE TRIGGER t AFTER INSERT ON sink_state BEGIN SELECT 1; END", "triggers"),
        ("CREATE VIEW v AS SELECT 1", "views"),
        ("CREATE VIRTUAL TABLE v USING fts5 (a)", "tables that tillhook does not make"),
        ("CREATE TABLE other (a, b)", "tables that tillhook does not make"),
        ("CREATE INDEX costly ON receipt (length(hex(zeroblob(9))))", "indexes or tables that tillhook does not make"),
        ("ALTER TABLE sink_state ADD COLUMN more INTEGER CHECK (length(hex(zeroblob(9))) > 0)", "does not make"),
    ] {
        forge.refuses(&forge.with_database(sql).await, because).await;
    }
    let tables: String = (0..1100).map(|table| format!("CREATE TABLE t{table} (a);")).collect();
    forge.refuses(&forge.with_database(&tables).await, "tables that tillhook does not make").await;
}

#[tokio::test]
async fn every_changed_or_missing_byte_is_noticed() {
    let forge = Forge::new().await;
    for place in 1..forge.pieces.len() {
        let mut changed = forge.pieces.clone();
        *changed[place].bytes.last_mut().unwrap() ^= 1;
        forge.refuses(&changed, "damaged or cut off at").await;
        forge.refuses(&forge.pieces[..place], "damaged or cut off at").await;
    }
    let good = fs::read(forge.house.place("good.tar.gz")).unwrap();
    let forged = forge.house.place("forged.tar.gz");
    for length in [0, 1, 20, good.len() / 2, good.len() - 9, good.len() - 1] {
        fs::write(&forged, &good[..length]).unwrap();
        forge.refusal(&forged).await;
    }
    // Also one more, another whole backup, or a terabyte of holes.
    for (more, length) in [(vec![0], None), (good.clone(), None), (Vec::new(), Some(1 << 40))] {
        fs::write(&forged, [&good[..], &more].concat()).unwrap();
        if let Some(length) = length {
            fs::OpenOptions::new().write(true).open(&forged).unwrap().set_len(length).unwrap();
        }
        let refusal = forge.refusal(&forged).await;
        assert!(refusal.contains("something follows its last file"), "{refusal}");
    }
    for at in (0..good.len()).step_by(good.len() / 40) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x55;
        // The head of gzip holds a time and a system that mean nothing.
        if !(4..10).contains(&at) {
            fs::write(&forged, &bytes).unwrap();
            forge.refusal(&forged).await;
        }
    }
}

#[tokio::test]
async fn a_newer_or_foreign_backup_is_refused_with_the_version_that_made_it() {
    let forge = Forge::new().await;
    let newer = forge.with_manifest(|manifest| {
        manifest["schema"] = json!(99);
        manifest["tillhook"] = json!("9.9.9");
    });
    forge.refuses(&newer, "was made by tillhook 9.9.9, whose database is newer (schema 99)").await;
    let format = forge.with_manifest(|manifest| {
        manifest["format"] = json!(3);
        manifest["tillhook"] = json!("9.9.9");
        manifest["files"] = json!("another shape");
    });
    forge.refuses(&format, "a newer tillhook (9.9.9) made it").await;
    let others = forge.with_manifest(|manifest| manifest["rows"]["customer_order"] = json!(7));
    forge.refuses(&others, "its database is not the one its manifest describes").await;
    forge.refuses(&forge.pieces[1..], "is expected").await;
    let file = forge.house.place("forged.tar.gz");
    let mut text = File::create(&file).unwrap();
    text.write_all(b"customer;total\nZoe;43.80\n").unwrap();
    let said = forge.refusal(&file).await;
    assert!(said.contains("it is not a backup that tillhook made") && !said.contains("Zoe"), "{said}");
}

#[tokio::test]
async fn a_database_that_is_damaged_inside_is_refused_though_every_digest_is_right() {
    let forge = Forge::new().await;
    let mut database = forge.pieces[1].bytes.clone();
    let page = database.len() - 4096;
    database[page..].fill(0x5a);
    let sha256 = hex_sha256(&database);
    let mut pieces = forge.with_manifest(|manifest| manifest["files"][0]["sha256"] = json!(sha256));
    pieces[1].bytes = database;
    forge.refuses(&pieces, "the database in").await;
}

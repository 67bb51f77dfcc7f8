//! A backup that somebody else made to end or fill the machine: the real program refuses it, in little memory.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::PathBuf,
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tar::{EntryType, Header};
use tillhook::{
    invoice::hex_sha256,
    order::Person,
    store::{Access, Store},
    upkeep::Erasures,
};

use crate::harness::program::Program;

/// What the program may use of memory, in KiB, its threads' stacks counted in.
const MEMORY: u32 = 150 * 1024;

/// A good backup of an empty database, its manifest and its database.
struct Forge {
    program: Program,
    manifest: Value,
    database: Vec<u8>,
}

impl Forge {
    async fn new() -> Self {
        let program = Program::new("http://127.0.0.1:9", "fetch_invoices = false", "");
        Store::open(&program.data(), Access::Service).await.expect("a database").close().await;
        program.ok("backup good.tar.gz");
        fs::remove_dir_all(program.data()).expect("an empty place");
        let file = File::open(program.place("good.tar.gz")).expect("a backup");
        let mut archive = tar::Archive::new(GzDecoder::new(file));
        let mut pieces = archive.entries().expect("its files").map(|entry| {
            let mut bytes = Vec::new();
            entry.expect("a file").read_to_end(&mut bytes).expect("its bytes");
            bytes
        });
        let manifest = serde_json::from_slice(&pieces.next().expect("a manifest")).expect("JSON");
        let database = pieces.next().expect("a database");
        drop(pieces);
        Self { program, manifest, database }
    }

    /// A backup with this database, which its manifest describes: `rows` says what changed of the tables.
    fn write(&self, database: &[u8], rows: &[(&str, u64)]) {
        let mut manifest = self.manifest.clone();
        manifest["files"][0]["bytes"] = json!(database.len());
        manifest["files"][0]["sha256"] = json!(hex_sha256(database));
        rows.iter().for_each(|(table, count)| manifest["rows"][table] = json!(count));
        let mut archive = self.archive(Compression::fast());
        append(&mut archive, "manifest.json", EntryType::Regular, manifest.to_string().as_bytes());
        append(&mut archive, "tillhook.db", EntryType::Regular, database);
        finish(archive);
    }

    fn archive(&self, compression: Compression) -> tar::Builder<GzEncoder<File>> {
        let file = File::create(self.file()).expect("a file");
        tar::Builder::new(GzEncoder::new(file, compression))
    }

    fn file(&self) -> PathBuf {
        self.program.place("forged.tar.gz")
    }

    /// The database after these statements.
    async fn database(&self, sql: &str) -> Vec<u8> {
        let file = self.program.place("forged.db");
        fs::write(&file, &self.database).expect("a file");
        let mut conn = SqliteConnectOptions::new().filename(&file).connect().await.expect("a database");
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.expect("it takes them");
        conn.close().await.expect("an end");
        fs::read(&file).expect("a file")
    }

    /// Restores the archive with no more memory than may be used; returns the exit code and what was said.
    async fn restore(&self) -> (Option<i32>, String) {
        let limit = format!("ulimit -d {MEMORY} && exec \"$@\"");
        let within = ["/bin/sh", "-c", &limit, "sh"].map(str::to_owned);
        let output = self.program.output_within(&within, "restore forged.tar.gz").await;
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    async fn refuses(&self, because: &str) {
        let (exit, said) = self.restore().await;
        assert_eq!(exit, Some(1), "{said}");
        assert!(said.contains(because) && said.contains("fix: "), "{said}");
        assert!(!self.program.data().join("tillhook.db").exists(), "nothing was put in place");
    }
}

fn append(archive: &mut tar::Builder<GzEncoder<File>>, name: &str, kind: EntryType, bytes: &[u8]) {
    append_from(archive, name, kind, bytes.len() as u64, bytes);
}

fn append_from(
    archive: &mut tar::Builder<GzEncoder<File>>,
    name: &str,
    kind: EntryType,
    size: u64,
    bytes: impl io::Read,
) {
    let mut header = Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(size);
    header.set_entry_type(kind);
    header.set_cksum();
    archive.append(&header, bytes).expect("an entry");
}

fn finish(archive: tar::Builder<GzEncoder<File>>) {
    archive.into_inner().expect("the end").finish().expect("the end");
}

#[tokio::test]
async fn a_good_backup_is_restored_in_little_memory() {
    let forge = Forge::new().await;
    forge.write(&forge.database, &[]);
    let (exit, said) = forge.restore().await;
    assert_eq!(exit, Some(0), "{said}");
}

#[tokio::test]
async fn a_small_file_with_an_endless_list_is_refused_before_the_list_is_read() {
    let forge = Forge::new().await;
    const SIZE: u64 = 188_000_000;
    let lines = "{\"path\":\"invoices/2026/11/0.pdf\",\"bytes\":1,\"sha256\":\"0\"},\n";
    let list =
        [b"{\"format\":1,\"tillhook\":\"1\",\"files\":[\n".as_slice(), &lines.repeat(20_000).into_bytes()].concat();
    let mut archive = forge.archive(Compression::best());
    let endless = io::Read::chain(list.as_slice(), io::Read::take(io::repeat(b' '), SIZE - list.len() as u64));
    append_from(&mut archive, "manifest.json", EntryType::Regular, SIZE, endless);
    finish(archive);
    assert!(fs::metadata(forge.file()).expect("it").len() < 250_000);
    forge.refuses("its manifest would take 188000000 bytes").await;
}

#[tokio::test]
async fn names_and_attributes_that_would_be_read_whole_are_refused_unread() {
    let forge = Forge::new().await;
    for kind in [EntryType::GNULongName, EntryType::XHeader] {
        for first in [true, false] {
            let mut archive = forge.archive(Compression::fast());
            if !first {
                append(&mut archive, "manifest.json", EntryType::Regular, forge.manifest.to_string().as_bytes());
            }
            const SIZE: u64 = 200_000_000;
            append_from(&mut archive, "long", kind, SIZE, io::Read::take(io::repeat(b'a'), SIZE));
            append(&mut archive, "tillhook.db", EntryType::Regular, &forge.database);
            finish(archive);
            forge.refuses("is expected").await;
        }
    }
}

#[tokio::test]
async fn a_database_of_countless_tables_or_sinks_is_refused_in_little_memory() {
    let forge = Forge::new().await;
    let tables: String =
        (0..300).map(|table| format!("CREATE TABLE t{table} ({} INTEGER);", "a".repeat(230_000))).collect();
    forge.write(&forge.database(&format!("BEGIN; {tables} COMMIT;")).await, &[]);
    forge.refuses("restore an earlier backup").await;

    let sinks = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20000)
        INSERT INTO digest_plan SELECT 'sink-' || n, 'dupont', 'daily', 1 FROM n";
    forge.write(&forge.database(sinks).await, &[("digest_plan", 20_000)]);
    forge.refuses("more sinks than anybody has").await;
}

#[tokio::test]
async fn a_database_that_names_countless_invoices_is_looked_through_in_little_memory() {
    let forge = Forge::new().await;
    let invoices = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 50000)
        INSERT INTO invoice (order_key, shop, status, first_seen_at, wait_until, sha256, bytes, filename, path)
        SELECT 'ord' || n, 'dupont', 'stored', 0, 0, 'x', 1, 'a.pdf', 'invoices/' || hex(zeroblob(n % 300)) FROM n";
    forge.write(&forge.database(invoices).await, &[("invoice", 50_000)]);
    let (exit, said) = forge.restore().await;
    assert!(exit == Some(0) && said.contains("50000 invoices are not in the data directory"), "{said}");
}

#[tokio::test]
async fn a_database_with_a_row_too_large_to_look_into_says_that_erasures_must_be_repeated() {
    const PARTS: &str = "'[' || replace(hex(zeroblob(1500000)), '00', '[],') || '0]'";
    for (order, data, exit) in [
        ("NULL", "json_object('a', hex(zeroblob(10000000)))", 1),
        ("'ord_1'", "json_object('a', hex(zeroblob(10000000)))", 1),
        ("'ord_1'", PARTS, 1),
        // No larger than an order may be.
        ("'ord_1'", "json_object('a', hex(zeroblob(3500000)))", 0),
    ] {
        let forge = Forge::new().await;
        let event = format!(
            "INSERT INTO event (id, type, shop, order_key, at, test, data)
             VALUES ('evt_1', 'till.unknown', 'dupont', {order}, 1, 0, {data})"
        );
        forge.write(&forge.database(&event).await, &[("event", 1)]);
        fs::create_dir(forge.program.data()).expect("a folder");
        let later = "2999-01-01T00:00:00Z".parse().expect("a time");
        Erasures::note(&forge.program.data(), &Person::Client("512".to_owned()), None, later).expect("it is noted");
        let (ended, said) = forge.restore().await;
        assert_eq!(ended, Some(exit), "{order} {data}: {said}");
        assert_eq!(said.contains("1 erasure that was made since must be repeated"), exit == 1, "{said}");
        assert!(forge.program.data().join("tillhook.db").exists(), "it is restored all the same");
    }
}

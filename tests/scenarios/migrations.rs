//! Every migration is taken over a database that holds a row in every table: nothing that was stored is lost on the way.

use std::{collections::BTreeMap, fs, path::Path};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection, migrate::Migrator,
    sqlite::SqliteConnectOptions,
};
use tillhook::store::{Access, Store};

const MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");

/// For each migration a row in every table that it made or changed. Whoever writes the next one adds what it needs here.
const SAMPLES: &[(i64, &str)] = &[
  (
    1,
    "INSERT INTO receipt (id, shop, received_at, method, content_type, query, body, outcome, event_id)
         VALUES ('rcp_1', 'dupont', 1, 'POST', 'text/plain', 'a=b', x'ff00', 'stored', 'evt_1');
     INSERT INTO customer_order (key, shop, test, internal_id, order_id, state, timeline, last_event, received_at, updated_at)
         VALUES ('ord_1', 'dupont', 0, '8841207', '20261121042', 'paid', '{}', 'evt_1', 1, 2);
     INSERT INTO announcement VALUES ('ord_1', 'validated', x'01', 'evt_1');
     INSERT INTO notice VALUES ('dupont', 'cashbox.closed', x'02', 'evt_2', 3);
     INSERT INTO event (id, type, shop, shop_name, order_key, at, test, data)
         VALUES ('evt_1', 'order.validated', 'dupont', 'Boulangerie Dupont', 'ord_1', 1, 0, '{}');
     INSERT INTO delivery (id, sink, event_id, event_type, shop, order_key, lane, purpose, status, open, settle_until,
             invoice_until, due_at, created_at)
         VALUES ('dlv_1', 'erp', 'evt_1', 'order.validated', 'dupont', 'ord_1', 'erp/ord_1', 'event', 'pending', 1, 1, 1, 1, 1);
     INSERT INTO attempt (delivery_id, number, at, duration_ms, verdict) VALUES ('dlv_1', 1, 1, 12, 'retry');
     INSERT INTO sink_state (sink, first_ran_at) VALUES ('erp', 1);
     INSERT INTO invoice (order_key, shop, status, first_seen_at, wait_until) VALUES ('ord_1', 'dupont', 'pending', 1, 2);
     INSERT INTO space_outage VALUES (1, 1);
     INSERT INTO probe VALUES (1, 1);",
),
(2, "INSERT INTO digest VALUES ('dig_1', 'accountant', 'dupont', '2026-11-21', '2026-11-21', 0, 'due', 'evt_1', 1, 1);
     INSERT INTO digest_plan VALUES ('accountant', 'dupont', 'daily', 1);
     INSERT INTO erasure_under_way VALUES (1);
     INSERT INTO digest_line VALUES ('dig_1', 'ord_1', '{}');"),
(3, "INSERT INTO number_watch VALUES ('dupont', 1, '[]');
     INSERT INTO missing_order VALUES ('dupont', '20261121041', 'numbers', 1, NULL);
     INSERT INTO till_word VALUES ('dupont', 1, 1, NULL);
     INSERT INTO reconciliation VALUES ('dupont', 1, 1, '4242 at the till', 1, 1, 0, NULL);
     INSERT INTO found_order VALUES ('dupont', '20261121041', 1, 1);"),
(4, "INSERT INTO verification (event_id, order_key, shop, url, status, holds, first_seen_at, next_attempt_at)
         VALUES ('evt_1', 'ord_1', 'dupont', 'https://kash.click/v', 'pending', 1, 1, 1);
     UPDATE customer_order SET verification = 'pending', held = 1;"),
(5, "INSERT INTO digest_report VALUES ('dig_1', 'till.pdf', x'25504446');
     INSERT INTO till_name VALUES ('dupont', 'cash_box', '1', 'Comptoir');"),
(6, "UPDATE verification SET accepted = 0;"),
(7, "UPDATE reconciliation SET troubled_since = 1, told_at = 1;"),
(8, "INSERT INTO listed_payment VALUES ('dupont', '8841207', 1);"),
(9, "INSERT INTO verification_url VALUES (x'00112233445566778899aabbccddeeff', 'ord_1');"),
(10, "INSERT INTO customer_order (key, shop, test, order_id, state, timeline, last_event, received_at, updated_at)
         VALUES ('ord_2', 'dupont', 0, '20261121043', 'invoiced', '{}', 'evt_1', 1, 2);"),
(11, "UPDATE receipt SET announced = 92; UPDATE invoice SET cut_off = 1;"),
(12, "UPDATE delivery SET recipients = '[]', given_up = 1;
     INSERT INTO refused_recipient VALUES ('erp', 'compta@cabinet-martin.example', 1, 1, NULL);"),
(13, "INSERT INTO unlisted_order VALUES ('dupont', 'ord_2', 0, 1);"),
];

#[tokio::test]
async fn every_migration_keeps_every_row_that_was_there() {
    let all = Migrator::new(Path::new(MIGRATIONS)).await.expect("the migrations");
    let files = fs::read_dir(MIGRATIONS).expect("the folder").count();
    assert_eq!(all.iter().count(), files, "every file in migrations/ is one");
    // What is missing in between would be taken unasked by a database that has the later ones.
    assert!(all.iter().map(|migration| migration.version).eq(1..=all.iter().count() as i64), "no number is left out");
    let directory = tempfile::tempdir().expect("a directory");
    let mut conn = database(&directory.path().join("tillhook.db")).await;
    let mut stored: BTreeMap<String, i64> = BTreeMap::new();
    for (taken, migration) in all.iter().enumerate() {
        let so_far = Migrator::with_migrations(all.iter().take(taken + 1).cloned().collect());
        so_far.run(&mut conn).await.expect("a migration over what is stored");
        for (table, rows) in &stored {
            let now = rows_of(&mut conn, table).await;
            assert!(now >= Some(*rows), "migration {} lost rows of {table}: {rows} → {now:?}", migration.version);
        }
        let sample = SAMPLES.iter().find(|(version, _)| *version == migration.version);
        let (_, rows) = sample.unwrap_or_else(|| panic!("migration {} has no sample rows here", migration.version));
        sqlx::raw_sql(*rows).execute(&mut conn).await.expect("rows that the tables take");
        for table in tables(&mut conn).await {
            let rows = rows_of(&mut conn, &table).await.unwrap_or(0);
            assert!(rows > 0, "migration {} leaves {table} without a sample row", migration.version);
            stored.insert(table, rows);
        }
    }
    conn.close().await.expect("an end");

    Store::open(directory.path(), Access::Service).await.expect("today's program opens it").close().await;
    let mut conn = database(&directory.path().join("tillhook.db")).await;
    for (table, rows) in stored {
        assert_eq!(rows_of(&mut conn, &table).await, Some(rows), "{table}");
    }
}

#[tokio::test]
async fn what_was_held_back_before_still_is() {
    let all = Migrator::new(Path::new(MIGRATIONS)).await.expect("the migrations");
    let directory = tempfile::tempdir().expect("a directory");
    let mut conn = database(&directory.path().join("tillhook.db")).await;
    for (migration, (version, rows)) in all.iter().zip(SAMPLES).take_while(|(migration, _)| migration.version < 6) {
        assert_eq!(migration.version, *version);
        let so_far = Migrator::with_migrations(all.iter().take(usize::try_from(*version).unwrap()).cloned().collect());
        so_far.run(&mut conn).await.expect("a migration over what is stored");
        sqlx::raw_sql(*rows).execute(&mut conn).await.expect("rows that the tables take");
    }
    let attempted = "INSERT INTO delivery (id, sink, event_id, event_type, shop, order_key, lane, purpose, status, open,
            settle_until, invoice_until, due_at, created_at, payload)
        SELECT 'dlv_2', 'books', event_id, event_type, shop, order_key, 'books/ord_1', purpose, 'retrying', 1, 1, 1, 1, 1, '{}'
        FROM delivery";
    sqlx::query(attempted).execute(&mut conn).await.expect("a row");
    all.run(&mut conn).await.expect("every migration");
    let held = "SELECT id FROM delivery WHERE held = 1";
    let held: Vec<String> = sqlx::query_scalar(held).fetch_all(&mut conn).await.expect("an answer");
    assert_eq!(held, ["dlv_1"], "a message that was attempted before goes on");
    conn.close().await.expect("an end");
}

/// Makes a database as the version before this one left it, with a row in every table; there is none where this version is
/// the first. Returns how many rows each table has.
pub async fn of_the_last_version(directory: &Path) -> BTreeMap<String, i64> {
    let all = Migrator::new(Path::new(MIGRATIONS)).await.expect("the migrations");
    let before = all.iter().count() - 1;
    if before == 0 {
        return BTreeMap::new();
    }
    fs::create_dir_all(directory).expect("a directory");
    let mut conn = database(&directory.join("tillhook.db")).await;
    for (taken, migration) in all.iter().take(before).enumerate() {
        let so_far = Migrator::with_migrations(all.iter().take(taken + 1).cloned().collect());
        so_far.run(&mut conn).await.expect("a migration over what is stored");
        let (_, rows) = SAMPLES[taken];
        assert_eq!(SAMPLES[taken].0, migration.version);
        sqlx::raw_sql(rows).execute(&mut conn).await.expect("rows that the tables take");
    }
    conn.close().await.expect("an end");
    rows(directory).await
}

/// How many rows each table of a database has.
pub async fn rows(directory: &Path) -> BTreeMap<String, i64> {
    let mut conn = database(&directory.join("tillhook.db")).await;
    let mut rows = BTreeMap::new();
    for table in tables(&mut conn).await {
        let count = rows_of(&mut conn, &table).await.unwrap_or(0);
        rows.insert(table, count);
    }
    conn.close().await.expect("an end");
    rows
}

async fn database(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true).foreign_keys(true);
    options.connect().await.expect("a database")
}

async fn tables(conn: &mut SqliteConnection) -> Vec<String> {
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'
        AND name <> '_sqlx_migrations'";
    sqlx::query_scalar(names).fetch_all(conn).await.expect("the tables")
}

/// How many rows a table has; `None` where it is gone.
async fn rows_of(conn: &mut SqliteConnection, table: &str) -> Option<i64> {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM \"{table}\""))).fetch_one(conn).await.ok()
}

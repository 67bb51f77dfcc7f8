//! Somebody is forgotten, and then an older backup is restored: they stay forgotten.

use std::{fs, path::Path};

use tillhook::{order::Person, till, upkeep::Erasures};

use crate::harness::{
    form,
    program::{Program, eventually},
    spoil,
};

/// What is in everything that names the person, in capitals and small letters.
const MARK: &str = "zxq";

fn program() -> Program {
    tillhook::app::telemetry::install_cryptography();
    let sink = "[sink.quiet]\ntype = \"stdout\"\ninclude_customer = true\n";
    Program::new("http://127.0.0.1:9", "fetch_invoices = false", sink)
}

/// The till announces a sale to her, and says something about her that nobody understands.
async fn sell_to_her(url: &str, order: &str) {
    let customer = [
        ("clientID", "512"),
        ("customer[nom]", "Zxqdurand"),
        ("customer[prenom]", "Zxqzoe"),
        ("customer[email]", "Zxqzoe@durand.example"),
    ];
    let sale = [("type", "validated"), ("orderID", order), ("orderInternalID", order), ("price", "43.80")];
    let odd = [("tpye", "validated"), ("orderID", order)];
    for call in [&sale[..], &odd[..]] {
        let answer = till::post(&form(&[call, &customer[..]].concat()), url).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

/// The files below the data directory that name her; copies are not looked at.
fn files_that_name_her(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("before-restore-") || name == "backups" {
            continue;
        }
        if path.is_dir() {
            found.extend(files_that_name_her(&path));
        } else {
            let bytes = fs::read(&path).expect("a file").to_ascii_lowercase();
            found.extend(bytes.windows(3).any(|window| window == MARK.as_bytes()).then(|| path.display().to_string()));
        }
    }
    found
}

async fn sold(program: &mut Program, order: &str) {
    let url = program.serve().await;
    sell_to_her(&url, order).await;
    eventually("it is delivered", async || !program.ok("deliveries list").contains("due")).await;
    program.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_erased_after_a_backup_is_erased_again_where_it_is_restored() {
    for who in ["--client 512", "--email zxqZOE@durand.example"] {
        let mut program = program();
        sold(&mut program, "1001").await;
        program.ok("backup before.tar.gz");
        let said = program.ok(&format!("customers erase {who}"));
        assert!(said.contains("Erased."), "{said}");
        assert_eq!(files_that_name_her(&program.data()), [""; 0]);

        for _ in 0..2 {
            let said = program.ok("restore before.tar.gz --force");
            assert!(said.contains("1 customer who was erased since the backup was made: erased again"), "{said}");
            assert_eq!(files_that_name_her(&program.data()), [""; 0]);
            let orders = program.ok("orders list --json");
            assert!(orders.contains("43.80"), "the books are whole: {orders}");
        }
        // Whoever buys again is a customer again, in a backup that knows of the erasure too.
        sold(&mut program, "1002").await;
        assert!(!files_that_name_her(&program.data()).is_empty());
        assert!(program.ok("quarantine list").contains("rcp_"));
        program.serve().await;
        program.kill();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_carries_the_erasures_to_another_machine_and_a_second_restore_there_knows_them() {
    let mut old = program();
    sold(&mut old, "1001").await;
    old.ok("backup before.tar.gz");
    old.ok("customers erase --client 512");
    old.ok("backup after.tar.gz");
    let new = program();
    for name in ["before.tar.gz", "after.tar.gz"] {
        fs::copy(old.place(name), new.place(name)).expect("a copy");
    }
    let said = new.ok("restore before.tar.gz");
    assert!(!said.contains("erased again"), "nobody has told this machine: {said}");
    let said = new.ok("restore after.tar.gz --force");
    assert!(said.starts_with(&new.data().display().to_string()), "{said}");
    let said = new.ok("restore before.tar.gz --force");
    assert!(said.contains("erased again"), "{said}");
    assert_eq!(files_that_name_her(&new.data()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_was_cut_off_after_it_was_written_down_is_made_by_the_restore() {
    let mut program = program();
    sold(&mut program, "1001").await;
    program.ok("backup before.tar.gz");
    let now = tillhook::clock::Clock::now(&tillhook::clock::SystemClock);
    Erasures::note(&program.data(), &Person::Client("512".to_owned()), None, now).expect("it is noted");
    // A restore that was cut off before it was complete is swept away by the next.
    let cut_off = program.data().join(".restore-cut-off");
    fs::create_dir(&cut_off).expect("a folder");
    fs::write(cut_off.join("tillhook.db"), "Zxqzoe Zxqdurand").expect("a file");
    let said = program.ok("restore before.tar.gz --force");
    assert!(said.contains("erased again"), "{said}");
    assert_eq!(files_that_name_her(&program.data()), [""; 0]);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(program.data().join("erasures.jsonl")).expect("the list").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    program.serve().await;
    program.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_erasures_that_cannot_be_read_stops_the_restore_and_says_so() {
    let mut program = program();
    sold(&mut program, "1001").await;
    program.ok("backup before.tar.gz");
    fs::create_dir(program.data().join("erasures.jsonl")).expect("a folder in its place");
    let before = program.ok("orders list --json");
    let (exit, said) = program.run("restore before.tar.gz --force");
    assert!(exit == Some(1) && said.contains("the list of erasures in") && said.contains("fix: "), "{said}");
    assert_eq!(program.ok("orders list --json"), before);
    let (exit, said) = program.run("customers erase --client 512");
    assert!(exit == Some(1) && said.contains("could not be written down") && said.contains("fix: "), "{said}");
    assert!(!files_that_name_her(&program.data()).is_empty(), "what could not be written down is not begun");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_an_older_schema_is_brought_up_to_date_so_that_erasures_can_be_made_in_it() {
    let mut program = program();
    sold(&mut program, "1001").await;
    undo_the_last_migrations(&program.data()).await;
    let orders = program.ok("orders list");
    let backups = || fs::read_dir(program.data().join("backups")).expect("the copies");
    let copies = || {
        backups()
            .filter(|entry| entry.as_ref().expect("a file").file_name().to_string_lossy().starts_with("before-schema-"))
    };
    let copy = copies().next().expect("the copy before the migration").expect("a file").path();
    program.ok("customers erase --client 512");
    let said = program.ok(&format!("restore {} --force", copy.display()));
    assert!(said.contains("erased again"), "{said}");
    assert_eq!(files_that_name_her(&program.data()), [""; 0]);
    assert_eq!(program.ok("orders list"), orders);
    assert_eq!(copies().count(), 1, "the restore has brought it up to date");
}

/// Makes the database what a version without the last migration would have made.
async fn undo_the_last_migrations(data: &Path) {
    use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
    let mut conn = SqliteConnectOptions::new().filename(data.join("tillhook.db")).connect().await.expect("a database");
    let undo = "DROP TABLE unlisted_order; ALTER TABLE verification DROP COLUMN asked_anew_at;
        DROP TABLE number_watch; DROP TABLE missing_order;
        DROP INDEX delivery_given_up; ALTER TABLE delivery DROP COLUMN recipients;
        ALTER TABLE delivery DROP COLUMN given_up; DROP TABLE refused_recipient;
        ALTER TABLE receipt DROP COLUMN announced; ALTER TABLE invoice DROP COLUMN cut_off;
        DROP INDEX order_without_internal_id; DROP TABLE verification_url;
        DELETE FROM _sqlx_migrations WHERE version >= 9;";
    sqlx::raw_sql(undo).execute(&mut conn).await.expect("it is undone");
    // As they were made, to the letter.
    let made = include_str!("../../migrations/0003_missing_numbers.sql").split_inclusive(';');
    for table in made.filter(|sql| sql.contains("TABLE number_watch") || sql.contains("TABLE missing_order")) {
        sqlx::raw_sql(table).execute(&mut conn).await.expect("it is undone");
    }
    conn.close().await.expect("an end");
}

/// What a restore may use of memory, in KiB, its threads' stacks counted in.
const MEMORY: u32 = 150 * 1024;

/// A sale to somebody, with whatever else the till says.
async fn sell(url: &str, order: &str, client: &str, name: &str, more: &[(&str, &str)]) {
    let sale = [("orderID", order), ("orderInternalID", order), ("price", "43.80")];
    let customer = [("clientID", client), ("customer[nom]", name), ("customer[prenom]", "Ada")];
    let answer = till::post(&form(&[more, &sale, &customer].concat()), url).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_brings_back_nobody_else_and_is_named() {
    let mut program = program();
    let url = program.serve().await;
    let people = [("1001", "100", "Hopper"), ("1002", "512", "Zxqdurand"), ("1003", "777", "Zxqmartin")];
    for (order, client, name) in people.into_iter().chain([("1004", "900", "Lovelace")]) {
        sell(&url, order, client, name, &[("type", "validated")]).await;
    }
    eventually("it is delivered", async || !program.ok("deliveries list").contains("due")).await;
    program.kill();
    // A call of somebody else, and the event of the first of them, whose customer can still be read.
    let deep = format!("{}1{}", "[".repeat(300), "]".repeat(300));
    let call = "UPDATE receipt SET shop = 'NO SHOP' WHERE seq = (SELECT max(seq) FROM receipt)";
    let event = "UPDATE event SET data = replace(data, '\"extra\":{}}', '\"extra\":{\"x\":' || $1 || '}}') \
                 WHERE data LIKE '%Hopper%' AND order_key IS NOT NULL";
    assert_eq!(spoil(&program.data(), call, &[]).await, 1);
    assert_eq!(spoil(&program.data(), event, &[&deep]).await, 1);
    program.ok("backup before.tar.gz");
    for (_, client, _) in people {
        program.ok(&format!("customers erase --client {client}"));
    }
    assert_eq!(files_that_name_her(&program.data()), [""; 0]);
    let said = program.ok("restore before.tar.gz --force");
    assert!(said.contains("3 customers who were erased since the backup was made: erased again"), "{said}");
    assert!(
        said.contains("2 rows cannot be read") && said.contains("  event evt_") && said.contains("  call "),
        "{said}"
    );
    assert!(!said.contains("must be repeated"), "{said}");
    assert_eq!(files_that_name_her(&program.data()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_of_two_large_calls_is_looked_into_in_little_memory() {
    let mut program = program();
    let url = program.serve().await;
    let note = "a note ".repeat(170_000);
    for phase in ["validated", "terminated"] {
        sell(&url, "1001", "512", "Zxqdurand", &[("type", phase), ("note", &note)]).await;
    }
    eventually("it is delivered", async || !program.ok("deliveries list").contains("due")).await;
    program.kill();
    program.ok("backup before.tar.gz");
    program.ok("customers erase --client 512");
    let limit = format!("ulimit -d {MEMORY} && exec \"$@\"");
    let within = ["/bin/sh", "-c", &limit, "sh"].map(str::to_owned);
    let output = program.output_within(&within, "restore before.tar.gz --force").await;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("erased again"), "{said}");
    assert_eq!(files_that_name_her(&program.data()), [""; 0]);
}

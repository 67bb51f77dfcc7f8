//! What people type on a database of which a part cannot be read: every command does what it can, and names the rest.

use std::{fs, path::Path};

use tillhook::{
    order::Phase,
    till::{TillCustomer, TillOrder},
};

use crate::harness::{App, Setup};

const SINKS: &str =
    "[sink.erp]\nHTTP\n[sink.accountant]\nMAIL\ndigest = { every = \"daily 20:00\" }\non = [\"order.*\"]\n";

/// The days of the sale, whatever the system's clock says.
const DAYS: &str = "--from 2026-11-01 --to 2026-11-30";

/// One order that is whole, and one for each way in which an order cannot be read; `$1` is its key.
const SPOIL: &[&str] = &[
    "UPDATE event SET data = '{\"customer\":{\"name\":\"CanaryZoé' WHERE order_key = $1",
    "UPDATE event SET data = replace(data, '\"extra\":{}}', '\"extra\":{\"x\":' || $2 || '}}') WHERE order_key = $1",
    "UPDATE event SET data = '{\"customer\":{\"$serde_json::private::RawValue\":\"{}\"}}' WHERE order_key = $1",
    "UPDATE event SET id = 'evt_none' || seq WHERE order_key = $1",
    "UPDATE customer_order SET last_event = 'evt_none' WHERE key = $1",
    "UPDATE customer_order SET received_at = 9223372036854775807, booked_on = '2026-11-99' WHERE key = $1",
    "UPDATE customer_order SET key = 'ord_none' WHERE key = $1",
];

/// What is spoilt besides: of one more order, whose own row can be read.
const SPOIL_OTHERS: &[&str] = &[
    "UPDATE customer_order SET timeline = 'CanaryZoé' WHERE key = $1",
    "UPDATE attempt SET at = 9223372036854775807 WHERE delivery_id IN (SELECT id FROM delivery WHERE order_key = $1)",
    "UPDATE delivery SET id = 'CanaryZoé' WHERE order_key = $1",
    "UPDATE invoice SET bytes = NULL, filename = CAST(x'ff' AS TEXT) WHERE order_key = $1",
    "UPDATE receipt SET id = 'Canary Zoé' WHERE seq = (SELECT min(seq) FROM receipt WHERE outcome = 'quarantined')",
    "INSERT INTO sink_state (sink, first_ran_at) VALUES ('NO-NAME', 1)",
    "INSERT INTO missing_order (shop, number, opened, source, since) VALUES ('dupont', '17', 1, 'numbers', 9223372036854775807)",
];

struct Scene {
    app: App,
    whole: TillOrder,
    /// Orders that cannot be read.
    lost: Vec<TillOrder>,
    /// One that can be, but not all that belongs to it.
    partly: TillOrder,
}

fn somebody(id: &str, name: &str) -> TillCustomer {
    TillCustomer {
        id: id.to_owned(),
        last_name: name.to_owned(),
        first_name: "Ada".to_owned(),
        email: format!("{}@example.org", name.to_lowercase()),
        phone: format!("065550019{id}"),
        address: format!("{id}, allée {name}"),
        postcode: "69001".to_owned(),
        city: "Lyon".to_owned(),
        vat_number: None,
        more: Vec::new(),
    }
}

async fn scene() -> Scene {
    let app = App::set_up(Setup { sinks: SINKS, ..Setup::default() }).await;
    let sold = async |id: &str, name: &str| {
        let order = TillOrder { customer: Some(somebody(id, name)), ..app.till.sell() };
        app.announce_and_settle(&order, Phase::Validated).await;
        order
    };
    let whole = sold("1", "Lovelace").await;
    let mut lost = Vec::new();
    for _ in SPOIL {
        lost.push(sold("2", "Zxqdurand").await);
    }
    let partly = sold("3", "Hopper").await;
    for _ in 0..2 {
        assert_eq!(app.say(&[("nothing", "known")]).await, "quarantined");
    }
    app.settle().await;
    let deep = format!("{}1{}", "[".repeat(300), "]".repeat(300));
    for (sql, order) in SPOIL.iter().zip(&lost) {
        let values = [&*key_of(&app, order).await, deep.as_str()];
        let values = if sql.contains("$2") { &values[..] } else { &values[..1] };
        assert!(app.spoil(sql, values).await > 0, "{sql}");
    }
    let key = key_of(&app, &partly).await;
    for sql in SPOIL_OTHERS {
        let values = if sql.contains("$1") { vec![key.as_str()] } else { Vec::new() };
        assert!(app.spoil(sql, &values).await > 0, "{sql}");
    }
    Scene { app, whole, lost, partly }
}

async fn key_of(app: &App, order: &TillOrder) -> String {
    let found = app.store().orders_called(&order.internal_id).await.expect("the database answers");
    found[0].key.to_string()
}

impl Scene {
    /// Types a command that ends with this code; returns what it printed.
    async fn types(&self, exit: i32, words: &str) -> String {
        let (ended, said) = self.app.types(words).await;
        assert_eq!(ended, Some(exit), "`{words}`: {said}");
        assert!(!said.contains("Canary"), "`{words}` quotes what it cannot read: {said}");
        said
    }

    /// What it printed names all of the orders that cannot be read.
    fn names_all(&self, said: &str, but: &[usize]) {
        for (index, order) in self.lost.iter().enumerate().filter(|(index, _)| !but.contains(index)) {
            assert!(said.contains(&format!("order {}", order.order_id)), "{}: {said}", SPOIL[index]);
        }
    }
}

#[tokio::test]
async fn every_listing_works_and_names_what_it_leaves_out() {
    let scene = scene().await;
    let number = scene.whole.order_id.as_str();

    let said = scene.types(0, "orders list").await;
    assert!(said.contains(&format!("{number}  {}", scene.whole.internal_id)), "{said}");
    // The last one can be read, but for its key, which is not in the list.
    scene.names_all(&said, &[6]);
    assert!(said.contains("A row that cannot be read"), "{said}");
    let said = scene.types(0, "orders list --json").await;
    let page: serde_json::Value = serde_json::from_str(said.split("\nwarning:").next().expect("a page")).expect("JSON");
    assert!(page["next"].is_null() && page["data"].as_array().is_some_and(|data| !data.is_empty()), "{page}");

    let said = scene.types(0, &format!("orders show {number}")).await;
    assert!(said.contains("Lovelace") || said.contains(number), "{said}");
    assert!(!said.contains("warning"), "nothing of it is left out: {said}");
    let said = scene.types(0, &format!("orders show {}", scene.partly.order_id)).await;
    assert!(said.contains("warning: ") && said.contains("delivery in place "), "{said}");
    for lost in &scene.lost[..5] {
        let said = scene.types(1, &format!("orders show {}", lost.order_id)).await;
        assert!(said.contains("cannot be read"), "{said}");
    }
    scene.types(0, "orders missing").await;

    let said = scene.types(0, "deliveries list").await;
    assert!(said.contains(number) && said.contains("warning: "), "{said}");
    let delivery = &scene.app.deliveries("erp").await[0].id.to_string();
    scene.types(0, &format!("deliveries show {delivery} --payload")).await;
    let said = scene.types(0, "sinks list").await;
    assert!(said.contains("erp") && said.contains("sink NO-NAME"), "{said}");
    let said = scene.types(0, "quarantine list").await;
    assert!(said.contains("rcp_0") && said.contains("call in place "), "{said}");
    scene.types(1, "quarantine reprocess").await;
    let said = scene.types(0, "invoices list").await;
    assert!(said.contains(number) && said.contains(&format!("invoice of order {}", scene.partly.order_id)), "{said}");
    let said = scene.types(1, "invoices verify").await;
    assert!(said.contains("invoices are what was fetched") && said.contains("invoice of order"), "{said}");
    scene.types(0, &format!("render erp --order {number}")).await;
    scene.types(0, "sinks recover erp --since 2020-01-01 --dry-run").await;
    let file = scene.app.data().with_file_name("copy.tar");
    scene.types(0, &format!("backup {}", file.display())).await;
    scene.app.finish().await;
}

#[tokio::test]
async fn how_a_command_ends_does_not_depend_on_who_reads_what_it_left_out() {
    let scene = scene().await;
    for (words, exit) in [("invoices verify", 1), ("orders list", 0)] {
        let mut command = scene.app.command(words);
        let (reader, nobody) = std::io::pipe().expect("a pipe");
        drop(reader);
        command.stdout(std::process::Stdio::null()).stderr(nobody);
        let running = tokio::task::spawn_blocking(move || command.status().expect("the program"));
        assert_eq!(running.await.expect("no panic").code(), Some(exit), "{words}");
    }
    scene.app.finish().await;
}

#[tokio::test]
async fn a_reason_that_is_no_text_is_shown_as_far_as_it_is_one() {
    let app = App::start("").await;
    assert_eq!(app.say(&[("nothing", "known")]).await, "quarantined");
    let call = app.column("SELECT id FROM receipt").await.swap_remove(0);
    let spoiled = app.spoil("UPDATE receipt SET reason = CAST(x'ff' AS TEXT) || ' and so on'", &[]).await;
    assert_eq!(spoiled, 1);
    for words in ["quarantine list".to_owned(), format!("quarantine show {call} --body")] {
        let (exit, said) = app.types(&words).await;
        assert_eq!(exit, Some(0), "{said}");
        assert!(said.contains("\u{fffd} and so on") && !said.contains("warning"), "{said}");
    }
    app.finish().await;
}

#[tokio::test]
async fn an_export_names_the_orders_that_it_lacks_and_fails() {
    let scene = scene().await;
    let number = scene.whole.order_id.as_str();
    for form in ["csv", "jsonl"] {
        let said = scene.types(1, &format!("export {DAYS} --as {form}")).await;
        assert!(said.lines().any(|line| line.contains(number)), "{said}");
        scene.names_all(&said, &[]);
        assert!(said.contains(&format!("{} orders cannot be read", scene.lost.len())), "{said}");
    }
    let file = scene.app.data().with_file_name("november.zip");
    let said = scene.types(1, &format!("export {DAYS} --as zip -o {}", file.display())).await;
    scene.names_all(&said, &[]);
    let listed = unzipped(&file, "ILLISIBLE-UNREADABLE.txt");
    scene.names_all(&listed, &[]);
    assert!(listed.starts_with("Ces commandes n’ont pas pu être lues"), "{listed}");
    let table = unzipped(&file, "invoices.csv");
    assert!(table.contains(number) && table.contains(&scene.partly.order_id), "{table}");
    scene.app.finish().await;
}

/// A file of an archive, as text.
fn unzipped(archive: &Path, name: &str) -> String {
    let file = fs::File::open(archive).expect("the archive");
    let mut archive = zip::ZipArchive::new(file).expect("an archive");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut archive.by_name(name).expect("the file"), &mut text).expect("text");
    text
}

#[tokio::test]
async fn somebody_else_is_erased_and_what_may_name_them_and_cannot_be_read_is_listed() {
    let scene = scene().await;
    let said = scene.types(0, "customers erase --client 1").await;
    assert!(said.contains("Erased.") && !said.contains("cannot be read"), "{said}");
    let left = scene.app.column("SELECT data FROM event WHERE data LIKE '%Lovelace%'").await;
    assert!(left.is_empty(), "{left:?}");

    // Of the orders that cannot be read those are listed that name them.
    let (exit, said) = scene.app.types("customers erase --client 2").await;
    assert_eq!(exit, Some(0), "{said}");
    assert!(said.contains("cannot be read"), "{said}");
    let deep = &scene.lost[1].order_id;
    let of_deep = scene.app.column("SELECT data FROM event WHERE data LIKE '%[[[[%' AND data LIKE '%Zxqdurand%'").await;
    assert_eq!(of_deep.len(), 2, "of {deep} both stay, and are listed");
    assert_eq!(said.matches("event evt_").count(), 2, "{said}");
    let names = scene.app.column("SELECT filename FROM invoice WHERE filename LIKE '%Zxq%'").await;
    assert!(names.is_empty(), "no file name says who it was: {names:?}");
    scene.app.finish().await;
}

#[tokio::test]
async fn a_call_that_cannot_be_read_makes_nobody_a_customer() {
    let app = App::set_up(Setup { sinks: SINKS, ..Setup::default() }).await;
    app.announce_and_settle(&app.till.sell(), Phase::Validated).await;
    assert_eq!(app.spoil("UPDATE receipt SET shop = 'NO SHOP'", &[]).await, 1);
    for words in ["customers erase --client no-such-person", "customers erase --client no-such-person --dry-run"] {
        let (exit, said) = app.types(words).await;
        assert_eq!(exit, Some(3), "{said}");
        assert!(said.contains("nobody like that is stored here") && !said.contains("Erased."), "{said}");
        assert!(said.contains("calls cannot be read, so whether they name anybody is not known"), "{said}");
        assert!(!app.data().join("erasures.jsonl").exists(), "nothing was erased");
    }
    app.finish().await;
}

#[tokio::test]
async fn somebody_whom_only_unreadable_rows_name_is_not_said_to_be_erased() {
    let app = App::set_up(Setup { sinks: SINKS, ..Setup::default() }).await;
    let order = TillOrder { customer: Some(somebody("2", "Zxqdurand")), ..app.till.sell() };
    app.announce_and_settle(&order, Phase::Validated).await;
    for cut in [
        "UPDATE event SET data = substr(data, 1, length(data) - 1) WHERE order_key IS NOT NULL",
        "UPDATE customer_order SET timeline = substr(timeline, 1, length(timeline) - 1)",
    ] {
        assert!(app.spoil(cut, &[]).await > 0, "{cut}");
    }
    let (exit, said) = app.types("customers erase --client 2").await;
    assert_eq!(exit, Some(1), "{said}");
    assert!(said.contains("nothing was erased") && said.contains("event evt_") && !said.contains("Erased."), "{said}");
    assert!(app.data().join("erasures.jsonl").exists(), "an older backup may hold what can be read");
    app.finish().await;
}

#[tokio::test]
async fn a_summary_is_made_on_request_beside_what_cannot_be_read() {
    let scene = scene().await;
    // It refuses days that are to come, and the system's clock may be behind the test's.
    let (exit, said) = scene.app.types("digest send accountant --day 2020-01-02").await;
    assert_eq!(exit, Some(0), "{said}");
    scene.app.finish_leaving(1).await;
}

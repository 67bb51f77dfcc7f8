//! What is older than the configuration keeps goes, what is not over stays, and a repeat is known for ever.

use std::{fs, time::Duration};

use tillhook::{order::Phase, till::TillOrder};
use tokio_util::sync::CancellationToken;

use crate::{
    far::http::{Answer, HttpFar},
    harness::{
        App, Setup,
        program::{Program, eventually},
    },
};

const DAY: Duration = Duration::from_hours(24);

/// Short times, each another.
const SHORT: &str = "keep_raw = \"10d\"\nkeep_attempts = \"20d\"\nkeep_events = \"40d\"\nkeep_invoices = \"30d\"";

/// A program that gets everything, and a mailbox that gets one mail an order, with the invoice.
const SINKS: &str = "[sink.erp]\nHTTP\n[sink.accountant]\nMAIL\nattach = [\"invoice\"]\non = [\"order.*\"]\n";

async fn start(storage: &str, sinks: &str) -> App {
    App::set_up(Setup { storage, sinks, ..Setup::default() }).await
}

async fn count(app: &App, sql: &'static str) -> i64 {
    app.column(sql).await[0].parse().expect("a number")
}

/// Waits until a count is this.
async fn comes_to(app: &App, sql: &'static str, wanted: i64) {
    app.until(sql, async || count(app, sql).await == wanted).await;
}

const BODIES: &str = "SELECT CAST(count(*) AS TEXT) FROM receipt WHERE body IS NOT NULL OR query IS NOT NULL";
const RECEIPTS: &str = "SELECT CAST(count(*) AS TEXT) FROM receipt";
const ATTEMPTS: &str = "SELECT CAST(count(*) AS TEXT) FROM attempt";
const EVENTS: &str = "SELECT CAST(count(*) AS TEXT) FROM event";
const DELIVERIES: &str = "SELECT CAST(count(*) AS TEXT) FROM delivery";
const FILES: &str = "SELECT CAST(count(*) AS TEXT) FROM invoice WHERE path IS NOT NULL OR filename IS NOT NULL";

/// The PDFs in the archive.
fn pdfs(app: &App) -> usize {
    let folders = |path| fs::read_dir(path).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    folders(app.data().join("invoices")).flat_map(folders).flat_map(folders).count()
}

#[tokio::test]
async fn each_thing_goes_at_its_own_age() {
    let app = start(SHORT, SINKS).await;
    let order = app.till.sell();
    app.announce(&order, Phase::Validated).await;
    app.settle().await;
    assert_eq!((pdfs(&app), count(&app, ATTEMPTS).await), (1, 2));
    app.advance(10 * DAY - Duration::from_secs(1)).await;
    app.announce(&order, Phase::Terminated).await;
    app.settle().await;
    assert_eq!(count(&app, BODIES).await, 2, "neither is ten days old");

    app.advance(DAY).await;
    comes_to(&app, BODIES, 1).await;
    app.advance(10 * DAY).await;
    comes_to(&app, BODIES, 0).await;
    assert_eq!((count(&app, RECEIPTS).await, count(&app, EVENTS).await, pdfs(&app)), (2, 3, 1));
    comes_to(&app, ATTEMPTS, 1).await;

    app.advance(10 * DAY).await;
    comes_to(&app, FILES, 0).await;
    assert_eq!(pdfs(&app), 0);
    assert_eq!(app.invoices().await[0].status, "missing");
    let why = app.column("SELECT last_error FROM invoice").await;
    assert_eq!(why, ["removed: it is older than storage.keep_invoices"]);

    // The order goes as a whole: its second announcement came ten days after the first.
    app.advance(10 * DAY).await;
    comes_to(&app, RECEIPTS, 1).await;
    assert_eq!((app.orders().await.len(), count(&app, EVENTS).await), (1, 3));
    app.advance(10 * DAY).await;
    comes_to(&app, RECEIPTS, 0).await;
    assert_eq!((app.orders().await.len(), count(&app, EVENTS).await, count(&app, DELIVERIES).await), (0, 0, 0));
    app.finish().await;
}

#[tokio::test]
async fn after_ten_years_a_repeat_is_a_duplicate_and_nobody_is_told_twice_or_downloads_again() {
    let mut app = start("", SINKS).await;
    let order = app.till.sell();
    let other = app.till.sell();
    app.announce(&order, Phase::Validated).await;
    app.announce(&other, Phase::Validated).await;
    app.settle().await;
    // A calendar has leap days.
    app.advance(366 * 10 * DAY).await;
    comes_to(&app, RECEIPTS, 0).await;
    assert_eq!((app.orders().await.len(), count(&app, DELIVERIES).await, pdfs(&app)), (0, 0, 0));
    app.halt().await;
    app.boot().await;

    assert_eq!(app.announce(&order, Phase::Validated).await, "duplicate");
    let mails = app.far.mail.count();
    assert_eq!(
        app.announce(&TillOrder { cash_box_id: "9".to_owned(), ..order.clone() }, Phase::Validated).await,
        "stored"
    );
    assert_eq!(app.announce(&other, Phase::Terminated).await, "stored");
    app.settle().await;
    assert_eq!(app.events().await, ["order.updated", "order.terminated"]);
    assert_eq!(app.statuses("erp").await, ["delivered", "delivered"]);
    assert_eq!(app.statuses("accountant").await, ["skipped: merged"; 2]);
    assert_eq!(app.far.mail.count(), mails, "one mail an order, ever");
    assert_eq!(app.orders().await.len(), 2);
    assert_eq!(app.till.downloads()[&order.internal_id], 1, "a second one would be stamped DUPLICATA");
    assert_eq!(app.till.downloads()[&other.internal_id], 1);

    // And once more: whoever was told before is still known.
    app.advance(366 * 10 * DAY).await;
    comes_to(&app, RECEIPTS, 0).await;
    assert_eq!(app.announce(&order, Phase::Terminated).await, "stored");
    app.settle().await;
    assert_eq!(app.statuses("accountant").await, ["skipped: merged"]);
    app.finish().await;
}

#[tokio::test]
async fn a_closing_of_the_till_is_known_for_ever_and_its_event_goes() {
    let app = start(SHORT, SINKS).await;
    let closing = [("type", "cashBox_close"), ("opened", "2026-11-21 08:00:00"), ("closed", "2026-11-21 13:00:00")];
    assert_eq!(app.say(&closing).await, "stored");
    assert_eq!(app.say(&[("type", "cashBox_open"), ("cashBoxID", "1")]).await, "stored");
    app.settle().await;
    app.advance(41 * DAY).await;
    comes_to(&app, "SELECT CAST(count(*) AS TEXT) FROM notice", 1).await;
    assert_eq!((count(&app, EVENTS).await, count(&app, RECEIPTS).await), (0, 0));
    assert_eq!(app.say(&closing).await, "duplicate");
    app.finish().await;
}

#[tokio::test]
async fn what_is_in_quarantine_stays_until_somebody_decides_and_then_goes() {
    let app = start(SHORT, "").await;
    let (_, answer) = app.post_form(&[("no", "type")]).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.advance(41 * DAY).await;
    comes_to(&app, RECEIPTS, 1).await;
    assert_eq!(app.store().list_quarantine(50).await.expect("the list").len(), 1);
    let id = answer["id"].as_str().expect("an id").parse().expect("a receipt's id");
    assert!(app.store().dismiss(id, app.now()).await.expect("the database answers"));
    app.advance(DAY).await;
    comes_to(&app, RECEIPTS, 0).await;
    app.finish().await;
}

#[tokio::test]
async fn what_waits_is_kept_with_all_it_needs_and_goes_once_it_is_over() {
    let far = HttpFar::start().await;
    let sinks = format!(
        "alerts = []\n[sink.erp]\ntype = \"http\"\nurl = \"{}\"\n[sink.accountant]\nMAIL\nattach = [\"invoice\"]\n",
        far.url()
    );
    let app = start(SHORT, &sinks).await;
    far.then([Answer::status(500)]);
    app.pause("accountant").await;
    let order = app.till.sell();
    app.announce(&order, Phase::Validated).await;
    app.until("the first attempt failed", async || count(&app, ATTEMPTS).await == 1).await;
    app.pause("erp").await;
    app.say(&[("type", "somethingNew")]).await;
    app.advance(50 * DAY).await;
    comes_to(&app, BODIES, 0).await;
    // The bodies go first, so that this round has to come to its end.
    round(&app, SHORT_KEEP).await;
    assert_eq!(app.statuses("erp").await, ["paused"]);
    assert_eq!((app.orders().await.len(), count(&app, ATTEMPTS).await, pdfs(&app)), (1, 1, 1));
    assert_eq!(
        app.events().await,
        ["order.validated", "invoice.stored"],
        "the call of an unknown type is told to nobody"
    );

    app.resume("erp").await;
    app.resume("accountant").await;
    app.settle().await;
    assert_eq!(app.far.mail.mails()[0].attachments.len(), 1, "with its invoice");
    app.advance(DAY).await;
    comes_to(&app, EVENTS, 0).await;
    round(&app, SHORT_KEEP).await;
    assert_eq!((count(&app, DELIVERIES).await, count(&app, ATTEMPTS).await, pdfs(&app)), (0, 0, 0));
    app.finish().await;
}

#[tokio::test]
async fn a_file_that_two_invoices_share_goes_with_the_younger_one() {
    let till = HttpFar::start().await;
    till.always(Answer::status(200).body("%PDF-1.7 the same for both %%EOF"));
    let origin = till.url().trim_end_matches("/hook");
    let app = App::set_up(Setup { storage: SHORT, till_host: Some(origin), ..Setup::default() }).await;
    let order = |id: &'static str| {
        [("type", "validated"), ("orderInternalID", id), ("valueDate", "2026-11-21"), ("PDFinvoice", till.url())]
    };
    app.say(&order("1")).await;
    app.settle().await;
    app.advance(20 * DAY).await;
    app.say(&order("2")).await;
    app.settle().await;
    assert_eq!((count(&app, FILES).await, pdfs(&app)), (2, 1));
    app.advance(11 * DAY).await;
    comes_to(&app, FILES, 1).await;
    assert_eq!(pdfs(&app), 1);
    app.advance(20 * DAY).await;
    comes_to(&app, FILES, 0).await;
    assert_eq!(pdfs(&app), 0);
    app.finish().await;
}

#[tokio::test]
async fn what_is_kept_for_longer_than_the_calendar_is_never_old() {
    let app = start("keep_raw = \"9999y\"\nkeep_events = \"9999y\"", "").await;
    app.announce_without_pdf(Phase::Validated).await;
    app.advance(366 * 50 * DAY).await;
    round(&app, "9999y 9999y 9999y 9999y").await;
    assert_eq!((app.orders().await.len(), count(&app, BODIES).await), (1, 1));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pruning_goes_in_small_steps_and_a_call_is_answered_in_between() {
    let mut app = start(SHORT, "").await;
    app.announce_without_pdf(Phase::Validated).await;
    app.halt().await;
    copy_receipts(&app, 20_000).await;
    app.clock.advance(11 * DAY);
    app.boot().await;
    let before = *app.store().commits().borrow();
    app.until("the first steps were taken", async || count(&app, BODIES).await < 20_000).await;
    assert_eq!(app.announce(&app.till.sell(), Phase::Terminated).await, "stored");
    let left = count(&app, BODIES).await;
    assert!(left > 1_000, "the call was answered between two steps, not after the last: {left}");
    comes_to(&app, BODIES, 1).await;
    let steps = *app.store().commits().borrow() - before;
    assert!(steps >= 20_000 / 500, "500 rows a step: {steps}");
    // The service's own round does that last, and no commit tells of it.
    let log = || fs::metadata(app.data().join("tillhook.db-wal")).expect("the log").len();
    eventually("the log is brought back", async || log() < 1 << 20).await;
    app.finish().await;
}

#[tokio::test]
async fn copies_from_before_an_upgrade_or_a_restore_go_after_a_month_and_the_log_names_each() {
    let mut program = Program::new("http://127.0.0.1:9", "fetch_invoices = false", "");
    let backups = program.data().join("backups");
    fs::create_dir_all(&backups).expect("a folder");
    let old =
        [program.data().join("before-restore-20200101-000000"), backups.join("before-schema-2-20200101-000000.tar.gz")];
    let young = [
        program.data().join(format!("before-restore-{}", recently())),
        backups.join("tillhook-20200101-000000.tar.gz"),
    ];
    for folder in [&old[0], &young[0]] {
        fs::create_dir_all(folder.join("invoices/2020/01")).expect("a folder");
        fs::write(folder.join("tillhook.db"), "Zoe Durand").expect("a file");
    }
    for file in [&old[1], &young[1]] {
        fs::write(file, "a copy").expect("a file");
    }
    program.serve().await;
    for copy in &old {
        program.says(&format!("copy.path={}", copy.display())).await;
    }
    program.kill();
    assert!(old.iter().all(|copy| !copy.exists()) && young.iter().all(|copy| copy.exists()));
}

/// A week ago, as it stands in names.
fn recently() -> String {
    let now = tillhook::clock::Clock::now(&tillhook::clock::SystemClock);
    (now - 7 * DAY).strftime("%Y%m%d-%H%M%S").to_string()
}

/// What `SHORT` says, for [`round`].
const SHORT_KEEP: &str = "10d 20d 40d 30d";

/// A round that is over when this is: the service's own may have just begun.
async fn round(app: &App, keep: &str) {
    use tillhook::{
        invoice::Archive,
        upkeep::{Keep, Retention},
    };
    let spans: Vec<jiff::Span> = keep.split(' ').map(|span| span.parse().expect("a span")).collect();
    let copies = tillhook::upkeep::kept_beside(7);
    let keep = Keep { raw: spans[0], attempts: spans[1], events: spans[2], invoices: spans[3], copies };
    let clock = std::sync::Arc::new(app.clock.clone());
    let mut retention = Retention::new(app.store().clone(), Archive::new(app.data()), keep, clock);
    retention.round(&CancellationToken::new()).await;
}

/// Writes a receipt's copies into the database of a service that does not run.
async fn copy_receipts(app: &App, copies: i64) {
    use sqlx::{ConnectOptions as _, Connection as _};
    let file = sqlx::sqlite::SqliteConnectOptions::new().filename(app.data().join("tillhook.db"));
    let mut conn = file.connect().await.expect("the database file");
    let copy = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < $1)
        INSERT INTO receipt (id, shop, received_at, method, body, outcome)
        SELECT 'copy' || n, shop, received_at, method, body, outcome FROM receipt CROSS JOIN n";
    sqlx::query(copy).bind(copies).execute(&mut conn).await.expect("the copies");
    conn.close().await.expect("its end");
}

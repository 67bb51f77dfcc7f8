//! The backup that the service makes each night: when, how often, and what happens when it cannot.

use std::{fs, os::unix::fs::MetadataExt as _, time::Duration};

use jiff::Timestamp;
use tillhook::{order::Phase, till};

use crate::harness::{
    App, Setup, form,
    program::{Program, eventually},
};

/// The nightly backups that are there, oldest first.
fn nights(app: &App) -> Vec<String> {
    let Ok(entries) = fs::read_dir(app.data().join("backups")) else { return Vec::new() };
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    let mut nights: Vec<String> =
        names.filter_map(|name| Some(name.strip_prefix("nightly-")?.strip_suffix(".tar.gz")?.to_owned())).collect();
    nights.sort();
    nights
}

async fn has_night(app: &App, night: &str) {
    eventually(&format!("the backup of {night}"), async || nights(app).last().is_some_and(|last| last == night)).await;
}

/// A service that has sold something and makes a backup at that time.
async fn app(backup: &str) -> App {
    let app = App::set_up(Setup { backup, ..Setup::default() }).await;
    app.announce_without_pdf(Phase::Validated).await;
    app
}

/// The till announces something.
async fn sell(url: &str) {
    tillhook::app::telemetry::install_cryptography();
    let fields = [("type", "validated"), ("orderID", "1"), ("orderInternalID", "1"), ("price", "43.80")];
    assert_eq!(till::post(&form(&fields), url).await.expect("an answer").status, 200);
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

#[tokio::test]
async fn a_backup_is_made_once_a_night_also_when_the_service_starts_again_and_the_oldest_go() {
    let mut app = app("daily 03:30").await;
    app.clock.set(at("2026-11-22T02:30:00Z"));
    has_night(&app, "20261122").await;
    let made = fs::metadata(app.data().join("backups/nightly-20261122.tar.gz")).expect("it").ino();
    for _ in 0..3 {
        app.halt().await;
        app.boot().await;
        app.advance(Duration::from_secs(3600)).await;
    }
    assert_eq!(nights(&app).last().map(String::as_str), Some("20261122"));
    assert_eq!(fs::metadata(app.data().join("backups/nightly-20261122.tar.gz")).expect("it").ino(), made);
    fs::write(app.data().join("backups/tillhook-20200101-000000.tar.gz"), "made by hand").expect("a file");
    for night in 23..=30 {
        app.clock.set(at(&format!("2026-11-{night}T02:30:00Z")));
        has_night(&app, &format!("202611{night}")).await;
    }
    eventually("the oldest are gone", async || nights(&app).len() == 7).await;
    assert_eq!(nights(&app)[0], "20261124");
    assert!(app.data().join("backups/tillhook-20200101-000000.tar.gz").exists());
    app.finish().await;
}

#[tokio::test]
async fn a_night_without_the_hour_and_one_that_has_it_twice_have_one_backup_each() {
    let app = app("daily 02:30").await;
    // In Paris 02:30 does not exist on 28 March 2027, and comes twice on 31 October 2027.
    for (from, night, on) in [("2027-03-27", "20270327", "2027-03-28"), ("2027-10-30", "20271030", "2027-10-31")] {
        app.clock.set(at(&format!("{from}T12:00:00Z")));
        has_night(&app, night).await;
        for minutes in (0..24 * 60).step_by(30) {
            app.clock.set(at(&format!("{from}T22:00:00Z")) + Duration::from_secs(minutes * 60));
            app.settle().await;
        }
        has_night(&app, &on.replace('-', "")).await;
    }
    let nights: Vec<String> = nights(&app).into_iter().filter(|night| night.starts_with("2027")).collect();
    assert_eq!(nights, ["20270327", "20270328", "20271030", "20271031"]);
    app.finish().await;
}

#[tokio::test]
async fn a_night_that_was_missed_is_made_up_for_at_the_next_start_and_off_means_never() {
    let mut app = app("daily 03:30").await;
    app.halt().await;
    app.clock.set(at("2026-11-23T09:00:00Z"));
    app.boot().await;
    has_night(&app, "20261123").await;
    app.finish().await;

    let app = self::app("off").await;
    app.advance(Duration::from_secs(3 * 24 * 3600)).await;
    assert!(!app.data().join("backups").exists());
    app.finish().await;
}

#[tokio::test]
async fn a_nightly_backup_that_fails_is_said_once_and_sales_go_on() {
    let mut program = Program::new("http://127.0.0.1:9", "fetch_invoices = false", "");
    let url = program.serve().await;
    sell(&url).await;
    program.kill();
    // The first start makes a backup of its own, which may have been begun.
    let _ = fs::remove_dir_all(program.data().join("backups"));
    fs::write(program.data().join("backups"), "in the way").expect("a file");
    let url = program.serve().await;
    eventually("the failure is logged", async || program.printed().contains("the nightly backup failed")).await;
    sell(&url).await;
    let ready = url.split("/in/").next().map(|base| format!("{base}/readyz")).expect("an address");
    let ready = reqwest::get(ready).await.expect("an answer");
    assert_eq!(ready.status(), 200);
    assert_eq!(ready.text().await.expect("text"), "ok\nwarning: the nightly backup failed; see the log\n");
    program.kill();
    fs::remove_file(program.data().join("backups")).expect("it is not in the way any more");
    program.serve().await;
    eventually("it is made up for", async || program.printed().contains("the nightly backup was made")).await;
    program.kill();
    assert_eq!(program.printed().matches("the nightly backup failed").count(), 1);
}

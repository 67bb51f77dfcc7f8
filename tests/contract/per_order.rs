//! §5, `per_order`: how the announcements of an order are merged for a sink.

use std::{path::Path, time::Duration};

use tillhook::order::Phase;

use super::{MORTAL, let_die, with_cash_box};
use crate::{
    far::http::{Answer, HttpFar, Request},
    harness::App,
};

/// An accountant's mailbox that hears of both phases, and waits half a minute for the second.
const ACCOUNTANT: &str =
    "[sink.accountant]\nMAIL\non = [\"order.validated\", \"order.terminated\"]\nsettle = \"30s\"\nattach = []\n";

/// A sink that follows orders, at a far side that does as it is told.
fn follower(far: &HttpFar) -> String {
    format!("alerts = []\n[sink.erp]\ntype = \"http\"\nurl = \"{}\"\nper_order = \"follow\"\n", far.url())
}

/// A Slack bot, which follows orders, and hears of their updates too.
fn slack_bot(far: &HttpFar) -> String {
    let api = far.url().replace("/hook", "/api");
    let keys = "type = \"slack\"\ntoken = \"xoxb-1\"\nchannel = \"#caisse\"\non = [\"order.*\"]\n";
    format!("alerts = []\n[sink.team]\n{keys}api = \"{api}\"\n")
}

/// Slack as a bot sees it: it takes every message, and calls it by one name.
async fn slack() -> HttpFar {
    let far = HttpFar::start().await;
    far.always(Answer::status(200).body(r#"{"ok":true,"channel":"C1","ts":"1.1"}"#));
    far
}

/// The last two calls of a bot: a new message, and its update.
fn posted_and_updated(slack: &HttpFar) -> (Request, Request) {
    let [.., post, update] = &slack.requests()[..] else { panic!("two calls, not {:?}", slack.requests()) };
    assert_eq!((post.path.as_str(), update.path.as_str()), ("/api/chat.postMessage", "/api/chat.update"));
    (post.clone(), update.clone())
}

#[tokio::test]
async fn each_delivers_every_selected_event_each_once() {
    let app = App::start("[sink.erp]\nHTTP\n").await;
    let order = app.till.sell();
    assert_eq!(app.announce(&order, Phase::Validated).await, "stored");
    assert_eq!(app.announce(&order, Phase::Terminated).await, "stored");
    assert_eq!(app.announce(&order, Phase::Validated).await, "duplicate");
    app.settle().await;
    assert_eq!(app.statuses("erp").await, ["delivered", "delivered"]);
    let types: Vec<_> = app.far.http.calls().iter().map(|call| call.body["type"].clone()).collect();
    assert_eq!(types, ["order.validated", "order.terminated"]);
    app.finish().await;
}

#[tokio::test]
async fn each_does_not_deliver_what_is_not_selected() {
    let app = App::start("[sink.erp]\nHTTP\non = [\"order.validated\"]\n").await;
    let order = app.till.sell();
    app.announce(&order, Phase::Terminated).await;
    app.announce_and_settle(&order, Phase::Validated).await;
    assert_eq!(app.far.http.count(), 1);
    assert_eq!(app.statuses("erp").await, ["delivered"], "what is not selected leaves no row");
    app.finish().await;
}

#[tokio::test]
async fn once_is_one_delivery_an_order_and_the_others_are_skipped_because_merged() {
    let app = App::start(ACCOUNTANT).await;
    let order = app.till.sell();
    app.announce(&order, Phase::Validated).await;
    app.advance(Duration::from_secs(10)).await;
    assert_eq!(app.statuses("accountant").await, ["waiting"]);
    app.announce_and_settle(&order, Phase::Terminated).await;
    assert_eq!(app.statuses("accountant").await, ["delivered", "skipped: merged"]);
    assert_eq!(app.far.mail.count(), 1);
    app.finish().await;
}

#[tokio::test]
async fn once_is_one_delivery_ever_also_when_it_was_given_up() {
    let far = HttpFar::start().await;
    let app = App::start(&(follower(&far).replace("follow", "once") + MORTAL)).await;
    let order = app.till.sell();
    let_die(&app, &far, &order, Phase::Validated).await;
    app.announce_and_settle(&order, Phase::Terminated).await;
    assert_eq!(app.statuses_of("erp", &order.internal_id).await, ["dead", "skipped: merged"]);
    app.finish().await;
}

#[tokio::test]
async fn once_is_sent_when_settle_is_over_and_what_comes_after_is_skipped() {
    let app = App::start(ACCOUNTANT).await;
    let order = app.sell(Phase::Validated).await;
    app.advance(Duration::from_secs(29)).await;
    assert_eq!(app.far.mail.count(), 0);
    app.advance(Duration::from_secs(1)).await;
    assert_eq!(app.far.mail.count(), 1);
    app.announce(&order, Phase::Terminated).await;
    app.announce(&with_cash_box(&order, "9"), Phase::Terminated).await;
    app.advance(Duration::from_hours(24)).await;
    assert_eq!(app.statuses("accountant").await, ["delivered", "skipped: merged"], "an update is not selected here");
    assert_eq!(app.far.mail.count(), 1);
    app.finish().await;
}

#[tokio::test]
async fn once_is_sent_at_once_when_both_phases_are_recorded_before_it_begins() {
    let app = App::start(&ACCOUNTANT.replace("\"order.validated\", ", "")).await;
    let order = app.till.sell();
    app.announce(&order, Phase::Validated).await;
    app.announce_and_settle(&order, Phase::Terminated).await;
    assert_eq!(app.statuses("accountant").await, ["delivered"]);
    app.finish().await;
}

#[tokio::test]
async fn once_where_only_validated_is_selected_is_started_by_terminated_too() {
    let app = App::start("[sink.accountant]\nMAIL\non = [\"order.validated\"]\nsettle = \"30s\"\nattach = []\n").await;
    app.sell(Phase::Terminated).await;
    assert_eq!(app.statuses("accountant").await, ["waiting"]);
    app.advance(Duration::from_secs(30)).await;
    assert_eq!(app.deliveries("accountant").await[0].event_type, "order.terminated");

    let order = app.till.sell();
    app.announce(&order, Phase::Validated).await;
    app.announce_and_settle(&order, Phase::Terminated).await;
    assert_eq!(app.far.mail.count(), 2, "and the second phase ends the waiting for it");
    app.finish().await;
}

#[tokio::test]
async fn once_carries_the_order_as_it_then_stands_with_the_latest_events_id_and_type() {
    let far = HttpFar::start().await;
    let app = App::start(&(follower(&far).replace("follow", "once") + "settle = \"30s\"\n")).await;
    let order = app.till.sell();
    app.announce(&order, Phase::Validated).await;
    app.announce_and_settle(&with_cash_box(&order, "9"), Phase::Validated).await;
    app.advance(Duration::from_secs(30)).await;
    let told = far.requests()[0].json();
    let update = app.deliveries("erp").await.into_iter().find(|line| line.status == "delivered").expect("a delivery");
    assert_eq!((&told["type"], &told["data"]["cash_box_id"]), (&"order.updated".into(), &"9".into()));
    assert_eq!(told["id"], update.event_id.to_string());
    assert_eq!(far.requests()[0].header("webhook-id"), update.event_id.to_string());
    assert_eq!(app.statuses("erp").await, ["delivered", "skipped: merged"]);
    let merged = app.deliveries("erp").await.into_iter().find(|line| line.status == "skipped").expect("a row");
    assert_eq!(merged.event_type, "order.validated", "the row of the event that the message no longer tells");
    app.finish().await;
}

#[tokio::test]
async fn follow_tells_a_change_after_the_first_message_as_an_event_of_its_own_for_machines() {
    let far = HttpFar::start().await;
    let folder = tempfile::TempDir::new().expect("a directory");
    let sinks = follower(&far)
        + &format!("[sink.files]\ntype = \"folder\"\npath = \"{}\"\nper_order = \"follow\"\n", folder.path().display());
    let app = App::start(&sinks).await;
    let order = app.sell(Phase::Validated).await;
    app.announce_and_settle(&order, Phase::Terminated).await;
    assert_eq!(far.event_types(), ["order.validated", "order.terminated"]);
    assert_eq!(far.requests()[1].json()["data"]["state"], "paid");
    assert_ne!(far.requests()[0].header("webhook-id"), far.requests()[1].header("webhook-id"));
    assert_eq!(app.statuses("erp").await, ["delivered", "delivered"]);
    assert_eq!(files_in(folder.path()), 2);
    app.finish().await;
}

fn files_in(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    entries.map(|entry| if entry.path().is_dir() { files_in(&entry.path()) } else { 1 }).sum()
}

#[tokio::test]
async fn follow_merges_a_change_while_the_first_message_was_not_attempted() {
    let far = HttpFar::start().await;
    let app = App::start(&(follower(&far) + "settle = \"30s\"\n")).await;
    let order = app.till.sell();
    app.announce(&order, Phase::Validated).await;
    app.announce_and_settle(&order, Phase::Terminated).await;
    assert_eq!(far.event_types(), ["order.terminated"]);
    assert_eq!(app.statuses("erp").await, ["delivered", "skipped: merged"]);
    app.finish().await;
}

#[tokio::test]
async fn follow_sends_a_change_behind_a_first_message_whose_body_is_frozen() {
    let far = HttpFar::start().await;
    far.then([Answer::status(500), Answer::status(500)]);
    let app = App::start(&follower(&far)).await;
    let order = app.sell(Phase::Validated).await;
    app.announce(&order, Phase::Terminated).await;
    app.announce_and_settle(&with_cash_box(&order, "9"), Phase::Terminated).await;
    assert_eq!(app.statuses("erp").await, ["retrying", "due", "skipped: merged"]);
    app.advance(Duration::from_secs(10)).await;
    app.advance(Duration::from_secs(90)).await;
    let told = far.event_types();
    assert_eq!(told, ["order.validated", "order.validated", "order.validated", "order.updated"]);
    assert_eq!(far.requests()[0].body, far.requests()[2].body);
    app.finish().await;
}

#[tokio::test]
async fn follow_begins_anew_with_the_next_event_after_a_first_message_that_died() {
    let far = HttpFar::start().await;
    let app = App::start(&(follower(&far) + MORTAL)).await;
    let order = app.till.sell();
    let_die(&app, &far, &order, Phase::Validated).await;
    app.announce(&order, Phase::Terminated).await;
    app.event("sink.recovered", 1).await;
    assert_eq!(app.statuses_of("erp", &order.internal_id).await, ["dead", "delivered"]);
    app.finish().await;
}

#[tokio::test]
async fn follow_makes_a_waiting_change_the_first_message_where_the_first_died_and_then_follows_that_one() {
    let far = slack().await;
    let app = App::start(&format!("{}{MORTAL}", slack_bot(&far))).await;
    let order = app.till.sell();
    let_die(&app, &far, &order, Phase::Validated).await;
    for (seconds, cash_box) in [(2, "8"), (4, "9")] {
        app.clock.advance(Duration::from_secs(seconds));
        app.announce_and_settle(&with_cash_box(&order, cash_box), Phase::Terminated).await;
    }
    assert_eq!(app.statuses_of("team", &order.internal_id).await, ["dead", "delivered", "delivered"]);
    let (first, change) = posted_and_updated(&far);
    assert!(first.json()["blocks"].is_array(), "a message in full");
    assert_eq!(change.json()["ts"], "1.1");
    app.finish().await;
}

#[tokio::test]
async fn follow_sends_a_change_that_waited_behind_a_first_message_in_its_place_when_that_dies() {
    let far = slack().await;
    let app = App::start(&format!("{}{MORTAL}", slack_bot(&far))).await;
    let order = app.till.sell();
    far.then([Answer::status(500)]);
    app.announce_and_settle(&order, Phase::Validated).await;
    app.announce(&order, Phase::Terminated).await;
    app.clock.advance(Duration::from_secs(1));
    app.sell(Phase::Validated).await;
    assert_eq!(app.statuses_of("team", &order.internal_id).await, ["retrying", "due"]);
    far.then([Answer::status(500)]);
    app.clock.advance(Duration::from_secs(12));
    far.asked(3).await;
    // Slack takes a message a second.
    app.run_out(Duration::from_secs(2)).await;
    app.clock.advance(Duration::from_secs(2));
    app.announce_and_settle(&with_cash_box(&order, "9"), Phase::Terminated).await;
    assert_eq!(app.statuses_of("team", &order.internal_id).await, ["dead", "delivered", "delivered"]);
    let (first, _) = posted_and_updated(&far);
    assert!(first.json()["blocks"].is_array(), "a message in full");
    app.finish().await;
}

#[tokio::test]
async fn follow_updates_the_message_of_a_slack_bot() {
    let far = slack().await;
    let app = App::start(&slack_bot(&far)).await;
    let order = app.sell(Phase::Validated).await;
    app.clock.advance(Duration::from_secs(2));
    app.announce_and_settle(&order, Phase::Terminated).await;
    let (_, update) = posted_and_updated(&far);
    assert_eq!(far.requests().len(), 2);
    assert_eq!((&update.json()["channel"], &update.json()["ts"]), (&"C1".into(), &"1.1".into()));
    assert!(update.json()["text"].as_str().is_some_and(|text| text.contains("payée")), "{}", update.json());
    app.finish().await;
}

#[tokio::test]
async fn follow_answers_with_a_second_short_line_on_a_slack_webhook() {
    let app = App::start("[sink.team]\nSLACK\n").await;
    let order = app.sell(Phase::Validated).await;
    app.clock.advance(Duration::from_secs(2));
    app.announce_and_settle(&order, Phase::Terminated).await;
    let messages = app.far.slack.messages();
    assert_eq!(messages.len(), 2);
    assert!(messages[0].contains("émise, non soldée –"), "{}", messages[0]);
    assert_eq!(messages[1], format!("Facture {}\u{a0}: payée", order.order_id));
    app.finish().await;
}

#[tokio::test]
async fn follow_answers_a_mail_in_its_thread() {
    let app = App::start("[sink.accountant]\nMAIL\nper_order = \"follow\"\nattach = []\n").await;
    let order = app.sell(Phase::Validated).await;
    app.announce_and_settle(&order, Phase::Terminated).await;
    let mails = app.far.mail.mails();
    assert_eq!(mails.len(), 2);
    let id = header(&mails[0].source, "Message-ID").expect("an id");
    assert_eq!(header(&mails[1].source, "In-Reply-To").as_deref(), Some(id.as_str()));
    assert_eq!(header(&mails[1].source, "References").as_deref(), Some(id.as_str()));
    assert_eq!(mails[1].subject.trim_start_matches("Re: "), mails[0].subject, "the same conversation");
    let reply = String::from_utf8_lossy(&mails[1].source).into_owned();
    assert!(
        reply.contains("\r\nPay=C3=A9e.\r\n") && !reply.contains("TVA"),
        "one line, and not the order again: {reply}"
    );
    app.finish().await;
}

/// A header of a mail, unfolded.
fn header(mail: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(mail).replace("\r\n ", " ");
    let line =
        text.lines().take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.map(|value| value.trim().to_owned())
}

#[tokio::test]
async fn what_only_keeps_from_being_first_may_be_told_when_it_no_longer_does() {
    let far = HttpFar::start().await;
    let app = App::start(&(follower(&far).replace("follow", "once") + "only = { min_total = \"50\" }\n")).await;
    let call = |price| [("type", "validated"), ("orderInternalID", "1"), ("price", price)];
    app.say(&call("49.99")).await;
    app.settle().await;
    app.say(&call("50")).await;
    app.settle().await;
    assert_eq!(app.statuses("erp").await, ["skipped: only.min_total", "delivered"]);
    assert_eq!(far.requests()[0].json()["data"]["total"], "50.00");
    app.finish().await;
}

#[tokio::test]
async fn follow_is_silent_about_an_announcement_that_comes_late_and_changes_nothing() {
    let app = App::start("[sink.team]\nSLACK\n").await;
    let order = app.sell(Phase::Terminated).await;
    app.clock.advance(Duration::from_secs(2));
    app.announce_and_settle(&order, Phase::Validated).await;
    assert_eq!(app.statuses("team").await, ["delivered", "skipped: merged"]);
    app.finish().await;
}

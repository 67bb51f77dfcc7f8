//! §8: a mail goes to every address that the server takes; one that it refuses is retried or given up alone.

use std::time::Duration;

use serde_json::{Value, json};
use tillhook::{app::demo::mime, order::Phase};

use crate::{
    far::smtp::{Act, At, Caught, Script, SmtpServer},
    harness::{App, Setup, name},
};

/// The accountant, who has moved, and the owner.
const ACCOUNTANT: &str = "compta@cabinet-martin.example";
const OWNER: &str = "patron@dupont.example";

const BOTH: &str =
    "type = \"email\"\nto = [\"compta@cabinet-martin.example\", \"patron@dupont.example\"]\nattach = []\n";

const UNKNOWN: &str = "550 5.1.1 user unknown";

async fn start(script: Script, sinks: &str) -> (App, SmtpServer) {
    let server = script.start().await;
    let app = App::set_up(Setup { smtp: Some((server.address, "")), sinks, ..Setup::default() }).await;
    (app, server)
}

/// Another sink is told of alerts.
fn with_ops(keys: &str) -> String {
    format!("alerts = [\"ops\"]\n[sink.ops]\nHTTP\non = [\"test.ping\"]\n[sink.accountant]\n{BOTH}{keys}")
}

/// Who got how many mails.
fn mails_to(server: &SmtpServer, address: &str) -> usize {
    server.mails().iter().filter(|mail| mail.to.iter().any(|to| to == address)).count()
}

/// The default schedule until a refusal is believed: 5 s, 1 min, 5 min, 30 min, 2 h.
async fn until_it_is_believed(app: &App) {
    for seconds in [6, 72, 360, 2160, 8640] {
        app.advance(Duration::from_secs(seconds)).await;
    }
}

/// What `deliveries show` says of each address.
async fn recipients(app: &App, id: &str) -> Vec<(String, String)> {
    let (code, said) = app.types(&format!("deliveries show {id} --json")).await;
    assert_eq!(code, Some(0), "{said}");
    let shown: Value = serde_json::from_str(&said).expect("JSON");
    let rows = shown["delivery"]["recipients"].as_array().expect("recipients");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rows.iter().map(|row| (text(&row["address"]), text(&row["status"]))).collect()
}

#[tokio::test]
async fn one_refused_address_costs_nobody_else_the_mail() {
    let (app, server) = start(Script::honest().refusing(ACCOUNTANT, UNKNOWN), &with_ops("")).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    assert_eq!((mails_to(&server, OWNER), mails_to(&server, ACCOUNTANT)), (1, 0));
    assert_eq!(app.statuses("accountant").await, ["retrying"], "it is still to go to the accountant");
    assert_eq!(app.sink_status("accountant").await, "ok", "the sink works");
    until_it_is_believed(&app).await;
    assert_eq!(app.statuses("accountant").await, ["delivered"]);
    assert_eq!(mails_to(&server, OWNER), 1, "who has it does not get it again");
    assert_eq!(app.sink_status("accountant").await, "ok", "nothing is paused");

    let line = app.deliveries("accountant").await.remove(0);
    assert!(line.last_error.as_deref().is_some_and(|error| error.contains("550 5.1.1")), "{:?}", line.last_error);
    let shown = recipients(&app, &line.id.to_string()).await;
    let expected = [(OWNER, "taken"), (ACCOUNTANT, "given_up")].map(|(who, how)| (who.to_owned(), how.to_owned()));
    assert_eq!(shown, expected);
    let (_, sheet) = app.types(&format!("deliveries show {}", line.id)).await;
    assert!(
        sheet.contains(&format!("{ACCOUNTANT}  given up 2026-")) && sheet.contains("but not to 1 address"),
        "{sheet}"
    );
    app.finish().await;
}

#[tokio::test]
async fn a_refused_address_is_told_once_with_what_to_do_and_told_again_after_it_worked() {
    let (app, server) = start(Script::honest().refusing(ACCOUNTANT, UNKNOWN), &with_ops("")).await;
    for _ in 0..2 {
        app.announce_without_pdf(Phase::Validated).await;
        app.settle().await;
        until_it_is_believed(&app).await;
    }
    let told = app.data_of("sink.failing").await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["sink"], &told[0]["address"]), (&json!("accountant"), &json!(ACCOUNTANT)));
    assert!(told[0]["reason"].as_str().is_some_and(|reason| reason.contains("550 5.1.1 user unknown")), "{told:?}");
    assert!(!app.events().await.iter().any(|kind| kind == "sink.paused" || kind == "sink.recovered"));

    server.behave(Script::honest());
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    assert_eq!(mails_to(&server, ACCOUNTANT), 1);
    server.behave(Script::honest().refusing(ACCOUNTANT, UNKNOWN));
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    until_it_is_believed(&app).await;
    assert_eq!(app.data_of("sink.failing").await.len(), 2, "it is another outage");
    app.finish().await;
}

#[tokio::test]
async fn what_an_address_missed_is_sent_again_to_it_alone_under_the_same_message_id() {
    let (app, server) = start(Script::honest().refusing(ACCOUNTANT, UNKNOWN), &with_ops("")).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    until_it_is_believed(&app).await;
    server.behave(Script::honest());
    assert_eq!(app.store().retry_dead(&name("accountant"), app.now(), false).await.expect("the database answers"), 1);
    app.settle().await;
    assert_eq!((app.statuses("accountant").await, mails_to(&server, OWNER)), (vec!["delivered".to_owned()], 1));
    let ids = server.message_ids();
    assert!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
    let id = app.deliveries("accountant").await[0].id;
    assert!(recipients(&app, &id.to_string()).await.iter().all(|(_, status)| status == "taken"));

    // By hand to everybody, because a person wants that.
    let (code, said) = app.types(&format!("deliveries retry {id}")).await;
    assert_eq!(code, Some(4), "{said}");
    assert!(app.store().retry_delivery(id, app.now(), true).await.expect("the database answers"));
    app.settle().await;
    assert_eq!((mails_to(&server, OWNER), mails_to(&server, ACCOUNTANT)), (2, 2));
    app.finish().await;
}

#[tokio::test]
async fn an_address_that_is_refused_for_a_while_gets_the_mail_later_and_holds_up_nothing() {
    let sinks = with_ops("per_order = \"follow\"\n");
    let (app, server) = start(Script::honest().refusing(ACCOUNTANT, "450 4.2.0 greylisted"), &sinks).await;
    let order = app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    app.announce(&order, Phase::Terminated).await;
    app.settle().await;
    assert_eq!(mails_to(&server, OWNER), 2, "the next mail about the order does not wait for the accountant");
    server.behave(Script::honest());
    app.advance(Duration::from_secs(6)).await;
    assert_eq!(app.statuses("accountant").await, ["delivered", "delivered"]);
    assert_eq!((mails_to(&server, OWNER), mails_to(&server, ACCOUNTANT)), (2, 2));
    let ids: std::collections::HashSet<_> = server.message_ids().into_iter().collect();
    assert_eq!(ids.len(), 2, "each mail keeps its own");
    app.finish().await;
}

#[tokio::test]
async fn a_digest_reaches_those_whom_the_server_takes() {
    let sinks = with_ops("digest = { every = \"daily 20:00\" }\n");
    let (app, server) = start(Script::honest().refusing(ACCOUNTANT, UNKNOWN), &sinks).await;
    app.announce_without_pdf(Phase::Terminated).await;
    app.settle().await;
    app.advance(Duration::from_hours(7)).await;
    app.until("the digest is out", async || mails_to(&server, OWNER) == 1).await;
    until_it_is_believed(&app).await;
    app.announce_without_pdf(Phase::Terminated).await;
    app.advance(Duration::from_hours(24)).await;
    app.until("the next one is out", async || mails_to(&server, OWNER) == 2).await;
    until_it_is_believed(&app).await;
    assert_eq!(mails_to(&server, ACCOUNTANT), 0);
    assert_eq!((app.sink_status("accountant").await, app.data_of("sink.failing").await.len()), ("ok".to_owned(), 1));
    app.finish().await;
}

#[tokio::test]
async fn a_server_that_is_gone_while_one_address_is_left_costs_the_others_nothing_and_ends_visibly() {
    let sinks = with_ops("retry = [\"1m\", \"1m\"]\npause_after = \"1m\"\n");
    let (app, server) = start(Script::honest().refusing(ACCOUNTANT, "450 4.2.0 greylisted"), &sinks).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    server.behave(Script::honest().at(At::Greeting, Act::HangUp));
    app.advance(Duration::from_secs(72)).await;
    app.advance(Duration::from_secs(72)).await;
    let line = app.deliveries("accountant").await.remove(0);
    assert_eq!((line.status.as_str(), mails_to(&server, OWNER)), ("delivered", 1));
    assert_eq!(recipients(&app, &line.id.to_string()).await[1].1, "given_up");
    app.finish().await;
}

#[tokio::test]
async fn where_no_other_sink_can_tell_the_address_that_works_is_told_of_the_one_that_is_refused() {
    let sinks = format!("[sink.accountant]\n{BOTH}");
    let (app, server) = start(Script::honest().refusing(ACCOUNTANT, UNKNOWN), &sinks).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    until_it_is_believed(&app).await;
    until_it_is_believed(&app).await;
    let text = |mail: &Caught| mime::text(mail.data.as_bytes()).expect("a text").0;
    let alerts: Vec<_> = server.mails().into_iter().filter(|mail| text(mail).contains("est refusée")).collect();
    let [alert] = &alerts[..] else { panic!("one alert: {alerts:?}") };
    assert_eq!(alert.to, [OWNER]);
    assert!(text(alert).contains(&format!("Adresse : {ACCOUNTANT}")), "{}", text(alert));
    assert_eq!(app.data_of("sink.failing").await.len(), 1, "the alert, which is refused there too, makes no other");
    assert_eq!(ready(&app).await, "ok\n", "somebody was told");
    app.finish().await;
}

async fn ready(app: &App) -> String {
    let base = app.webhook().split("/in/").next().expect("an address").to_owned();
    let answer = reqwest::get(format!("{base}/readyz")).await.expect("an answer");
    assert_eq!(answer.status(), 200, "calls can be taken");
    answer.text().await.expect("a text")
}

#[tokio::test]
async fn where_mail_is_the_only_way_to_tell_its_failure_is_a_warning_of_readyz() {
    let server = Script::honest().with_password("caisse", "right").start().await;
    let smtp = "username = \"caisse\"\npassword = \"wrong\"\n";
    // Two sinks that tell of each other by the same mail server.
    let sinks = "[sink.accountant]\nMAIL\nattach = []\n[sink.owner]\nMAIL\nattach = []\n";
    let app = App::set_up(Setup { smtp: Some((server.address, smtp)), sinks, ..Setup::default() }).await;
    assert_eq!(ready(&app).await, "ok\n");
    app.announce_without_pdf(Phase::Validated).await;
    let warning = "ok\nwarning: deliveries fail and nobody can be told; see the log\n";
    app.until("the warning", async || {
        app.clock.advance(Duration::from_secs(10));
        ready(&app).await == warning
    })
    .await;
    server.behave(Script::honest().with_password("caisse", "wrong"));
    for sink in ["accountant", "owner"] {
        app.resume(sink).await;
    }
    app.until("all is well", async || {
        app.clock.advance(Duration::from_secs(10));
        ready(&app).await == "ok\n"
    })
    .await;
    app.settle().await;
    app.finish().await;
}

#[tokio::test]
async fn a_failure_that_another_sink_tells_of_is_no_warning_of_readyz() {
    let (app, _server) = start(Script::honest().at(At::Mail, Act::Say("530 5.7.0 sign in first")), &with_ops("")).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.event("sink.paused", 1).await;
    for _ in 0..3 {
        app.clock.advance(Duration::from_secs(10));
        app.settle().await;
        assert_eq!(ready(&app).await, "ok\n");
    }
    app.finish_leaving(1).await;
}

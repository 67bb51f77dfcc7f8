//! §8, `profile`: machines that take invoices get nothing without one, and each invoice once.

use std::time::Duration;

use rstest::rstest;
use tillhook::{
    app::demo::mime,
    order::Phase,
    till::{TillOrder, sandbox::Trouble},
};

use crate::{
    far::http::{Answer, HttpFar},
    harness::{App, Setup, form},
};

/// A machine, and a program that is told of alerts.
const PENNYLANE: &str = "alerts = [\"ops\"]\n[sink.ops]\nHTTP\non = [\"test.ping\"]\n\
    [sink.machine]\ntype = \"email\"\nto = [\"dupont-1a2b@customers.pennylane.com\"]\nprofile = \"pennylane\"\n";

/// A sale whose invoice the till does not give away for now, until nobody waits for it any longer.
async fn sell_without_pdf(app: &App) -> TillOrder {
    let order = app.till.sell();
    app.till.misbehave(&order.internal_id, Some(Trouble::NotFound));
    app.announce_and_settle(&order, Phase::Validated).await;
    app.advance(Duration::from_hours(1)).await;
    order
}

/// The till gives the PDF away at last.
async fn give_pdf(app: &App, order: &TillOrder) {
    app.till.misbehave(&order.internal_id, None);
    app.advance(Duration::from_hours(7)).await;
}

#[rstest]
#[tokio::test]
async fn a_machine_gets_nothing_without_the_pdf_and_the_whole_mail_once_it_is_there(
    #[values("once", "follow", "each")] per_order: &str,
) {
    let app = App::start(&format!("{PENNYLANE}on = [\"order.*\"]\nper_order = \"{per_order}\"\n")).await;
    let order = sell_without_pdf(&app).await;
    assert_eq!((app.statuses("machine").await, app.far.mail.count()), (vec!["skipped: no_invoice".to_owned()], 0));
    give_pdf(&app, &order).await;
    assert_eq!(app.statuses("machine").await, ["skipped: no_invoice", "delivered"]);
    let mail = app.far.mail.mails().pop().expect("a mail");
    assert!(mail.subject.starts_with(&format!("Facture {}", order.order_id)), "{}", mail.subject);
    assert_eq!(mail.attachments.len(), 1);
    let source = String::from_utf8_lossy(&mail.source).into_owned();
    assert!(!source.contains("In-Reply-To") && !source.contains("text/html"), "no reply to nothing: {source}");
    let text = mime::text(&mail.source).expect("a text").0;
    assert!(text.contains("TVA") && text.contains("SHA-256"), "the order in full: {text}");

    app.announce_and_settle(&order, Phase::Terminated).await;
    app.advance(Duration::from_hours(24)).await;
    let (last, mails) = match per_order {
        "once" => ("skipped: merged", 1),
        "follow" => ("skipped: no_invoice", 1),
        _ => ("delivered", 2),
    };
    assert_eq!(app.statuses("machine").await[2], last);
    assert_eq!(app.far.mail.count(), mails);
    assert!(app.far.mail.mails().iter().all(|mail| mail.attachments.len() == 1));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_pdf_whose_link_came_only_with_the_second_phase_reaches_the_machine_once(
    #[values("once", "follow")] per_order: &str,
) {
    let app = App::start(&format!("{PENNYLANE}on = [\"order.*\"]\nper_order = \"{per_order}\"\n")).await;
    let order = app.till.sell();
    app.announce_and_settle(&TillOrder { pdf_url: None, ..order.clone() }, Phase::Validated).await;
    assert_eq!(app.statuses("machine").await, ["skipped: no_invoice"]);
    app.announce_and_settle(&order, Phase::Terminated).await;
    app.advance(Duration::from_hours(2)).await;
    let mails = app.far.mail.mails();
    assert_eq!((mails.len(), mails[0].attachments.len()), (1, 1), "{:?}", app.statuses("machine").await);
    app.finish().await;
}

#[tokio::test]
async fn a_pdf_that_is_there_in_time_goes_at_once() {
    let app = App::start(PENNYLANE).await;
    app.sell(Phase::Validated).await;
    assert_eq!((app.statuses("machine").await, app.far.mail.count()), (vec!["delivered".to_owned()], 1));
    app.finish().await;
}

#[tokio::test]
async fn a_machine_is_told_neither_of_the_till_nor_of_alerts() {
    let sinks = "[sink.team]\nMAIL\non = [\"test.ping\"]\n[sink.machine]\ntype = \"email\"\non = [\"order.*\", \"cashbox.*\"]\n\
                 to = [\"dupont+sales@dext.cc\"]\nprofile = \"dext\"\n";
    let app = App::start(sinks).await;
    app.say(&[("type", "cashBox_close"), ("cashBoxID", "1"), ("Total", "10")]).await;
    app.say(&[("type", "validated")]).await;
    app.settle().await;
    let mails = app.far.mail.mails();
    assert_eq!(mails.iter().map(|mail| mail.to.join(" ")).collect::<Vec<_>>(), ["compta@cabinet-martin.example"]);
    app.finish().await;
}

#[tokio::test]
async fn a_pdf_that_is_too_large_for_dext_is_given_up_and_somebody_is_told() {
    let till = HttpFar::start().await;
    let pdf = format!("%PDF-1.7\n{}%%EOF", "x".repeat(6_000_000));
    till.always(Answer::status(200).body(&pdf));
    let sinks = "alerts = [\"ops\"]\n[sink.ops]\nHTTP\non = [\"test.ping\"]\n[sink.machine]\ntype = \"email\"\n\
                 to = [\"dupont+sales@dext.cc\"]\nprofile = \"dext\"\nretry = [\"3h\", \"3h\", \"48h\"]\n";
    let origin = till.url().trim_end_matches("/hook").to_owned();
    let app = App::set_up(Setup { till_host: Some(&origin), sinks, ..Setup::default() }).await;
    let sale = form(&[("type", "validated"), ("orderInternalID", "1"), ("price", "10"), ("PDFinvoice", till.url())]);
    app.call(&sale).await;
    app.settle().await;
    app.advance(Duration::from_mins(216)).await;
    app.advance(Duration::from_mins(216)).await;
    let alert = app.event("sink.failing", 1).await;
    assert_eq!(alert["sink"], "machine");
    let line = app.deliveries("machine").await.remove(0);
    assert_eq!(line.status, "dead");
    assert!(line.last_error.as_deref().is_some_and(|error| error.contains("Dext takes at most 6 MB")), "{line:?}");
    assert_eq!(app.far.mail.count(), 0);
    app.finish().await;
}

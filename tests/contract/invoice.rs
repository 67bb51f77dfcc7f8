//! §5, Invoice: fetched once, waited for, and sent after when it is late.

use std::time::Duration;

use tillhook::{
    app::demo::mime,
    order::Phase,
    till::{TillOrder, sandbox::Trouble},
};

use crate::{
    far::http::{Answer, HttpFar},
    harness::{App, name},
};

/// A mailbox that wants the PDF, and a program that is told of alerts.
const ACCOUNTANT: &str = "alerts = [\"ops\"]\n[sink.ops]\nHTTP\non = [\"test.ping\"]\n\
    [sink.accountant]\nMAIL\nattach = [\"invoice\"]\non = [\"order.*\"]\n";

/// A second shop whose till is this far side.
fn martin(till: &HttpFar) -> String {
    let origin = till.url().trim_end_matches("/hook");
    format!(
        "[shop.martin]\nname = \"Martin & Fils\"\ntoken = \"{MARTIN}\"\nlocale = \"en\"\ntill_hosts = [\"{origin}\"]\n"
    )
}

const MARTIN: &str = "another-token-for-the-tests-0123456789";

fn pdf(junk: usize, size: usize) -> String {
    let head = format!("{}%PDF-1.7\n", " ".repeat(junk));
    let end = "%%EOF";
    format!("{head}{}{end}", "x".repeat(size - head.len() - end.len()))
}

/// A sale whose invoice the till does not give away for now.
async fn sell_with(trouble: Trouble, app: &App) -> TillOrder {
    let order = app.till.sell();
    app.till.misbehave(&order.internal_id, Some(trouble));
    app.announce_and_settle(&order, Phase::Validated).await;
    order
}

/// The statuses of every invoice, of the oldest order first.
async fn invoices(app: &App) -> Vec<String> {
    app.invoices().await.into_iter().map(|line| line.status).collect()
}

#[tokio::test]
async fn it_is_fetched_at_the_first_link_seen_and_once_ever() {
    let mut app = App::start(ACCOUNTANT).await;
    let order = app.sell(Phase::Validated).await;
    assert_eq!(app.till.downloads()[&order.internal_id], 1);
    app.announce(&order, Phase::Terminated).await;
    app.announce(&order, Phase::Validated).await;
    let corrected = TillOrder { cash_box_id: "9".to_owned(), ..order.clone() };
    app.announce_and_settle(&corrected, Phase::Terminated).await;
    app.halt().await;
    app.boot().await;
    app.advance(Duration::from_hours(24 * 30)).await;
    assert_eq!(app.till.downloads()[&order.internal_id], 1);
    assert_eq!(invoices(&app).await, ["stored"]);
    app.finish().await;
}

#[tokio::test]
async fn it_is_fetched_from_the_tills_hosts_alone_and_a_refused_link_is_missing_at_once() {
    // `allow_private` lists 127.0.0.0/8 here.
    let stranger = HttpFar::start().await;
    let app = App::start(ACCOUNTANT).await;
    for link in [stranger.url(), "http://kash.click/f.pdf", "no link"] {
        let order = TillOrder { pdf_url: Some(link.to_owned()), ..app.till.sell() };
        app.announce(&order, Phase::Validated).await;
    }
    let data = app.event("invoice.missing", 3).await;
    assert_eq!(data["state"], "invoiced", "the order in full");
    assert_eq!(invoices(&app).await, ["missing"; 3]);
    assert_eq!(stranger.requests().len(), 0);
    assert_eq!(app.far.http.count(), 3, "and somebody is told");
    assert_eq!(app.far.http.calls()[0].body["data"]["invoice"]["status"], "missing");
    assert_eq!(app.far.mail.count(), 3, "nobody waits for it");
    app.finish().await;
}

#[tokio::test]
async fn it_is_a_pdf_by_its_first_1024_bytes_and_of_at_most_20_mib() {
    let till = HttpFar::start().await;
    let app = App::start_with(&martin(&till), "").await;
    const MIB: usize = 1024 * 1024;
    for (n, (body, status)) in [
        (pdf(0, 100), "stored"),
        (pdf(1019, 2000), "stored"),
        (pdf(1020, 2000), "pending"),
        ("<!doctype html><title>Connexion</title>".to_owned(), "pending"),
        (pdf(0, 20 * MIB), "stored"),
        (pdf(0, 20 * MIB + 1), "pending"),
    ]
    .into_iter()
    .enumerate()
    {
        till.then([Answer::status(200).body(&body)]);
        let id = (n + 1).to_string();
        let call = [("type", "validated"), ("orderInternalID", id.as_str()), ("PDFinvoice", till.url())];
        app.call_at(MARTIN, &crate::harness::form(&call)).await;
        app.settle().await;
        assert_eq!(invoices(&app).await.last().map(String::as_str), Some(status), "answer {n}");
    }
    app.finish().await;
}

#[tokio::test]
async fn another_link_is_used_only_while_nothing_is_stored() {
    let app = App::start(ACCOUNTANT).await;
    let order = app.till.sell();
    let good = order.pdf_url.clone().expect("a link");
    let with = |link: &str| TillOrder { pdf_url: Some(link.to_owned()), ..order.clone() };
    app.announce(&with("https://elsewhere.example/f.pdf"), Phase::Validated).await;
    app.event("invoice.missing", 1).await;
    assert_eq!(app.announce(&with(&good), Phase::Validated).await, "duplicate", "a repeat with another link");
    app.settle().await;
    assert_eq!(invoices(&app).await, ["stored"]);
    app.announce_and_settle(&with(&format!("{good}?again")), Phase::Terminated).await;
    assert_eq!(app.till.downloads()[&order.internal_id], 1);
    app.finish().await;
}

#[tokio::test]
async fn a_failing_link_is_replaced_by_another_one_that_comes_with_the_second_phase() {
    let app = App::start(ACCOUNTANT).await;
    let (order, other) = (app.till.sell(), app.till.sell());
    app.till.misbehave(&order.internal_id, Some(Trouble::NotFound));
    app.announce_and_settle(&order, Phase::Validated).await;
    assert_eq!(invoices(&app).await, ["pending"]);
    app.announce_and_settle(&TillOrder { pdf_url: other.pdf_url, ..order }, Phase::Terminated).await;
    assert_eq!(invoices(&app).await, ["stored"]);
    app.finish().await;
}

#[tokio::test]
async fn a_delivery_that_attaches_it_goes_as_soon_as_it_is_there() {
    let app = App::start(ACCOUNTANT).await;
    let order = sell_with(Trouble::ServerError, &app).await;
    assert_eq!(app.statuses("accountant").await, ["waiting"]);
    app.till.misbehave(&order.internal_id, None);
    app.advance(Duration::from_secs(12)).await;
    let mails = app.far.mail.mails();
    assert_eq!((mails.len(), mails[0].attachments.len()), (1, 1));
    app.finish().await;
}

#[tokio::test]
async fn a_delivery_waits_up_to_invoice_wait_then_goes_without_and_says_so_and_a_late_pdf_follows_as_a_reply() {
    let app = App::start_with("invoice_wait = \"2h\"\n", ACCOUNTANT).await;
    let order = sell_with(Trouble::NotFound, &app).await;
    app.advance(Duration::from_mins(119)).await;
    assert_eq!((app.statuses("accountant").await, app.far.mail.count()), (vec!["waiting".to_owned()], 0));
    app.advance(Duration::from_mins(1)).await;
    let first = app.far.mail.mails().pop().expect("a mail");
    assert_eq!(first.attachments.len(), 0);
    let text = mime::text(&first.source).expect("a text").0;
    assert!(text.contains("La facture PDF n’a pas encore pu être récupérée"), "{text}");

    app.till.misbehave(&order.internal_id, None);
    app.advance(Duration::from_hours(7)).await;
    let mails = app.far.mail.mails();
    assert_eq!(mails.len(), 2);
    let source = |n: usize| String::from_utf8_lossy(&mails[n].source).into_owned();
    let id = source(0).lines().find_map(|line| line.strip_prefix("Message-ID: ").map(str::to_owned)).expect("an id");
    assert!(source(1).contains(&format!("In-Reply-To: {id}")), "{}", source(1));
    assert!(mails[1].attachments[0].bytes.starts_with(b"%PDF-"));
    assert_eq!(app.statuses("accountant").await, ["delivered", "delivered"]);
    app.announce(&order, Phase::Terminated).await;
    app.advance(Duration::from_hours(24)).await;
    assert_eq!(app.far.mail.count(), 2, "once");
    app.finish().await;
}

#[tokio::test]
async fn a_pdf_whose_link_came_only_after_the_mail_follows_as_a_reply_too() {
    let app = App::start(ACCOUNTANT).await;
    let order = app.till.sell();
    app.announce_and_settle(&TillOrder { pdf_url: None, ..order.clone() }, Phase::Validated).await;
    assert_eq!(app.far.mail.mails()[0].attachments.len(), 0);
    app.announce_and_settle(&order, Phase::Terminated).await;
    let mails = app.far.mail.mails();
    assert_eq!((mails.len(), mails[1].attachments.len()), (2, 1));
    app.finish().await;
}

#[tokio::test]
async fn resume_does_not_wait_for_it_any_longer() {
    let app = App::start(ACCOUNTANT).await;
    sell_with(Trouble::NotFound, &app).await;
    app.pause("accountant").await;
    app.advance(Duration::from_mins(10)).await;
    app.resume("accountant").await;
    app.settle().await;
    assert_eq!(app.far.mail.mails()[0].attachments.len(), 0);
    app.finish().await;
}

#[tokio::test]
async fn while_a_sink_is_paused_a_pdf_that_arrives_still_goes_with_the_mail() {
    let app = App::start(ACCOUNTANT).await;
    let order = sell_with(Trouble::NotFound, &app).await;
    app.pause("accountant").await;
    app.advance(Duration::from_hours(2)).await;
    app.till.misbehave(&order.internal_id, None);
    app.advance(Duration::from_hours(8)).await;
    assert_eq!(invoices(&app).await, ["stored"]);
    app.resume("accountant").await;
    app.settle().await;
    let mails = app.far.mail.mails();
    assert_eq!((mails.len(), mails[0].attachments.len()), (1, 1));
    app.finish().await;
}

#[tokio::test]
async fn fetching_goes_on_for_seven_days_then_the_invoice_is_missing_and_somebody_is_told() {
    let app = App::start(ACCOUNTANT).await;
    let order = sell_with(Trouble::Html, &app).await;
    for _ in 0..(7 * 24 - 1) {
        app.advance(Duration::from_hours(1)).await;
    }
    assert_eq!(invoices(&app).await, ["pending"]);
    assert!(!app.events().await.contains(&"invoice.missing".to_owned()));
    app.advance(Duration::from_hours(1)).await;
    let data = app.event("invoice.missing", 1).await;
    assert_eq!((&data["internal_id"], invoices(&app).await), (&order.internal_id.into(), vec!["missing".to_owned()]));
    assert_eq!(app.far.http.calls()[0].body["type"], "invoice.missing");
    app.finish().await;
}

#[tokio::test]
async fn its_name_is_date_shop_customer_and_number_and_on_disk_it_lies_under_its_hash() {
    let app = App::start(ACCOUNTANT).await;
    let order = app.till.sell_on_account();
    app.announce_and_settle(&order, Phase::Validated).await;
    let line = app.invoices().await.pop().expect("an invoice");
    let file = line.filename.expect("a name");
    let date = order.validated.as_ref().expect("a date").strftime("%Y%m%d");
    assert!(file.starts_with(&format!("{date}_Boulangerie-Dupont_")), "{file}");
    assert!(file.ends_with(&format!("_F{}.pdf", order.order_id)), "{file}");
    let (sha256, path) = (line.sha256.expect("a hash"), line.path.expect("a path"));
    assert_eq!(path, format!("invoices/2026/11/{sha256}.pdf"));
    let bytes = std::fs::read(app.data().join(path)).expect("the file");
    assert_eq!(Some(bytes.len() as i64), line.bytes);
    let attached = &app.far.mail.mails()[0].attachments[0];
    assert_eq!((&attached.name, &attached.bytes), (&file, &bytes), "byte for byte");
    app.finish().await;
}

#[tokio::test]
async fn its_date_is_the_value_date_else_validation_else_arrival_in_the_shops_time() {
    let till = HttpFar::start().await;
    till.always(Answer::status(200).body(&pdf(0, 100)));
    let app = App::start_with(&martin(&till), "").await;
    let long = "Aurélie ".repeat(40);
    for (n, (fields, expected)) in [
        (
            vec![("valueDate", "2026-01-31 23:30:00"), ("validationDate", "2026-02-01 10:00:00")],
            "20260131_Martin-Fils_Counter_F1.pdf",
        ),
        (vec![("validationDate", "2026-02-01T23:30:00Z")], "20260202_Martin-Fils_Counter_F2.pdf"),
        (
            vec![("isRefund", "1"), ("customer[nom]", "O'Neill"), ("customer[prenom]", "Zoé")],
            "20261121_Martin-Fils_Zoe-ONeill_R3.pdf",
        ),
        (vec![("customer[nom]", long.as_str())], "20261121_Martin-Fils_Aurelie"),
    ]
    .into_iter()
    .enumerate()
    {
        let number = (n + 1).to_string();
        let head = [
            ("type", "validated"),
            ("orderID", number.as_str()),
            ("orderInternalID", number.as_str()),
            ("PDFinvoice", till.url()),
        ];
        app.call_at(MARTIN, &crate::harness::form(&[&head[..], &fields].concat())).await;
        app.settle().await;
        let file = app.invoices().await.pop().and_then(|line| line.filename).unwrap_or_default();
        assert!(file.starts_with(expected) && file.is_ascii() && file.len() <= 120, "{file}");
    }
    let first = app.invoices().await.remove(0).path.expect("a path");
    assert!(first.starts_with("invoices/2026/01/"), "{first}");
    app.finish().await;
}

#[tokio::test]
async fn subscribers_are_told_where_our_copy_is_once_it_is_stored() {
    let app = App::start("alerts = []\n[sink.erp]\nHTTP\non = [\"order.*\", \"invoice.stored\"]\n").await;
    let order = sell_with(Trouble::NotFound, &app).await;
    app.till.misbehave(&order.internal_id, None);
    app.advance(Duration::from_secs(12)).await;
    let calls = app.far.http.calls();
    let (pending, stored) = (&calls[0].body["data"]["invoice"], &calls[1].body);
    assert_eq!((&pending["status"], &pending["url"]), (&"pending".into(), &serde_json::Value::Null));
    assert_eq!((&stored["type"], &stored["data"]["invoice"]["status"]), (&"invoice.stored".into(), &"stored".into()));
    let url = stored["data"]["invoice"]["url"].as_str().expect("an address");
    let capability = url.strip_prefix("https://hooks.dupont.example/invoices/").expect("our address");
    assert_eq!(capability.len(), 32, "128 bits");
    app.finish().await;
}

#[tokio::test]
async fn nothing_is_fetched_where_the_shop_does_not_want_it_and_nobody_waits() {
    let app = App::start_with("fetch_invoices = false\n", ACCOUNTANT).await;
    app.sell(Phase::Validated).await;
    assert_eq!((app.till.downloads().len(), invoices(&app).await.len()), (0, 0));
    assert_eq!(app.far.mail.count(), 1);
    assert_eq!(app.statuses("accountant").await, ["delivered"]);
    let backlog = app.store().backlog(&name("accountant")).await.expect("the database answers");
    assert_eq!(backlog, (0, 0));
    app.finish().await;
}

#[tokio::test]
async fn half_a_pdf_is_asked_for_again_three_times_in_all_and_then_missing() {
    let app = App::start(ACCOUNTANT).await;
    let order = sell_with(Trouble::Truncated, &app).await;
    assert_eq!(invoices(&app).await, ["pending"]);
    for _ in 0..2 {
        app.advance(Duration::from_hours(1)).await;
    }
    assert_eq!((invoices(&app).await, app.till.downloads()[&order.internal_id]), (vec!["missing".to_owned()], 3));
    app.advance(Duration::from_hours(48)).await;
    assert_eq!(app.till.downloads()[&order.internal_id], 3, "and no more");
    let told = app.column("SELECT data FROM event WHERE type = 'invoice.missing'").await;
    let why = app.column("SELECT last_error FROM invoice").await.remove(0);
    assert!(told.len() == 1 && why.contains("cut off, 3 times") && why.contains("tillhook invoices import"), "{why}");
    // A person may have it asked for again, with three tries of its own.
    app.till.misbehave(&order.internal_id, None);
    let key = app.column("SELECT order_key FROM invoice").await.remove(0).parse().expect("a key");
    assert!(app.store().refetch_invoice(key, app.now()).await.expect("the database answers"));
    app.advance(Duration::from_mins(1)).await;
    assert_eq!(invoices(&app).await, ["stored"]);
    assert_eq!(invoices(&app).await, ["stored"]);
    app.finish().await;
}

#[tokio::test]
async fn what_tells_of_its_pdf_never_tells_an_older_state_than_what_was_told_before() {
    let app = App::start("").await;
    for _ in 0..60 {
        let order = app.till.sell();
        app.announce(&order, Phase::Validated).await;
        app.announce(&order, Phase::Terminated).await;
    }
    app.settle().await;
    let events = app.column("SELECT order_key || ' ' || (data ->> 'state') FROM event ORDER BY seq").await;
    let mut paid = std::collections::HashSet::new();
    for event in &events {
        let (order, state) = event.split_once(' ').expect("an order and its state");
        match state {
            "paid" => drop(paid.insert(order)),
            _ => assert!(!paid.contains(order), "{order} was paid before"),
        }
    }
    assert_eq!((events.len(), paid.len()), (180, 60));
    app.finish().await;
}

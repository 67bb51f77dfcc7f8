//! §8: what a mail looks like, and what a mail server's answers mean.

use std::time::Duration;

use rstest::rstest;
use tillhook::{
    app::demo::mime,
    order::Phase,
    till::{TillItem, TillOrder},
};

use crate::{
    far::smtp::{Act, At, Caught, Script, SmtpServer},
    harness::{App, Setup},
};

const ACCOUNTANT: &str =
    "alerts = [\"ops\"]\n[sink.ops]\nHTTP\non = [\"test.ping\"]\n[sink.accountant]\nMAIL\nattach = []\n";

async fn start(script: Script, keys: &str) -> (App, SmtpServer) {
    let server = script.start().await;
    let sinks = format!("{ACCOUNTANT}{keys}");
    let app = App::set_up(Setup { smtp: Some((server.address, "")), sinks: &sinks, ..Setup::default() }).await;
    (app, server)
}

fn header(mail: &Caught, name: &str) -> String {
    let line = mail.data.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("no {name} in {}", mail.data)).to_owned()
}

/// The order of the contract: 43,80 € for two menus and a bottle.
fn the_order() -> TillOrder {
    let line = |title: &str, quantity: i64, cents: i64| TillItem {
        id: "1".to_owned(),
        title: title.to_owned(),
        quantity: quantity.into(),
        unit_price: rust_decimal::Decimal::new(cents, 2),
        vat_rate: 10.into(),
    };
    TillOrder {
        order_id: "20261121042".to_owned(),
        internal_id: "8841207".to_owned(),
        customer: None,
        items: vec![line("Menu midi", 2, 1290), line("Vin", 1, 1800)],
        is_refund: false,
        cash_box_id: "1".to_owned(),
        delivery_method: 2,
        created: None,
        validated: None,
        value: None,
        pdf_url: None,
        verification_url: None,
        test: false,
    }
}

#[tokio::test]
async fn subjects_name_the_invoice_or_the_refund_its_total_and_the_shop_in_french_and_english() {
    let sinks = "alerts = []\n[sink.a]\nMAIL\nattach = []\n[sink.b]\nMAIL\nlocale = \"en\"\nattach = []\n";
    let app = App::start(sinks).await;
    let sale = the_order();
    let mut refund =
        TillOrder { order_id: "20261121043".to_owned(), internal_id: "8841208".to_owned(), ..sale.clone() };
    refund.is_refund = true;
    refund.items.iter_mut().for_each(|item| item.unit_price = -item.unit_price);
    for order in [&sale, &refund] {
        app.announce(order, Phase::Validated).await;
        app.settle().await;
    }
    let mut subjects: Vec<_> = app.far.mail.mails().into_iter().map(|mail| mail.subject).collect();
    subjects.sort();
    assert_eq!(
        subjects,
        [
            "Facture 20261121042 – 43,80 € TTC – Boulangerie Dupont",
            "Invoice 20261121042 – €43.80 – Boulangerie Dupont",
            "Refund 20261121043 – -€43.80 – Boulangerie Dupont",
            "Remboursement 20261121043 – -43,80 € TTC – Boulangerie Dupont",
        ]
    );
    for mail in app.far.mail.mails() {
        let source = String::from_utf8_lossy(&mail.source).into_owned();
        assert!(source.contains("text/plain") && source.contains("text/html"), "text and HTML");
        let text = mime::text(&mail.source).expect("a text").0;
        assert!(!text.contains("validated") && !text.contains("terminated"), "{text}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_refund_that_was_announced_with_the_amounts_of_a_sale_is_negative_in_its_mail_and_doubted() {
    let app = App::start("alerts = []\n[sink.a]\nMAIL\nattach = []\n").await;
    let sent = serde_json::json!({
        "type": "validated", "orderID": "7", "isRefund": "1", "price": "20.00", "VAT": "3.33", "VATs": { "20": "3.33" },
    });
    assert_eq!(app.say_json(sent).await, "stored");
    app.settle().await;
    let mail = app.far.mail.mails().swap_remove(0);
    assert_eq!(mail.subject, "Remboursement 7 – -20,00 € TTC – Boulangerie Dupont");
    let text = mime::text(&mail.source).expect("a text").0.replace(['\u{a0}', '\u{202f}'], " ");
    for words in [">-16,67 €<", ">-3,33 €<", ">-20,00 €<", "À vérifier"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_4xx_is_retried_with_the_same_message_id(
    #[values(At::Greeting, At::Mail, At::Rcpt(1), At::Data, At::Dot)] moment: At,
) {
    let busy = Script::honest().at(moment, Act::Say("451 4.3.2 try again later"));
    let (app, server) = start(busy, "retry = [\"1m\", \"48h\"]\n").await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    assert_eq!(app.statuses("accountant").await, ["retrying"]);
    server.behave(Script::honest());
    app.advance(Duration::from_secs(72)).await;
    assert_eq!(app.statuses("accountant").await, ["delivered"]);
    let ids: Vec<_> = server.offered().iter().map(|mail| header(mail, "Message-ID")).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!((ids.len(), server.mails().len()), (if moment == At::Dot { 2 } else { 1 }, 1));
    assert_eq!(app.events().await, ["order.validated"], "nobody is alarmed");
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_network_error_is_retried(#[values(At::Greeting, At::Ehlo, At::Rcpt(1), At::Data, At::Dot)] moment: At) {
    let (app, server) = start(Script::honest().at(moment, Act::HangUp), "retry = [\"1m\", \"48h\"]\n").await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    assert_eq!(app.statuses("accountant").await, ["retrying"]);
    server.behave(Script::honest());
    app.advance(Duration::from_secs(72)).await;
    assert_eq!((app.statuses("accountant").await, server.mails().len()), (vec!["delivered".to_owned()], 1));
    app.finish().await;
}

#[tokio::test]
async fn a_server_that_says_nothing_is_waited_for_five_minutes() {
    let (app, server) = start(Script::honest().at(At::Dot, Act::Hush), "retry = [\"1m\", \"48h\"]\n").await;
    app.announce_without_pdf(Phase::Validated).await;
    server.heard("DATA").await;
    app.clock.advance(Duration::from_secs(299));
    assert_eq!(app.statuses("accountant").await, ["sending"]);
    app.run_out(Duration::from_secs(1)).await;
    assert_eq!(app.statuses("accountant").await, ["retrying"]);
    server.behave(Script::honest());
    app.advance(Duration::from_secs(72)).await;
    assert_eq!(app.statuses("accountant").await, ["delivered"]);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn only_250_is_success(
    #[values("200 fine", "251 forwarded", "252 perhaps", "354 go on", "220 hello again", "150 well")]
    answer: &'static str,
) {
    let (app, server) = start(Script::honest().at(At::Dot, Act::Say(answer)), "retry = [\"1m\", \"48h\"]\n").await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    assert_eq!(app.statuses("accountant").await, ["retrying"], "{answer}");
    server.behave(Script::honest());
    app.advance(Duration::from_secs(72)).await;
    assert_eq!(app.statuses("accountant").await, ["delivered"]);
    app.finish().await;
}

#[tokio::test]
async fn a_5xx_gives_up_after_at_least_two_hours() {
    let refusing = Script::honest().at(At::Rcpt(1), Act::Say("550 5.1.1 no such user"));
    let (app, server) = start(refusing, "").await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    // The default schedule: 5 s, 1 min, 5 min, 30 min.
    for seconds in [6, 72, 360] {
        app.advance(Duration::from_secs(seconds)).await;
    }
    assert_eq!((app.statuses("accountant").await, attempts(&app).await), (vec!["retrying".to_owned()], 4));
    assert_eq!(app.events().await, ["order.validated"], "a server that greylists says 550 too: nobody is alarmed yet");
    app.advance(Duration::from_mins(36)).await;
    app.event("sink.failing", 1).await;
    app.advance(Duration::from_mins(144)).await;
    assert_eq!((app.statuses("accountant").await, attempts(&app).await), (vec!["dead".to_owned()], 6));
    assert_eq!(server.mails().len(), 0);
    app.finish().await;
}

#[tokio::test]
async fn a_5xx_gives_up_after_at_least_three_tries() {
    let refusing = Script::honest().at(At::Dot, Act::Say("554 5.7.1 refused"));
    let (app, _server) = start(refusing, "retry = [\"3h\", \"3h\", \"48h\"]\n").await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    app.advance(Duration::from_mins(216)).await;
    assert_eq!((app.statuses("accountant").await, attempts(&app).await), (vec!["retrying".to_owned()], 2));
    app.advance(Duration::from_mins(216)).await;
    app.event("sink.failing", 1).await;
    assert_eq!((app.statuses("accountant").await, attempts(&app).await), (vec!["dead".to_owned()], 3));
    app.finish().await;
}

async fn attempts(app: &App) -> u32 {
    app.deliveries("accountant").await[0].attempts
}

#[tokio::test]
async fn a_pause_is_no_part_of_the_two_hours() {
    let refusing = Script::honest().at(At::Dot, Act::Say("554 5.7.1 refused"));
    let (app, server) = start(refusing, "retry = [\"1m\", \"1m\", \"1m\", \"48h\"]\n").await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    app.advance(Duration::from_secs(72)).await;
    app.pause("accountant").await;
    app.advance(Duration::from_hours(48)).await;
    app.resume("accountant").await;
    app.settle().await;
    assert_eq!((app.statuses("accountant").await, attempts(&app).await), (vec!["retrying".to_owned()], 3));
    server.behave(Script::honest());
    app.advance(Duration::from_secs(72)).await;
    assert_eq!(app.statuses("accountant").await, ["delivered"]);
    app.finish().await;
}

#[tokio::test]
async fn a_535_pauses_the_sink_and_keeps_its_queue() {
    let server = Script::honest().with_password("caisse", "right").start().await;
    let smtp = "username = \"caisse\"\npassword = \"wrong\"\n";
    let app = App::set_up(Setup { smtp: Some((server.address, smtp)), sinks: ACCOUNTANT, ..Setup::default() }).await;
    app.announce_without_pdf(Phase::Validated).await;
    let data = app.event("sink.paused", 1).await;
    assert!(data["reason"].as_str().is_some_and(|reason| reason.contains("535")), "{data}");
    assert!(!data.to_string().contains("wrong\""), "no password in {data}");
    app.announce_without_pdf(Phase::Validated).await;
    app.advance(Duration::from_hours(24)).await;
    assert_eq!(app.statuses("accountant").await, ["paused", "paused"]);
    server.behave(Script::honest().with_password("caisse", "wrong"));
    app.resume("accountant").await;
    app.event("sink.recovered", 1).await;
    assert_eq!((app.statuses("accountant").await, server.mails().len()), (vec!["delivered".to_owned(); 2], 2));
    app.finish().await;
}

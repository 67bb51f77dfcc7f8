//! A day at the till: forty orders in every way that the till may speak, repeated, in parallel and out of order.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use sha2::{Digest as _, Sha256};
use standardwebhooks::Webhook;
use tillhook::{
    app::demo::far_sides::loopback,
    order::{Locale, Phase, hex},
    till::{
        Charset, Encoding, TillOrder, Voice,
        sandbox::{Options, Sandbox},
    },
};

use crate::{
    far::http::{HttpFar, Request},
    harness::{App, WHSEC, paris},
};

const SINKS: &str = r#"
    [sink.accountant]
    MAIL
    on = ["order.validated", "order.terminated"]
    per_order = "once"
    settle = "30s"
    attach = ["invoice"]
    [sink.team]
    SLACK
    on = ["order.validated", "order.terminated"]
    [sink.erp]
    type = "http"
    url = "ERP"
    secret = "WHSEC"
    on = ["order.*", "invoice.stored"]
"#;

/// Every way to speak: 6 encodings, 3 charsets, 2 languages.
fn voices() -> Vec<Voice> {
    let languages = [Locale::Fr, Locale::En];
    let with = |language| {
        let charsets = Charset::ALL.iter().copied();
        let voice =
            move |charset| Encoding::ALL.iter().copied().map(move |encoding| Voice { encoding, charset, language });
        charsets.flat_map(voice)
    };
    languages.into_iter().flat_map(with).collect()
}

/// Forty orders: sales, sales on account and refunds. The same till sells the same.
fn sell_forty(till: &Sandbox) -> Vec<TillOrder> {
    let mut orders: Vec<TillOrder> = Vec::new();
    for index in 0..40 {
        orders.push(match (index % 10, orders.last()) {
            (9, Some(sold)) => till.refund(sold),
            (4 | 6, _) => till.sell_on_account(),
            _ => till.sell(),
        });
    }
    orders
}

/// An order's phases as the till announces them: every fifth order is paid before its invoice is announced.
fn phases(index: usize) -> [Phase; 2] {
    if index % 5 == 2 { [Phase::Terminated, Phase::Validated] } else { [Phase::Validated, Phase::Terminated] }
}

/// Announces a phase four times at once, in four voices; one of the calls is the first.
async fn announce_in_parallel(app: &App, order: &TillOrder, phase: Phase, index: usize) {
    let voices = voices();
    let calls = (0..4).map(|turn| app.announce_as(order, phase, voices[(index + 9 * turn) % voices.len()]));
    let mut answers = join_all(calls).await;
    answers.sort();
    assert_eq!(answers, ["duplicate", "duplicate", "duplicate", "stored"]);
}

/// Announces a phase, and every third time once more in another voice.
async fn announce(app: &App, order: &TillOrder, phase: Phase, index: usize) {
    let voices = voices();
    assert_eq!(app.announce_as(order, phase, voices[index % voices.len()]).await, "stored", "{index}");
    if index.is_multiple_of(3) {
        assert_eq!(app.announce_as(order, phase, voices[(index + 17) % voices.len()]).await, "duplicate", "{index}");
    }
}

#[tokio::test]
async fn forty_orders_reach_every_sink_as_they_should_however_the_till_tells_them() {
    let erp = HttpFar::start().await;
    let app = App::start(&SINKS.replace("ERP", erp.url()).replace("WHSEC", WHSEC)).await;
    let orders = sell_forty(&app.till);
    let options = Options { seed: 7, zone: paris(), clock: Arc::new(app.clock.clone()) };
    let twin = Sandbox::start(loopback().await.expect("a port"), options).expect("a till");
    let twins = sell_forty(&twin);

    // All at once: the first phase of every order, and the second of those that are paid at the counter.
    join_all(orders.iter().enumerate().map(async |(index, order)| {
        let [first, second] = phases(index);
        announce(&app, order, first, index).await;
        if is_paid_at_once(index) {
            announce_in_parallel(&app, order, second, index).await;
        }
    }))
    .await;
    app.settle_at_pace(&["team"]).await;
    // Days later the others are paid.
    app.clock.advance(Duration::from_hours(72));
    app.settle_at_pace(&["team"]).await;
    join_all(orders.iter().enumerate().filter(|(index, _)| !is_paid_at_once(*index)).map(async |(index, order)| {
        announce(&app, order, phases(index)[1], index + 5).await;
    }))
    .await;
    app.settle_at_pace(&["team"]).await;

    every_phase_arrived_once_signed_and_in_order(&erp.requests(), &orders);
    every_invoice_was_fetched_once_and_mailed_as_it_is(&app, &erp.requests(), &orders, &twins).await;
    the_chat_follows(&app, &orders).await;
    assert_eq!(app.orders().await.len(), 40);
    assert!(app.orders().await.iter().all(|order| order.state == "paid" && order.warnings == serde_json::json!([])));
    app.finish().await;
}

fn is_paid_at_once(index: usize) -> bool {
    !matches!(index % 10, 4 | 6)
}

fn every_phase_arrived_once_signed_and_in_order(requests: &[Request], orders: &[TillOrder]) {
    let webhook = Webhook::new(WHSEC).expect("a secret");
    let mut heard: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for request in requests {
        let at = request.header("webhook-timestamp").parse().expect("seconds");
        let signature = webhook.sign(request.header("webhook-id"), at, &request.body).expect("a signature");
        assert_eq!(request.header("webhook-signature"), signature);
        assert_eq!(request.json()["id"], request.header("webhook-id"));
        let order = request.json()["data"]["internal_id"].as_str().expect("an order").to_owned();
        heard.entry(order).or_default().push(request.event_type());
    }
    let ids: BTreeSet<&str> = requests.iter().map(|request| request.header("webhook-id")).collect();
    assert_eq!((ids.len(), requests.len()), (120, 120), "40 orders: two phases and an invoice each");
    for (index, order) in orders.iter().enumerate() {
        let said = phases(index).map(|phase| format!("order.{}", phase.as_str()));
        let mut arrived = heard.remove(&order.internal_id).expect("an order that arrived");
        arrived.retain(|kind| kind != "invoice.stored");
        assert_eq!(arrived, said, "{index}");
    }
}

async fn every_invoice_was_fetched_once_and_mailed_as_it_is(
    app: &App,
    requests: &[Request],
    orders: &[TillOrder],
    twins: &[TillOrder],
) {
    assert_eq!(app.till.downloads().len(), 40);
    assert!(app.till.downloads().values().all(|times| *times == 1), "{:?}", app.till.downloads());
    let mails = app.far.mail.mails();
    assert_eq!(
        mails.len(),
        40,
        "{:?}",
        mails.iter().map(|mail| (&mail.subject, mail.attachments.len())).collect::<Vec<_>>()
    );
    for (order, twin) in orders.iter().zip(twins) {
        let original = reqwest::get(twin.pdf_url.as_deref().expect("a link")).await.expect("a PDF");
        let original = original.bytes().await.expect("a PDF");
        let about: Vec<_> = mails.iter().filter(|mail| mail.subject.contains(&order.order_id)).collect();
        let [mail] = about[..] else { panic!("{} mails about {}", about.len(), order.order_id) };
        assert_eq!(mail.attachments.len(), 1);
        assert!(mail.attachments[0].bytes == original, "the PDF of {} was changed", order.order_id);
        assert_eq!(mail.subject.starts_with("Remboursement"), order.is_refund, "{}", mail.subject);

        let stored = requests.iter().map(Request::json).find(|event| {
            event["type"] == "invoice.stored" && event["data"]["internal_id"] == order.internal_id.as_str()
        });
        let invoice = &stored.expect("an event")["data"]["invoice"];
        let digest = hex(Sha256::digest(&original));
        assert_eq!(invoice["sha256"], digest);
        assert_eq!(invoice["bytes"], original.len());
        assert_eq!(invoice["filename"], mail.attachments[0].name);
    }
}

async fn the_chat_follows(app: &App, orders: &[TillOrder]) {
    let messages = app.far.slack.messages();
    for (index, order) in orders.iter().enumerate() {
        let about: Vec<_> = messages.iter().filter(|message| message.contains(&order.order_id)).collect();
        let last = about.last().expect("a message");
        assert!(last.contains(if order.is_refund { "effectué" } else { "payée" }), "{last}");
        // What was paid at once may have been merged into one message; what was paid days later is two.
        let expected = if is_paid_at_once(index) { 1..=2 } else { 2..=2 };
        assert!(expected.contains(&about.len()), "{index}: {about:#?}");
    }
    let statuses = app.statuses("team").await;
    assert!(statuses.iter().all(|status| status == "delivered" || status == "skipped: merged"), "{statuses:?}");
}

//! §5, Tests: what `send-test` sends is told apart everywhere.

use std::time::Duration;

use tillhook::{order::Phase, till::TillOrder};

use crate::harness::App;

#[tokio::test]
async fn a_test_is_marked_in_every_event_and_has_its_test_in_subjects_and_messages() {
    let app = App::start("[sink.erp]\nHTTP\n[sink.accountant]\nMAIL\nattach = []\n[sink.team]\nSLACK\n").await;
    let order = TillOrder { test: true, pdf_url: None, ..app.till.sell() };
    assert_eq!(app.announce(&order, Phase::Validated).await, "stored");
    app.settle().await;
    assert_eq!(app.far.http.calls()[0].body["test"], true);
    let subject = &app.far.mail.mails()[0].subject;
    assert!(subject.starts_with(&format!("[TEST] Facture {} – ", order.order_id)), "{subject}");
    assert!(app.far.slack.messages()[0].starts_with("[TEST] "), "{:?}", app.far.slack.messages());
    app.clock.advance(Duration::from_secs(2));
    let real = app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    assert_eq!(app.far.http.calls()[1].body["test"], false);
    assert_eq!(app.far.http.calls()[1].body["data"]["order_id"], real.order_id);
    assert!(!app.far.mail.mails()[1].subject.contains("TEST"));
    app.finish().await;
}

#[tokio::test]
async fn a_test_has_an_identity_of_its_own() {
    let app = App::start("[sink.erp]\nHTTP\n").await;
    let order = TillOrder { pdf_url: None, ..app.till.sell() };
    let test = TillOrder { test: true, ..order.clone() };
    assert_eq!(app.announce(&test, Phase::Terminated).await, "stored");
    assert_eq!(app.announce(&order, Phase::Validated).await, "stored", "the real one is not taken for its repeat");
    assert_eq!(app.announce(&test, Phase::Terminated).await, "duplicate");
    let states: Vec<_> = app.orders().await.into_iter().map(|order| order.state).collect();
    assert_eq!(states, ["paid", "invoiced"], "and does not change it");
    // Nor where only the order number is known.
    assert_eq!(app.say(&[("type", "terminated"), ("orderID", &order.order_id), ("tillhookTest", "1")]).await, "stored");
    let states: Vec<_> = app.orders().await.into_iter().map(|order| order.state).collect();
    assert_eq!(states, ["paid", "invoiced"]);
    app.settle().await;
    let tests: Vec<_> = app.far.http.calls().iter().map(|call| call.body["test"].clone()).collect();
    assert_eq!(tests, [true, false, true]);
    app.finish().await;
}

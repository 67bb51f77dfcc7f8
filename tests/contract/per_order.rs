//! §5, `per_order`: how the announcements of an order are merged for a sink.

use std::time::Duration;

use tillhook::order::Phase;

use crate::harness::App;

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
async fn once_is_one_delivery_an_order_and_the_others_are_skipped_because_merged() {
    let app =
        App::start("[sink.accountant]\nMAIL\non = [\"order.validated\", \"order.terminated\"]\nsettle = \"30s\"\n")
            .await;
    let order = app.till.sell();
    app.announce(&order, Phase::Validated).await;
    app.advance(Duration::from_secs(10)).await;
    assert_eq!(app.statuses("accountant").await, ["waiting"]);
    app.announce(&order, Phase::Terminated).await;
    app.settle().await;
    assert_eq!(app.statuses("accountant").await, ["delivered", "skipped: merged"]);
    assert_eq!(app.far.mail.count(), 1);
    app.finish().await;
}

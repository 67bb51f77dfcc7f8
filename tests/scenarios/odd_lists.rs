//! Lists of the till that say less than its calls, later than its calls, or what is not this shop's.

use std::time::Duration;

use serde_json::{Value, json};
use tillhook::{order::Phase, till::TillOrder};

use crate::{
    far::till_api::TillApi,
    harness::{App, Setup, start_time},
};

const SINKS: &str = "alerts = [\"ops\"]\n[sink.ops]\nHTTP\non = []\n[sink.erp]\nHTTP\n";
const A_MINUTE: Duration = Duration::from_mins(1);
const A_DAY: Duration = Duration::from_hours(24);

async fn app(till: &TillApi) -> App {
    App::start_with(&format!("fetch_invoices = false\n{}", till.table()), SINKS).await
}

/// Late enough for everything to be lost rather than late.
async fn compare(app: &App) -> bool {
    app.advance(6 * A_MINUTE).await;
    app.reconciled().await
}

async fn count(app: &App, kind: &str) -> usize {
    app.data_of(kind).await.len()
}

async fn trouble(app: &App) -> Option<String> {
    let state = app.store().reconciliation(&"dupont".parse().expect("an id")).await.expect("an answer");
    state.and_then(|state| state.trouble).map(|trouble| trouble.reason)
}

/// An order as a list may write it: without VAT and items.
fn listed(order: &TillOrder, more: &Value) -> Value {
    let mut fields = json!({
        "orderID": order.order_id,
        "orderInternalID": order.internal_id,
        "price": order.total(),
        "validationDate": "2026-11-21 14:00:00",
    });
    let words = fields.as_object_mut().expect("an object");
    words.extend(more.as_object().expect("an object").clone());
    fields
}

fn gives(till: &TillApi, orders: &[Value]) {
    till.gives("getOrders.php", json!(orders).to_string());
}

#[tokio::test]
async fn the_call_of_an_order_that_was_found_is_news_where_it_brings_the_vat_that_the_list_had_not() {
    let till = TillApi::start().await;
    let app = app(&till).await;
    app.sell(Phase::Validated).await;
    let known = app.till.orders().swap_remove(0);
    let lost = app.till.sell();
    gives(&till, &[listed(&known, &json!({})), listed(&lost, &json!({}))]);
    assert!(compare(&app).await, "{:?}", trouble(&app).await);
    assert_eq!(count(&app, "order.validated").await, 2);
    assert_eq!(app.data_of("order.validated").await[1]["vat"], Value::Null);

    assert_eq!(app.announce(&lost, Phase::Validated).await, "stored");
    assert_eq!(app.announce(&lost, Phase::Validated).await, "duplicate");
    app.settle().await;
    let updates = app.data_of("order.updated").await;
    assert_eq!(updates.len(), 1);
    assert!(updates[0]["vat"].as_array().is_some_and(|vat| !vat.is_empty()), "{}", updates[0]);
    app.finish().await;
}

#[tokio::test]
async fn an_order_that_was_found_and_is_paid_later_is_told_once() {
    let till = TillApi::start().await;
    let app = app(&till).await;
    app.sell(Phase::Validated).await;
    let known = listed(&app.till.orders()[0], &json!({}));
    let lost = app.till.sell();
    gives(&till, &[known.clone(), listed(&lost, &json!({ "state": "unpaid" }))]);
    assert!(compare(&app).await);
    assert_eq!(count(&app, "till.order_missing").await, 1);
    gives(&till, &[known, listed(&lost, &json!({ "state": "paid" }))]);
    for _ in 0..3 {
        assert!(compare(&app).await);
    }
    assert_eq!((count(&app, "order.terminated").await, count(&app, "till.order_missing").await), (1, 1));
    app.finish().await;
}

#[tokio::test]
async fn after_quiet_days_another_shops_list_is_not_taken_from() {
    let till = TillApi::start().await;
    let app = app(&till).await;
    gives(&till, &[]);
    let order = app.sell(Phase::Validated).await;
    for _ in 0..5 {
        app.advance(A_DAY).await;
        app.reconciled().await;
    }
    let foreign = json!({
        "orderID": "900", "orderInternalID": "900", "price": "99.00", "validationDate": "2026-11-26 10:00:00",
    });
    gives(&till, std::slice::from_ref(&foreign));
    assert!(!compare(&app).await);
    assert!(trouble(&app).await.is_some_and(|reason| reason.contains("shop_id")), "{:?}", trouble(&app).await);
    assert_eq!(app.orders().await.len(), 1);

    gives(&till, &[foreign, listed(&order, &json!({}))]);
    assert!(compare(&app).await, "the last order that was announced shows whose list it is");
    assert_eq!((app.orders().await.len(), trouble(&app).await), (2, None));
    app.finish().await;
}

#[tokio::test]
async fn a_till_that_does_not_answer_is_not_asked_for_every_day() {
    let till = TillApi::start().await;
    let app = app(&till).await;
    app.sell(Phase::Validated).await;
    gives(&till, &[listed(&app.till.orders()[0], &json!({}))]);
    assert!(compare(&app).await);
    till.fails("getOrders.php");
    app.advance(20 * A_DAY).await;
    app.reconciled().await;
    let asked = async || till.asked().iter().filter(|asked| asked.starts_with("getOrders")).count();
    let before = asked().await;
    assert!(!app.reconciled().await);
    assert!(asked().await - before < 10, "an error is no reason to ask for eighteen more days");
    app.finish().await;
}

#[tokio::test]
async fn a_first_start_with_a_clock_that_is_wrong_is_mended_by_itself() {
    for wrong in ["2027-11-21T13:00:00Z", "2020-01-01T00:00:00Z"] {
        let till = TillApi::start().await;
        let shop = format!("fetch_invoices = false\n{}", till.table());
        let mut app = App::prepare(Setup { shop: &shop, sinks: SINKS, ..Setup::default() }).await;
        let before = app.till.sell();
        app.clock.set(wrong.parse().expect("a time"));
        app.boot().await;
        app.clock.set(start_time());
        app.settle().await;
        app.advance(A_MINUTE).await;
        let known = app.sell(Phase::Validated).await;
        let lost = app.till.sell();
        gives(
            &till,
            &[
                listed(&before, &json!({ "validationDate": "2026-11-20 10:00:00" })),
                listed(&known, &json!({})),
                listed(&lost, &json!({})),
            ],
        );
        assert!(compare(&app).await, "{wrong}: {:?}", trouble(&app).await);
        assert!(app.orders().await.len() >= 2, "{wrong}: what was lost is found");
        app.finish().await;
    }
}

//! §5, State: how far an order is, and whose word counts.

use serde_json::Value;
use tillhook::order::Phase;

use crate::harness::App;

/// The types and states of what the program was told.
fn told(app: &App) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    app.far.http.calls().iter().map(|call| (text(&call.body["type"]), text(&call.body["data"]["state"]))).collect()
}

fn pair(kind: &str, state: &str) -> (String, String) {
    (kind.to_owned(), state.to_owned())
}

#[tokio::test]
async fn an_order_is_invoiced_then_paid() {
    let app = App::start("[sink.erp]\nHTTP\n").await;
    let order = app.till.sell();
    app.announce(&order, Phase::Validated).await;
    assert_eq!(app.orders().await[0].state, "invoiced");
    app.announce(&order, Phase::Terminated).await;
    assert_eq!(app.orders().await[0].state, "paid");
    app.settle().await;
    assert_eq!(told(&app), [pair("order.validated", "invoiced"), pair("order.terminated", "paid")]);
    app.finish().await;
}

#[tokio::test]
async fn the_state_never_goes_back() {
    let app = App::start("[sink.erp]\nHTTP\n").await;
    let order = app.till.sell();
    app.announce(&order, Phase::Terminated).await;
    app.announce(&order, Phase::Validated).await;
    let mut corrected = order.clone();
    corrected.cash_box_id = "9".to_owned();
    app.announce_and_settle(&corrected, Phase::Validated).await;
    assert_eq!(app.orders().await[0].state, "paid");
    assert!(told(&app).iter().all(|(_, state)| state == "paid"), "{:?}", told(&app));
    app.finish().await;
}

#[tokio::test]
async fn the_later_phases_non_null_fields_win_also_when_the_earlier_phase_arrives_last() {
    let app = App::start("").await;
    let earlier = [("type", "validated"), ("price", "5"), ("cashBoxID", "1"), ("odd", "a"), ("only_early", "x")];
    let later = [("type", "terminated"), ("price", "6"), ("cashBoxID", ""), ("odd", "b"), ("deliveryMethod", "2")];
    for (id, in_order) in [("1", true), ("2", false)] {
        let mut calls = [&earlier, &later];
        if !in_order {
            calls.reverse();
        }
        for call in calls {
            app.say(&[call.as_slice(), &[("orderInternalID", id)]].concat()).await;
        }
        let kind = if in_order { "order.terminated" } else { "order.validated" };
        let data = app.data_of(kind).await.into_iter().find(|data| data["internal_id"] == id).expect("the order");
        assert_eq!(data["total"], "6.00");
        assert_eq!(data["cash_box_id"], "1", "an empty field does not win");
        assert_eq!(data["extra"], serde_json::json!({ "odd": "b", "only_early": "x" }));
        assert_eq!(data["delivery_method"]["name"], "on_site");
    }
    app.say(&[earlier.as_slice(), &[("orderInternalID", "1"), ("x", "corrected")]].concat()).await;
    assert_eq!(app.data_of("order.updated").await[0]["total"], "6.00", "also against a correction of the earlier one");
    app.finish().await;
}

#[tokio::test]
async fn terminated_alone_makes_the_order_paid_and_no_event_is_invented() {
    let app = App::start("[sink.erp]\nHTTP\n").await;
    app.sell(Phase::Terminated).await;
    assert_eq!(app.events().await, ["order.terminated", "invoice.stored"]);
    assert_eq!(told(&app), [pair("order.terminated", "paid")]);
    app.finish().await;
}

#[tokio::test]
async fn validated_after_terminated_is_still_recorded_and_delivered_as_paid() {
    let app = App::start("[sink.erp]\nHTTP\n").await;
    let order = app.till.sell();
    assert_eq!(app.announce(&order, Phase::Terminated).await, "stored");
    assert_eq!(app.announce(&order, Phase::Validated).await, "stored");
    app.settle().await;
    assert_eq!(told(&app), [pair("order.terminated", "paid"), pair("order.validated", "paid")]);
    app.finish().await;
}

#[tokio::test]
async fn a_later_call_with_the_customers_number_alone_keeps_the_customer() {
    let app = App::start("").await;
    let id = [("orderInternalID", "1"), ("price", "12.50")];
    let client = r#"{"nom":"Durand","prenom":"Zoé","email":"zoe@durand.example"}"#;
    app.say(&[&[("type", "validated"), ("client", client), ("clientID", "512")], &id[..]].concat()).await;
    app.say(&[&[("type", "terminated"), ("clientID", "512")], &id[..]].concat()).await;
    let customer = app.data_of("order.terminated").await.swap_remove(0)["customer"].clone();
    assert_eq!((&customer["id"], &customer["name"]), (&"512".into(), &"Zoé Durand".into()));
    // Another number is another customer, of whom nothing else is known.
    app.say(&[&[("type", "terminated"), ("clientID", "513")], &id[..]].concat()).await;
    let customer = app.data_of("order.updated").await.swap_remove(0)["customer"].clone();
    assert_eq!((&customer["id"], &customer["name"]), (&"513".into(), &Value::Null));
    app.finish().await;
}

//! §5, Identity: which calls are about the same order.

use crate::harness::{App, form};

/// The numbers of every order, as `orderID/orderInternalID`.
async fn numbers(app: &App) -> Vec<String> {
    let show = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
    app.orders()
        .await
        .into_iter()
        .map(|order| format!("{}/{}", show(order.order_id), show(order.internal_id)))
        .collect()
}

#[tokio::test]
async fn an_order_is_its_internal_id_whatever_its_order_number() {
    let app = App::start("").await;
    app.say(&[("type", "validated"), ("orderInternalID", "1"), ("price", "5")]).await;
    app.say(&[("type", "terminated"), ("orderInternalID", "1"), ("orderID", "42")]).await;
    assert_eq!(numbers(&app).await, ["42/1"]);
    assert_eq!(app.events().await, ["order.validated", "order.terminated"]);
    app.finish().await;
}

#[tokio::test]
async fn the_same_internal_id_in_another_shop_is_another_order() {
    let martin = "another-token-for-the-tests-0123456789";
    let app = App::start_with(&format!("[shop.martin]\nname = \"Martin\"\ntoken = \"{martin}\"\n"), "").await;
    let call = form(&[("type", "validated"), ("orderInternalID", "1"), ("orderID", "42")]);
    assert_eq!(app.call(&call).await.1["status"], "stored");
    assert_eq!(app.call_at(martin, &call).await.1["status"], "stored");
    let shops: Vec<_> = app.orders().await.into_iter().map(|order| order.shop).collect();
    assert_eq!(shops, ["dupont", "martin"]);
    app.finish().await;
}

#[tokio::test]
async fn a_call_without_internal_id_joins_the_only_order_with_its_order_number() {
    let app = App::start("").await;
    app.say(&[("type", "validated"), ("orderInternalID", "1"), ("orderID", "42")]).await;
    app.say(&[("type", "terminated"), ("orderID", "42")]).await;
    assert_eq!(numbers(&app).await, ["42/1"]);
    assert_eq!(app.orders().await[0].state, "paid");
    app.finish().await;
}

#[tokio::test]
async fn a_call_without_internal_id_founds_an_order_where_none_or_several_have_its_number() {
    let app = App::start("").await;
    app.say(&[("type", "validated"), ("orderID", "41")]).await;
    assert_eq!(numbers(&app).await, ["41/-"]);
    app.say(&[("type", "validated"), ("orderInternalID", "1"), ("orderID", "42")]).await;
    app.say(&[("type", "validated"), ("orderInternalID", "2"), ("orderID", "42")]).await;
    app.say(&[("type", "terminated"), ("orderID", "42")]).await;
    assert_eq!(numbers(&app).await, ["41/-", "42/1", "42/2", "42/-"]);
    app.finish().await;
}

#[tokio::test]
async fn an_order_founded_without_internal_id_is_adopted_by_the_first_later_call_that_carries_both() {
    let app = App::start("[sink.erp]\nHTTP\n").await;
    app.say(&[("type", "validated"), ("orderID", "42"), ("price", "5")]).await;
    app.say(&[("type", "terminated"), ("orderInternalID", "1"), ("orderID", "42")]).await;
    assert_eq!(numbers(&app).await, ["42/1"]);
    assert_eq!(app.events().await, ["order.validated", "order.terminated"]);
    app.settle().await;
    let calls = app.far.http.calls();
    assert_eq!(calls[0].body["data"]["internal_id"], serde_json::Value::Null);
    assert_eq!(calls[1].body["data"]["internal_id"], "1");
    assert_eq!(calls[1].body["data"]["total"], "5.00", "it is the same order");

    app.say(&[("type", "terminated"), ("orderInternalID", "2"), ("orderID", "42")]).await;
    assert_eq!(numbers(&app).await, ["42/1", "42/2"], "it is adopted once");
    app.say(&[("type", "terminated"), ("orderInternalID", "1"), ("orderID", "42"), ("price", "6")]).await;
    assert_eq!(app.data_of("order.updated").await.len(), 1, "and found by its internal id from then on");
    app.finish().await;
}

#[tokio::test]
async fn equal_order_numbers_never_merge_different_internal_ids() {
    let app = App::start("").await;
    for id in ["1", "2", "3"] {
        let call = [("type", "validated"), ("orderInternalID", id), ("orderID", "42")];
        assert_eq!(app.say(&call).await, "stored");
        assert_eq!(app.say(&call).await, "duplicate");
    }
    app.say(&[("type", "terminated"), ("orderInternalID", "2"), ("orderID", "42")]).await;
    assert_eq!(numbers(&app).await, ["42/1", "42/2", "42/3"]);
    let states: Vec<_> = app.orders().await.into_iter().map(|order| order.state).collect();
    assert_eq!(states, ["invoiced", "paid", "invoiced"]);
    app.finish().await;
}

//! §5, Deliveries: which exist, in what order they go, and what people do to them.

use std::time::Duration;

use tillhook::order::Phase;

use super::{MORTAL, erp, let_die, with_cash_box};
use crate::{
    far::http::{Answer, HttpFar, Request},
    harness::{App, form, name},
};

const MARTIN: &str = "another-token-for-the-tests-0123456789";

fn second_shop() -> String {
    format!("[shop.martin]\nname = \"Martin\"\ntoken = \"{MARTIN}\"\n")
}

#[tokio::test]
async fn on_and_shops_decide_whether_a_delivery_exists() {
    let sinks = "[sink.closings]\nHTTP\non = [\"cashbox.*\"]\n[sink.martin]\nHTTP\nshops = [\"martin\"]\n";
    let app = App::start_with(&second_shop(), sinks).await;
    let call = form(&[("type", "validated"), ("orderInternalID", "1")]);
    app.call(&call).await;
    assert_eq!((app.deliveries("closings").await.len(), app.deliveries("martin").await.len()), (0, 0));
    app.call_at(MARTIN, &call).await;
    app.say(&[("type", "cashBox_open")]).await;
    app.settle().await;
    assert_eq!(app.statuses("closings").await, ["delivered"]);
    assert_eq!(app.statuses("martin").await, ["delivered"]);
    // Two sinks call the same far side, and neither waits for the other.
    let mut told: Vec<_> = app
        .far
        .http
        .calls()
        .iter()
        .map(|call| format!("{} of {}", call.body["type"], call.body["shop"]["id"]))
        .collect();
    told.sort();
    assert_eq!(told, [r#""cashbox.opened" of "dupont""#, r#""order.validated" of "martin""#]);
    app.finish().await;
}

#[tokio::test]
async fn only_leaves_a_skipped_row_that_names_the_rule() {
    let sink = |name: &str, only: &str| format!("[sink.{name}]\nHTTP\nonly = {{ {only} }}\n");
    let sinks = [
        sink("sales", "refund = \"exclude\""),
        sink("refunds", "refund = \"only\""),
        sink("large", "min_total = \"100\""),
        sink("small", "max_total = \"99.99\""),
        sink("till2", "cash_boxes = [\"2\"]"),
        sink("delivered", "delivery_methods = [\"delivery\", \"6\"]"),
        sink("known", "customer = \"known\""),
        sink("companies", "customer = \"company\""),
    ];
    let app = App::start(&sinks.concat()).await;
    let refund = [
        ("type", "validated"),
        ("orderInternalID", "1"),
        ("isRefund", "1"),
        ("price", "-120"),
        ("cashBoxID", "1"),
        ("deliveryMethod", "6"),
    ];
    app.say(&refund).await;
    app.say(&[("type", "validated"), ("orderInternalID", "2")]).await;
    app.settle().await;
    for (sink, first, unknown) in [
        ("sales", "skipped: only.refund", "delivered"),
        ("refunds", "delivered", "delivered"),
        ("large", "delivered", "delivered"),
        ("small", "skipped: only.max_total", "delivered"),
        ("till2", "skipped: only.cash_boxes", "delivered"),
        ("delivered", "delivered", "delivered"),
        ("known", "skipped: only.customer", "skipped: only.customer"),
        ("companies", "skipped: only.customer", "skipped: only.customer"),
    ] {
        assert_eq!(app.statuses(sink).await, [first, unknown], "{sink}; an unknown value passes");
    }
    app.finish().await;
}

#[tokio::test]
async fn only_is_asked_when_the_delivery_is_due_of_the_snapshot_that_is_sent() {
    let far = HttpFar::start().await;
    let rule = "per_order = \"once\"\nsettle = \"30s\"\nonly = { min_total = \"50\" }\n";
    let app = App::start(&(erp(&far) + rule)).await;
    let call = |id, price| [("type", "validated"), ("orderInternalID", id), ("price", price)];
    app.say(&call("1", "49")).await;
    app.say(&call("2", "51")).await;
    app.settle().await;
    app.advance(Duration::from_secs(10)).await;
    app.say(&call("1", "51")).await;
    app.say(&call("2", "49")).await;
    app.settle().await;
    app.advance(Duration::from_secs(20)).await;
    assert_eq!(app.statuses_of("erp", "1").await, ["delivered", "skipped: merged"]);
    assert_eq!(app.statuses_of("erp", "2").await, ["skipped: only.min_total", "skipped: merged"]);
    app.finish().await;
}

#[tokio::test]
async fn what_a_person_skips_leaves_a_row_that_says_so_and_releases_the_lane() {
    let far = HttpFar::start().await;
    far.then([Answer::status(500)]);
    let app = App::start(&erp(&far)).await;
    let order = app.sell(Phase::Validated).await;
    app.announce_and_settle(&order, Phase::Terminated).await;
    assert_eq!(app.statuses("erp").await, ["retrying", "due"]);
    let first = app.deliveries("erp").await[0].id;
    assert!(app.store().skip_delivery(first).await.expect("the database answers"));
    app.settle().await;
    assert_eq!(app.statuses("erp").await, ["skipped: by hand", "delivered"]);
    assert_eq!(far.event_types(), ["order.validated", "order.terminated"]);
    app.finish().await;
}

#[tokio::test]
async fn the_body_is_frozen_at_the_first_attempt_and_the_same_on_every_later_one() {
    let far = HttpFar::start().await;
    far.then([Answer::status(500), Answer::status(503)]);
    let mut app = App::start(&erp(&far)).await;
    let order = app.till.sell_on_account();
    app.announce_and_settle(&order, Phase::Validated).await;
    app.announce(&with_cash_box(&order, "9"), Phase::Validated).await;
    app.reconfigure(&(erp(&far) + "include_customer = true\n")).await;
    app.advance(Duration::from_secs(6)).await;
    app.halt().await;
    app.boot().await;
    app.advance(Duration::from_secs(90)).await;
    let bodies: Vec<_> = far.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies.len(), 4);
    assert!(bodies[0] == bodies[1] && bodies[1] == bodies[2], "three attempts, one body");
    assert_ne!(bodies[0], bodies[3], "the update is another one");
    app.finish().await;
}

#[tokio::test]
async fn of_one_order_deliveries_go_in_commit_order_and_a_retry_holds_the_next_ones_back() {
    let far = HttpFar::start().await;
    far.then([Answer::status(500)]);
    let app = App::start(&erp(&far)).await;
    let order = app.sell(Phase::Terminated).await;
    app.announce(&order, Phase::Validated).await;
    app.announce_and_settle(&with_cash_box(&order, "9"), Phase::Terminated).await;
    assert_eq!(app.statuses("erp").await, ["retrying", "due", "due"]);
    app.advance(Duration::from_secs(6)).await;
    assert_eq!(far.event_types()[1..], ["order.terminated", "order.validated", "order.updated"]);
    app.finish().await;
}

#[tokio::test]
async fn another_order_and_another_sink_are_never_held_up() {
    let far = HttpFar::start().await;
    let app = App::start(&(erp(&far) + "[sink.other]\nHTTP\n")).await;
    far.then([Answer::status(500)]);
    let held = app.sell(Phase::Validated).await;
    app.announce(&held, Phase::Terminated).await;
    let free = app.sell(Phase::Validated).await;
    assert_eq!(app.statuses_of("erp", &held.internal_id).await, ["retrying", "due"]);
    assert_eq!(app.statuses_of("erp", &free.internal_id).await, ["delivered"]);
    assert_eq!(app.statuses("other").await, ["delivered", "delivered", "delivered"]);
    app.finish_leaving(2).await;
}

#[tokio::test]
async fn of_one_order_at_most_one_delivery_is_active() {
    let far = HttpFar::start().await;
    far.be_silent(true);
    let app = App::start(&erp(&far)).await;
    let (order, other) = (app.till.sell(), app.till.sell());
    app.announce(&order, Phase::Validated).await;
    app.announce(&order, Phase::Terminated).await;
    app.announce(&other, Phase::Validated).await;
    far.asked(2).await;
    assert_eq!(app.statuses_of("erp", &order.internal_id).await, ["sending", "due"]);
    assert_eq!(app.statuses_of("erp", &other.internal_id).await, ["sending"], "orders go side by side");
    far.be_silent(false);
    app.settle().await;
    assert_eq!(far.requests().len(), 3);
    app.finish().await;
}

#[tokio::test]
async fn of_one_order_at_most_one_delivery_is_active_also_when_a_person_has_an_earlier_one_sent_again() {
    let far = HttpFar::start().await;
    let app = App::start(&erp(&far)).await;
    let order = app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    far.be_silent(true);
    app.announce(&order, Phase::Terminated).await;
    far.asked(2).await;
    let first = app.deliveries("erp").await[0].id;
    assert!(
        app.store().retry_delivery(first, app.now(), true).await.expect("the database answers"),
        "it is sent again"
    );
    // Another order goes through the same worker afterwards, so the worker has seen what was asked of it.
    app.announce_without_pdf(Phase::Validated).await;
    far.asked(3).await;
    assert_eq!(app.statuses_of("erp", &order.internal_id).await, ["retrying", "sending"]);
    far.be_silent(false);
    app.settle().await;
    let about_it = |request: &&Request| request.json()["data"]["internal_id"] == order.internal_id;
    let told: Vec<_> = far.requests().iter().filter(about_it).map(Request::event_type).collect();
    assert_eq!(told, ["order.validated", "order.terminated", "order.validated"]);
    app.finish().await;
}

#[tokio::test]
async fn dead_releases_the_next_one() {
    let far = HttpFar::start().await;
    let app = App::start(&(erp(&far) + MORTAL)).await;
    let order = app.till.sell();
    far.then([Answer::status(500)]);
    app.announce_and_settle(&order, Phase::Validated).await;
    app.announce(&order, Phase::Terminated).await;
    app.sell(Phase::Validated).await;
    assert_eq!(app.statuses_of("erp", &order.internal_id).await, ["retrying", "due"]);
    far.then([Answer::status(500)]);
    app.advance(Duration::from_secs(12)).await;
    app.event("sink.failing", 1).await;
    assert_eq!(app.statuses_of("erp", &order.internal_id).await, ["dead", "delivered"]);
    app.finish().await;
}

#[tokio::test]
async fn cash_box_and_till_events_have_one_lane_a_sink_and_shop() {
    let far = HttpFar::start().await;
    let app = App::start_with(&second_shop(), &(erp(&far) + "on = [\"*\"]\n")).await;
    far.then([Answer::status(500)]);
    app.say(&[("type", "cashBox_open")]).await;
    app.settle().await;
    app.say(&[("type", "tableMoved")]).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.call_at(MARTIN, &form(&[("type", "cashBox_open")])).await;
    app.settle().await;
    assert_eq!(app.statuses("erp").await, ["retrying", "due", "delivered", "delivered"]);
    app.advance(Duration::from_secs(6)).await;
    assert_eq!(app.statuses("erp").await, ["delivered"; 4]);
    app.finish().await;
}

#[tokio::test]
async fn retrying_by_hand_what_a_later_delivery_has_overtaken_needs_force() {
    let far = HttpFar::start().await;
    let app = App::start(&(erp(&far) + MORTAL)).await;
    let (overtaken, alone) = (app.till.sell(), app.till.sell());
    let_die(&app, &far, &overtaken, Phase::Validated).await;
    let_die(&app, &far, &alone, Phase::Validated).await;
    app.announce_and_settle(&overtaken, Phase::Terminated).await;

    let store = app.store();
    let dead: Vec<_> = app.deliveries("erp").await.into_iter().filter(|line| line.status == "dead").collect();
    assert!(store.is_overtaken(dead[0].id).await.expect("the database answers"));
    assert!(!store.is_overtaken(dead[1].id).await.expect("the database answers"));
    assert_eq!(store.retry_dead(&name("erp"), app.now(), false).await.expect("the database answers"), 1);
    app.settle().await;
    assert_eq!(app.statuses_of("erp", &alone.internal_id).await, ["delivered"]);
    assert_eq!(app.statuses_of("erp", &overtaken.internal_id).await, ["dead", "delivered"]);

    assert!(store.retry_delivery(dead[0].id, app.now(), false).await.expect("the database answers"), "with force");
    app.settle().await;
    assert_eq!(app.statuses_of("erp", &overtaken.internal_id).await, ["delivered", "delivered"]);
    app.finish().await;
}

//! Stopping and starting: the service goes on where it was. Being killed is in `faults/kill.rs`.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use tillhook::{order::Phase, till::TillOrder};

use crate::{
    far::http::{Answer, HttpFar},
    harness::App,
};

#[tokio::test]
async fn a_service_that_is_stopped_in_the_middle_goes_on_where_it_was() {
    let mut app = App::start("[sink.erp]\nHTTP\n[sink.accountant]\nMAIL\nattach = [\"invoice\"]\n").await;
    let mut orders = Vec::new();
    for _ in 0..8 {
        let sold: Vec<TillOrder> = (0..5).map(|_| app.till.sell()).collect();
        join_all(sold.iter().map(|order| app.announce(order, Phase::Validated))).await;
        app.halt().await;
        app.boot().await;
        join_all(sold.iter().map(|order| app.announce(order, Phase::Terminated))).await;
        app.halt().await;
        app.boot().await;
        orders.extend(sold);
    }
    app.settle().await;
    let calls = app.far.http.calls();
    let ids: BTreeSet<&str> = calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!((ids.len(), calls.len()), (80, 80), "a gentle stop repeats nothing");
    for order in &orders {
        let about = calls.iter().filter(|call| call.body["data"]["internal_id"] == order.internal_id.as_str());
        let types: Vec<_> = about.map(|call| call.body["type"].clone()).collect();
        assert_eq!(types, ["order.validated", "order.terminated"]);
    }
    assert_eq!(app.far.mail.count(), 40);
    assert!(app.far.mail.mails().iter().all(|mail| mail.attachments.len() == 1));
    app.finish().await;
}

#[tokio::test]
async fn what_waits_holds_or_is_paused_does_so_after_a_restart() {
    let (held, gone) = (HttpFar::start().await, HttpFar::start().await);
    held.then([Answer::status(429).header("retry-after", "600")]);
    gone.then([Answer::status(410)]);
    let sinks = format!(
        "[sink.accountant]\nMAIL\non = [\"order.*\"]\nsettle = \"10m\"\n\
         [sink.held]\ntype = \"http\"\nurl = \"{}\"\n[sink.gone]\ntype = \"http\"\nurl = \"{}\"\n",
        held.url(),
        gone.url(),
    );
    let mut app = App::start(&sinks).await;
    app.announce(&app.till.sell(), Phase::Validated).await;
    app.settle().await;
    app.told("sink.paused", 1).await;
    app.settle().await;
    for _ in 0..3 {
        app.halt().await;
        app.boot().await;
        app.advance(Duration::from_secs(120)).await;
    }
    assert_eq!(app.statuses("accountant").await[0], "waiting");
    assert_eq!(
        (app.statuses("held").await, app.statuses("gone").await),
        (vec!["retrying".into()], vec!["paused".into()])
    );
    assert_eq!((held.requests().len(), gone.requests().len()), (1, 1));
    app.advance(Duration::from_secs(300)).await;
    assert_eq!(
        (app.statuses("accountant").await[0].as_str(), app.statuses("held").await),
        ("delivered", vec!["delivered".into()])
    );
    app.resume("gone").await;
    app.settle().await;
    assert_eq!(app.statuses("gone").await, ["delivered"]);
    app.finish().await;
}

#[tokio::test]
async fn an_attempt_that_a_stop_cuts_off_is_made_again_as_the_same_message() {
    let far = HttpFar::start().await;
    far.be_silent(true);
    let mut app = App::start(&format!("[sink.erp]\ntype = \"http\"\nurl = \"{}\"\n", far.url())).await;
    app.announce(&app.till.sell(), Phase::Validated).await;
    far.asked(1).await;
    app.halt().await;
    far.be_silent(false);
    app.boot().await;
    app.settle().await;
    let requests = far.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].header("webhook-id"), requests[1].header("webhook-id"));
    assert_eq!(requests[0].body, requests[1].body);
    let verdicts: Vec<_> = app.attempts("erp").await.into_iter().map(|attempt| attempt.verdict).collect();
    assert_eq!(verdicts, ["interrupted", "delivered"]);
    app.finish().await;
}

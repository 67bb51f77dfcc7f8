//! An HTTP sink that is down for an hour gets everything afterwards, and nobody else notices.

use std::{collections::BTreeMap, time::Duration};

use tillhook::{order::Phase, till::TillOrder};

use crate::{
    far::http::{Answer, HttpFar, Request},
    harness::{App, Setup},
};

/// How the far side is down.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    Says503,
    IsSilent,
    RefusesConnections,
}

const SINKS: &str = r#"
    [sink.accountant]
    MAIL
    [sink.team]
    SLACK
    [sink.good]
    HTTP
    [sink.down]
    type = "http"
    url = "DOWN"
"#;

#[tokio::test]
async fn a_sink_that_answers_503_for_an_hour_gets_everything_afterwards() {
    an_hour_of(Trouble::Says503).await;
}

#[tokio::test]
async fn a_sink_that_says_nothing_for_an_hour_gets_everything_afterwards() {
    an_hour_of(Trouble::IsSilent).await;
}

#[tokio::test]
async fn a_sink_that_refuses_connections_for_an_hour_gets_everything_afterwards() {
    an_hour_of(Trouble::RefusesConnections).await;
}

async fn an_hour_of(trouble: Trouble) {
    let mut down = Some(HttpFar::start().await);
    let (url, addr) = down.as_ref().map(|far| (far.url().to_owned(), far.addr())).expect("a far side");
    let sinks = SINKS.replace("DOWN", &url);
    let delivery = "allow_private = [\"127.0.0.0/8\"]\nalerts = [\"accountant\"]";
    let app = App::set_up(Setup { sinks: &sinks, delivery, ..Setup::default() }).await;
    match (trouble, &down) {
        (Trouble::Says503, Some(far)) => far.always(Answer::status(503)),
        (Trouble::IsSilent, Some(far)) => far.be_silent(true),
        _ => down = None,
    }

    let orders = an_hour_of_sales(&app).await;
    let failing = app.told("sink.failing", 1).await;
    assert_eq!((failing.len(), &failing[0]["sink"]), (1, &"down".into()));
    assert!(failing[0]["waiting"].as_u64() > Some(0), "{failing:?}");
    app.settle_but(&["down"]).await;
    assert_eq!(app.far.mail.count(), 12 + 1, "the alert too");

    let far = match down {
        Some(far) => {
            far.always(Answer::status(200));
            far.be_silent(false);
            far
        }
        None => HttpFar::start_at(addr).await,
    };
    // What is on its way ends first: a clock that is turned meanwhile would call it timed out.
    app.settle().await;
    for _ in 0..4 {
        // Longer than any wait that an hour's failures lead to.
        app.clock.advance(Duration::from_hours(3));
        app.settle().await;
    }
    assert_eq!(app.statuses("down").await, vec!["delivered"; 24]);
    everything_arrived_in_order(&far, &orders);

    let recovered = app.told("sink.recovered", 1).await;
    assert_eq!((recovered.len(), app.data_of("sink.failing").await.len()), (1, 1), "each is told once");
    app.settle().await;
    assert_eq!(app.far.mail.count(), 12 + 2);
    let subjects: Vec<_> = app.far.mail.mails().into_iter().map(|mail| mail.subject).collect();
    assert_eq!(subjects.iter().filter(|subject| subject.contains("down")).count(), 2, "{subjects:?}");
    app.finish().await;
}

/// Every five minutes an order is announced, and every five minutes one is paid. The others hear of it at once.
async fn an_hour_of_sales(app: &App) -> Vec<TillOrder> {
    let mut orders = Vec::new();
    for round in 1..=12 {
        let order = app.till.sell();
        app.announce(&order, Phase::Validated).await;
        app.settle_but(&["down"]).await;
        assert_eq!(app.far.http.count(), 2 * round - 1, "the other program was told at once");
        assert_eq!(app.far.slack.count(), 2 * round - 1, "the channel was told at once");
        app.clock.advance(Duration::from_secs(150));
        app.announce(&order, Phase::Terminated).await;
        app.settle_but(&["down"]).await;
        assert_eq!((app.far.http.count(), app.far.slack.count()), (2 * round, 2 * round));
        let about_sales = app.far.mail.mails().iter().filter(|mail| mail.subject.starts_with("Facture")).count();
        assert_eq!(about_sales as u64, round, "the accountant was told at once");
        app.clock.advance(Duration::from_secs(150));
        orders.push(order);
    }
    orders
}

fn everything_arrived_in_order(far: &HttpFar, orders: &[TillOrder]) {
    let mut bodies = BTreeMap::new();
    for request in far.requests() {
        let id = request.header("webhook-id").to_owned();
        let first = bodies.entry(id).or_insert_with(|| request.body.clone());
        assert_eq!(*first, request.body, "the body is the same on every attempt");
    }
    assert_eq!(bodies.len(), 24);
    let answered: Vec<_> = far.requests().into_iter().filter(|request| request.answered == Some(200)).collect();
    // An answer that nobody waited for is none.
    let again = |place: usize, id: &str| answered[place + 1..].iter().any(|later| later.header("webhook-id") == id);
    let is_heard = |(place, one): &(usize, &Request)| !one.kept_waiting || !again(*place, one.header("webhook-id"));
    let arrived: Vec<_> = answered.iter().enumerate().filter(is_heard).map(|(_, one)| one).collect();
    assert_eq!(arrived.len(), 24, "what was taken once does not come again");
    for order in orders {
        let about = |event: &serde_json::Value| event["data"]["internal_id"] == order.internal_id.as_str();
        let events = arrived.iter().map(|request| request.json()).filter(about);
        let types: Vec<_> = events.map(|event| event["type"].clone()).collect();
        assert_eq!(types, ["order.validated", "order.terminated"]);
    }
}

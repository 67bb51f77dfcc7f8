//! Stopping and starting, gently and not: nothing that was acknowledged is lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use tillhook::{
    app::demo::far_sides::loopback,
    clock::SystemClock,
    order::Phase,
    store::{Access, DeliveryFilter, Store},
    till::{
        self, TillOrder, Voice,
        sandbox::{Options, Sandbox},
    },
};
use tokio::sync::watch;

use crate::{
    far::http::{Answer, HttpFar, Request},
    harness::{
        App, paris,
        program::{Program, eventually},
    },
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

/// How often the program is killed, how many sell at once, and how many orders each of them sells.
const KILLS: usize = 4;
const SELLERS: usize = 6;
const ORDERS: usize = 40;

/// How many messages a sink has on their way at once (`delivery.concurrency`).
const IN_FLIGHT: usize = 4;

/// The announcements that were answered 200, and how many were made at all.
#[derive(Default)]
struct Ledger {
    acknowledged: Vec<(String, Phase)>,
    calls: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_acknowledged_is_lost_when_the_program_is_killed() {
    tillhook::app::telemetry::install_cryptography();
    let options = Options { seed: 3, zone: paris(), clock: Arc::new(SystemClock) };
    let till = Sandbox::start(loopback().await.expect("a port"), options).expect("a till");
    let far = HttpFar::start().await;
    let rest = format!(
        "[delivery]\nallow_private = [\"127.0.0.0/8\"]\n[sink.erp]\ntype = \"http\"\nurl = \"{}\"\n",
        far.url()
    );
    let mut program = Program::new(till.origin(), "fetch_invoices = false", &rest);
    let webhook = watch::Sender::new(program.serve().await);
    let ledger = watch::Sender::new(Ledger::default());

    let sellers: Vec<_> = (0..SELLERS)
        .map(|_| {
            let orders: Vec<_> = (0..ORDERS).map(|_| till.sell()).collect();
            tokio::spawn(sell(orders, webhook.subscribe(), ledger.clone()))
        })
        .collect();
    for kill in 1..=KILLS {
        let enough = kill * SELLERS * ORDERS * 2 / (KILLS + 1);
        let mut calls = ledger.subscribe();
        calls.wait_for(|ledger| ledger.calls >= enough).await.expect("the sellers are busy");
        program.kill();
        webhook.send_replace(program.serve().await);
    }
    for seller in sellers {
        seller.await.expect("a seller");
    }

    let acknowledged = ledger.send_replace(Ledger::default()).acknowledged;
    let is_everything = |requests: &[Request]| {
        let has_come = |arrived: &BTreeMap<_, _>| acknowledged.iter().all(|call| arrived.contains_key(call));
        requests.len() >= acknowledged.len() && has_come(&arrivals(requests))
    };
    far.until(is_everything).await;
    eventually("nothing is left in the outbox", async || is_drained(&program).await).await;
    program.kill();

    let requests = far.requests();
    let arrived = arrivals(&requests);
    assert!(arrived.values().all(|ids| ids.len() == 1), "each phase is one event, however often it came");
    let repeats = requests.len() - arrived.len();
    assert!(repeats <= KILLS * IN_FLIGHT, "{repeats} repeats");
    let unacknowledged = arrived.len() - acknowledged.len();
    // A program that is dying may still take a second call, and drop it too.
    let cut_off = 2 * KILLS * SELLERS;
    assert!(unacknowledged <= cut_off, "stored, and killed before the answer: {unacknowledged}");
    assert!(acknowledged.len() + cut_off >= SELLERS * ORDERS * 2, "{} acknowledged", acknowledged.len());
    in_order_per_order(&requests);
    println!(
        "{} acknowledged, 0 lost, {repeats} repeated, {unacknowledged} stored without an answer",
        acknowledged.len()
    );
}

/// Announces both phases of each order. Where nobody listens it waits for the program's next address and says it again;
/// what was cut off is not said again, as by a till.
async fn sell(orders: Vec<TillOrder>, mut webhook: watch::Receiver<String>, ledger: watch::Sender<Ledger>) {
    for order in orders {
        for phase in [Phase::Validated, Phase::Terminated] {
            let announcement = till::encode(&order, phase, Voice::default());
            let answer = loop {
                let url = webhook.borrow_and_update().clone();
                let answer = till::post(&announcement, &url).await;
                if !answer.as_ref().is_err_and(is_refused) {
                    break answer;
                }
                webhook.changed().await.expect("the program is started again");
            };
            ledger.send_modify(|ledger| {
                ledger.calls += 1;
                if let Ok(answer) = answer {
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    ledger.acknowledged.push((order.internal_id.clone(), phase));
                }
            });
        }
    }
}

fn is_refused(error: &till::CallError) -> bool {
    match error {
        till::CallError::Refused(_) => true,
        till::CallError::Network(error) => error.is_connect(),
        till::CallError::Address => false,
    }
}

/// The ids under which each announcement arrived.
fn arrivals(requests: &[Request]) -> BTreeMap<(String, Phase), BTreeSet<String>> {
    let mut arrivals: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for request in requests {
        let event = request.json();
        let phase = match event["type"].as_str() {
            Some("order.validated") => Phase::Validated,
            Some("order.terminated") => Phase::Terminated,
            other => panic!("{other:?} was never announced"),
        };
        let order = event["data"]["internal_id"].as_str().expect("an id").to_owned();
        arrivals.entry((order, phase)).or_default().insert(request.header("webhook-id").to_owned());
    }
    arrivals
}

fn in_order_per_order(requests: &[Request]) {
    let mut paid = BTreeSet::new();
    for event in requests.iter().map(Request::json) {
        let order = event["data"]["internal_id"].as_str().expect("an id").to_owned();
        match event["type"].as_str() {
            Some("order.terminated") => _ = paid.insert(order),
            _ => assert!(!paid.contains(&order), "{order} is announced again after it was paid"),
        }
    }
}

async fn is_drained(program: &Program) -> bool {
    let store = Store::open(&program.data(), Access::Command).await.expect("the database");
    let filter = DeliveryFilter { limit: 10_000, ..DeliveryFilter::default() };
    let lines = store.list_deliveries(&filter, jiff::Timestamp::MAX).await.expect("the database answers");
    store.close().await;
    lines.iter().all(|line| line.status == "delivered")
}

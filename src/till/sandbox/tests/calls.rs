//! The calls that the sandbox makes: in order and once, unless it is told to lose, repeat and reorder them.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, routing::any};
use http::StatusCode;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::{Chance, Fate, Topic, Webhook},
    Till,
};
use crate::order::Phase;

/// A webhook that writes down what it is told, and refuses the first few calls.
struct Ear {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
    refusals: Arc<AtomicUsize>,
    _server: AbortOnDropHandle<()>,
}

type Heard = (Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>);

impl Ear {
    async fn open() -> Self {
        let (heard, refusals) = Heard::default();
        let hear = |State((heard, refusals)): State<Heard>, body: Bytes| async move {
            let refuse = refusals.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            heard.lock().expect("unpoisoned").push(summary(&body));
            if refuse { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
        };
        let router = Router::new().fallback(any(hear)).with_state((Arc::clone(&heard), Arc::clone(&refusals)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/in/t", listener.local_addr().expect("an address"));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { url, heard, refusals, _server: AbortOnDropHandle::new(server) }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("unpoisoned").clone()
    }
}

/// `validated 20261121001`.
fn summary(body: &[u8]) -> String {
    let fields: Vec<_> = form_urlencoded::parse(body).into_owned().collect();
    let named = |name: &str| fields.iter().find(|(known, _)| known == name).map_or("", |(_, text)| text.as_str());
    format!("{} {}{}", named("type"), named("orderID"), named("Total"))
}

/// Sells a hundred things through a webhook with these losses, repeats and overtakings.
async fn hundred(webhook: Webhook) -> (Till, Ear) {
    let (till, ear) = (Till::open().await, Ear::open().await);
    drop(till.sandbox.call(Webhook { url: ear.url.clone(), ..webhook }));
    for _ in 0..100 {
        let order = till.sandbox.sell();
        till.sandbox.announce(&order, Phase::Validated);
        till.sandbox.announce(&order, Phase::Terminated);
    }
    till.sandbox.calls_done().await;
    (till, ear)
}

fn bad(seed: u64) -> Webhook {
    Webhook { drop: Chance::percent(5), repeat: Chance::percent(5), reorder: true, seed, ..Webhook::default() }
}

#[tokio::test]
async fn by_default_everything_is_told_once_and_in_order() {
    let (till, ear) = hundred(Webhook::default()).await;
    let numbers = (1..=100).flat_map(|n| [format!("validated 20261121{n:03}"), format!("terminated 20261121{n:03}")]);
    assert_eq!(ear.heard(), numbers.collect::<Vec<_>>());
    assert!(till.sandbox.dropped().is_empty());
    assert!(till.sandbox.spoken().iter().all(|call| call.is_taken() && !call.repeat));
}

#[tokio::test]
async fn what_was_dropped_is_exactly_what_was_not_heard() {
    let (till, ear) = hundred(bad(4)).await;
    let heard: BTreeSet<String> = ear.heard().into_iter().collect();
    let dropped: BTreeSet<String> =
        till.sandbox.dropped().iter().map(|(order, phase)| format!("{} {}", phase.as_str(), order.order_id)).collect();
    assert!(!dropped.is_empty() && heard.is_disjoint(&dropped));
    assert_eq!(heard.len() + dropped.len(), 200);
    let spoken = till.sandbox.spoken();
    let repeats = spoken.iter().filter(|call| call.repeat).count();
    assert!(repeats > 0);
    assert_eq!(ear.heard().len(), heard.len() + repeats, "what is said again is heard again");
    let mut sorted = ear.heard();
    sorted.sort();
    assert_ne!(ear.heard(), sorted, "some overtook others");
}

#[tokio::test]
async fn the_same_seed_loses_the_same_calls() {
    let lost = async |seed| -> Vec<_> {
        let dropped = hundred(bad(seed)).await.0.sandbox.dropped();
        dropped.into_iter().map(|(order, phase)| (order.order_id, phase)).collect()
    };
    assert_eq!(lost(4).await, lost(4).await);
    assert_ne!(lost(4).await, lost(5).await);
}

#[tokio::test]
async fn a_call_that_is_not_taken_is_made_again_only_where_that_is_wanted() {
    for (retry, heard) in [(0, 1), (2, 3)] {
        let (till, ear) = (Till::open().await, Ear::open().await);
        ear.refusals.store(2, Ordering::SeqCst);
        drop(till.sandbox.call(Webhook { url: ear.url.clone(), retry, ..Webhook::default() }));
        till.sandbox.announce(&till.sandbox.sell(), Phase::Validated);
        let mut done = std::pin::pin!(till.sandbox.calls_done());
        while futures_util::poll!(&mut done).is_pending() {
            till.clock.advance(Duration::from_secs(5));
            tokio::task::yield_now().await;
        }
        assert_eq!(ear.heard().len(), heard);
        assert_eq!(till.sandbox.spoken()[0].is_taken(), retry > 0);
    }
}

#[tokio::test]
async fn a_call_that_nobody_hears_is_written_down_as_failed() {
    let till = Till::open().await;
    drop(till.sandbox.call(Webhook { url: "http://127.0.0.1:1/in/secret".to_owned(), ..Webhook::default() }));
    till.sandbox.announce(&till.sandbox.sell(), Phase::Validated);
    till.sandbox.calls_done().await;
    let Fate::Failed(reason) = till.sandbox.spoken()[0].fate.clone() else { panic!("a failure") };
    assert!(reason.contains("127.0.0.1:1") && !reason.contains("secret"), "{reason}");
}

#[tokio::test]
async fn a_cash_box_is_closed_with_what_came_in_since_it_was_opened() {
    let (till, ear) = (Till::open().await, Ear::open().await);
    till.sale("payment=1&itemsList[]=12").await;
    till.clock.advance(Duration::from_secs(60));
    drop(till.sandbox.call(Webhook { url: ear.url.clone(), ..Webhook::default() }));
    till.sandbox.open_cash_box(1).expect("a closed box");
    assert!(till.sandbox.open_cash_box(1).is_err() && till.sandbox.open_cash_box(9).is_err());
    till.clock.advance(Duration::from_secs(60));
    till.sale("payment=1&itemsList[]=12_2").await;
    let other = till.sale("payment=1&idcaisse=2&itemsList[]=12").await;
    till.sale("payment=-1&itemsList[]=12").await;
    till.post("editOrder.php", &format!("orderID={other}&payment=90")).await;
    let closing = till.sandbox.close_cash_box(1).expect("an open box");
    assert_eq!(closing.total.to_string(), "25.80", "what the other box took and gave back is its own");
    assert!(till.sandbox.close_cash_box(1).is_err());
    till.sandbox.calls_done().await;
    let heard = ear.heard();
    assert_eq!((heard[0].as_str(), heard.last().map(String::as_str)), ("cashBox_open ", Some("cashBox_close 25,80")));
    let is_closing =
        |call: &super::super::Spoken| matches!(&call.topic, Topic::CashBox(call) if call.closing.is_some());
    assert!(till.sandbox.spoken().iter().any(is_closing));
}

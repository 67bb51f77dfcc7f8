//! The sandbox, asked over a socket: its invoices, and how they fail.

use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::{
    clock::{ManualClock, SystemClock},
    till::{Announcement, post},
};

async fn sandbox(clock: Arc<dyn Clock>) -> Sandbox {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    Sandbox::start(listener, Options { seed: 5, zone: TimeZone::UTC, clock }).expect("a sandbox")
}

async fn get(order: &TillOrder) -> (u16, String) {
    // Several tests may come first; the one that does installs it for all.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let get = Announcement { method: http::Method::GET, query: None, content_type: None, body: Vec::new() };
    let answer = post(&get, order.pdf_url.as_deref().expect("a link")).await.expect("an answer");
    (answer.status, answer.body)
}

#[tokio::test]
async fn the_first_download_is_the_invoice_and_the_second_a_duplicate() {
    let sandbox = sandbox(Arc::new(SystemClock)).await;
    let order = sandbox.sell();
    let (status, first) = get(&order).await;
    assert!(status == 200 && first.starts_with("%PDF-"));
    assert_eq!(sandbox.downloads()[&order.internal_id], 1);
    assert_ne!(get(&order).await.1, first);
    assert_eq!(sandbox.downloads()[&order.internal_id], 2);
}

#[tokio::test]
async fn an_invoice_in_trouble_is_not_counted_as_downloaded() {
    let sandbox = sandbox(Arc::new(SystemClock)).await;
    let order = sandbox.sell();
    for (trouble, status) in [(Trouble::NotFound, 404), (Trouble::ServerError, 500), (Trouble::Html, 200)] {
        sandbox.misbehave(&order.internal_id, Some(trouble));
        let (answered, body) = get(&order).await;
        assert_eq!(answered, status);
        assert!(!body.starts_with("%PDF-"));
    }
    assert!(sandbox.downloads().is_empty());
    sandbox.misbehave(&order.internal_id, None);
    assert_eq!(get(&order).await.0, 200);
}

#[tokio::test]
async fn a_slow_invoice_comes_when_its_time_has_come() {
    let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
    let sandbox = sandbox(Arc::new(clock.clone())).await;
    let order = sandbox.sell();
    sandbox.misbehave(&order.internal_id, Some(Trouble::Slow(Duration::from_secs(60))));
    let download = tokio::spawn(async move { get(&order).await });
    while !download.is_finished() {
        clock.advance(Duration::from_secs(60));
        tokio::task::yield_now().await;
    }
    assert_eq!(download.await.expect("a download").0, 200);
}

#[tokio::test]
async fn an_invoice_that_was_never_made_is_not_found() {
    let sandbox = sandbox(Arc::new(SystemClock)).await;
    let mut order = sandbox.sell();
    order.pdf_url = Some(format!("{}/invoice/1.pdf", sandbox.origin()));
    assert_eq!(get(&order).await.0, 404);
}

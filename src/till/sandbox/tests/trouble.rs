//! What a test can make go wrong with the API, and with the verification of signatures.

use std::time::Duration;

use http::Method;
use serde_json::Value;

use super::{super::Trouble, Till};
use crate::till::{Announcement, Answer, post};

async fn verify(till: &Till, id: &str) -> Answer {
    let call = Announcement { method: Method::GET, query: None, content_type: None, body: Vec::new() };
    post(&call, &format!("{}/verify/{id}", till.sandbox.origin())).await.expect("an answer")
}

#[tokio::test]
async fn an_endpoint_answers_as_badly_as_it_is_told() {
    let till = Till::open().await;
    till.sale("payment=2&itemsList[]=12").await;
    let good = till.ask("getOrders.php", "").await;
    for (trouble, status, fits) in [
        (Trouble::NotFound, 404, (|body: &str| body.is_empty()) as fn(&str) -> bool),
        (Trouble::ServerError, 500, str::is_empty),
        (Trouble::Html, 200, |body| body.starts_with("<!doctype html>")),
        (Trouble::Refused, 200, |body| body.contains("\"success\":false")),
        (Trouble::Empty, 200, str::is_empty),
        (Trouble::Truncated, 200, |body| body.starts_with('[') && serde_json::from_str::<Value>(body).is_err()),
        (Trouble::OtherNames, 200, |body| !body.contains("orderID") && serde_json::from_str::<Value>(body).is_ok()),
        (Trouble::PlainText, 200, |body| serde_json::from_str::<Value>(body).is_ok()),
    ] {
        till.sandbox.misbehave("getOrders.php", Some(trouble));
        let answer = till.ask("getOrders.php", "").await;
        assert!(answer.status == status && fits(&answer.body), "{trouble:?}: {answer:?}");
        assert_eq!(till.ask("getPlus.php", "").await.status, 200, "only there");
    }
    till.sandbox.misbehave("getOrders.php", None);
    assert_eq!(till.ask("getOrders.php", "").await, good);
}

#[tokio::test]
async fn a_sale_is_recorded_when_only_its_answer_is_spoilt() {
    let till = Till::open().await;
    let form = "application/x-www-form-urlencoded";
    let sale = format!("{}&payment=2&itemsList[]=12", super::ADMITTED);
    for (trouble, sold) in [(Trouble::ServerError, 0), (Trouble::Html, 0), (Trouble::Empty, 1), (Trouble::Truncated, 2)]
    {
        till.sandbox.misbehave("webapp.php", Some(trouble));
        till.send("webapp.php", form, &sale).await;
        assert_eq!(till.sandbox.orders().len(), sold, "{trouble:?}");
    }
}

#[tokio::test]
async fn a_signature_is_valid_where_the_order_is_ours_and_nothing_was_switched() {
    let till = Till::open().await;
    let id = till.sale("payment=2&itemsList[]=12").await;
    assert_eq!(verify(&till, &id).await.body, r#"{"result":"OK","valid":true}"#);
    assert_eq!(verify(&till, "1").await.body, r#"{"result":"ERROR","valid":false}"#);
    till.sandbox.misbehave("verify", Some(Trouble::Refused));
    assert!(verify(&till, &id).await.body.contains("\"valid\":false"));
    till.sandbox.misbehave("verify", Some(Trouble::NotFound));
    assert_eq!(verify(&till, &id).await.status, 404);
    till.sandbox.misbehave("verify", Some(Trouble::Slow(Duration::from_secs(60))));
    let mut slow = std::pin::pin!(verify(&till, &id));
    while futures_util::poll!(&mut slow).is_pending() {
        till.clock.advance(Duration::from_secs(60));
        tokio::task::yield_now().await;
    }
}

//! §7: what an HTTP sink sends, and what the answers mean.

use std::time::Duration;

use rstest::rstest;
use tillhook::{order::Phase, sink::signature::Secret};

use crate::{
    far::http::{Answer, HttpFar},
    harness::{App, WHSEC},
};

const RETRY: &str = "retry = [\"10m\", \"48h\"]\n";

fn erp(far: &HttpFar, keys: &str) -> String {
    format!(
        "alerts = [\"ops\"]\n[sink.ops]\nHTTP\non = [\"test.ping\"]\n[sink.erp]\ntype = \"http\"\nurl = \"{}\"\n{keys}",
        far.url()
    )
}

#[rstest]
#[tokio::test]
async fn a_2xx_is_success(#[values(200, 201, 202, 204, 299)] status: u16) {
    let far = HttpFar::start().await;
    far.always(Answer::status(status));
    let app = App::start(&erp(&far, "")).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    assert_eq!(app.statuses("erp").await, ["delivered"]);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn what_may_pass_is_retried_and_alerts_nobody_at_once(
    #[values(408, 425, 429, 500, 502, 503, 504, 599)] status: u16,
) {
    let far = HttpFar::start().await;
    far.then([Answer::status(status)]);
    let app = App::start(&erp(&far, RETRY)).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    assert_eq!(app.statuses("erp").await, ["retrying"]);
    app.advance(Duration::from_mins(13)).await;
    assert_eq!((app.statuses("erp").await, far.requests().len()), (vec!["delivered".to_owned()], 2));
    assert_eq!(app.events().await, ["order.validated"]);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn another_4xx_and_a_redirect_are_retried_on_the_same_schedule_and_alerted_at_once(
    #[values(301, 302, 307, 308, 400, 401, 403, 404, 409, 413, 422, 451)] status: u16,
) {
    let (far, elsewhere) = (HttpFar::start().await, HttpFar::start().await);
    far.then([Answer::status(status).header("location", elsewhere.url())]);
    let app = App::start(&erp(&far, RETRY)).await;
    app.announce_without_pdf(Phase::Validated).await;
    let data = app.event("sink.failing", 1).await;
    assert!(data["reason"].as_str().is_some_and(|reason| reason.contains(&status.to_string())), "{data}");
    assert_eq!(app.statuses("erp").await, ["retrying"]);
    app.advance(Duration::from_mins(13)).await;
    app.event("sink.recovered", 1).await;
    assert_eq!((app.statuses("erp").await, far.requests().len()), (vec!["delivered".to_owned()], 2));
    assert_eq!(elsewhere.requests().len(), 0, "redirects are not followed");
    app.finish().await;
}

#[tokio::test]
async fn a_410_pauses_the_sink_and_keeps_the_delivery() {
    let far = HttpFar::start().await;
    far.then([Answer::status(410)]);
    let app = App::start(&erp(&far, "")).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.event("sink.paused", 1).await;
    app.advance(Duration::from_hours(24 * 30)).await;
    assert_eq!((app.statuses("erp").await, far.requests().len()), (vec!["paused".to_owned()], 1));
    app.resume("erp").await;
    app.event("sink.recovered", 1).await;
    assert_eq!(app.statuses("erp").await, ["delivered"]);
    app.finish().await;
}

#[tokio::test]
async fn a_time_out_is_retried() {
    let far = HttpFar::start().await;
    far.be_silent(true);
    let app = App::start(&erp(&far, RETRY)).await;
    app.announce_without_pdf(Phase::Validated).await;
    far.asked(1).await;
    app.clock.advance(Duration::from_secs(14));
    assert_eq!(app.statuses("erp").await, ["sending"], "15 s is the default");
    app.advance(Duration::from_secs(1)).await;
    assert_eq!(app.statuses("erp").await, ["retrying"]);
    far.be_silent(false);
    app.advance(Duration::from_mins(13)).await;
    assert_eq!(app.statuses("erp").await, ["delivered"]);
    app.finish().await;
}

#[tokio::test]
async fn a_connection_error_is_retried() {
    let far = HttpFar::start().await;
    let keys = erp(&far, RETRY);
    drop(far);
    let app = App::start(&keys).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    assert_eq!(app.statuses("erp").await, ["retrying"]);
    let error = app.deliveries("erp").await[0].last_error.clone().expect("an error");
    assert!(!error.contains("127.0.0.1"), "no address in {error}");
    app.finish_leaving(1).await;
}

#[rstest]
#[tokio::test]
async fn retry_after_holds_the_whole_sink(#[values(429, 503)] status: u16) {
    let far = HttpFar::start().await;
    far.then([Answer::status(status).header("retry-after", "120")]);
    let app = App::start(&erp(&far, "")).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    app.announce_without_pdf(Phase::Validated).await;
    app.advance(Duration::from_secs(119)).await;
    assert_eq!(far.requests().len(), 1, "another order waits too");
    app.advance(Duration::from_secs(1)).await;
    assert_eq!(app.statuses("erp").await, ["delivered", "delivered"]);
    app.finish().await;
}

#[tokio::test]
async fn retry_after_uses_up_no_retry() {
    let far = HttpFar::start().await;
    far.then([
        Answer::status(429).header("retry-after", "1200"),
        Answer::status(503).header("retry-after", "1200"),
        Answer::status(500),
    ]);
    let app = App::start(&erp(&far, RETRY)).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    app.advance(Duration::from_mins(20)).await;
    app.advance(Duration::from_mins(20)).await;
    app.event("sink.failing", 1).await;
    assert_eq!(far.requests().len(), 3);
    app.advance(Duration::from_mins(13)).await;
    app.event("sink.recovered", 1).await;
    assert_eq!(app.statuses("erp").await, ["delivered"], "with the first retry of the schedule");
    app.finish().await;
}

#[tokio::test]
async fn retry_after_never_shortens_the_schedule_and_never_asks_for_more_than_a_day() {
    for (asked, at_least, at_most) in [("1", 8 * 60, 12 * 60), ("99999999", 24 * 3600, 24 * 3600)] {
        let far = HttpFar::start().await;
        far.then([Answer::status(503).header("retry-after", asked)]);
        let app = App::start(&erp(&far, RETRY)).await;
        app.announce_without_pdf(Phase::Validated).await;
        app.settle().await;
        let next = app.deliveries("erp").await[0].next_attempt_at.expect("a time");
        let wait = next.duration_since(app.now()).as_secs();
        assert!((at_least..=at_most).contains(&wait), "{asked}: {wait} s");
        app.finish_leaving(1).await;
    }
}

#[tokio::test]
async fn a_call_is_a_signed_standard_webhook_with_one_id_for_all_attempts() {
    let previous = "whsec_cHJldmlvdXMtc2VjcmV0LW9mLXRoZS10ZXN0cyE=";
    let far = HttpFar::start().await;
    far.then([Answer::status(500)]);
    let keys = format!("{RETRY}secret = \"{WHSEC}\"\nprevious_secret = \"{previous}\"\n");
    let app = App::start(&erp(&far, &keys)).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    app.advance(Duration::from_mins(13)).await;
    let requests = far.requests();
    let event = app.deliveries("erp").await[0].event_id.to_string();
    for (request, at) in requests.iter().zip([0, 13 * 60]) {
        let timestamp = crate::harness::start_time().as_second() + at;
        assert_eq!(request.header("webhook-id"), event);
        assert_eq!(request.header("webhook-timestamp"), timestamp.to_string());
        let sign = |secret: &str| secret.parse::<Secret>().expect("a secret").sign(&event, timestamp, &request.body);
        assert_eq!(request.header("webhook-signature"), format!("{} {}", sign(WHSEC), sign(previous)));
        assert!(request.header("webhook-signature").starts_with("v1,"));
        assert_eq!(request.header("content-type"), "application/json");
        assert_eq!(request.header("user-agent"), format!("tillhook/{}", env!("CARGO_PKG_VERSION")));
    }
    assert_eq!(requests.len(), 2);
    app.finish().await;
}

#[tokio::test]
async fn the_customers_address_leaves_only_when_it_is_asked_for() {
    let (far, crm) = (HttpFar::start().await, HttpFar::start().await);
    let keys = format!("[sink.crm]\ntype = \"http\"\nurl = \"{}\"\ninclude_customer = true\n", crm.url());
    let app = App::start(&erp(&far, &keys)).await;
    let mut order = app.till.sell_on_account();
    order.pdf_url = None;
    app.announce(&order, Phase::Validated).await;
    app.settle().await;
    let customer = &far.requests()[0].json()["data"]["customer"];
    let keys: Vec<_> = customer.as_object().expect("a customer").keys().cloned().collect();
    assert_eq!(keys, ["id", "name", "is_company"]);
    let email = order.customer.expect("a customer").email;
    assert_eq!(crm.requests()[0].json()["data"]["customer"]["email"], email);
    app.finish().await;
}

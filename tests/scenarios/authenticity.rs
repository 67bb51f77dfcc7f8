//! `verify`: the till is asked whether it made a call, and what it does not confirm is held back, never dropped.

use std::time::Duration;

use serde_json::Value;

use crate::{
    far::http::{Answer, HttpFar},
    harness::{App, Setup},
};

/// A program that gets each event, a mail for each order, and another program that is told of alerts.
fn sinks(ops: &HttpFar) -> String {
    format!(
        "alerts = [\"ops\"]\n[sink.erp]\nHTTP\n[sink.accountant]\nMAIL\n[sink.ops]\ntype = \"http\"\nurl = \"{}\"\n\
         on = [\"test.ping\"]\n",
        ops.url()
    )
}

/// What stands around a shop that asks its till.
struct Scene {
    app: App,
    /// Confirms calls, as it is told to.
    till: HttpFar,
    ops: HttpFar,
}

impl Scene {
    async fn new(verify: &str) -> Self {
        let (till, ops) = (HttpFar::start().await, HttpFar::start().await);
        till.always(Answer::status(200).body("{\"valid\":true}"));
        let origin = format!("http://{}", till.addr());
        let shop = format!("verify = \"{verify}\"");
        let sinks = sinks(&ops);
        let app = App::set_up(Setup { shop: &shop, sinks: &sinks, till_host: Some(&origin), ..Setup::default() }).await;
        Self { app, till, ops }
    }

    /// The till announces a phase of an order with a URL at which it confirms that.
    async fn announce(&self, order: &str, phase: &str) -> String {
        let url = format!("http://{}/verify?order={order}&phase={phase}", self.till.addr());
        self.announce_with(order, phase, Some(&url)).await
    }

    /// The same with another URL, or with none.
    async fn announce_with(&self, order: &str, phase: &str, url: Option<&str>) -> String {
        let mut call = vec![("type", phase), ("orderInternalID", order), ("orderID", order), ("price", "9.90")];
        call.extend(url.map(|url| ("signatureVerificationURL", url)));
        self.app.say(&call).await
    }

    /// What `orders list --json` says of the verification of each order, oldest first, and whether it is held.
    async fn orders(&self) -> Vec<(Option<&'static str>, bool)> {
        let known = |line: tillhook::store::OrderLine| (line.verification.map(|known| known.as_str()), line.held);
        self.app.orders().await.into_iter().map(known).collect()
    }

    /// The data of the events that the program got, in order.
    fn told(&self) -> Vec<Value> {
        self.app.far.http.calls().into_iter().map(|call| call.body).collect()
    }

    /// Waits until the order's verification is this.
    async fn until(&self, known: &str) {
        self.app.until(known, async || self.orders().await.iter().all(|(word, _)| *word == Some(known))).await;
    }
}

const A_WHILE: Duration = Duration::from_mins(11);

#[tokio::test]
async fn switched_off_nobody_is_asked_and_nothing_is_said() {
    let scene = Scene::new("off").await;
    scene.announce("1", "validated").await;
    scene.app.settle().await;
    assert_eq!(scene.till.requests().len(), 0);
    assert_eq!(scene.orders().await, [(None, false)]);
    assert!(scene.told()[0]["data"].get("verification").is_none());
    scene.app.finish().await;
}

#[tokio::test]
async fn each_phase_is_asked_about_once_and_a_duplicate_never() {
    let scene = Scene::new("record").await;
    for phase in ["validated", "terminated", "validated", "terminated", "validated"] {
        scene.announce("1", phase).await;
        scene.app.settle().await;
    }
    scene.app.advance(Duration::from_hours(48)).await;
    assert_eq!(scene.till.requests().len(), 2);
    assert_eq!(scene.orders().await, [(Some("verified"), false)]);
    scene.announce_with("1", "validated", Some(&format!("http://{}/another", scene.till.addr()))).await;
    scene.app.settle().await;
    assert_eq!(scene.till.requests().len(), 2, "what is confirmed needs no other URL");
    scene.app.finish().await;
}

#[tokio::test]
async fn recorded_only_what_the_till_says_changes_no_delivery() {
    let scene = Scene::new("record").await;
    scene.till.be_silent(true);
    assert_eq!(scene.announce("1", "validated").await, "stored", "the till is answered before it is asked");
    scene.till.asked(1).await;
    scene.app.until("everything is sent", async || scene.told().len() == 1).await;
    assert_eq!(scene.told()[0]["data"]["verification"], "pending");
    scene.till.then([Answer::status(200).body("false")]);
    scene.till.be_silent(false);
    scene.until("refused").await;
    scene.announce("1", "terminated").await;
    scene.app.settle().await;
    assert_eq!(scene.orders().await, [(Some("refused"), false)], "the order is as good as the least of its calls");
    assert_eq!(scene.app.far.mail.count(), 1);
    scene.app.finish().await;
}

#[tokio::test]
async fn required_nothing_goes_out_before_the_till_confirms_it_and_then_everything_in_order() {
    let scene = Scene::new("require").await;
    scene.till.be_silent(true);
    scene.announce("1", "validated").await;
    scene.announce("1", "terminated").await;
    scene.till.asked(1).await;
    let held = scene.app.deliveries("erp").await;
    assert_eq!(held.iter().map(|line| line.status.as_str()).collect::<Vec<_>>(), ["waiting", "waiting"]);
    assert_eq!(held[0].next_attempt_at, None, "nobody knows when");
    let why = held[0].held_because.as_deref().expect("a reason");
    assert!(why.contains("still to confirm"), "{why}");
    assert_eq!((scene.told().len(), scene.app.far.mail.count()), (0, 0));
    assert_eq!(scene.orders().await, [(Some("pending"), true)]);
    scene.till.be_silent(false);
    scene.until("verified").await;
    scene.app.settle().await;
    let types: Vec<_> =
        scene.told().iter().map(|event| event["type"].as_str().unwrap_or_default().to_owned()).collect();
    assert_eq!(types, ["order.validated", "order.terminated"]);
    assert!(scene.told().iter().all(|event| event["data"]["verification"] == "verified"));
    assert_eq!(scene.app.far.mail.count(), 1);
    assert_eq!(scene.orders().await, [(Some("verified"), false)]);
    scene.app.finish().await;
}

#[tokio::test]
async fn another_order_is_not_held_up() {
    let scene = Scene::new("require").await;
    scene.till.then([Answer::status(200).body("invalid")]);
    scene.announce("1", "validated").await;
    scene.app.settle().await;
    scene.announce("2", "validated").await;
    scene.app.settle().await;
    assert_eq!(scene.orders().await, [(Some("refused"), true), (Some("verified"), false)]);
    let told: Vec<_> = scene.told().iter().map(|event| event["data"]["order_id"].clone()).collect();
    assert_eq!(told, ["2"]);
    scene.app.finish_leaving(2).await;
}

#[tokio::test]
async fn what_is_held_back_is_kept_and_told_to_a_person_once_until_somebody_lets_it_go() {
    let scene = Scene::new("require").await;
    scene.till.always(Answer::status(200).body("{\"valid\":false}"));
    scene.announce("1", "validated").await;
    scene.announce_with("2", "validated", None).await;
    scene.app.settle().await;
    assert_eq!(scene.orders().await, [(Some("refused"), true), (None, true)]);
    assert_eq!(scene.ops.requests().len(), 0, "for a while it is nobody's affair");
    scene.app.clock.advance(A_WHILE);
    let alert = scene.app.event("till.unverified", 1).await;
    assert_eq!(alert["order_ids"], serde_json::json!(["1", "2"]));
    scene.ops.asked(1).await;
    scene.app.advance(Duration::from_hours(24 * 100)).await;
    assert_eq!(scene.ops.event_types(), ["till.unverified"]);
    let lines = scene.app.deliveries("accountant").await;
    assert!(lines.iter().all(|line| line.status == "waiting"), "{lines:#?}");
    assert!(lines[1].held_because.as_deref().is_some_and(|why| why.contains("no `signatureVerificationURL`")));

    let order = scene.app.store().orders_called("2").await.expect("the database answers").swap_remove(0);
    assert!(scene.app.store().release_order(order.key).await.expect("the database answers"));
    scene.app.settle().await;
    assert_eq!(scene.app.far.mail.count(), 1);
    assert_eq!(scene.told()[0]["data"]["order_id"], "2");
    assert!(scene.told()[0]["data"].get("verification").is_none(), "nothing was asked");

    scene.till.always(Answer::status(200).body("OK"));
    let order = scene.app.store().orders_called("1").await.expect("the database answers").swap_remove(0);
    scene.app.store().verify_again(order.key, scene.app.now()).await.expect("the database answers");
    scene.app.settle().await;
    assert_eq!(scene.app.far.mail.count(), 2);
    scene.app.finish().await;
}

#[tokio::test]
async fn a_till_that_does_not_answer_is_asked_again_for_a_day() {
    let scene = Scene::new("require").await;
    scene.till.always(Answer::status(503));
    scene.announce("1", "validated").await;
    scene.app.settle().await;
    for _ in 0..20 {
        scene.app.advance(Duration::from_hours(1)).await;
    }
    assert_eq!(scene.orders().await, [(Some("pending"), true)]);
    let asked = scene.till.requests().len();
    assert!((8..=16).contains(&asked), "{asked} times in twenty hours");
    scene.till.always(Answer::status(200).body("1"));
    scene.app.advance(Duration::from_hours(3)).await;
    assert_eq!(scene.orders().await, [(Some("verified"), false)]);

    scene.till.always(Answer::status(500));
    scene.announce("2", "validated").await;
    for _ in 0..30 {
        scene.app.advance(Duration::from_hours(1)).await;
    }
    assert_eq!(scene.orders().await[1], (Some("unreachable"), true));
    let asked = scene.till.requests().len();
    scene.app.advance(Duration::from_hours(24 * 30)).await;
    assert_eq!(scene.till.requests().len(), asked, "after that it is up to a person");
    scene.app.finish_leaving(2).await;
}

#[tokio::test]
async fn what_is_pending_when_the_service_stops_is_asked_at_the_next_start() {
    let mut scene = Scene::new("require").await;
    scene.till.be_silent(true);
    scene.announce("1", "validated").await;
    scene.till.asked(1).await;
    scene.app.halt().await;
    scene.till.be_silent(false);
    scene.app.boot().await;
    scene.app.settle().await;
    assert_eq!(scene.orders().await, [(Some("verified"), false)]);
    assert_eq!((scene.told().len(), scene.app.far.mail.count()), (1, 1));
    scene.app.finish().await;
}

#[tokio::test]
async fn only_the_tills_hosts_are_asked_whatever_the_url_or_a_redirect_says() {
    let stranger = HttpFar::start().await;
    let scene = Scene::new("require").await;
    let elsewhere = stranger.url().to_owned();
    for (n, url) in [
        elsewhere.as_str(),
        "http://kash.click/v",
        "https://169.254.169.254/v",
        "https://127.0.0.1/v",
        "file:///etc/passwd",
        "no link",
    ]
    .into_iter()
    .enumerate()
    {
        scene.announce_with(&(n + 1).to_string(), "validated", Some(url)).await;
    }
    scene.app.settle().await;
    assert!(scene.orders().await.iter().all(|known| *known == (Some("refused"), true)), "{:?}", scene.orders().await);
    let why = scene.app.deliveries("erp").await.swap_remove(0).held_because.expect("a reason");
    assert!(why.contains("till_hosts") && !why.contains("127.0.0.1"), "{why}");

    scene.till.then([
        Answer::status(302).header("location", &elsewhere),
        Answer::status(302).header("location", "http://169.254.169.254/latest/meta-data"),
        Answer::status(302).header("location", "/elsewhere"),
        Answer::status(200).body("OK"),
    ]);
    for order in ["a", "b", "c"] {
        scene.announce(order, "validated").await;
        scene.app.settle().await;
    }
    let known: Vec<_> = scene.orders().await.into_iter().skip(6).map(|(known, _)| known).collect();
    assert_eq!(known, [Some("pending"), Some("pending"), Some("verified")]);
    assert_eq!(stranger.requests().len(), 0);
    scene.app.finish_leaving(8 * 2).await;
}

#[tokio::test]
async fn a_repeat_may_bring_the_url_that_works() {
    let scene = Scene::new("require").await;
    scene.announce_with("1", "validated", None).await;
    scene.announce_with("2", "validated", Some("https://elsewhere.example/v")).await;
    scene.app.settle().await;
    for order in ["1", "2"] {
        assert_eq!(scene.announce(order, "validated").await, "duplicate");
    }
    scene.app.settle().await;
    assert_eq!(scene.orders().await, [(Some("verified"), false); 2]);
    assert_eq!(scene.app.far.mail.count(), 2);
    scene.app.finish().await;
}

#[tokio::test]
async fn a_forged_call_holds_back_nothing_that_is_on_its_way_already() {
    let scene = Scene::new("require").await;
    scene.announce("1", "validated").await;
    scene.app.settle().await;
    scene.till.always(Answer::status(200).body("false"));
    scene.announce("1", "terminated").await;
    scene.app.settle().await;
    assert_eq!(scene.app.statuses("erp").await, ["delivered", "waiting"]);
    assert_eq!(scene.app.statuses("accountant").await, ["delivered", "skipped: merged"]);
    scene.app.finish_leaving(1).await;
}

#[tokio::test]
async fn what_send_test_sends_and_what_came_before_is_not_held_back() {
    let scene = Scene::new("require").await;
    let order = tillhook::till::TillOrder { pdf_url: None, ..scene.app.till.sell() };
    let call = tillhook::till::encode(&order, tillhook::order::Phase::Validated, tillhook::till::Voice::default());
    let body = [call.body.as_slice(), b"&tillhookTest=1"].concat();
    scene.app.call(&tillhook::till::Announcement { body, ..call }).await;
    scene.app.settle().await;
    assert_eq!(scene.app.far.mail.count(), 1);
    scene.app.finish().await;
}

#[tokio::test]
async fn a_shop_that_no_longer_requires_it_lets_everything_go() {
    let mut scene = Scene::new("require").await;
    scene.announce_with("1", "validated", None).await;
    scene.app.settle().await;
    assert_eq!(scene.app.far.mail.count(), 0);
    scene.app.change_head("verify = \"require\"", "verify = \"record\"");
    scene.app.reconfigure(&sinks(&scene.ops)).await;
    scene.app.until("it is let go", async || scene.app.far.mail.count() == 1).await;
    scene.app.finish().await;
}

#[tokio::test]
async fn the_closing_of_a_till_is_asked_about_and_never_held_back() {
    let scene = Scene::new("require").await;
    let url = format!("http://{}/verify?closing", scene.till.addr());
    let closing = [("type", "cashBox_close"), ("opened", "2026-11-21 08:00:00"), ("closed", "2026-11-21 13:30:00")];
    let closing = [&closing[..], &[("Total", "12"), ("signatureVerificationURL", url.as_str())]].concat();
    assert_eq!(scene.app.say(&closing).await, "stored");
    assert_eq!(scene.app.say(&closing).await, "duplicate");
    scene.app.settle().await;
    assert_eq!(scene.till.requests().len(), 1);
    let known = scene.app.column("SELECT status FROM verification WHERE order_key IS NULL").await;
    assert_eq!(known, ["verified"]);
    scene.app.finish().await;
}

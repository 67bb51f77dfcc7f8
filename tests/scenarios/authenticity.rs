//! `verify`: the till is asked whether it made a call, and what it does not confirm is held back, never dropped.

use std::time::Duration;

use serde_json::Value;
use tillhook::store::OrderLine;

use super::bounds::{PRIVATE, matryoshka};
use crate::{
    far::http::{Answer, HttpFar},
    harness::{App, Setup, form},
};

/// A program that gets each event, a mail for each order, and another program that is told of alerts.
pub fn sinks(ops: &HttpFar) -> String {
    format!(
        "alerts = [\"ops\"]\n[sink.erp]\nHTTP\n[sink.accountant]\nMAIL\n[sink.ops]\ntype = \"http\"\nurl = \"{}\"\n\
         on = [\"test.ping\"]\n",
        ops.url()
    )
}

/// What stands around a shop that asks its till.
pub struct Scene {
    pub app: App,
    /// Confirms calls, as it is told to.
    pub till: HttpFar,
    pub ops: HttpFar,
}

impl Scene {
    pub async fn new(verify: &str) -> Self {
        Self::with_shops(verify, "").await
    }

    /// The same with the tables of other shops.
    async fn with_shops(verify: &str, others: &str) -> Self {
        let (till, ops) = (HttpFar::start().await, HttpFar::start().await);
        till.always(Answer::status(200).body("{\"valid\":true}"));
        let origin = format!("http://{}", till.addr());
        let shop = format!("verify = \"{verify}\"\n{others}");
        let sinks = sinks(&ops);
        let app = App::set_up(Setup { shop: &shop, sinks: &sinks, till_host: Some(&origin), ..Setup::default() }).await;
        Self { app, till, ops }
    }

    /// The till announces a phase of an order with a URL at which it confirms that.
    pub async fn announce(&self, order: &str, phase: &str) -> String {
        let url = format!("http://{}/verify?order={order}&phase={phase}", self.till.addr());
        self.announce_with(order, phase, Some(&url)).await
    }

    /// The same with another URL, or with none.
    pub async fn announce_with(&self, order: &str, phase: &str, url: Option<&str>) -> String {
        self.app.say(&call(order, phase, url)).await
    }

    /// What `orders list --json` says of the verification of each order, oldest first, and whether it is held.
    pub async fn orders(&self) -> Vec<(Option<&'static str>, bool)> {
        self.app.orders().await.iter().map(known).collect()
    }

    /// The events that the program got, in order.
    pub fn told(&self) -> Vec<Value> {
        self.app.far.http.calls().into_iter().map(|call| call.body).collect()
    }

    /// The types of these.
    pub fn types_told(&self) -> Vec<String> {
        self.told().iter().map(|event| event["type"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Waits until the order's verification is this.
    pub async fn until(&self, known: &str) {
        self.app.until(known, async || self.orders().await.iter().all(|(word, _)| *word == Some(known))).await;
    }

    /// A person answers for an order.
    pub async fn accept(&self, order: &str) -> tillhook::store::Accepted {
        let stored = self.app.store().orders_called(order).await.expect("the database answers").swap_remove(0);
        self.app.store().accept_order(stored.key).await.expect("the database answers")
    }

    /// Ends the test: every delivery is over.
    pub async fn finish(self) {
        self.finish_leaving(0).await;
    }

    /// Ends the test: every delivery is over but for this many, and each that was not attempted is held with its order.
    pub async fn finish_leaving(self, left: usize) {
        self.app.settle().await;
        let out_of_line = "SELECT d.id FROM delivery d LEFT JOIN customer_order o ON o.key = d.order_key
            WHERE d.held <> (d.payload IS NULL AND coalesce(o.held, 0) = 1)";
        assert_eq!(self.app.column(out_of_line).await, [""; 0]);
        self.app.finish_leaving(left).await;
    }
}

/// A call about an order, with the URL at which the till confirms it.
fn call<'a>(order: &'a str, phase: &'a str, url: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    let mut call = vec![("type", phase), ("orderInternalID", order), ("orderID", order), ("price", "9.90")];
    call.extend(url.map(|url| ("signatureVerificationURL", url)));
    call
}

fn known(line: &OrderLine) -> (Option<&'static str>, bool) {
    (line.verification.map(|known| known.as_str()), line.held)
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
    scene.finish().await;
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
    scene.finish().await;
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
    scene.finish().await;
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
    assert_eq!(scene.types_told(), ["order.validated", "order.terminated"]);
    assert!(scene.told().iter().all(|event| event["data"]["verification"] == "verified"));
    assert_eq!(scene.app.far.mail.count(), 1);
    assert_eq!(scene.orders().await, [(Some("verified"), false)]);
    scene.finish().await;
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
    scene.finish_leaving(2).await;
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

    assert_eq!(scene.accept("2").await, tillhook::store::Accepted::LetGo);
    scene.app.settle().await;
    assert_eq!(scene.app.far.mail.count(), 1);
    assert_eq!(scene.told()[0]["data"]["order_id"], "2");
    assert_eq!(scene.told()[0]["data"]["verification"], "accepted", "nothing was asked");

    scene.till.always(Answer::status(200).body("valid"));
    let order = scene.app.store().orders_called("1").await.expect("the database answers").swap_remove(0);
    scene.app.store().verify_again(order.key, scene.app.now()).await.expect("the database answers");
    scene.app.settle().await;
    assert_eq!(scene.app.far.mail.count(), 2);
    scene.finish().await;
}

#[tokio::test]
async fn asking_the_till_again_does_not_put_off_that_a_person_is_told() {
    let scene = Scene::new("require").await;
    scene.till.always(Answer::status(200).body("{\"valid\":false}"));
    scene.announce("1", "validated").await;
    scene.app.settle().await;
    let order = scene.app.store().orders_called("1").await.expect("the database answers").swap_remove(0);
    // Somebody asks again and again, and so does a repeat that brings another URL.
    for minute in 0..4 {
        scene.app.advance(Duration::from_mins(2)).await;
        scene.app.store().verify_again(order.key, scene.app.now()).await.expect("the database answers");
        let url = format!("http://{}/verify?order=1&again={minute}", scene.till.addr());
        assert_eq!(scene.announce_with("1", "validated", Some(&url)).await, "duplicate");
        scene.app.settle().await;
    }
    assert_eq!(scene.app.data_of("till.unverified").await.len(), 0, "ten minutes are not over");
    scene.app.advance(Duration::from_mins(3)).await;
    let alert = scene.app.event("till.unverified", 1).await;
    assert_eq!(alert["order_ids"], serde_json::json!(["1"]));
    scene.finish_leaving(2).await;
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
    scene.till.always(Answer::status(200).body("{\"verified\":1}"));
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
    scene.finish_leaving(2).await;
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
    scene.finish().await;
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
        Answer::status(200).body("valid"),
    ]);
    for order in ["a", "b", "c"] {
        scene.announce(order, "validated").await;
        scene.app.settle().await;
    }
    let known: Vec<_> = scene.orders().await.into_iter().skip(6).map(|(known, _)| known).collect();
    assert_eq!(known, [Some("pending"), Some("pending"), Some("verified")]);
    assert_eq!(stranger.requests().len(), 0);
    scene.finish_leaving(8 * 2).await;
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
    scene.finish().await;
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
    scene.finish_leaving(1).await;
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
    scene.finish().await;
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
    scene.finish().await;
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
    scene.finish().await;
}

#[tokio::test]
async fn an_odd_answer_is_neither_a_yes_nor_a_no() {
    let scene = Scene::new("require").await;
    let odd =
        ["", "<html>valid</html>", "The signature is valid", "[true]", "2"].map(|odd| Answer::status(200).body(odd));
    scene.till.then(odd.into_iter().chain([Answer::status(404).body("valid"), Answer::status(204)]));
    for order in ["1", "2", "3", "4", "5", "6", "7"] {
        scene.announce(order, "validated").await;
        scene.app.settle().await;
    }
    scene.till.always(Answer::status(200).body(&"1".repeat(65 * 1024)));
    scene.announce("8", "validated").await;
    scene.app.settle().await;
    assert_eq!(scene.orders().await, [(Some("unknown"), true); 8]);
    let why: Vec<_> = scene.app.deliveries("erp").await.into_iter().filter_map(|line| line.held_because).collect();
    assert!(why.len() == 8 && why.iter().all(|why| why.contains("neither with yes nor with no")), "{why:#?}");
    assert!(why[5].contains("the till answered 404"), "{}", why[5]);
    scene.app.clock.advance(A_WHILE);
    let alert = scene.app.event("till.unverified", 1).await;
    assert_eq!(alert["order_ids"].as_array().map(Vec::len), Some(8));
    assert!(alert["reason"].as_str().is_some_and(|why| why.contains("neither with yes nor with no")), "{alert}");
    scene.app.advance(Duration::from_hours(48)).await;
    assert_eq!(scene.till.requests().len(), 8, "it is not asked until it says what we would like to hear");
    scene.finish_leaving(8 * 2).await;
}

#[tokio::test]
async fn an_answer_that_a_library_would_read_by_itself_is_neither_a_yes_nor_a_no() {
    let scene = Scene::new("require").await;
    for (key, order) in PRIVATE.into_iter().zip(["1", "2"]) {
        let text = matryoshka(key);
        let packed = Value::from(text.clone());
        for (way, answer) in [
            ("bare", text.clone()),
            ("data", format!("{{\"data\":{text}}}")),
            ("valid", format!("{{\"valid\":{packed}}}")),
        ] {
            scene.till.always(Answer::status(200).body(&answer));
            scene.announce(&format!("{order}-{way}"), "validated").await;
            scene.app.settle().await;
        }
    }
    assert_eq!(scene.till.requests().len(), 6, "each was answered once");
    assert_eq!(scene.orders().await, [(Some("unknown"), true); 6]);
    scene.finish_leaving(6 * 2).await;
}

#[tokio::test]
async fn calls_that_cannot_be_read_are_given_up_and_keep_no_other_from_being_asked_about() {
    let scene = Scene::new("require").await;
    scene.till.always(Answer::status(503));
    let broken = 3 * tillhook::verify::CONCURRENCY;
    let orders: Vec<String> = (1..=broken + 1).map(|order| order.to_string()).collect();
    for order in &orders {
        scene.announce(order, "validated").await;
        scene.app.settle().await;
        scene.app.clock.advance(Duration::from_secs(1));
    }
    let (whole, broken) = orders.split_last().expect("some");
    for (index, order) in broken.iter().enumerate() {
        let spoil = match index % 3 {
            0 => "UPDATE verification SET url = CAST(x'ff' AS TEXT) WHERE order_key = $1",
            1 => "UPDATE verification SET event_id = 'evt_none' || event_id WHERE order_key = $1",
            _ => "UPDATE verification SET event_id = CAST(x'ff' AS TEXT) || event_id WHERE order_key = $1",
        };
        let key = scene.app.store().orders_called(order).await.expect("the database answers")[0].key.to_string();
        assert_eq!(scene.app.spoil(spoil, &[&key]).await, 1, "{spoil}");
    }
    scene.till.always(Answer::status(200).body("{\"valid\":true}"));
    scene.app.advance(Duration::from_mins(5)).await;
    scene
        .app
        .until("the last one is asked about", async || scene.orders().await.last() == Some(&(Some("verified"), false)))
        .await;
    scene.app.settle().await;
    let known = scene.orders().await;
    assert_eq!(known[..broken.len()], vec![(Some("unknown"), true); broken.len()], "but {whole}");

    let (exit, shown) = scene.app.types("orders show 1").await;
    assert_eq!(exit, Some(0), "{shown}");
    assert!(shown.contains("cannot be asked") && shown.contains("cannot be read"), "{shown}");
    scene.app.clock.advance(A_WHILE);
    // Whoever is told within the hour is told the rest afterwards.
    let mut alerts = scene.app.told("till.unverified", 1).await;
    let told = |alerts: &[serde_json::Value]| alerts.iter().filter_map(|alert| alert["count"].as_u64()).sum::<u64>();
    while told(&alerts) < broken.len() as u64 {
        scene.app.advance(Duration::from_hours(1)).await;
        alerts = scene.app.told("till.unverified", alerts.len() + 1).await;
    }
    let last = alerts.last().expect("an alert");
    assert!(last["reason"].as_str().is_some_and(|why| why.contains("cannot be read")), "{last}");
    assert_eq!(scene.accept("1").await, tillhook::store::Accepted::LetGo);
    scene.app.settle().await;
    assert_eq!(scene.orders().await[0], (Some("accepted"), false));
    scene.finish_leaving((broken.len() - 1) * 2).await;
}

#[tokio::test]
async fn what_went_wrong_last_is_shown_as_far_as_it_is_text() {
    let scene = Scene::new("require").await;
    scene.till.always(Answer::status(404));
    scene.announce("1", "validated").await;
    scene.app.settle().await;
    let spoil = "UPDATE verification SET last_error = CAST(x'ff' AS TEXT) || last_error";
    assert_eq!(scene.app.spoil(spoil, &[]).await, 1);
    let (exit, shown) = scene.app.types("orders show 1").await;
    assert_eq!(exit, Some(0), "{shown}");
    assert!(shown.contains("(\u{fffd}the till answered 404)") && shown.contains("Who is told"), "{shown}");
    assert!(!shown.contains("warning"), "nothing is left out: {shown}");
    scene.app.clock.advance(A_WHILE);
    let alert = scene.app.event("till.unverified", 1).await;
    assert!(alert["reason"].as_str().is_some_and(|why| why.contains("the till answered 404")), "{alert}");
    scene.finish_leaving(2).await;
}

#[tokio::test]
async fn a_yes_of_any_page_of_the_vendors_is_no_confirmation() {
    let scene = Scene::new("require").await;
    let pages = ["OK", "true", "1", "{\"success\":true}", "{\"status\":\"ok\",\"data\":{\"result\":1}}"];
    for (page, order) in pages.into_iter().zip(["1", "2", "3", "4", "5"]) {
        scene.till.always(Answer::status(200).body(page));
        scene.announce(order, "validated").await;
        scene.app.settle().await;
    }
    assert_eq!(scene.orders().await, [(Some("unknown"), true); 5]);
    scene.till.always(Answer::status(200).body("{\"success\":false,\"valid\":true}"));
    scene.announce("6", "validated").await;
    scene.app.settle().await;
    assert_eq!(scene.orders().await[5], (Some("refused"), true), "a no in any of them still is one");
    scene.finish_leaving(6 * 2).await;
}

#[tokio::test]
async fn the_url_of_another_order_confirms_nothing_in_whatever_shop_and_spelling() {
    let tills = HttpFar::start().await;
    tills.always(Answer::status(200).body("{\"valid\":true}"));
    let mut scene = Scene::with_shops("require", &other_shops(&tills)).await;
    let url = format!("http://{}/verify?order=1&sig=abc", scene.till.addr());
    // One URL an order: its second phase may bring it again, and so may a repeat.
    for phase in ["validated", "terminated", "validated"] {
        scene.announce_with("1", phase, Some(&url)).await;
        scene.app.settle().await;
    }
    assert_eq!(scene.orders().await, [(Some("verified"), false)]);
    let asked = scene.till.requests().len();
    scene.app.halt().await;
    scene.app.boot().await;

    scene.announce_with("2", "validated", Some(&url)).await;
    let respelled = format!("HTTP://{}//%76erify/?sig=%61bc&order=1#again", scene.till.addr());
    scene.announce_with("3", "validated", Some(&respelled)).await;
    let closing = [("type", "cashBox_close"), ("opened", "2026-11-21 08:00:00"), ("closed", "2026-11-21 13:30:00")];
    scene.app.say(&[&closing[..], &[("Total", "12"), ("signatureVerificationURL", url.as_str())]].concat()).await;
    let elsewhere = form(&call("4", "validated", Some(&url)));
    assert_eq!(scene.app.call_at("asks-token-0123456789", &elsewhere).await.1["status"], "stored");
    scene.app.settle().await;
    let known = scene.orders().await;
    assert_eq!(known[1..], [(Some("refused"), true), (Some("refused"), true), (Some("refused"), false)]);
    let closings = "SELECT status FROM verification WHERE order_key IS NULL";
    assert_eq!(scene.app.column(closings).await, ["refused"]);
    assert_eq!(scene.till.requests().len(), asked, "nobody is asked about what is another's");
    let why: Vec<_> = scene.app.deliveries("erp").await.into_iter().filter_map(|line| line.held_because).collect();
    assert!(why.len() == 2 && why.iter().all(|why| why.contains("came with another order before")), "{why:#?}");

    scene.app.clock.advance(A_WHILE);
    let alert = scene.app.event("till.unverified", 1).await;
    assert_eq!(alert["order_ids"], serde_json::json!(["2", "3"]));
    assert!(alert["reason"].as_str().is_some_and(|why| why.contains("came with another order before")), "{alert}");
    let order = scene.app.store().orders_called("2").await.expect("the database answers").swap_remove(0);
    let shown = scene.app.store().why_unconfirmed(order.key).await.expect("the database answers");
    assert!(shown.len() == 1 && shown[0].contains("came with another order before"), "{shown:?}");
    scene.app.store().verify_again(order.key, scene.app.now()).await.expect("the database answers");
    scene.app.settle().await;
    assert_eq!(scene.orders().await[1], (Some("refused"), true), "asked again it is the same");

    // A repeat that brings a URL of its own is asked about.
    assert_eq!(scene.announce("2", "validated").await, "duplicate");
    scene.app.settle().await;
    assert_eq!(scene.orders().await[1], (Some("verified"), false));
    scene.finish_leaving(2).await;
}

#[tokio::test]
async fn a_redirect_to_the_url_of_another_order_confirms_nothing() {
    let scene = Scene::new("require").await;
    let url = |path: &str| format!("http://{}{path}", scene.till.addr());
    let bring = async |order: &str, path: &str, redirects: &[&str]| {
        scene.till.then(redirects.iter().map(|to| Answer::status(302).header("location", to)));
        scene.announce_with(order, "validated", Some(&url(path))).await;
        scene.app.settle().await;
        scene.orders().await.pop().and_then(|(word, _)| word)
    };
    assert_eq!(bring("1", "/v/a%20b?order=1&sig=xy", &[]).await, Some("verified"));
    assert_eq!(bring("2", "/redir?n=2", &["/v/a%20b?order=1&sig=xy"]).await, Some("refused"));
    assert_eq!(bring("3", "/redir?n=3", &["/v/a%20b?order=1&sig=xy", "/own?n=3"]).await, Some("refused"));
    // Where a redirect led is the order's from then on, as if it had brought that itself.
    assert_eq!(bring("4", "/redir?n=4", &["/own?n=4"]).await, Some("verified"));
    assert_eq!(bring("5", "/redir?n=5", &["/own?n=4"]).await, Some("refused"));
    let asked = scene.till.requests().len();
    assert_eq!(bring("6", "/own?n=4", &[]).await, Some("refused"));
    assert_eq!(scene.till.requests().len(), asked);
    scene.till.then([Answer::status(302).header("location", "/own?n=4")]);
    scene.announce_with("4", "terminated", Some(&url("/redir?n=4"))).await;
    scene.app.settle().await;
    assert_eq!(scene.orders().await[3], (Some("verified"), false), "its own it may reach again");
    // What is no yes takes nothing away from anybody.
    scene.till.then([Answer::status(302).header("location", "/own?n=8"), Answer::status(200).body("perhaps")]);
    assert_eq!(bring("7", "/redir?n=7", &[]).await, Some("unknown"));
    assert_eq!(bring("8", "/own?n=8", &[]).await, Some("verified"));
    let why: Vec<_> = scene.app.deliveries("erp").await.into_iter().filter_map(|line| line.held_because).collect();
    assert_eq!(why.iter().filter(|why| why.contains("leads to that of another order")).count(), 3, "{why:#?}");
    scene.finish_leaving(5 * 2).await;
}

#[tokio::test]
async fn of_two_orders_whose_urls_lead_to_the_same_page_at_once_one_is_confirmed() {
    let scene = Scene::new("require").await;
    scene.till.be_silent(true);
    scene.till.then([1, 2].map(|_| Answer::status(302).header("location", "/same")));
    scene.announce("1", "validated").await;
    scene.announce("2", "validated").await;
    scene.till.asked(2).await;
    scene.till.be_silent(false);
    scene.app.settle().await;
    let mut known = scene.orders().await;
    known.sort();
    assert_eq!(known, [(Some("refused"), true), (Some("verified"), false)]);
    scene.finish_leaving(2).await;
}

#[tokio::test]
async fn the_url_of_another_order_is_known_in_what_servers_read_alike() {
    let scene = Scene::new("require").await;
    let paths = [
        "/v/a%20b?order=N&sig=xy",
        "/v%2fa%20b?order=N&sig=xy",
        "/v;x/a%20b?order=N&sig=xy",
        "/v/a%20b?order=N;&sig=xy",
        "/v/a%20b?order=N;sig=xy",
        "/v/a%20b?order=N&sig=xy%00",
        "/v/a%20b?order=N&sig=xy&",
    ];
    for (order, path) in paths.iter().enumerate() {
        let url = format!("http://{}{path}", scene.till.addr());
        scene.announce_with(&(order + 1).to_string(), "validated", Some(&url)).await;
        scene.app.settle().await;
    }
    let known = scene.orders().await;
    assert_eq!(known[0], (Some("verified"), false));
    assert_eq!(known[1..], [(Some("refused"), true); 6]);
    assert_eq!(scene.till.requests().len(), 1);
    scene.finish_leaving(6 * 2).await;
}

#[tokio::test]
async fn a_yes_that_contradicts_itself_is_no_confirmation() {
    let scene = Scene::new("require").await;
    let answers = [
        ("{\"valid\":false,\"valid\":true}", "unknown"),
        ("{\"valid\":true,\"message\":\"signature invalid\"}", "refused"),
        ("{\"valid\":true,\"status\":\"expired\"}", "unknown"),
        ("{\"valid\":true,\"status\":401}", "refused"),
        ("{\"valid\":true,\"verified\":null}", "unknown"),
        ("{\"valid\":true,\"data\":[{\"valid\":false}]}", "refused"),
        ("valid!!!...", "unknown"),
        ("{\"valid\":1.0}", "verified"),
    ];
    for (order, (answer, expected)) in answers.into_iter().enumerate() {
        scene.till.always(Answer::status(200).body(answer));
        scene.announce(&(order + 1).to_string(), "validated").await;
        scene.app.settle().await;
        assert_eq!(scene.orders().await[order].0, Some(expected), "{answer}");
    }
    scene.finish_leaving(7 * 2).await;
}

#[tokio::test]
async fn of_two_orders_with_the_same_url_the_first_has_it_however_late_it_is_asked_about() {
    let scene = Scene::new("require").await;
    let url = format!("http://{}/verify?order=1", scene.till.addr());
    scene.till.always(Answer::status(503));
    scene.announce_with("1", "validated", Some(&url)).await;
    scene.announce_with("2", "validated", Some(&url)).await;
    // A repeat of it cannot take over what another brought, either.
    scene.announce_with("3", "validated", None).await;
    scene.announce_with("3", "validated", Some(&url)).await;
    scene.app.settle().await;
    scene.till.always(Answer::status(200).body("{\"valid\":true}"));
    for _ in 0..3 {
        scene.app.advance(Duration::from_mins(5)).await;
    }
    assert_eq!(scene.orders().await, [(Some("verified"), false), (Some("refused"), true), (Some("refused"), true)]);
    scene.app.event("till.unverified", 1).await;
    scene.finish_leaving(2 * 2).await;
}

#[tokio::test]
async fn what_the_till_said_in_the_end_is_in_what_is_sent_afterwards() {
    let scene = Scene::new("record").await;
    scene.till.always(Answer::status(503));
    scene.announce("1", "validated").await;
    for _ in 0..30 {
        scene.app.advance(Duration::from_hours(1)).await;
    }
    scene.announce_with("1", "terminated", None).await;
    scene.till.always(Answer::status(200).body("perhaps"));
    scene.announce("2", "validated").await;
    scene.app.settle().await;
    scene.announce_with("2", "terminated", None).await;
    scene.app.settle().await;
    assert_eq!(scene.orders().await, [(Some("unreachable"), false), (Some("unknown"), false)]);
    for (order, said) in [("1", "unreachable"), ("2", "unknown")] {
        let last = scene.told().into_iter().rfind(|event| event["data"]["order_id"] == order).expect("a message");
        assert_eq!((&last["type"], &last["data"]["verification"]), (&"order.terminated".into(), &said.into()));
    }
    scene.finish().await;
}

/// Tables of two more shops: one whose till is asked, and one whose till is not.
fn other_shops(tills: &HttpFar) -> String {
    let shop = |name: &str, verify: &str| {
        format!(
            "[shop.{name}]\ntoken = \"{name}-token-0123456789\"\nverify = \"{verify}\"\n\
             till_hosts = [\"http://{}\"]\ngap_after = \"off\"\nsilent_after = \"off\"\n",
            tills.addr()
        )
    };
    shop("asks", "record") + &shop("trusts", "off")
}

#[tokio::test]
async fn where_one_shop_of_several_requires_it_only_that_one_waits() {
    let tills = HttpFar::start().await;
    tills.always(Answer::status(200).body("no"));
    let scene = Scene::with_shops("require", &other_shops(&tills)).await;
    scene.till.always(Answer::status(200).body("no"));
    scene.announce("1", "validated").await;
    let url = format!("http://{}/verify", tills.addr());
    for shop in ["asks", "trusts"] {
        let (token, call) = (format!("{shop}-token-0123456789"), form(&call("1", "validated", Some(&url))));
        assert_eq!(scene.app.call_at(&token, &call).await.1["status"], "stored");
    }
    scene.app.settle().await;
    assert_eq!(scene.orders().await, [(Some("refused"), true), (Some("refused"), false), (None, false)]);
    assert_eq!((scene.till.requests().len(), tills.requests().len()), (1, 1));
    let shops: Vec<_> = scene.told().iter().map(|event| event["shop"]["id"].clone()).collect();
    assert!(shops.len() == 2 && !shops.contains(&"dupont".into()), "{shops:?}");
    scene.app.clock.advance(A_WHILE);
    let alert = scene.app.event("till.unverified", 1).await;
    assert_eq!(alert["order_ids"], serde_json::json!(["1"]));
    scene.ops.asked(1).await;
    assert_eq!(scene.ops.requests()[0].json()["shop"]["id"], "dupont");
    scene.finish_leaving(2).await;
}

#[tokio::test]
async fn a_till_that_hangs_keeps_no_other_shop_waiting() {
    let other = HttpFar::start().await;
    other.always(Answer::status(200).body("valid"));
    let scene = Scene::with_shops("require", &other_shops(&other)).await;
    scene.till.be_silent(true);
    for order in 1..=40 {
        scene.announce(&order.to_string(), "validated").await;
    }
    scene.till.asked(4).await;
    let url = format!("http://{}/verify", other.addr());
    scene.app.call_at("asks-token-0123456789", &form(&call("1", "validated", Some(&url)))).await;
    let is_confirmed = async || known(scene.app.orders().await.last().expect("an order")) == (Some("verified"), false);
    scene.app.until("the other shop's order is confirmed", is_confirmed).await;
    assert_eq!(scene.till.requests().len(), 4, "the first questions are still open, and no more are asked at once");
    assert!(scene.till.requests().iter().all(|question| question.answered.is_none()));
    scene.till.be_silent(false);
    scene.until("verified").await;
    assert_eq!(scene.till.requests().len(), 40, "each is asked about once");
    scene.finish().await;
}

#[tokio::test]
async fn a_question_that_a_reload_cuts_off_is_asked_again() {
    let mut scene = Scene::new("require").await;
    scene.till.be_silent(true);
    scene.announce("1", "validated").await;
    scene.till.asked(1).await;
    scene.app.reconfigure(&sinks(&scene.ops)).await;
    scene.till.asked(2).await;
    scene.till.be_silent(false);
    scene.until("verified").await;
    scene.app.settle().await;
    assert_eq!((scene.told().len(), scene.app.far.mail.count()), (1, 1));
    assert_eq!(scene.till.requests().len(), 2);
    scene.finish().await;
}

#[tokio::test]
async fn a_call_that_came_while_the_clock_was_ahead_is_asked_about_all_the_same() {
    let scene = Scene::new("record").await;
    let now = scene.app.now();
    scene.till.always(Answer::status(503));
    scene.app.clock.set(now + Duration::from_hours(24 * 365));
    scene.announce("1", "validated").await;
    scene.app.settle().await;
    assert_eq!(scene.orders().await, [(Some("pending"), false)]);
    scene.app.clock.set(now);
    scene.till.always(Answer::status(200).body("valid"));
    scene.announce("2", "validated").await;
    scene.until("verified").await;
    scene.finish().await;
}

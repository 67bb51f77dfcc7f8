//! What is held back for want of the till's word: it is in nobody's way, keeps its order, and goes when somebody says so.

use std::{sync::Arc, time::Duration};

use tillhook::{order::Person, store::Accepted, upkeep::Erasure};

use super::authenticity::{Scene, sinks};
use crate::{
    far::http::{Answer, HttpFar, Request},
    harness::{form, program::Program},
};

/// What the worker of a sink walks over when it looks for what is due.
const WALKED: &str = "SELECT id FROM delivery WHERE sink = 'erp' AND open = 1 AND held = 0";

#[tokio::test]
async fn what_is_held_back_is_in_nobodys_way() {
    let scene = Scene::new("require").await;
    scene.till.always(Answer::status(200).body("false"));
    for order in 1..=20 {
        scene.announce(&order.to_string(), "validated").await;
        scene.announce(&order.to_string(), "terminated").await;
    }
    scene.app.settle().await;
    assert_eq!(scene.app.deliveries("erp").await.len(), 40);
    assert_eq!(scene.app.column(WALKED).await, [""; 0]);
    assert_eq!(scene.accept("7").await, Accepted::LetGo);
    scene.app.settle().await;
    assert_eq!(scene.types_told(), ["order.validated", "order.terminated"]);
    scene.finish_leaving(19 * 3).await;
}

#[tokio::test]
async fn a_later_event_of_the_order_waits_behind_what_is_held_back_for_every_sink() {
    let mut scene = Scene::new("require").await;
    let broken = HttpFar::start().await;
    broken.always(Answer::status(500));
    let more = format!("[sink.broken]\ntype = \"http\"\nurl = \"{}\"\n", broken.url());
    scene.app.reconfigure(&(sinks(&scene.ops) + &more)).await;
    scene.announce("1", "validated").await;
    scene.app.settle().await;
    assert_eq!(scene.app.statuses("broken").await, ["retrying"], "it is on its way");
    scene.till.then([Answer::status(200).body("false")]);
    scene.announce("1", "terminated").await;
    scene.app.settle().await;
    let url = format!("http://{}/verify?again", scene.till.addr());
    let changed = [("type", "validated"), ("orderInternalID", "1"), ("orderID", "1"), ("price", "12.00")];
    scene.app.say(&[&changed[..], &[("signatureVerificationURL", url.as_str())]].concat()).await;
    scene.app.settle().await;
    assert_eq!(scene.orders().await, [(Some("refused"), true)]);
    assert_eq!(scene.app.statuses("erp").await, ["delivered", "waiting", "waiting"]);
    broken.always(Answer::status(200));
    scene.app.advance(Duration::from_mins(2)).await;
    assert_eq!(scene.app.statuses("broken").await, ["delivered", "waiting", "waiting"], "what was frozen goes on");
    assert_eq!(scene.accept("1").await, Accepted::LetGo);
    scene.app.settle().await;
    let in_order = ["order.validated", "order.terminated", "order.updated"];
    assert_eq!(scene.types_told(), in_order);
    assert_eq!(broken.event_types()[broken.requests().len() - 3..], in_order);
    scene.finish().await;
}

#[tokio::test]
async fn what_comes_of_an_order_that_is_held_back_waits_too() {
    let mut scene = Scene::new("require").await;
    let files = HttpFar::start().await;
    let more = format!("[sink.files]\ntype = \"http\"\nurl = \"{}\"\non = [\"invoice.stored\"]\n", files.url());
    scene.app.reconfigure(&(sinks(&scene.ops) + &more)).await;
    scene.till.always(Answer::status(200).body("false"));
    let url = format!("http://{}/verify", scene.till.addr());
    let pdf = scene.app.till.sell().pdf_url.expect("an invoice");
    let call = [("type", "validated"), ("orderInternalID", "1"), ("orderID", "1"), ("price", "9.90")];
    scene.app.say(&[&call[..], &[("PDFinvoice", &pdf), ("signatureVerificationURL", &url)]].concat()).await;
    scene.app.event("invoice.stored", 1).await;
    assert_eq!(scene.app.statuses("files").await, ["waiting"]);
    assert_eq!(files.requests().len(), 0);
    assert_eq!(scene.accept("1").await, Accepted::LetGo);
    scene.app.settle().await;
    assert_eq!(files.event_types(), ["invoice.stored"]);
    scene.finish().await;
}

#[tokio::test]
async fn what_a_person_retries_or_skips_by_hand_stays_held_with_its_order() {
    let scene = Scene::new("require").await;
    scene.till.always(Answer::status(200).body("false"));
    scene.announce("1", "validated").await;
    scene.app.settle().await;
    let id = scene.app.deliveries("erp").await[0].id;
    let store = scene.app.store();
    assert!(store.skip_delivery(id).await.expect("the database answers"));
    assert!(store.retry_delivery(id, scene.app.now(), false).await.expect("the database answers"));
    scene.app.settle().await;
    assert_eq!(scene.app.statuses("erp").await, ["waiting"]);
    assert!(store.skip_delivery(id).await.expect("the database answers"));
    assert_eq!(scene.accept("1").await, Accepted::LetGo);
    assert!(store.retry_delivery(id, scene.app.now(), false).await.expect("the database answers"));
    scene.app.settle().await;
    assert_eq!(scene.app.statuses("erp").await, ["delivered"]);
    scene.finish().await;
}

#[tokio::test]
async fn what_a_person_accepted_says_so_at_once_and_whatever_the_till_says_of_it_later() {
    let scene = Scene::new("require").await;
    scene.till.be_silent(true);
    scene.announce("1", "validated").await;
    scene.till.asked(1).await;
    assert_eq!(scene.accept("1").await, Accepted::LetGo);
    assert_eq!(scene.orders().await, [(Some("accepted"), false)]);
    assert_eq!(scene.accept("1").await, Accepted::Nothing);
    scene.app.until("it is sent", async || scene.told().len() == 1).await;
    assert_eq!(scene.told()[0]["data"]["verification"], "accepted");
    scene.till.then([Answer::status(200).body("perhaps")]);
    scene.till.be_silent(false);
    scene.app.settle().await;
    assert_eq!(scene.orders().await, [(Some("accepted"), false)]);

    scene.till.then([Answer::status(200).body("false")]);
    scene.announce("1", "terminated").await;
    scene.app.settle().await;
    assert_eq!(scene.orders().await, [(Some("refused"), true)], "nobody answered for this call");
    assert_eq!(scene.accept("1").await, Accepted::LetGo);
    assert_eq!(scene.orders().await, [(Some("accepted"), false)]);

    let order = scene.app.store().orders_called("1").await.expect("the database answers").swap_remove(0);
    scene.app.store().verify_again(order.key, scene.app.now()).await.expect("the database answers");
    scene.app.settle().await;
    assert_eq!(scene.orders().await, [(Some("verified"), false)], "it is asked again, and says yes");
    assert_eq!(scene.accept("1").await, Accepted::Nothing);
    scene.finish().await;
}

#[tokio::test]
async fn an_order_that_was_only_recorded_can_be_accepted_too() {
    let scene = Scene::new("record").await;
    scene.till.always(Answer::status(200).body("false"));
    scene.announce("1", "validated").await;
    scene.app.settle().await;
    assert_eq!(scene.accept("1").await, Accepted::Noted);
    assert_eq!(scene.orders().await, [(Some("accepted"), false)]);
    scene.finish().await;
}

#[tokio::test]
async fn a_call_that_was_under_way_while_require_went_is_let_go_a_little_later() {
    let mut scene = Scene::new("require").await;
    let before = scene.app.service().recorder.policy();
    scene.app.change_head("verify = \"require\"", "verify = \"record\"");
    scene.app.reconfigure(&sinks(&scene.ops)).await;
    let after = scene.app.service().recorder.policy();
    scene.app.service().recorder.reload((*before).clone());
    scene.till.always(Answer::status(200).body("false"));
    scene.announce("1", "validated").await;
    scene.app.service().recorder.reload((*after).clone());
    scene.app.settle().await;
    assert_eq!(scene.orders().await, [(Some("refused"), true)]);
    scene.app.clock.advance(Duration::from_mins(1));
    scene.app.until("it is let go", async || scene.app.far.mail.count() == 1).await;
    assert_eq!(scene.orders().await, [(Some("refused"), false)], "nobody accepted it");
    scene.finish().await;
}

/// A call about order 1 that names its customer.
async fn announce_with_customer(scene: &Scene, phase: &str) {
    let url = format!("http://{}/verify?{phase}", scene.till.addr());
    let fields = [
        ("type", phase),
        ("orderInternalID", "1"),
        ("orderID", "1"),
        ("price", "9.90"),
        ("clientID", "512"),
        ("customer", "{\"id\":512,\"nom\":\"Zxqdurand\"}"),
        ("signatureVerificationURL", url.as_str()),
    ];
    assert_eq!(scene.app.say(&fields).await, "stored");
}

async fn erase_customer(scene: &Scene) {
    let person = Person::Client("512".to_owned());
    let erasure = Erasure::new(scene.app.store().clone(), Arc::new(scene.app.clock.clone()), person, None);
    let found = erasure.find().await.expect("the database answers");
    let shop = |id: &_| scene.app.service().recorder.shop(id).map(|policy| policy.shop);
    erasure.erase(&found, shop).await.expect("it is on disk");
}

#[tokio::test]
async fn an_order_whose_customer_is_erased_waits_for_the_till_like_any_other() {
    let mut scene = Scene::new("require").await;
    let broken = HttpFar::start().await;
    broken.always(Answer::status(500));
    let more = format!("[sink.broken]\ntype = \"http\"\nurl = \"{}\"\ninclude_customer = true\n", broken.url());
    scene.app.reconfigure(&(sinks(&scene.ops) + &more)).await;
    announce_with_customer(&scene, "validated").await;
    scene.app.settle().await;
    assert_eq!(scene.app.statuses("broken").await, ["retrying"], "it is on its way");
    scene.till.be_silent(true);
    announce_with_customer(&scene, "terminated").await;
    scene.till.asked(2).await;
    let (frozen, told) = (broken.requests().len(), scene.told().len());
    erase_customer(&scene).await;
    broken.always(Answer::status(200));
    scene.app.clock.advance(Duration::from_mins(1));
    assert_eq!(scene.orders().await, [(Some("pending"), true)]);
    assert_eq!(scene.app.statuses("broken").await, ["waiting", "waiting"], "what was frozen is to be made anew");
    assert_eq!(broken.requests().len(), frozen);
    scene.till.be_silent(false);
    scene.until("verified").await;
    scene.app.settle().await;
    assert_eq!(broken.event_types()[frozen..], ["order.validated", "order.terminated"]);
    let sent: Vec<_> = broken.requests()[frozen..].iter().map(Request::json).collect();
    let sent = [scene.told().split_off(told), sent].concat();
    assert!(sent.iter().all(|event| !event.to_string().contains("Zxq")), "{sent:#?}");
    scene.finish().await;
}

#[tokio::test]
async fn an_alert_counts_what_it_does_not_name_and_nobody_is_told_of_that_again() {
    let scene = Scene::new("require").await;
    scene.till.always(Answer::status(200).body("false"));
    for order in 101..=160 {
        scene.announce(&order.to_string(), "validated").await;
    }
    scene.app.settle().await;
    scene.app.clock.advance(Duration::from_mins(11));
    let alert = scene.app.event("till.unverified", 1).await;
    assert_eq!((alert["order_ids"].as_array().map(Vec::len), &alert["count"]), (Some(50), &60.into()));
    for _ in 0..3 {
        scene.app.advance(Duration::from_hours(1)).await;
    }
    assert_eq!(scene.app.data_of("till.unverified").await.len(), 1);
    scene.finish_leaving(60 * 2).await;
}

/// The real program, with a till that is to confirm its calls, and a sink that gets what it confirms.
fn program(till: &HttpFar, far: &HttpFar) -> Program {
    tillhook::app::telemetry::install_cryptography();
    let sink = format!("[sink.erp]\ntype = \"http\"\nurl = \"{}\"\n", far.url());
    let rest = format!("[delivery]\nallow_private = [\"127.0.0.0/8\"]\n{sink}");
    Program::new(&format!("http://{}", till.addr()), "verify = \"require\"", &rest)
}

async fn announce_to(webhook: &str, till: &HttpFar, order: &str) {
    let url = format!("http://{}/verify?order={order}", till.addr());
    let call = [("type", "validated"), ("orderInternalID", order), ("price", "1"), ("signatureVerificationURL", &url)];
    tillhook::till::post(&form(&call), webhook).await.expect("an answer");
}

#[tokio::test]
async fn a_question_that_was_on_its_way_when_the_program_was_killed_is_asked_again() {
    let (till, far) = (HttpFar::start().await, HttpFar::start().await);
    till.be_silent(true);
    let mut program = program(&till, &far);
    announce_to(&program.serve().await, &till, "1").await;
    till.asked(1).await;
    program.kill();
    assert!(program.ok("orders list").contains("held back, verification pending"));
    till.always(Answer::status(200).body("valid"));
    till.be_silent(false);
    program.serve().await;
    far.asked(1).await;
    assert_eq!(far.requests()[0].json()["data"]["verification"], "verified");
    assert_eq!(till.requests().len(), 2);
    program.terminate().await;
}

#[tokio::test]
async fn what_is_accepted_at_the_command_line_reads_so_at_once_and_goes_out() {
    let (till, far) = (HttpFar::start().await, HttpFar::start().await);
    till.always(Answer::status(200).body("perhaps"));
    let mut program = program(&till, &far);
    announce_to(&program.serve().await, &till, "1").await;
    program.says("does not confirm a call").await;
    program.ok("orders verify 1");
    assert!(program.ok("orders verify 1 --accept").contains("1 is accepted: the running service delivers it now"));
    let list = program.ok("orders list");
    assert!(list.contains("accepted by hand") && !list.contains("verification"), "{list}");
    far.asked(1).await;
    till.asked(2).await;
    assert_eq!(far.requests()[0].json()["data"]["verification"], "accepted");
    assert!(program.ok("orders list").contains("accepted by hand"), "whatever the till says later");
    program.terminate().await;
}

#[tokio::test]
async fn the_log_says_nothing_where_there_is_no_reason() {
    let (till, far) = (HttpFar::start().await, HttpFar::start().await);
    till.then([Answer::status(200).body("false"), Answer::status(404), Answer::status(503)]);
    let mut program = program(&till, &far);
    let webhook = program.serve().await;
    for (asked, order) in ["1", "2", "3"].into_iter().enumerate() {
        announce_to(&webhook, &till, order).await;
        till.asked(asked + 1).await;
    }
    program.says("could not be asked").await;
    let log = program.printed();
    assert!(!log.contains("verification.reason=\"\""), "{log}");
    assert!(log.contains("shop.id=dupont") && log.contains("verification.status=\"refused\""), "{log}");
    assert!(log.contains("verification.reason=\"the till answered 404\""), "{log}");
    program.terminate().await;
}

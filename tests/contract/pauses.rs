//! §5, Deliveries, continued: what pauses and reloads do to what waits.

use std::time::Duration;

use tillhook::order::Phase;

use super::erp;
use crate::{
    far::http::{Answer, HttpFar},
    harness::{App, name},
};

#[tokio::test]
async fn while_a_sink_is_paused_nothing_is_attempted_and_resume_makes_it_due_at_once() {
    let far = HttpFar::start().await;
    far.then([Answer::status(500)]);
    let app = App::start(&(erp(&far) + "retry = [\"1h\", \"24h\", \"24h\"]\n")).await;
    let order = app.sell(Phase::Validated).await;
    app.pause("erp").await;
    app.announce(&order, Phase::Terminated).await;
    app.announce(&app.till.sell(), Phase::Validated).await;
    app.advance(Duration::from_hours(3)).await;
    assert_eq!(app.statuses("erp").await, ["paused", "paused", "paused"]);
    assert_eq!(far.requests().len(), 1);
    app.resume("erp").await;
    app.settle().await;
    assert_eq!(app.statuses("erp").await, ["delivered", "delivered", "delivered"]);
    app.finish().await;
}

#[tokio::test]
async fn resume_makes_a_retry_due_that_was_planned_for_later() {
    let far = HttpFar::start().await;
    far.then([Answer::status(500)]);
    let app = App::start(&(erp(&far) + "retry = [\"20h\", \"24h\"]\n")).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    app.pause("erp").await;
    app.resume("erp").await;
    app.settle().await;
    assert_eq!(app.statuses("erp").await, ["delivered"]);
    app.finish().await;
}

#[tokio::test]
async fn resume_ends_the_waiting_for_settle_too() {
    let far = HttpFar::start().await;
    let app = App::start(&(erp(&far) + "per_order = \"once\"\nsettle = \"1h\"\n")).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    app.pause("erp").await;
    app.advance(Duration::from_hours(2)).await;
    assert_eq!(app.statuses("erp").await, ["paused"]);
    app.announce_without_pdf(Phase::Validated).await;
    app.resume("erp").await;
    app.settle().await;
    assert_eq!(app.statuses("erp").await, ["delivered", "delivered"], "also what was not over yet");
    app.finish().await;
}

#[tokio::test]
async fn while_a_sink_is_paused_its_outage_does_not_grow() {
    let far = HttpFar::start().await;
    far.always(Answer::status(500));
    let app = App::start(&erp(&far)).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    app.pause("erp").await;
    app.advance(Duration::from_hours(48)).await;
    app.resume("erp").await;
    goes_on_where_it_stopped(app, &far).await;
}

#[tokio::test]
async fn while_a_sink_is_removed_nothing_ages_either() {
    let far = HttpFar::start().await;
    far.always(Answer::status(500));
    let mut app = App::start(&(erp(&far) + "retry = [\"20h\", \"24h\"]\n")).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    app.reconfigure("").await;
    app.advance(Duration::from_hours(48)).await;
    app.reconfigure(&erp(&far)).await;
    goes_on_where_it_stopped(app, &far).await;
}

/// The sink is attempted a second time, and only then: two days without attempts are no outage of two days.
async fn goes_on_where_it_stopped(app: App, far: &HttpFar) {
    app.settle().await;
    assert_eq!(far.requests().len(), 2);
    assert_eq!(app.sink_status("erp").await, "failing", "not paused for having failed for two days");
    far.always(Answer::status(200));
    app.advance(Duration::from_mins(2)).await;
    assert_eq!(app.statuses("erp").await, ["delivered"]);
    app.finish().await;
}

#[tokio::test]
async fn a_new_sink_gets_what_is_recorded_after_it_first_ran() {
    let (old, new) = (HttpFar::start().await, HttpFar::start().await);
    let mut app = App::start(&erp(&old)).await;
    let order = app.sell(Phase::Validated).await;
    let crm = format!("[sink.crm]\ntype = \"http\"\nurl = \"{}\"\n", new.url());
    app.reconfigure(&(erp(&old) + &crm)).await;
    app.settle().await;
    assert_eq!(app.deliveries("crm").await.len(), 0);
    app.announce_and_settle(&order, Phase::Terminated).await;
    assert_eq!(new.event_types(), ["order.terminated"]);
    assert_eq!(old.event_types(), ["order.validated", "order.terminated"]);

    let recorder = app.service().recorder.clone();
    let rule = recorder.policy().rules.iter().find(|rule| rule.sink == name("crm")).expect("the rule").clone();
    for event in app.store().events_after(0, 100).await.expect("the events") {
        let recovered = recorder.recover(rule.clone(), event.clone()).await.expect("it is on disk");
        assert_eq!(recovered, event.kind.as_str() == "order.validated", "`recover` fetches what it never got");
    }
    app.settle().await;
    assert_eq!(new.event_types(), ["order.terminated", "order.validated"]);
    app.finish().await;
}

#[tokio::test]
async fn after_a_reload_pending_deliveries_use_the_new_settings_and_routing_already_decided_stays() {
    let (old, new) = (HttpFar::start().await, HttpFar::start().await);
    old.always(Answer::status(500));
    let mut app = App::start(&erp(&old)).await;
    app.sell(Phase::Validated).await;
    app.reconfigure(&(erp(&new) + "on = [\"order.terminated\"]\nretry = [\"1m\", \"48h\"]\n")).await;
    app.announce(&app.till.sell(), Phase::Validated).await;
    app.advance(Duration::from_secs(7)).await;
    assert_eq!(new.event_types(), ["order.validated"], "the new address, although it is no longer selected");
    assert_eq!(app.statuses("erp").await, ["delivered"], "what came after follows the new rule");
    app.finish().await;
}

#[tokio::test]
async fn after_a_reload_invoices_have_an_address_at_the_new_host_and_at_a_new_path_after_a_restart() {
    let sinks = "alerts = []\n[sink.erp]\nHTTP\non = [\"invoice.stored\"]\n";
    let mut app = App::start(sinks).await;
    for (public_url, restart, base) in [
        ("https://till.dupont.example", false, "https://till.dupont.example"),
        // The door does not know the new path yet.
        ("https://www.dupont.example/till", false, "https://till.dupont.example"),
        ("https://www.dupont.example/till", true, "https://www.dupont.example/till"),
        ("https://www.dupont.example/till/", false, "https://www.dupont.example/till"),
    ] {
        app.move_to(public_url, sinks).await;
        if restart {
            app.halt().await;
            app.boot().await;
        }
        app.sell(Phase::Validated).await;
        let told = app.far.http.calls().pop().expect("a call").body["data"]["invoice"]["url"].clone();
        let told = told.as_str().expect("an address");
        let rest = told.strip_prefix(base).unwrap_or_else(|| panic!("{told} after {public_url}"));
        let path = told.splitn(4, '/').last().expect("a path");
        let found = reqwest::get(format!("http://{}/{path}", app.service().addr)).await.expect("an answer");
        assert!(rest.starts_with("/invoices/") && found.status().is_success(), "{told}: {}", found.status());
    }
    app.finish().await;
}

#[tokio::test]
async fn deliveries_of_a_removed_sink_wait_as_paused_and_go_when_it_is_back() {
    let far = HttpFar::start().await;
    far.then([Answer::status(500)]);
    let mut app = App::start(&erp(&far)).await;
    app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    for restart in [false, true] {
        app.reconfigure("").await;
        if restart {
            app.halt().await;
            app.boot().await;
        }
        app.advance(Duration::from_hours(1)).await;
        assert_eq!(app.statuses("erp").await, ["paused"]);
    }
    app.announce_without_pdf(Phase::Validated).await;
    assert_eq!(app.deliveries("erp").await.len(), 1, "nothing new is routed to it");
    app.reconfigure(&erp(&far)).await;
    app.settle().await;
    assert_eq!(app.statuses("erp").await, ["delivered"]);
    app.finish().await;
}

#[tokio::test]
async fn a_sink_that_a_person_paused_stays_paused_through_reload_and_restart() {
    let far = HttpFar::start().await;
    let mut app = App::start(&erp(&far)).await;
    app.pause("erp").await;
    app.announce_without_pdf(Phase::Validated).await;
    app.reconfigure("").await;
    app.reconfigure(&erp(&far)).await;
    app.halt().await;
    app.boot().await;
    app.settle().await;
    assert_eq!(app.statuses("erp").await, ["paused"]);
    app.finish_leaving(1).await;
}

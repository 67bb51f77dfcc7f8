//! §5, Cash box: which calls about the till itself are the same.

use std::time::Duration;

use serde_json::json;

use crate::harness::{App, form};

const CLOSING: [(&str, &str); 4] = [
    ("type", "cashBox_close"),
    ("opened", "2026-11-21 08:00:00"),
    ("closed", "2026-11-21 19:30:00"),
    ("Total", "1234,50"),
];

#[tokio::test]
async fn a_closing_is_its_opening_its_end_and_its_total() {
    let app = App::start("[sink.erp]\nHTTP\non = [\"cashbox.*\"]\n").await;
    assert_eq!(app.say(&CLOSING).await, "stored");
    app.advance(Duration::from_hours(24 * 30)).await;
    assert_eq!(app.say(&CLOSING).await, "duplicate", "however late it is repeated");
    let otherwise = json!({
        "Total": 1234.5, "closed": "2026-11-21T19:30:00+01:00", "opened": "2026-11-21T07:00:00Z",
        "type": "cashBox_close", "cashBoxID": 1, "signatureVerificationURL": "https://kash.click/v/2",
    });
    assert_eq!(app.say_json(otherwise).await, "duplicate", "and however it is written");
    for (key, other) in [("opened", "2026-11-21 08:00:01"), ("closed", "2026-11-21 19:30:01"), ("Total", "1234,51")] {
        let call: Vec<_> =
            CLOSING.iter().map(|(name, value)| (*name, if *name == key { other } else { value })).collect();
        assert_eq!(app.say(&call).await, "stored", "another {key} is another closing");
    }
    app.settle().await;
    let first = &app.far.http.calls()[0].body;
    assert_eq!(first["type"], "cashbox.closed");
    assert_eq!(first["data"]["total"], "1234.50");
    assert_eq!(first["data"]["opened"], "2026-11-21T08:00:00+01:00");
    assert_eq!(app.far.http.count(), 4);
    app.finish().await;
}

#[tokio::test]
async fn a_closing_of_another_shop_is_another() {
    let martin = "another-token-for-the-tests-0123456789";
    let app = App::start_with(&format!("[shop.martin]\nname = \"Martin\"\ntoken = \"{martin}\"\n"), "").await;
    assert_eq!(app.say(&CLOSING).await, "stored");
    assert_eq!(app.call_at(martin, &form(&CLOSING)).await.1["status"], "stored");
    app.finish().await;
}

#[tokio::test]
async fn a_closing_that_does_not_say_when_is_the_same_only_for_a_minute() {
    let app = App::start("").await;
    let call = [("type", "cashBox_close"), ("Total", "0")];
    assert_eq!(app.say(&call).await, "stored");
    assert_eq!(app.say(&call).await, "duplicate");
    app.advance(Duration::from_hours(24)).await;
    assert_eq!(app.say(&call).await, "stored", "tomorrow's closing is not today's");
    app.finish().await;
}

#[tokio::test]
async fn an_opening_and_an_unknown_call_are_the_same_when_their_bodies_are_within_a_minute() {
    let app = App::start("").await;
    for (kind, event) in [("cashBox_open", "cashbox.opened"), ("tableMoved", "till.unknown")] {
        let (one, other) = ([("type", kind), ("a", "1")], [("type", kind), ("a", "2")]);
        assert_eq!(app.say(&one).await, "stored");
        app.advance(Duration::from_secs(59)).await;
        assert_eq!(app.say(&one).await, "duplicate");
        assert_eq!(app.say(&other).await, "stored", "another body is another call");
        app.advance(Duration::from_secs(2)).await;
        assert_eq!(app.say(&one).await, "stored", "a minute has passed since it was stored");
        assert_eq!(app.data_of(event).await.len(), 3);
    }
    app.finish().await;
}

//! How much a call may hold, and that whatever was taken in can be read back: by sinks, listings, and the order's next call.
//!
//! The worst that can be sent is text that a library reads as JSON by itself, each level with a fresh count of its depth.
//! A test that fails here may do so by ending: an overflow of the stack cannot be caught.

use std::time::Duration;

use serde_json::{Value, json};
use tillhook::order::Phase;

use crate::{
    far::{
        http::{Answer, HttpFar},
        till_api::TillApi,
    },
    harness::{App, Setup, raw},
};

/// Keys that mean something to `serde_json`.
pub const PRIVATE: [&str; 2] = ["$serde_json::private::RawValue", "$serde_json::private::Number"];

/// Text in text in text, each of which the library would read as JSON: 15 KB.
pub fn matryoshka(key: &str) -> String {
    let mut text = "[]".to_owned();
    while text.len() < 15_000 {
        // Each level is as deep as a reader with a fresh count allows.
        let lists = format!("{}{text}{}", "[".repeat(100), "]".repeat(100));
        text = format!("{{\"{key}\":{}}}", Value::from(lists));
    }
    text
}

/// Lists within lists around a number.
fn nested(levels: usize) -> String {
    format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
}

/// Two announcements of one order with this field, and everything that reads the order.
async fn is_kept(app: &App, number: &str, field: &str, value: &str) {
    for phase in ["validated", "terminated"] {
        let call = [("type", phase), ("orderInternalID", number), ("price", "12.50"), (field, value)];
        assert_eq!(app.say(&call).await, "stored", "{field} {number}");
    }
    app.settle().await;
    assert!(app.orders().await.iter().any(|order| order.internal_id.as_deref() == Some(number)));
    assert!(app.statuses_of("erp", number).await.iter().all(|status| status == "delivered"), "{field} {number}");
}

#[tokio::test]
async fn text_that_a_library_would_read_by_itself_is_text() {
    let app = App::start("[sink.erp]\nHTTP\n[sink.accountant]\nMAIL\n").await;
    for (key, number) in PRIVATE.into_iter().zip(["1", "2"]) {
        let text = matryoshka(key);
        for field in ["commentaire", "items", "VATs", "client", "price", "orderID", "client[note]", "items[0][titre]"] {
            let number = format!("{number}-{}", field.len());
            is_kept(&app, &number, field, &text).await;
            is_kept(&app, &format!("{number}-list"), field, &format!("[{text}]")).await;
            is_kept(&app, &format!("{number}-packed"), field, &Value::from(text.clone()).to_string()).await;
        }
        let direct: Value = json!({"type": "validated", "orderInternalID": format!("{number}-json"), "items": [{"titre": text.clone()}]});
        assert_eq!(app.say_json(direct).await, "stored");
        for body in [
            text.clone(),
            format!("{{\"type\":\"validated\",\"orderInternalID\":\"{number}-body\",\"x\":{text}}}"),
            format!("{{\"{key}\":\"1\",\"type\":\"validated\",\"orderInternalID\":\"{number}-first\"}}"),
        ] {
            assert_eq!(app.call(&raw(body.into_bytes())).await.0, 200);
        }
    }
    app.settle().await;
    let extra = app.data_of("order.validated").await;
    let comment = extra.iter().find(|data| data["internal_id"] == "1-11").expect("the first order");
    assert_eq!(
        comment["extra"]["commentaire"].as_object().map(|object| object.keys().next().map(String::as_str)),
        Some(Some(PRIVATE[0]))
    );
    app.finish().await;
}

#[tokio::test]
async fn an_answer_of_the_till_that_a_library_would_read_by_itself_ends_nothing() {
    for key in PRIVATE {
        let api = TillApi::start().await;
        let text = matryoshka(key);
        for page in ["getOrders.php", "getCashbox.php", "getLivraisons.php"] {
            api.gives(page, format!("[{text},{}]", Value::from(text.clone())));
        }
        let app = App::set_up(Setup { shop: &api.table(), sinks: "[sink.erp]\nHTTP\n", ..Setup::default() }).await;
        app.advance(Duration::from_hours(6)).await;
        assert!(!app.reconciled().await, "nothing of it can be compared");
        assert!(api.asked().iter().any(|asked| asked.starts_with("getOrders.php")));
        assert_eq!(app.announce(&app.till.sell(), Phase::Validated).await, "stored");
        app.settle().await;
        app.finish().await;
    }
}

#[tokio::test]
async fn an_answer_of_slack_that_a_library_would_read_by_itself_ends_nothing() {
    const GOOD: &str = r#"{"ok":true,"channel":"C1","ts":"1.1"}"#;
    for key in PRIVATE {
        let text = matryoshka(key);
        for (answer, expected) in [
            // What is no answer of Slack's is tried again.
            (text.clone(), "retrying"),
            (format!("{{\"ok\":{text}}}"), "retrying"),
            (GOOD.replace('}', &format!(",\"message\":{text}}}")), "delivered"),
        ] {
            let slack = HttpFar::start().await;
            slack.always(Answer::status(200).body(&answer));
            let api = slack.url().replace("/hook", "/api");
            let keys = "type = \"slack\"\ntoken = \"xoxb-1\"\nchannel = \"#caisse\"\nsettle = \"0s\"\n";
            let app = App::start(&format!("alerts = []\n[sink.team]\n{keys}api = \"{api}\"\n")).await;
            assert_eq!(app.announce(&app.till.sell(), Phase::Validated).await, "stored");
            app.until(expected, async || app.statuses("team").await == [expected]).await;
            slack.always(Answer::status(200).body(GOOD));
            app.advance(Duration::from_mins(10)).await;
            assert_eq!(app.statuses("team").await, ["delivered"]);
            app.finish().await;
        }
    }
}

#[tokio::test]
async fn a_form_that_begins_like_json_has_no_bounds_of_its_own() {
    let app = App::start("").await;
    let call = |fields: usize, parts: usize| {
        let fields: String = (0..fields).map(|n| format!("&f{n}=1")).collect();
        let list = vec!["1"; parts].join(",");
        format!("{{\"=1&type=validated&orderInternalID={parts}{fields}&x=[{list}]")
    };
    for (fields, parts, expected) in [(10, 9_000, "stored"), (9_000, 10_000, "stored"), (19_000, 19_000, "quarantined")]
    {
        let (status, answer) = app.call(&raw(call(fields, parts))).await;
        assert_eq!((status, answer["status"].as_str()), (200, Some(expected)), "{fields} fields, {parts} parts");
    }
    assert_eq!(app.column("SELECT reason FROM receipt WHERE outcome = 'quarantined'").await.len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn an_order_that_is_too_large_says_so_with_its_limit_and_again_when_it_is_read_again() {
    let mut app = App::start("").await;
    app.rewrite("listen = ", "body_limit = \"64KiB\"\nlisten = ", "").await;
    app.halt().await;
    app.boot().await;
    let mut said = Vec::new();
    for n in 0..6 {
        let remark = n.to_string().repeat(50_000);
        let phase = if n == 0 { "terminated" } else { "validated" };
        said.push(app.say(&[("type", phase), ("orderInternalID", "1"), (&format!("f{n}"), &remark)]).await);
    }
    assert_eq!(said.first().map(String::as_str), Some("stored"));
    assert_eq!(said.last().map(String::as_str), Some("quarantined"), "{said:?}");
    app.settle().await;
    let reasons = app.column("SELECT reason FROM receipt WHERE outcome = 'quarantined'").await;
    assert!(reasons.iter().all(|reason| reason.contains("more than 160.0 KiB")), "{reasons:?}");
    let (exit, again) = app.types("quarantine reprocess").await;
    assert_eq!(exit, Some(1), "{again}");
    assert!(again.contains("stays: with this call") && again.contains("more than 160.0 KiB"), "{again}");
    app.finish().await;
}

#[tokio::test]
async fn what_is_taken_in_can_be_read_back_and_what_is_deeper_or_more_is_kept_apart() {
    let app = App::start("[sink.erp]\nHTTP\n[sink.team]\nSLACK\nsettle = \"0s\"\n").await;
    // The call itself is the first level.
    for (number, value, kept) in [
        ("1", nested(31), true),
        ("2", nested(32), false),
        ("3", nested(126), false),
        ("4", format!("[{}]", vec!["1"; 19_000].join(",")), true),
        ("5", format!("[{}]", vec!["1"; 20_000].join(",")), false),
    ] {
        for (way, call) in [
            ("json", format!("{{\"type\":\"validated\",\"orderInternalID\":\"{number}-json\",\"x\":{value}}}")),
            (
                "text",
                format!(
                    "{{\"type\":\"validated\",\"orderInternalID\":\"{number}-text\",\"x\":{}}}",
                    Value::from(value.clone())
                ),
            ),
            ("form", format!("type=validated&orderInternalID={number}-form&x={value}")),
        ] {
            let (status, answer) = app.call(&raw(call.into_bytes())).await;
            let expected = if kept { "stored" } else { "quarantined" };
            assert_eq!((status, answer["status"].as_str()), (200, Some(expected)), "{number} as {way}");
            let next = [("type", "terminated"), ("orderInternalID", &format!("{number}-{way}")), ("price", "1")];
            assert_eq!(app.say(&next).await, "stored", "{number} as {way}");
        }
    }
    app.settle_at_pace(&["team"]).await;
    assert_eq!(app.orders().await.len(), 15);
    let statuses = app.statuses("erp").await;
    assert!(statuses.iter().all(|status| status == "delivered"), "{statuses:?}");
    let reasons = app.column("SELECT reason FROM receipt WHERE outcome = 'quarantined'").await;
    let (deep, many): (Vec<_>, Vec<_>) = reasons.iter().partition(|reason| reason.contains("nested too deeply"));
    assert_eq!((deep.len(), many.len()), (6, 3), "{reasons:?}");
    assert!(many.iter().all(|reason| reason.contains("20000")), "{many:?}");
    app.finish().await;
}

#[tokio::test]
async fn keys_in_brackets_are_counted_by_what_they_make() {
    let app = App::start("").await;
    let deep = |n: usize| format!("a{n}{}", "[x]".repeat(30));
    let call = |keys: usize| {
        let keys: Vec<_> = (0..keys).map(|n| format!("&{}=1", deep(n))).collect();
        format!("type=validated&orderInternalID={}{}", keys.len(), keys.concat()).into_bytes()
    };
    for (keys, expected) in [(600, "stored"), (700, "quarantined"), (19_000, "quarantined")] {
        let (status, answer) = app.call(&raw(call(keys))).await;
        assert_eq!((status, answer["status"].as_str()), (200, Some(expected)), "{keys} keys");
    }
    app.finish().await;
}

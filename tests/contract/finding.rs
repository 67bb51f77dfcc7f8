//! §5, Finding the order: where a call is looked for, and in how many spellings.

use http::Method;
use serde_json::{Value, json};
use tillhook::till::Announcement;

use crate::harness::{App, raw};

/// What a call is recorded as; `None` where it is quarantined.
async fn heard(query: Option<&str>, body: &str) -> Option<Value> {
    let app = App::start("").await;
    let announcement = Announcement { query: query.map(str::to_owned), ..raw(body) };
    let (status, answer) = app.call(&announcement).await;
    assert_eq!(status, 200);
    let data = match answer["status"].as_str() {
        Some("quarantined") => None,
        _ => app.data_of("order.validated").await.pop(),
    };
    app.finish().await;
    data
}

#[tokio::test]
async fn a_call_is_looked_for_in_query_and_body_together() {
    for (query, body) in [
        ("type=validated&orderInternalID=7", "price=12.50"),
        ("type=validated", "orderInternalID=7&price=12.50"),
        ("price=12.50", r#"{"type":"validated","orderInternalID":"7"}"#),
        ("type=validated&orderInternalID=7&price=12.50", "[]"),
        ("type=validated&orderInternalID=7&price=12.50", "{}"),
        ("type=validated&orderInternalID=7&price=12.50", "null"),
        ("type=validated&orderInternalID=7&price=12.50", "<xml/>"),
    ] {
        let data = heard(Some(query), body).await.unwrap_or_else(|| panic!("{query} + {body}"));
        assert_eq!((&data["internal_id"], &data["total"]), (&json!("7"), &json!("12.50")), "{query} + {body}");
    }
    let both = heard(Some("type=validated&orderInternalID=7&price=1&note=a"), "orderInternalID=7&price=2").await;
    let both = both.expect("an order");
    assert_eq!(both["total"], "2.00", "the body counts");
    assert_eq!(both["extra"], json!({"query.price": "1", "note": "a"}), "and what the query says is kept");
}

#[tokio::test]
async fn it_is_looked_for_one_wrapping_deep() {
    let json = r#"{"type":"validated","orderInternalID":"7","price":"12.50"}"#;
    let form = "type%3Dvalidated%26orderInternalID%3D7%26price%3D12.50";
    for body in [
        format!("payload={}", json.replace('"', "%22")),
        format!("data={form}&source=proxy"),
        format!("{{\"body\":{json}}}"),
        format!("{{\"json\":{}}}", Value::from(json)),
        format!("{{\"type\":\"webhook\",\"data\":{json}}}"),
        r#"{"type":"validated","data":{"orderInternalID":"7","price":"12.50"}}"#.to_owned(),
        format!("{{\"payload\":[{json}]}}"),
        format!("{json}="),
        json.replace('"', "%22"),
        format!("{}=", json.replace('"', "%22").replace('{', "%7B")),
    ] {
        let data = heard(None, &body).await.unwrap_or_else(|| panic!("{body}"));
        assert_eq!((&data["internal_id"], &data["total"]), (&json!("7"), &json!("12.50")), "{body}");
    }
    assert_eq!(heard(None, &format!("{{\"a\":{json}}}")).await, None, "in a field of any name");
    assert_eq!(heard(None, &format!("{{\"data\":{{\"data\":{json}}}}}")).await, None, "two deep");
}

#[tokio::test]
async fn separators_that_were_escaped_once_too_often_are_separators() {
    for body in [
        "type=validated&amp;orderInternalID=7&amp;price=12.50",
        "type=validated&#38;orderInternalID=7&#038;price=12.50",
        "type=validated&orderInternalID=7&amp;price=12.50",
        "type=validated%26orderInternalID=7%26price=12.50",
        "type%3Dvalidated%26orderInternalID%3D7%26price%3D12.50",
        "type=validated;orderInternalID=7;price=12.50",
        "type=validated&orderInternalID=7;price=12.50",
        "type=validated&orderInternalID=7%26price=12.50",
    ] {
        let data = heard(None, body).await.unwrap_or_else(|| panic!("{body}"));
        assert_eq!((&data["internal_id"], &data["total"]), (&json!("7"), &json!("12.50")), "{body}");
    }
    let plain = heard(None, "type=validated&orderInternalID=7&note=a;b=c%26d").await.expect("an order");
    assert_eq!(plain["extra"]["note"], "a;b=c&d", "a call that is right is read as it is");
}

#[tokio::test]
async fn texts_that_were_escaped_once_too_often_are_plain() {
    for body in [
        r#"{\"type\":\"validated\",\"orderInternalID\":\"7\",\"client\":{\"nom\":\"Lefèvre\"}}"#.to_owned(),
        "{&quot;type&quot;:&quot;validated&quot;,&quot;orderInternalID&quot;:7,&quot;client&quot;:{&quot;nom&quot;:&quot;Lefèvre&quot;}}"
            .to_owned(),
        r#"type=validated&orderInternalID=7&client={\"nom\":\"Lef\u00e8vre\"}"#.to_owned(),
        "type=validated&orderInternalID=7&client={%26quot;nom%26quot;:%26quot;Lef%26egrave;vre%26quot;}".to_owned(),
        "type=validated&orderInternalID=7&client[nom]=Lef%26%23232;vre".to_owned(),
    ] {
        let data = heard(None, &body).await.unwrap_or_else(|| panic!("{body}"));
        assert_eq!(data["customer"]["name"], "Lefèvre", "{body}");
    }
}

#[tokio::test]
async fn one_bad_byte_is_one_replacement_and_no_other_charset() {
    let app = App::start("").await;
    let form = b"type=validated&orderInternalID=1&client[nom]=Lef\xc3\xa8vre&note=caf\xc3".to_vec();
    let multipart = b"--b\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\nvalidated\r\n\
        --b\r\nContent-Disposition: form-data; name=\"orderInternalID\"\r\n\r\n2\r\n\
        --b\r\nContent-Disposition: form-data; name=\"client[nom]\"\r\n\r\nLef\xc3\xa8vre\r\n\
        --b\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\ncaf\xc3\r\n--b--\r\n"
        .to_vec();
    for body in [form, multipart] {
        let (_, answer) = app.call(&Announcement { method: Method::POST, ..raw(body) }).await;
        assert_eq!(answer["status"], "stored");
        let data = app.data_of("order.validated").await.pop().expect("the event");
        assert_eq!((&data["customer"]["name"], &data["extra"]["note"]), (&json!("Lefèvre"), &json!("caf\u{fffd}")));
    }
    let (_, answer) = app.call(&raw(b"type=validated&orderInternalID=3&client[nom]=Lef\xe8vre".to_vec())).await;
    assert_eq!(answer["status"], "stored");
    let data = app.data_of("order.validated").await.pop().expect("the event");
    assert_eq!(data["customer"]["name"], "Lefèvre", "a till may still speak Latin-1");
    app.finish().await;
}

#[tokio::test]
async fn a_call_without_any_field_of_the_till_is_kept_and_alarms_nobody() {
    let app = App::start("[sink.accountant]\ntype = \"email\"\nto = [\"compta@cabinet-martin.example\"]\n").await;
    for body in ["webhook_id=2", "id=1&name=test", "{}"] {
        let (_, answer) = app.call(&raw(body)).await;
        assert_eq!(answer["status"], "quarantined", "{body}");
    }
    app.settle().await;
    assert_eq!((app.far.mail.count(), app.events().await.len()), (0, 0));
    let (_, list) = app.types("quarantine list --json").await;
    assert_eq!(list.matches("probably a check of the address").count(), 3, "{list}");
    let (_, answer) = app.call(&raw("orderInternalID=1&price=5")).await;
    assert_eq!(answer["status"], "quarantined");
    app.settle().await;
    assert_eq!(app.far.mail.count(), 1, "what may be a sale alarms");
    app.finish().await;
}

//! Requests as tills, proxies and scripts really sent them, byte for byte (`tests/field/`), and what is right for each.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::harness::App;

/// The shop that the requests are for: their token stands in them.
const SHOP: &str = "[shop.field]\nname = \"Field\"\ntoken = \"0123456789abcdef\"\n";

macro_rules! request {
    ($name:literal) => {
        include_bytes!(concat!("../field/", $name, ".http"))
    };
}

/// Sends bytes as they are; returns what became of the call.
async fn send(app: &App, request: &[u8]) -> String {
    let address = app.webhook().split('/').nth(2).expect("an address").to_owned();
    let mut stream = TcpStream::connect(address).await.expect("the door");
    stream.write_all(request).await.expect("all is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    let body: Value = serde_json::from_str(body).expect("JSON");
    body["status"].as_str().expect("a status").to_owned()
}

#[tokio::test]
async fn each_is_read_as_what_it_says() {
    for (name, request, expected) in [
        ("02a", &request!("02a-space")[..], json!({ "/total": "12.50", "/customer/name": "Le Goff" })),
        (
            "02c",
            request!("02c-hash"),
            json!({ "/total": "12.50", "/total_vat": "1.14", "/extra/commentaire": "Table #4" }),
        ),
        ("02e", request!("02e-json"), json!({ "/items/0/label": "Menu", "/items/0/total": "12.50" })),
        ("03", request!("03-slash"), json!({ "/order_id": "20261121301", "/total_vat": "1.14" })),
        ("05a", request!("05a-payload"), json!({ "/order_id": "20261129105", "/total": "12.50" })),
        ("05c", request!("05c-empty-body"), json!({ "/order_id": "20261129170", "/total": "12.50" })),
        ("06a", request!("06a-amp"), json!({ "/order_id": "20261121107", "/total": "12.50", "/extra": {} })),
        (
            "06b",
            request!("06b-slashes"),
            json!({ "/items/0/label": "Menu midi", "/items/0/total": "12.50", "/customer/name": "Zoé Durand", "/extra": {} }),
        ),
        (
            "06c",
            request!("06c-semicolon"),
            json!({ "/order_id": "20261121172", "/total": "12.50", "/customer/name": "Durand" }),
        ),
        (
            "07",
            request!("07-entities"),
            json!({ "/total": "12.50", "/customer/name": "L'Atelier & Fils", "/items/0/label": "Crème brûlée" }),
        ),
        ("08a", request!("08a-float"), json!({ "/total": "43.80", "/total_vat": "5.35", "/total_net": "38.45" })),
        ("08b", request!("08b-exponent"), json!({ "/total": "20.00", "/total_vat": "0.00001" })),
        (
            "09a",
            request!("09a-datetime-object"),
            json!({ "/dates/validated": "2026-11-21T23:59:40+01:00", "/extra": {}, "/warnings": [] }),
        ),
        (
            "10",
            request!("10-half-character"),
            json!({ "/customer/name": "Zoé Lefèvre", "/items/0/label": "Café cr\u{fffd}", "/items/1/label": "Thé" }),
        ),
    ] {
        let app = App::start_with(SHOP, "").await;
        assert_eq!(send(&app, request).await, "stored", "{name}");
        let data = app.data_of("order.validated").await.pop().expect("the event");
        for (path, value) in expected.as_object().expect("an object") {
            assert_eq!(data.pointer(path), Some(value), "{name} {path}: {data:#}");
        }
        app.finish().await;
    }
    let app = App::start_with(SHOP, "").await;
    assert_eq!(send(&app, request!("09c-closing")).await, "stored");
    let closing = app.data_of("cashbox.closed").await.pop().expect("the event");
    assert_eq!(closing["opened"], "2026-11-21T07:02:00+01:00");
    assert_eq!(closing["closed"], "2026-11-21T19:31:00+01:00");
    app.finish().await;
}

#[tokio::test]
async fn one_whose_length_is_wrong_is_kept_for_a_person_and_never_read_as_whole() {
    let app = App::start_with(SHOP, "").await;
    // The length counts characters, and the last digit of the price is behind it.
    assert_eq!(send(&app, request!("04a-length-in-characters")).await, "quarantined");
    assert!(app.orders().await.is_empty());
    let (_, list) = app.types("quarantine list --json").await;
    assert!(list.contains("92 bytes were announced and 94 came"), "{list}");
    let (exit, again) = app.types("quarantine reprocess").await;
    assert_eq!((exit, app.orders().await.len()), (Some(1), 0), "nor later: {again}");
    app.finish().await;
}

#[tokio::test]
async fn a_repeat_that_counts_its_attempts_is_the_same_order() {
    let app = App::start_with(SHOP, "").await;
    for request in [&request!("n4-1-first")[..], request!("n4-2-repeat")] {
        assert_eq!(send(&app, request).await, "stored");
    }
    assert_eq!(app.orders().await.len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_call_that_says_that_there_is_no_customer_takes_none_away() {
    let app = App::start_with(SHOP, "").await;
    for request in [&request!("n5-1-validated")[..], request!("n5-2-terminated")] {
        assert_eq!(send(&app, request).await, "stored");
    }
    let data = app.data_of("order.terminated").await.pop().expect("the event");
    assert_eq!((&data["customer"]["name"], &data["warnings"]), (&json!("Zoé Durand"), &json!([])));
    app.finish().await;
}

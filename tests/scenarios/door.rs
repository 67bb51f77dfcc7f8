//! The door of the whole service (contract §3), through real sockets.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{Client, Method, Response};
use sha2::{Digest as _, Sha256};
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tillhook::order::{Phase, hex};

use crate::harness::{App, TOKEN};

const CONSOLE: &str = "[sink.erp]\nHTTP\non = [\"order.*\", \"invoice.stored\"]\n";

fn client() -> Client {
    Client::builder().no_proxy().tls_certs_only([]).build().expect("a client")
}

async fn ask(app: &App, method: Method, path: &str, body: &str) -> Response {
    let url = format!("http://{}{path}", app.service().addr);
    client().request(method, url).body(body.to_owned()).send().await.expect("an answer")
}

async fn get(app: &App, path: &str) -> Response {
    ask(app, Method::GET, path, "").await
}

/// How many calls ended how.
async fn receipts(app: &App) -> BTreeMap<String, u64> {
    let outcomes = app.store().count_receipts().await.expect("the database answers");
    outcomes.into_iter().map(|line| (line.outcome, line.count)).collect()
}

#[tokio::test]
async fn what_cannot_be_read_is_quarantined_and_answered_200() {
    let app = App::start(&format!("{CONSOLE}[sink.owner]\nMAIL\n")).await;
    let path = format!("/in/{TOKEN}");
    let bodies = ["", "\0\u{1}\u{2}", "price=12", "{", "type=validated", "type=&orderID=1", "[1,2,3]", "%ff%fe"];
    for body in bodies {
        let answer = ask(&app, Method::POST, &path, body).await;
        assert_eq!(answer.status(), 200, "{body:?}");
        let json: serde_json::Value = answer.json().await.expect("JSON");
        assert_eq!(json["status"], "quarantined", "{body:?}");
        assert!(json["id"].as_str().is_some_and(|id| id.starts_with("rcp_") || id.starts_with("rct_")), "{json}");
    }
    app.settle().await;
    assert_eq!(receipts(&app).await, BTreeMap::from([("quarantined".to_owned(), bodies.len() as u64)]));
    assert_eq!(app.events().await, vec!["till.unreadable"; bodies.len()]);
    assert_eq!(app.far.mail.count(), bodies.len() as u64, "a person is told");
    assert_eq!(app.far.http.count(), 0, "it is no event of an order");
    app.finish().await;
}

#[tokio::test]
async fn a_type_that_we_do_not_know_is_stored() {
    let app = App::start("[sink.erp]\nHTTP\non = [\"till.unknown\"]\n").await;
    assert_eq!(app.post_form(&[("type", "stockAlert"), ("secret", "of the shop")]).await.1["status"], "stored");
    assert_eq!(app.post_form(&[("type", "stockAlert"), ("secret", "of the shop")]).await.1["status"], "duplicate");
    app.settle().await;
    let call = app.far.http.calls().remove(0);
    assert_eq!((&call.body["type"], &call.body["data"]["type"]), (&"till.unknown".into(), &"stockAlert".into()));
    assert!(!call.body.to_string().contains("of the shop"), "never the body");
    app.finish().await;
}

#[tokio::test]
async fn a_get_without_parameters_stores_nothing() {
    let app = App::start(CONSOLE).await;
    for path in [format!("/in/{TOKEN}"), format!("/in/{TOKEN}?")] {
        assert_eq!(get(&app, &path).await.status(), 200);
    }
    assert!(receipts(&app).await.is_empty());
    app.finish().await;
}

#[tokio::test]
async fn a_wrong_token_is_answered_404_with_an_empty_body_whatever_comes_with_it() {
    let app = App::start(CONSOLE).await;
    let short = &TOKEN[..TOKEN.len() - 1];
    for path in
        ["/in", "/in/", "/in/wrong", &format!("/in/{short}"), &format!("/in/{TOKEN}x"), &format!("/in/{TOKEN}/x")]
    {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            let answer = ask(&app, method.clone(), path, "type=validated&orderID=1").await;
            assert_eq!(answer.status(), 404, "{method} {path}");
            assert_eq!(answer.bytes().await.expect("a body").len(), 0, "{method} {path}");
        }
    }
    assert!(receipts(&app).await.is_empty());
    app.finish().await;
}

#[tokio::test]
async fn the_previous_token_is_still_accepted() {
    let app = App::start_with("previous_token = \"the-token-before-0123456789abcdef\"", CONSOLE).await;
    let body = "type=validated&orderID=1&orderInternalID=2&price=3";
    for (path, status) in
        [("/in/the-token-before-0123456789abcdef".to_owned(), "stored"), (format!("/in/{TOKEN}"), "duplicate")]
    {
        let answer: serde_json::Value = ask(&app, Method::POST, &path, body).await.json().await.expect("JSON");
        assert_eq!(answer["status"], status);
    }
    app.finish().await;
}

#[tokio::test]
async fn a_body_at_the_limit_is_stored_and_one_over_it_is_answered_413() {
    let app = App::start(CONSOLE).await;
    let limit = 2 * 1024 * 1024;
    let path = format!("/in/{TOKEN}");
    let body = |length: usize| {
        let head = "type=validated&orderInternalID=1&orderID=1&note=";
        format!("{head}{}", "x".repeat(length - head.len()))
    };
    assert_eq!(ask(&app, Method::POST, &path, &body(limit)).await.status(), 200);
    assert_eq!(ask(&app, Method::POST, &path, &body(limit + 1)).await.status(), 413);
    assert_eq!(
        ask(&app, Method::POST, &path, &body(limit + 7 * 1024 * 1024)).await.status(),
        413,
        "the answer arrives"
    );
    assert_eq!(receipts(&app).await, BTreeMap::from([("stored".to_owned(), 1)]));
    app.finish().await;
}

#[tokio::test]
async fn a_stored_invoice_is_served_from_the_copy_behind_its_capability() {
    let app = App::start(CONSOLE).await;
    let order = app.till.sell();
    app.announce(&order, Phase::Validated).await;
    app.settle().await;
    let stored = app.far.http.calls().into_iter().find(|call| call.body["type"] == "invoice.stored").expect("an event");
    let invoice = &stored.body["data"]["invoice"];
    let url = invoice["url"].as_str().expect("a link");
    let path = url.strip_prefix("https://hooks.dupont.example").expect("the public address");
    let capability = path.strip_prefix("/invoices/").expect("where invoices are");
    assert!(capability.len() == 32 && capability.bytes().all(|byte| byte.is_ascii_hexdigit()), "128 random bits");

    let answer = get(&app, path).await;
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
    assert_eq!(
        (header("content-type"), header("cache-control")),
        ("application/pdf".to_owned(), "no-store".to_owned())
    );
    assert_eq!(header("etag"), format!("\"{}\"", invoice["sha256"].as_str().expect("a digest")));
    assert_eq!(header("content-security-policy"), "sandbox", "what a till put into the PDF does nothing here");
    assert_eq!(header("content-length"), invoice["bytes"].to_string());
    let bytes = answer.bytes().await.expect("a PDF");
    let digest = hex(Sha256::digest(&bytes));
    assert_eq!(invoice["sha256"], digest);
    assert_eq!(app.till.downloads()[&order.internal_id], 1, "the till is not asked again");

    for wrong in ["0".repeat(32), capability.to_uppercase() + "0", "..%2f..%2ftillhook.db".to_owned(), digest] {
        assert_eq!(get(&app, &format!("/invoices/{wrong}")).await.status(), 404, "{wrong}");
    }

    let stored = app.column("SELECT path FROM invoice").await;
    let file = app.data().join(&stored[0]);
    let elsewhere = app.data().join("elsewhere.pdf");
    std::fs::rename(&file, &elsewhere).expect("somebody moves it");
    std::os::unix::fs::symlink(&elsewhere, &file).expect("and leaves a link");
    assert_eq!(get(&app, path).await.status(), 404, "a link is not what was stored");
    std::fs::remove_file(&file).expect("the link");
    std::fs::write(&file, [&bytes[..], b" "].concat()).expect("somebody changes it");
    assert_eq!(get(&app, path).await.status(), 404, "nor is this");
    std::fs::rename(&elsewhere, &file).expect("it is put back");
    assert_eq!(get(&app, path).await.status(), 200);
    app.finish().await;
}

#[tokio::test]
async fn when_storing_fails_the_till_is_answered_503_and_readyz_says_so_until_it_works_again() {
    let app = App::start(CONSOLE).await;
    assert_eq!(get(&app, "/readyz").await.status(), 200);

    // An answer of /readyz holds for a second.
    app.clock.advance(Duration::from_secs(2));
    // Another program keeps the database for itself, longer than we are ready to wait for it.
    let file = app.data().join("tillhook.db");
    let mut other = SqliteConnectOptions::new().filename(file).connect().await.expect("a connection");
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.expect("the lock");
    let path = format!("/in/{TOKEN}");
    let body = "type=validated&orderID=1&orderInternalID=2&price=3";
    let (call, ready) = tokio::join!(ask(&app, Method::POST, &path, body), get(&app, "/readyz"));
    assert_eq!(call.status(), 503);
    let wait: u64 = call.headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!(Duration::from_secs(wait) <= Duration::from_mins(1));
    assert_eq!(ready.status(), 503);
    assert_eq!(get(&app, "/livez").await.status(), 200);
    sqlx::query("ROLLBACK").execute(&mut other).await.expect("the lock is given back");
    other.close().await.expect("closed");

    assert!(app.orders().await.is_empty(), "what was answered 503 is not there");
    app.clock.advance(Duration::from_secs(2));
    assert_eq!(get(&app, "/readyz").await.status(), 200);
    let again: serde_json::Value = ask(&app, Method::POST, &path, body).await.json().await.expect("JSON");
    assert_eq!(again["status"], "stored");
    app.settle().await;
    assert_eq!(app.far.http.count(), 1);
    app.finish().await;
}

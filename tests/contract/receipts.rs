//! §5, Receipts: what every call leaves behind.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use sqlx::Row as _;
use tillhook::{
    order::Phase,
    till::{Announcement, Voice, encode},
};

use crate::harness::{App, form, start_time};

/// Shop, time of arrival in microseconds, and outcome of every call, as they stand on disk.
async fn receipts(app: &App) -> Vec<(String, i64, String)> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(app.data().join("tillhook.db")).read_only(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.expect("the database file");
    let rows = sqlx::query("SELECT shop, received_at, outcome FROM receipt ORDER BY seq").fetch_all(&pool).await;
    let rows = rows.expect("the receipts").iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    pool.close().await;
    rows
}

#[tokio::test]
async fn every_call_leaves_a_receipt_with_its_time_shop_and_outcome() {
    let app = App::start("").await;
    let call = [("type", "validated"), ("orderInternalID", "1")];
    app.say(&call).await;
    app.advance(Duration::from_secs(1)).await;
    app.say(&call).await;
    app.advance(Duration::from_secs(1)).await;
    app.say(&[("no", "type")]).await;
    let start = start_time().as_microsecond();
    let receipt = |seconds: i64, outcome: &str| ("dupont".to_owned(), start + seconds * 1_000_000, outcome.to_owned());
    assert_eq!(receipts(&app).await, [receipt(0, "stored"), receipt(1, "duplicate"), receipt(2, "quarantined")]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_equal_calls_at_once_one_is_stored_and_the_others_are_answered_after_its_commit() {
    let app = Arc::new(App::start("").await);
    let call = Arc::new(encode(&app.till.sell(), Phase::Validated, Voice::default()));
    let mut answers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (app, call) = (app.clone(), call.clone());
        answers.spawn(async move {
            let (status, answer) = app.call(&call).await;
            // Whoever is answered finds the order on disk.
            assert_eq!((status, app.orders().await.len()), (200, 1));
            answer["status"].as_str().unwrap_or_default().to_owned()
        });
    }
    let mut answers = answers.join_all().await;
    answers.sort();
    assert_eq!(answers.iter().filter(|answer| *answer == "duplicate").count(), 49);
    assert_eq!(answers.last().map(String::as_str), Some("stored"));
    assert_eq!(app.data_of("order.validated").await.len(), 1);
    assert_eq!(receipts(&app).await.len(), 50);
    Arc::into_inner(app).expect("nobody else has it").finish().await;
}

#[tokio::test]
async fn quarantined_means_no_usable_type_or_no_identity_or_unreadable() {
    let app = App::start("").await;
    let raw = |content_type: &str, body: &'static [u8]| Announcement {
        method: http::Method::POST,
        query: None,
        content_type: Some(content_type.to_owned()),
        body: Bytes::from_static(body).to_vec(),
    };
    for call in [
        form(&[("orderID", "42"), ("price", "5")]),
        form(&[("type", ""), ("orderID", "42")]),
        form(&[("type", "validated"), ("price", "5")]),
        form(&[("type", "terminated"), ("orderID", ""), ("orderInternalID", "0")]),
        raw("application/json", br#"{"type":"validated","#),
        raw("application/pdf", b"%PDF-1.7 what is this doing here"),
        raw("application/octet-stream", &[0, 159, 146, 150]),
    ] {
        let (status, answer) = app.call(&call).await;
        let body = String::from_utf8_lossy(&call.body).into_owned();
        assert_eq!((status, answer["status"].as_str()), (200, Some("quarantined")), "{body}");
    }
    assert_eq!(app.orders().await.len(), 0);
    assert_eq!(app.store().list_quarantine(50).await.expect("the list").len(), 7);
    app.finish().await;
}

#[tokio::test]
async fn a_type_that_nobody_knows_is_an_event_of_its_own_and_answered_stored() {
    let app = App::start("[sink.erp]\nHTTP\non = [\"till.unknown\"]\n").await;
    assert_eq!(app.say(&[("type", "tableMoved"), ("table", "7")]).await, "stored");
    app.settle().await;
    let calls = app.far.http.calls();
    assert_eq!(calls[0].body["type"], "till.unknown");
    assert_eq!(calls[0].body["data"]["type"], "tableMoved");
    assert!(calls[0].body["data"]["receipt_id"].as_str().is_some_and(|id| id.starts_with("rcp_")));
    assert!(!calls[0].body.to_string().contains("table\""), "never the body");
    app.finish().await;
}

#[tokio::test]
async fn a_quarantined_body_is_kept_byte_for_byte_until_it_is_dismissed() {
    let app = App::start("").await;
    let (_, answer) = app.post_form(&[("price", "5"), ("caf\u{e9}", "\u{0}")]).await;
    // Longer than `keep_raw`, which is 90 days.
    app.advance(Duration::from_hours(24 * 120)).await;
    let id = answer["id"].as_str().expect("an id").parse().expect("a receipt's id");
    let kept = app.store().quarantined(id).await.expect("the database answers").expect("the body");
    assert_eq!(&kept.raw.body[..], b"price=5&caf%C3%A9=%00");
    assert!(kept.reason.contains("`type`"), "{}", kept.reason);
    assert!(app.store().dismiss(id, app.now()).await.expect("the database answers"));
    assert_eq!(app.store().list_quarantine(50).await.expect("the list").len(), 0);
    app.finish().await;
}

#[tokio::test]
async fn a_quarantined_body_that_is_read_again_and_understood_counts_from_when_it_came() {
    use tillhook::{
        decode::{self, Input},
        record::{Call, Origin, Raw, Requeued},
    };
    let app = App::start("[sink.erp]\nHTTP\n").await;
    let (_, answer) = app.post_form(&[("orderInternalID", "1"), ("price", "5")]).await;
    app.advance(Duration::from_hours(24)).await;
    let id = answer["id"].as_str().expect("an id").parse().expect("a receipt's id");
    let kept = app.store().quarantined(id).await.expect("the database answers").expect("the body");
    let shop = app.service().recorder.shop(&kept.shop).expect("the shop").shop;
    // A later version understands it: here, because it takes the missing type for granted.
    let body = Bytes::from([&kept.raw.body[..], b"&type=validated"].concat());
    let decoded = decode::decode(&Input { body: &body, ..Input::default() }, &shop).map_err(|e| e.reason);
    let raw = Raw { body, ..kept.raw };
    let origin = Origin::Quarantine(Requeued { receipt: kept.id, received_at: kept.received_at });
    let accepted = app.service().recorder.accept(Call { shop: kept.shop, raw, origin }, || decoded).await;
    assert_eq!(accepted.expect("it is on disk").outcome.as_str(), "stored");
    app.settle().await;
    assert_eq!(app.store().list_quarantine(50).await.expect("the list").len(), 0);
    assert_eq!(app.far.http.calls()[0].body["data"]["dates"]["received"], "2026-11-21T14:00:00+01:00");
    app.finish().await;
}

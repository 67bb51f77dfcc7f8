//! What one bad body, message or moment may do to everybody else: nothing.

use std::time::Duration;

use tillhook::order::Phase;

use crate::{
    far::http::{Answer, HttpFar},
    harness::App,
};

/// The largest amount that a decimal holds.
const HUGE: &str = "79228162514264337593543950335";

#[tokio::test]
async fn amounts_at_the_edge_of_what_a_decimal_holds_are_stored_and_the_next_call_too() {
    let app = App::start("[sink.erp]\nHTTP\n").await;
    let minus = format!("-{HUGE}");
    let items = format!("[{{\"prix\":\"{HUGE}\",\"qte\":\"1\"}},{{\"prix\":\"{minus}\",\"qte\":\"9\"}}]");
    let vat = format!("[{{\"taux\":\"20\",\"tva\":\"{HUGE}\"}},{{\"taux\":\"10\",\"tva\":\"{HUGE}\"}}]");
    for (number, price) in [("1", minus.as_str()), ("2", HUGE)] {
        let call = [("type", "terminated"), ("orderInternalID", number), ("price", price), ("VAT", price)];
        let call: Vec<_> = call.into_iter().chain([("items", items.as_str()), ("VATs", vat.as_str())]).collect();
        assert_eq!(app.say(&call).await, "stored");
    }
    assert_eq!(app.announce(&app.till.sell(), Phase::Validated).await, "stored");
    app.settle().await;
    app.finish().await;
}

#[tokio::test]
async fn one_message_that_is_refused_again_and_again_between_others_is_one_outage() {
    let far = HttpFar::start().await;
    let app =
        App::start(&format!("[sink.accountant]\nMAIL\n[sink.erp]\ntype = \"http\"\nurl = \"{}\"\n", far.url())).await;
    far.then([Answer::status(422)]);
    app.announce(&app.till.sell(), Phase::Validated).await;
    app.settle().await;
    app.event("sink.failing", 1).await;
    for _ in 0..3 {
        // The first order is refused once more, the next one is taken.
        far.then([Answer::status(422)]);
        app.advance(Duration::from_hours(3)).await;
        app.announce(&app.till.sell(), Phase::Validated).await;
        app.settle().await;
    }
    assert_eq!(app.data_of("sink.failing").await.len(), 1);
    assert_eq!(app.data_of("sink.recovered").await.len(), 0, "it is not over");
    app.advance(Duration::from_hours(24)).await;
    app.event("sink.recovered", 1).await;
    app.finish().await;
}

#[tokio::test]
async fn a_refund_whose_goods_are_listed_with_positive_prices_adds_up() {
    let app = App::start("").await;
    let call = [
        ("type", "validated"),
        ("orderInternalID", "1"),
        ("isRefund", "1"),
        ("price", "-12.90"),
        ("VAT", "-1.17"),
        ("items", "[{\"prix\":\"12.90\",\"qte\":\"1\"}]"),
    ];
    // Goods may be listed as they were sold; a rate of the other sign adds up too, and is doubted for that alone.
    for (vats, warnings) in [
        ("[{\"taux\":\"10\",\"tva\":\"-1.17\"}]", serde_json::json!([])),
        ("[{\"taux\":\"10\",\"tva\":\"1.17\"}]", serde_json::json!(["refund_sign_mismatch"])),
    ] {
        assert_eq!(app.say(&[&call[..], &[("VATs", vats)]].concat()).await, "stored");
        assert_eq!(app.orders().await[0].warnings, warnings, "{vats}");
    }
    app.finish().await;
}

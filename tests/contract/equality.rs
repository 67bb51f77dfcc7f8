//! §5, Equality: which calls say the same.

use std::time::Duration;

use serde_json::json;
use tillhook::{
    order::{Locale, Phase},
    till::{Charset, Encoding, Voice},
};

use crate::harness::App;

#[tokio::test]
async fn the_links_are_not_part_of_what_a_call_says() {
    let app = App::start("").await;
    let call = |pdf, signature| {
        [
            ("type", "validated"),
            ("orderInternalID", "1"),
            ("price", "5"),
            ("PDFinvoice", pdf),
            ("signatureVerificationURL", signature),
        ]
    };
    assert_eq!(app.say(&call("https://kash.click/a.pdf", "https://kash.click/v/1")).await, "stored");
    assert_eq!(app.say(&call("https://kash.click/a.pdf?t=2", "https://kash.click/v/2")).await, "duplicate");
    assert_eq!(app.say(&call("", "")).await, "duplicate");
    app.finish().await;
}

#[tokio::test]
async fn an_order_is_the_same_in_every_encoding_charset_and_language() {
    let app = App::start("").await;
    for order in [app.till.sell(), app.till.sell_on_account()] {
        let mut answers = Vec::new();
        for &encoding in Encoding::ALL {
            for &charset in Charset::ALL {
                for language in [Locale::Fr, Locale::En] {
                    let voice = Voice { encoding, charset, language };
                    answers.push((app.announce_as(&order, Phase::Validated, voice).await, voice));
                }
            }
        }
        let (first, rest) = answers.split_first().expect("answers");
        assert_eq!(first.0, "stored");
        let different: Vec<_> = rest.iter().filter(|(answer, _)| answer != "duplicate").collect();
        assert!(different.is_empty(), "{different:?}");
    }
    app.finish().await;
}

#[tokio::test]
async fn when_a_call_comes_does_not_matter() {
    let app = App::start("").await;
    let call = [("type", "validated"), ("orderInternalID", "1"), ("price", "5")];
    assert_eq!(app.say(&call).await, "stored");
    app.advance(Duration::from_hours(24 * 400)).await;
    assert_eq!(app.say(&call).await, "duplicate");
    app.finish().await;
}

#[tokio::test]
async fn key_order_is_ignored_at_every_depth() {
    let app = App::start("").await;
    let body = |text: &str| serde_json::from_str(text).expect("JSON");
    let one = r#"{"type":"validated","orderInternalID":"1","items":[{"titre":"A","prix":"1","lot":"7"}],"odd":{"a":"1","b":"2"}}"#;
    let two = r#"{"odd":{"b":"2","a":"1"},"items":[{"lot":"7","prix":"1","titre":"A"}],"orderInternalID":"1","type":"validated"}"#;
    assert_eq!(app.say_json(body(one)).await, "stored");
    assert_eq!(app.say_json(body(two)).await, "duplicate");
    app.finish().await;
}

#[tokio::test]
async fn decimals_compare_by_value() {
    let app = App::start("").await;
    let call = |price, quantity, rate| {
        json!({
            "type": "validated", "orderInternalID": "1", "price": price, "VAT": price,
            "items": [{ "titre": "A", "quantite": quantity, "prix": price, "tauxTVA": rate }],
            "VATs": [{ "taux": rate, "TVA": price }],
        })
    };
    assert_eq!(app.say_json(call(json!("20.4"), json!("1"), json!("5.5"))).await, "stored");
    for (price, quantity, rate) in [
        (json!("20,40 €"), json!("1,000"), json!("5,50 %")),
        (json!(20.40), json!(1), json!(5.50)),
        (json!("20.400"), json!("1.0"), json!("5.5%")),
        (json!("2.04e1".parse::<serde_json::Number>().expect("a number")), json!(1.0), json!("5.500")),
    ] {
        let call = call(price, quantity, rate);
        assert_eq!(app.say_json(call.clone()).await, "duplicate", "{call}");
    }
    assert_eq!(app.say_json(call(json!("20.41"), json!("1"), json!("5.5"))).await, "stored");
    app.finish().await;
}

#[tokio::test]
async fn scalars_in_extra_compare_as_text() {
    let app = App::start("").await;
    let json = json!({
        "type": "validated", "orderInternalID": 1, "covers": 4, "loyal": true,
        "weight": "1.10".parse::<serde_json::Number>().expect("a number"),
        "nested": { "n": 7, "list": [1, "2", false] },
    });
    assert_eq!(app.say_json(json).await, "stored");
    let text = json!({
        "type": "validated", "orderInternalID": "1", "covers": "4", "loyal": "true", "weight": "1.10",
        "nested": { "n": "7", "list": ["1", 2, "false"] },
    });
    assert_eq!(app.say_json(text).await, "duplicate");
    let form = [
        ("type", "validated"),
        ("orderInternalID", "1"),
        ("covers", "4"),
        ("loyal", "true"),
        ("weight", "1.10"),
        ("nested[n]", "7"),
        ("nested[list][]", "1"),
        ("nested[list][]", "2"),
        ("nested[list][]", "false"),
    ];
    assert_eq!(app.say(&form).await, "duplicate");
    let inside = [
        ("type", "validated"),
        ("orderInternalID", "1"),
        ("covers", "4"),
        ("loyal", "true"),
        ("weight", "1.10"),
        ("nested", r#"{"n":7,"list":[1,2,false]}"#),
    ];
    assert_eq!(app.say(&inside).await, "duplicate");
    assert_eq!(app.say(&[("type", "validated"), ("orderInternalID", "1"), ("covers", "5")]).await, "stored");
    app.finish().await;
}

#[tokio::test]
async fn a_call_equal_to_any_already_seen_of_its_phase_is_a_duplicate() {
    let app = App::start("").await;
    let call = |price| [("type", "validated"), ("orderInternalID", "1"), ("price", price)];
    assert_eq!(app.say(&call("5")).await, "stored");
    assert_eq!(app.say(&call("6")).await, "stored");
    assert_eq!(app.say(&call("7")).await, "stored");
    for earlier in ["5", "6", "7", "5"] {
        assert_eq!(app.say(&call(earlier)).await, "duplicate");
    }
    assert_eq!(app.orders().await[0].total.as_deref(), Some("7.00"), "a repeat changes nothing");
    app.finish().await;
}

#[tokio::test]
async fn a_call_that_differs_from_all_before_it_is_recorded_as_an_update_and_answered_stored() {
    let app = App::start("[sink.erp]\nHTTP\n").await;
    let order = app.till.sell();
    app.announce(&order, Phase::Validated).await;
    app.announce(&order, Phase::Terminated).await;
    let mut corrected = order.clone();
    corrected.cash_box_id = "9".to_owned();
    for phase in [Phase::Validated, Phase::Terminated] {
        assert_eq!(app.announce(&corrected, phase).await, "stored");
    }
    let events: Vec<_> = app.events().await.into_iter().filter(|kind| kind.starts_with("order.")).collect();
    assert_eq!(events, ["order.validated", "order.terminated", "order.updated", "order.updated"]);
    let updates = app.data_of("order.updated").await;
    assert_eq!(updates.len(), 2);
    assert_eq!(updates[1]["cash_box_id"], "9");
    app.finish().await;
}

#[tokio::test]
async fn differences_between_the_phases_are_no_update() {
    let app = App::start("").await;
    app.say(&[("type", "validated"), ("orderInternalID", "1"), ("price", "5")]).await;
    let later = [("type", "terminated"), ("orderInternalID", "1"), ("price", "6"), ("cashBoxID", "2")];
    assert_eq!(app.say(&later).await, "stored");
    assert_eq!(app.events().await, ["order.validated", "order.terminated"]);
    app.finish().await;
}

//! §5, Reading: what the till's texts mean.

use serde_json::{Value, json};

use crate::harness::App;

/// What an announcement that says this is recorded as.
async fn read(app: &App, mut fields: Value) -> Value {
    let id = app.orders().await.len().to_string();
    fields["type"] = "validated".into();
    fields["orderInternalID"] = format!("i{id}").into();
    assert_eq!(app.say_json(fields).await, "stored");
    app.data_of("order.validated").await.pop().expect("the event")
}

#[tokio::test]
async fn with_both_separators_the_last_is_the_decimal_one_and_one_alone_is_too() {
    let app = App::start("").await;
    for (text, total) in [
        ("1.234,56", "1234.56"),
        ("1,234.56", "1234.56"),
        ("1 234,56 €", "1234.56"),
        ("1.234", "1.234"),
        ("1,234", "1.234"),
        ("43,8", "43.80"),
        ("43.80", "43.80"),
        ("-12,90", "-12.90"),
    ] {
        assert_eq!(read(&app, json!({ "price": text })).await["total"], total, "{text}");
    }
    app.finish().await;
}

#[tokio::test]
async fn the_price_of_an_item_is_for_one_unless_only_the_other_reading_adds_up_to_the_order() {
    let app = App::start("").await;
    let items =
        json!([{ "titre": "A", "quantite": "2", "prix": "10" }, { "titre": "B", "quantite": "4", "prix": "6" }]);
    for (total, units, lines) in [
        ("44", ["10.00", "6.00"], ["20.00", "24.00"]),
        ("16", ["5.00", "1.50"], ["10.00", "6.00"]),
        ("99", ["10.00", "6.00"], ["20.00", "24.00"]),
    ] {
        let data = read(&app, json!({ "price": total, "items": items })).await;
        for n in 0..2 {
            assert_eq!(
                (&data["items"][n]["unit_price"], &data["items"][n]["total"]),
                (&units[n].into(), &lines[n].into())
            );
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn a_date_without_offset_is_the_shops_time_and_in_a_repeated_hour_the_earlier() {
    let app = App::start("").await;
    for (text, date) in [
        ("2026-11-21 14:03:10", "2026-11-21T14:03:10+01:00"),
        ("2026-07-01 14:03:10", "2026-07-01T14:03:10+02:00"),
        ("2026-10-25 02:30:00", "2026-10-25T02:30:00+02:00"),
        ("2026-11-21T14:03:10-05:00", "2026-11-21T20:03:10+01:00"),
        ("1795266190", "2026-11-21T14:03:10+01:00"),
    ] {
        assert_eq!(read(&app, json!({ "validationDate": text })).await["dates"]["validated"], date, "{text}");
    }
    app.finish().await;
}

#[tokio::test]
async fn what_was_not_sent_or_not_understood_is_null_or_stays_in_extra_and_nothing_is_invented() {
    let app = App::start("").await;
    let data = read(&app, json!({})).await;
    for field in [
        "order_id",
        "is_refund",
        "total",
        "total_vat",
        "total_net",
        "vat",
        "items",
        "customer",
        "cash_box_id",
        "delivery_method",
    ] {
        assert_eq!(data[field], Value::Null, "{field}");
    }
    assert_eq!(data["dates"]["created"], Value::Null);
    assert_eq!(data["dates"]["value"], Value::Null);
    assert_eq!((&data["extra"], &data["warnings"]), (&json!({}), &json!([])));

    let odd = json!({
        "price": "about twelve", "VAT": "some", "items": "two pizzas", "VATs": "x", "isRefund": "perhaps",
        "creationDate": "yesterday", "loyaltyPoints": 12,
    });
    let data = read(&app, odd.clone()).await;
    for field in ["total", "total_vat", "total_net", "vat", "items", "is_refund"] {
        assert_eq!(data[field], Value::Null, "{field}");
    }
    assert_eq!(data["dates"]["created"], Value::Null);
    let kept: Vec<_> = odd.as_object().expect("an object").keys().collect();
    for key in kept.into_iter().filter(|key| !matches!(key.as_str(), "type" | "orderInternalID")) {
        assert_eq!(data["extra"][key], odd[key], "{key} stays");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_rate_that_does_not_fit_its_base_and_vat_is_a_vat_rate_mismatch() {
    let app = App::start("").await;
    // A key of 5.5 becomes 5 in the till's arrays.
    let line = json!({ "ht": "100.00", "tva": "5.50", "ttc": "105.50" });
    for (rate, warnings) in [("5", json!(["vat_rate_mismatch"])), ("5.5", json!([]))] {
        let data = read(&app, json!({ "price": "105.50", "VAT": "5.50", "VATs": { rate: line } })).await;
        assert_eq!((&data["vat"][0]["rate"], &data["warnings"]), (&json!(rate), &warnings));
    }
    app.finish().await;
}

#[tokio::test]
async fn what_contradicts_itself_about_its_sign_is_a_refund_sign_mismatch_and_is_kept_as_it_was_sent() {
    let app = App::start("").await;
    for (flag, total, vat, rates, is_odd) in [
        ("1", "-10.00", "-0.91", json!({ "10": "-0.91" }), false),
        ("1", "10.00", "0.91", json!({ "10": "0.91" }), true),
        ("1", "-10.00", "0.91", json!({ "10": "0.91" }), true),
        ("1", "-10.00", "-0.91", json!({ "10": "0.91" }), true),
        ("0", "-10.00", "-0.91", json!({ "10": "-0.91" }), true),
        ("0", "10.00", "0.91", json!({ "10": "0.91" }), false),
        ("0", "10.00", "-0.91", json!({ "10": "0.91" }), true),
        ("", "-10.00", "0.91", json!({ "10": "0.91" }), true),
    ] {
        let sent = json!({ "isRefund": flag, "price": total, "VAT": vat, "VATs": rates });
        let data = read(&app, sent.clone()).await;
        let warnings = if is_odd { json!(["refund_sign_mismatch"]) } else { json!([]) };
        assert_eq!((&data["total"], &data["total_vat"], &data["warnings"]), (&json!(total), &json!(vat), &warnings));
        let net = match (total.starts_with('-'), vat.starts_with('-')) {
            (true, true) => json!("-9.09"),
            (false, false) => json!("9.09"),
            _ => Value::Null,
        };
        assert_eq!(data["total_net"], net, "{sent}");
    }
    app.finish().await;
}

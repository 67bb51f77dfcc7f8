//! §5, Reading: what the till's texts mean.

use serde_json::{Value, json};

use crate::harness::{App, raw};

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
    assert_eq!(
        data["warnings"],
        json!([
            "unreadable:price",
            "unreadable:VAT",
            "unreadable:VATs",
            "unreadable:items",
            "unreadable:isRefund",
            "unreadable:creationDate"
        ])
    );
    app.finish().await;
}

#[tokio::test]
async fn what_is_not_understood_is_named_and_never_replaces_what_was() {
    let app = App::start("").await;
    let known = json!({
        "type": "validated", "orderInternalID": "1", "price": "12.50", "VAT": "1.14", "validationDate": "2026-11-21 14:00:00",
        "items": [{"titre": "Menu", "qte": "1", "prix": "12.50"}], "client": {"nom": "Durand", "prenom": "Zoé"},
        "VATs": {"10": {"ht": "11.36", "tva": "1.14", "ttc": "12.50"}},
    });
    let odd = json!({
        "type": "terminated", "orderInternalID": "1", "price": "12,50,", "VAT": "??", "validationDate": "soon", "items": "a menu",
        "VATs": {"10": {"ht": "eleven", "tva": "1.14"}},
    });
    assert_eq!((app.say_json(known).await, app.say_json(odd).await), ("stored".to_owned(), "stored".to_owned()));
    let before = app.data_of("order.validated").await.pop().expect("the event");
    let after = app.data_of("order.terminated").await.pop().expect("the event");
    for field in ["total", "total_vat", "items", "customer"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_eq!(after["dates"]["validated"], before["dates"]["validated"]);
    let named = ["VATs", "price", "VAT", "items", "validationDate"].map(|field| format!("unreadable:{field}"));
    assert_eq!(after["warnings"], json!(named));
    assert_eq!(after["extra"]["price"], "12,50,");
    app.finish().await;
}

#[tokio::test]
async fn a_mail_says_what_could_not_be_read() {
    let app = App::start("[sink.accountant]\ntype = \"email\"\nto = [\"compta@cabinet-martin.example\"]\n").await;
    app.say(&[("type", "validated"), ("orderInternalID", "1"), ("orderID", "42"), ("price", "douze"), ("VAT", "1.14")])
        .await;
    app.settle().await;
    let mail = app.far.mail.mails().pop().expect("a mail");
    let text = tillhook::app::demo::mime::text(&mail.source).expect("a text").0;
    assert!(text.contains("le total envoyé par la caisse n"), "{text}");
    app.finish().await;
}

#[tokio::test]
async fn a_quantity_may_have_a_unit_and_one_that_is_not_understood_leaves_the_line_open() {
    let app = App::start("").await;
    let items = json!([
        {"titre": "Comté", "qte": "0,250 kg", "prix": "24.00"},
        {"titre": "Tarte", "qte": "une demie", "prix": "24.00"},
        {"titre": "Pain", "prix": "1.20"},
    ]);
    let data = read(&app, json!({ "items": items })).await;
    let lines = |field: &str| [0, 1, 2].map(|n| data["items"][n][field].clone());
    assert_eq!(lines("quantity"), [json!("0.25"), json!(null), json!(null)]);
    assert_eq!(lines("total"), [json!("6.00"), json!(null), json!("1.20")]);
    assert_eq!(lines("extra"), [json!({"unit": "kg"}), json!({"qte": "une demie"}), json!({})]);
    assert_eq!(data["warnings"], json!(["unreadable:items"]));
    app.finish().await;
}

#[tokio::test]
async fn secrets_of_the_till_never_enter_extra_and_a_link_that_was_not_encoded_stays_whole() {
    let app = App::start("").await;
    let body = "type=validated&orderInternalID=1&PDFinvoice=https://kash.click/f.pdf?id=1&key=s3cret&VAT=1.14&token=s3cret\
                &client[nom]=Durand&client[password]=s3cret&items[0][titre]=Menu&items[0][signature]=s3cret&note=x";
    let (status, answer) = app.call(&raw(body)).await;
    assert_eq!((status, &answer["status"]), (200, &json!("stored")));
    let data = app.data_of("order.validated").await.pop().expect("the event");
    assert!(!data.to_string().contains("s3cret"), "{data:#}");
    assert_eq!((&data["total_vat"], &data["extra"]), (&json!("1.14"), &json!({"note": "x"})));
    let links = app.column("SELECT url FROM invoice").await;
    assert_eq!(links, ["https://kash.click/f.pdf?id=1&key=s3cret"], "the till wants its key");
    app.finish_leaving(0).await;
}

#[tokio::test]
async fn a_type_is_one_plain_word_and_anything_else_reaches_nobody() {
    let app = App::start("[sink.erp]\nHTTP\non = [\"*\"]\n").await;
    let body = r#"{"type":"<https://evil.example|click here>","orderInternalID":"1"}"#;
    let long = "x".repeat(65);
    for kind in ["two words", "<b>", "a;b", "é", "@everyone", long.as_str(), body] {
        assert_eq!(app.say(&[("type", kind), ("orderInternalID", "1")]).await, "quarantined", "{kind}");
    }
    for kind in ["stock.low", "x_1-2", &long[..64]] {
        assert_eq!(app.say(&[("type", kind)]).await, "stored", "{kind}");
    }
    app.settle().await;
    let told: String = app.far.http.calls().iter().map(|call| call.body.to_string()).collect();
    assert!(told.contains("stock.low") && !told.contains("evil.example") && !told.contains("everyone"), "{told}");
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

//! What a till may send, in every encoding that it may choose, and what tillhook reads in it.

use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::order::{Currency, Locale, OrderNotice};

fn shop() -> Shop {
    Shop {
        id: "dupont".parse().expect("an id"),
        name: "Boulangerie Dupont".into(),
        timezone: TimeZone::get("Europe/Paris").expect("a zone"),
        currency: Currency::EUR,
        locale: Locale::Fr,
    }
}

fn read_bytes(body: &[u8], content_type: Option<&str>) -> Result<Notification, Unreadable> {
    decode(&Input { content_type, body, ..Input::default() }, &shop())
}

fn order_of(notification: Result<Notification, Unreadable>) -> OrderNotice {
    match notification {
        Ok(Notification::Order(order)) => *order,
        other => panic!("not an order: {other:?}"),
    }
}

/// What is read in a validated order with these fields, as JSON.
pub(super) fn content(fields: Value) -> Value {
    let mut sent = json!({"type": "validated", "orderInternalID": "7"});
    sent.as_object_mut().expect("an object").extend(serde_json::from_value::<Map<_, _>>(fields).expect("an object"));
    let order = order_of(read_bytes(sent.to_string().as_bytes(), None));
    serde_json::to_value(order.content).expect("json")
}

fn reason(body: &str) -> String {
    read_bytes(body.as_bytes(), None).expect_err("unreadable").reason
}

/// An order with everything that the till documents, and a field that nobody knows at every level.
fn full_order() -> Value {
    json!({
        "type": "validated", "orderID": "20261121042", "orderInternalID": "8841207", "price": "43,80 €",
        "clientID": "512", "cashBoxID": "1", "deliveryMethod": "2", "VAT": "5.35", "isRefund": "false",
        "PDFinvoice": "https://kash.click/f.pdf?a=1&b=2", "validationDate": "2026-11-21 14:03:10",
        "customer": {"nom": "Durand", "prenom": "Zoé", "email": "zoe@example.com", "codepostal": "75005", "codeBarre": "C 1"},
        "items": [
            {"ID": "12", "titre": "Menu “midi”", "qte": "2", "prix": "12.90", "tauxTVA": "10", "options": ["à point", "sel & poivre"]},
            {"ID": "15", "titre": "Café + crème", "qte": "3", "prix": "6", "tauxTVA": "20"},
        ],
        "VATs": [{"taux": "10", "ht": "23.45", "tva": "2.35", "ttc": "25.80"}, {"taux": "20", "ht": "15", "tva": "3", "ttc": "18"}],
        "table": {"numéro": "4", "salle": "Été"},
    })
}

/// Percent-encodes everything that is not a letter or digit, so that one helper does for keys and values.
fn percent(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |out, byte| {
        if byte.is_ascii_alphanumeric() { out + &char::from(*byte).to_string() } else { out + &format!("%{byte:02X}") }
    })
}

fn flat_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn flatten(key: &str, value: &Value, out: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| flatten(&format!("{key}[{name}]"), value, out)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(n, value)| flatten(&format!("{key}[{n}]"), value, out))
        }
        scalar => out.push((key.to_owned(), flat_text(scalar))),
    }
}

/// The fields as pairs: nested values as brackets, as JSON text, or as JSON text in JSON text.
fn pairs(order: &Value, nesting: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for (key, value) in order.as_object().expect("an object") {
        match nesting {
            "brackets" => flatten(key, value, &mut out),
            "twice" if !value.is_string() => out.push((key.clone(), Value::from(value.to_string()).to_string())),
            _ => out.push((key.clone(), flat_text(value))),
        }
    }
    out
}

fn in_charset(text: &str, charset: &str) -> Vec<u8> {
    encoding_rs::Encoding::for_label(charset.as_bytes()).expect("a charset").encode(text).0.into_owned()
}

#[test]
fn an_order_is_the_same_in_every_encoding_and_charset() {
    let order = full_order();
    let expected = order_of(read_bytes(order.to_string().as_bytes(), Some("application/json")));
    assert_eq!(expected.content.customer.as_ref().and_then(|c| c.name.as_deref()), Some("Zoé Durand"));
    assert_eq!(
        expected.content.extra,
        *json!({"table": {"numéro": "4", "salle": "Été"}}).as_object().expect("an object")
    );
    let check = |what: String, result| {
        let found = order_of(result);
        assert_eq!(found.content.fingerprint(), expected.content.fingerprint(), "{what}: {:#?}", found.content);
        assert_eq!(found.invoice_url, expected.invoice_url, "{what}");
    };
    for charset in ["utf-8", "windows-1252"] {
        for nesting in ["brackets", "once", "twice"] {
            let pairs = pairs(&order, nesting);
            let encode = |text: &str| percent(&in_charset(text, charset));
            let form = pairs.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect::<Vec<_>>().join("&");
            let parts: String = pairs
                .iter()
                .map(|(k, v)| format!("--b\r\nContent-Disposition: form-data; name=\"{k}\"\r\n\r\n{v}\r\n"))
                .collect();
            let multipart = in_charset(&format!("{parts}--b--\r\n"), charset);
            for content_type in [None, Some("application/json"), Some("text/plain; charset=utf-8")] {
                check(format!("form {charset} {nesting}"), read_bytes(form.as_bytes(), content_type));
                check(format!("multipart {charset} {nesting}"), read_bytes(&multipart, content_type));
                let get = Input { content_type, query: Some(&form), body: b"\r\n", ..Input::default() };
                check(format!("query {charset} {nesting}"), decode(&get, &shop()));
            }
        }
        let json = order.to_string();
        for text in [json.clone(), Value::from(json.clone()).to_string(), format!("[{json}]"), format!("\r\n{json}\n")]
        {
            let form = Some("application/x-www-form-urlencoded");
            check(format!("json {charset}"), read_bytes(&in_charset(&text, charset), form));
        }
    }
    check("a byte order mark".into(), read_bytes(format!("\u{feff}{order}").as_bytes(), None));
}

#[test]
fn an_order_is_read_in_full() {
    let order = order_of(read_bytes(full_order().to_string().as_bytes(), None));
    assert_eq!(order.phase, Phase::Validated);
    assert_eq!(order.invoice_url.as_deref(), Some("https://kash.click/f.pdf?a=1&b=2"));
    assert!(!order.test);
    let expected = json!({
        "order_id": "20261121042", "internal_id": "8841207", "is_refund": false,
        "dates": {"created": null, "validated": "2026-11-21T14:03:10+01:00", "value": null},
        "total": "43.80", "total_vat": "5.35",
        "vat": [
            {"rate": "10", "net": "23.45", "vat": "2.35", "gross": "25.80"},
            {"rate": "20", "net": "15.00", "vat": "3.00", "gross": "18.00"},
        ],
        "items": [
            {"id": "12", "label": "Menu “midi”", "quantity": "2", "unit_price": "12.90", "total": "25.80", "vat_rate": "10",
             "extra": {"options": ["à point", "sel & poivre"]}},
            {"id": "15", "label": "Café + crème", "quantity": "3", "unit_price": "6.00", "total": "18.00", "vat_rate": "20",
             "extra": {}},
        ],
        "customer": {
            "id": "512", "name": "Zoé Durand", "is_company": false, "email": "zoe@example.com", "phone": null,
            "address": {"line1": null, "line2": null, "note": null, "postcode": "75005", "city": null, "country": null},
            "extra": {"codeBarre": "C 1"},
        },
        "cash_box_id": "1", "delivery_method": {"code": "2", "name": "on_site"},
        "extra": {"table": {"numéro": "4", "salle": "Été"}},
    });
    assert_eq!(serde_json::to_value(order.content).expect("json"), expected);
}

#[test]
fn what_cannot_be_read_stays_under_its_own_name() {
    let read = content(json!({
        "price": "99999999999999999999999999999.99", "VAT": "unknown", "isRefund": "perhaps", "creationDate": "yesterday",
        "valueDate": "0000-00-00", "cashBoxID": {"a": 1}, "client": "Zoé", "foo": {"bar": [1, null]}, "empty": ""
    }));
    assert_eq!((&read["total"], &read["total_vat"], &read["is_refund"]), (&json!(null), &json!(null), &json!(null)));
    assert_eq!(read["customer"]["extra"], json!({"client": "Zoé"}), "a customer's data do not leave with the order's");
    assert_eq!(
        read["extra"],
        json!({
            "price": "99999999999999999999999999999.99", "VAT": "unknown", "isRefund": "perhaps", "creationDate": "yesterday",
            "cashBoxID": {"a": 1}, "foo": {"bar": [1, null]}, "empty": ""
        })
    );
}

#[test]
fn numbers_that_json_does_not_know_do_not_spoil_the_rest() {
    let order = order_of(read_bytes(
        br#"{"type":"terminated","orderID":20261121042,"price":NaN,"VAT":1e999,"x":"\ud83d"}"#,
        None,
    ));
    assert_eq!(order.content.order_id.as_deref(), Some("20261121042"));
    assert_eq!(order.phase, Phase::Terminated);
    assert_eq!(order.content.total, None);
    assert_eq!(order.content.extra["price"], "NaN");
    assert_eq!(order.content.extra["VAT"].to_string(), "1e+999");
}

#[test]
fn a_cash_box_is_opened_and_closed() {
    let closed = b"type=cashBox_close&Total=1+234,50&opened=2026-11-21+08:00:00&closed=1795287600&cashBoxID=2&signatureVerificationURL=u&who=Zo%E9";
    let Ok(Notification::CashBoxClosed(notice)) = read_bytes(closed, None) else { panic!("not closed") };
    assert_eq!(notice.verification_url.as_deref(), Some("u"));
    assert_eq!(
        serde_json::to_value(notice).expect("json"),
        json!({"cash_box_id": "2", "opened": "2026-11-21T08:00:00+01:00", "closed": "2026-11-21T20:00:00+01:00",
               "total": "1234.50", "extra": {"who": "Zoé"}})
    );
    assert!(matches!(read_bytes(b"type=CashBox_Open", None), Ok(Notification::CashBoxOpened(_))));
}

#[test]
fn an_unknown_type_is_kept_and_known_ones_are_read_in_any_case() {
    assert_eq!(
        read_bytes(b"type=+stock_low+", None),
        Ok(Notification::Unknown(UnknownNotice { kind: "stock_low".into() }))
    );
    assert_eq!(order_of(read_bytes(b"TYPE=Terminated+&orderid=1", None)).phase, Phase::Terminated);
}

#[test]
fn a_test_is_marked_and_the_mark_is_no_content() {
    let plain = order_of(read_bytes(b"type=validated&orderID=1", None));
    for (body, test) in [
        ("type=validated&orderID=1&tillhookTest=1", true),
        ("type=validated&orderID=1&tillhookTest=sure", true),
        ("type=validated&orderID=1&tillhookTest=0", false),
        ("type=validated&orderID=1&tillhookTest=", false),
    ] {
        let order = order_of(read_bytes(body.as_bytes(), None));
        assert_eq!((order.test, &order.content), (test, &plain.content), "{body}");
    }
}

#[test]
fn a_reason_tells_a_person_what_is_wrong_and_no_value() {
    for (body, expected) in [
        ("", "empty"),
        ("hello Durand", "neither a form nor JSON"),
        ("\x1f\u{8b}", "neither"),
        ("<xml a=\"Durand\"/>", "XML"),
        ("{\"type\":\"validated\", Durand", "breaks at line 1"),
        ("{\"type\":\"validated\"", "cut off"),
        ("[1,2]", "list of 2"),
        ("\"Durand\"", "single value"),
        ("name=Durand&orderID=1&Zoé Durand=x", "fields found: name, orderID and 1 more"),
        ("type=validated&orderID=0&orderInternalID=", "neither `orderInternalID` nor `orderID`"),
        ("type[a]=validated", "`type` is missing"),
        ("--x\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\nDurand", "cut off"),
    ] {
        let reason = reason(body);
        assert!(reason.contains(expected) && !reason.contains("Durand"), "{body}: {reason}");
    }
    assert!(read_bytes(b"\x1f\x8b\x08\x00=", None).expect_err("gzip").reason.contains("gzip"));
    assert!(reason(&"[".repeat(200)).contains("nested too deeply"));
    assert!(reason(&"a=1&".repeat(20_001)).contains("20000"));
    let numberless = read_bytes(b"type=validated", None).expect_err("no number");
    assert_eq!(numberless.kind.as_deref(), Some("validated"));
}

#[test]
fn of_what_query_and_body_both_say_the_body_counts() {
    let input =
        Input { query: Some("type=validated&orderID=1"), body: b"type=validated&orderID=2", ..Input::default() };
    assert_eq!(order_of(decode(&input, &shop())).content.order_id.as_deref(), Some("2"));
    let both_empty = Input { query: Some(""), body: b"", ..Input::default() };
    assert!(decode(&both_empty, &shop()).is_err());
}

proptest! {
    /// Past the safety net, so that a panic is seen.
    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..300), kind in prop::option::of(".{0,30}")) {
        let _ = read(&Input { content_type: kind.as_deref(), query: None, body: &body, ..Input::default() }, &shop());
    }

    #[test]
    fn nearly_right_calls_never_panic(
        head in prop::sample::select(vec!["type=validated&orderID=1&", "{\"type\":\"validated\",\"orderID\":1,", "[\"", "--b\nContent-Disposition: form-data; name="]),
        tail in "(items|VATs|client|price|opened)?[\\[\\]=:&{},\"\\\\0-9eun%+\u{e9}\n. -]{0,60}",
    ) {
        let body = format!("{head}{tail}");
        let _ = read(&Input { body: body.as_bytes(), ..Input::default() }, &shop());
    }

    #[test]
    fn arbitrary_fields_are_taken_or_stay(name in "[a-zA-Z]{1,12}", value in "[a-z]{1,12}") {
        let mut fields = Map::from_iter([("type".to_owned(), json!("validated")), ("orderID".to_owned(), json!("1"))]);
        prop_assume!(!fields.contains_key(&name));
        fields.insert(name, json!(value));
        let order = order_of(read(&Input { body: Value::from(fields).to_string().as_bytes(), ..Input::default() }, &shop()));
        let shown = serde_json::to_string(&order.content).expect("json")
            + order.invoice_url.as_deref().unwrap_or("") + order.verification_url.as_deref().unwrap_or("");
        prop_assert!(shown.contains(&value) || order.content.is_refund.is_some());
    }
}

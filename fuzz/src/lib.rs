//! What the fuzz targets share: a shop, and a sale whose every text comes from the fuzzer.

use std::{sync::Arc, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use tillhook::{
    clock::ManualClock,
    order::{Currency, DeliveryId, Event, EventData, EventId, EventType, Locale, Order, Shop, ShopRef},
    sink::{Context, Handle, Options, Outgoing, Purpose, email::Smtp},
};

/// When everything happens.
pub fn now() -> Timestamp {
    "2026-11-21T13:05:40Z".parse().expect("a time")
}

pub fn shop() -> Shop {
    Shop {
        id: "dupont".parse().expect("a name"),
        name: "Boulangerie Dupont".to_owned(),
        timezone: TimeZone::get("Europe/Paris").expect("a zone"),
        currency: Currency::EUR,
        locale: Locale::Fr,
    }
}

/// A sink of this kind. It is never asked to send.
pub fn sink(kind: &str, keys: Value) -> Handle {
    let smtp = json!({ "host": "smtp.example.com", "port": 465, "from": "Dupont <caisse@dupont.example>" });
    let context = Context {
        clock: Arc::new(ManualClock::new(now())),
        smtp: Some(serde_json::from_value::<Smtp>(smtp).expect("a mail server")),
        allow_private: Vec::new(),
        timeout: Duration::from_secs(5),
        templates: None,
    };
    let options = Options::parse(kind, keys).expect("options");
    tillhook::sink::build(&options, &"it".parse().expect("a name"), &context).expect("a sink")
}

/// An event about an order all of whose texts are pieces of `data`, which NUL bytes separate. The first byte chooses the
/// kind of event and the language.
pub fn sale(data: &[u8]) -> Outgoing {
    let (choice, data) = data.split_first().unwrap_or((&0, &[]));
    let pieces: Vec<_> = data.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let text = |nth: usize| pieces.get(nth % pieces.len()).map_or("", AsRef::as_ref);
    let items: Vec<_> = (8..pieces.len().max(9))
        .map(|nth| json!({ "id": "1", "label": text(nth), "quantity": "2", "total": "12.90", "extra": {} }))
        .collect();
    let order: Order = serde_json::from_value(json!({
        "order_id": text(0), "internal_id": text(1), "state": if choice & 1 == 0 { "paid" } else { "invoiced" },
        "is_refund": choice & 2 != 0,
        "dates": { "created": null, "validated": "2026-11-21T14:03:10+01:00", "value": null,
                   "received": "2026-11-21T14:05:40+01:00" },
        "currency": "EUR", "total": "43.80", "total_vat": "5.35", "total_net": "38.45", "vat": null, "items": items,
        "customer": { "id": text(2), "name": text(3), "is_company": false, "email": text(4) },
        "cash_box_id": text(5), "delivery_method": { "code": text(6), "name": text(6) },
        "extra": { "note": text(7) },
    }))
    .expect("an order");
    let facts = json!({ "sink": text(0), "reason": text(1), "type": text(2), "message": text(3), "path": text(4) });
    let (kind, data) = match choice >> 5 {
        0 | 1 => (EventType::OrderTerminated, EventData::Order(Box::new(order))),
        2 | 3 => (EventType::OrderValidated, EventData::Order(Box::new(order))),
        4 => (EventType::OrderUpdated, EventData::Order(Box::new(order))),
        5 => (EventType::TillUnreadable, EventData::Facts(facts.as_object().expect("facts").clone())),
        6 => (EventType::SinkFailing, EventData::Facts(facts.as_object().expect("facts").clone())),
        _ => (EventType::InvoiceMissing, EventData::Order(Box::new(order))),
    };
    let locale = if choice & 4 == 0 { Locale::Fr } else { Locale::En };
    Outgoing {
        delivery: DeliveryId::new(now()),
        event: Event {
            id: EventId::new(now()),
            kind,
            at: now(),
            test: choice & 8 != 0,
            shop: Some(ShopRef { id: shop().id, name: text(3).to_owned() }),
            data,
        },
        shop: Some(Shop { name: text(3).to_owned(), locale, ..shop() }),
        purpose: if kind.is_alert() { Purpose::Alert } else { Purpose::First },
        thread: None,
        invoice: None,
        invoice_absent: choice & 16 != 0,
        names: Default::default(),
        now: now(),
    }
}

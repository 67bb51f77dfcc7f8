//! What the sinks' tests share: a far side on a real socket, and a sale to tell it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State};
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use super::{Context, Delivery, Handle, Options, Outgoing, Payload, Purpose};
use crate::{
    clock::ManualClock,
    order::{Currency, DeliveryId, Event, EventData, EventId, EventType, Locale, Order, Shop, ShopRef},
};

/// A request as the far side got it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// A far side that answers as it is told, then 200 `ok`, and remembers what it was asked.
#[derive(Clone)]
pub(crate) struct FarSide {
    origin: String,
    answers: Arc<Mutex<VecDeque<Response<String>>>>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl FarSide {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let far_side = Self { origin, answers: Arc::default(), requests: Arc::default() };
        let router = Router::new().fallback(answer).with_state(far_side.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        far_side
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        format!("{}{path}", self.origin).parse().expect("a URL")
    }

    pub(crate) fn answers(&self, status: u16, headers: &[(&str, &str)], body: &str) {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        self.answers.lock().expect("a lock").push_back(response.body(body.to_owned()).expect("a response"));
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("a lock").clone()
    }
}

async fn answer(
    State(far_side): State<FarSide>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<String> {
    let path = uri.path().to_owned();
    far_side.requests.lock().expect("a lock").push(Request { method, path, headers, body });
    let told = far_side.answers.lock().expect("a lock").pop_front();
    told.unwrap_or_else(|| Response::builder().status(StatusCode::OK).body("ok".to_owned()).expect("a response"))
}

pub(crate) fn now() -> Timestamp {
    "2026-11-21T13:05:40.123Z".parse().expect("a time")
}

/// A context whose sinks may call this machine.
pub(crate) fn context() -> Context {
    Context {
        clock: Arc::new(ManualClock::new(now())),
        smtp: None,
        allow_private: vec!["127.0.0.0/8".parse().expect("a network")],
        timeout: Duration::from_secs(5),
        templates: None,
    }
}

/// The sink that a table of this kind describes.
pub(crate) fn sink(kind: &str, keys: &str) -> Handle {
    super::build(&options(kind, keys), &"team".parse().expect("a name"), &context()).expect("a sink")
}

pub(crate) fn options(kind: &str, keys: &str) -> Options {
    Options::parse(kind, keys.parse::<toml::Table>().expect("TOML")).expect("options")
}

/// The order of contract §6.
pub(crate) fn order() -> Order {
    serde_json::from_value(json!({
        "order_id": "20261121042", "internal_id": "8841207", "state": "paid", "is_refund": false,
        "dates": { "created": null, "validated": "2026-11-21T14:03:10+01:00", "value": null,
                   "received": "2026-11-21T14:05:40+01:00" },
        "currency": "EUR", "total": "43.80", "total_vat": "5.35", "total_net": "38.45", "vat": null,
        "items": [{ "id": "12", "label": "Menu <midi> & café", "quantity": "1.5", "total": "25.80", "extra": {} }],
        "customer": { "id": "512", "name": "Zoé Durand", "is_company": false, "email": "zoe@example.com" },
        "cash_box_id": "1", "delivery_method": { "code": "2", "name": "on_site" },
    }))
    .expect("an order")
}

pub(crate) fn outgoing(kind: EventType, data: EventData) -> Outgoing {
    let shop = "dupont".parse().expect("a name");
    Outgoing {
        delivery: DeliveryId::new(now()),
        event: Event {
            id: EventId::new(now()),
            kind,
            at: now(),
            test: false,
            shop: Some(ShopRef { id: "dupont".parse().expect("a name"), name: "Boulangerie Dupont".into() }),
            data,
        },
        order: None,
        shop: Some(Shop {
            id: shop,
            name: "Boulangerie Dupont".into(),
            timezone: jiff::tz::TimeZone::get("Europe/Paris").expect("a zone"),
            currency: Currency::EUR,
            locale: Locale::Fr,
        }),
        purpose: Purpose::First,
        thread: None,
        invoice: None,
        invoice_absent: false,
        names: Default::default(),
        now: now(),
    }
}

/// The sale of [`order`], paid.
pub(crate) fn sale() -> Outgoing {
    outgoing(EventType::OrderTerminated, EventData::Order(Box::new(order())))
}

/// The first attempt at a message.
pub(crate) fn delivery(outgoing: &Outgoing, payload: Payload) -> Delivery {
    Delivery {
        id: outgoing.delivery,
        event_id: outgoing.event.id,
        event_type: outgoing.event.kind,
        attempt: 1,
        at: now(),
        payload,
        attachments: Vec::new(),
        settled: Vec::new(),
    }
}

//! The mail sink from outside: what its mails look like, and what it makes of a mail server's answers.

mod build;
mod dialogue;
mod digests;
mod mails;
mod recipients;
mod sizes;

#[allow(dead_code)]
#[path = "../../../../tests/far/smtp.rs"]
mod far;

use std::sync::Arc;

use bytes::Bytes;
use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;

use super::{MailFile, Options, Profile, Smtp, Tls, letter::Letter};
use crate::{
    clock::SystemClock,
    order::{
        Currency, Customer, DeliveryMethod, Event, EventData, EventType, InvoiceStatus, Item, Locale, Moment, Money,
        Number, Order, OrderContent, Phase, SentDates, Shop, ShopRef, Timeline, VatLine,
    },
    sink::{Context, Delivery, Handle, InvoiceFile, Kind as _, Outgoing, Payload, Purpose, Thread},
};

const PDF: &[u8] = b"%PDF-1.7\n.\r\n..\r\n\x00\xff\xfe binary\n%%EOF";

fn now() -> Timestamp {
    "2026-11-21T13:05:40Z".parse().unwrap()
}

fn money(text: &str) -> Option<Money> {
    Some(Money::new(Decimal::from_str_exact(text).unwrap(), 2))
}

fn number(text: &str) -> Option<Number> {
    Some(Number::new(Decimal::from_str_exact(text).unwrap()))
}

fn shop(locale: Locale) -> Shop {
    Shop {
        id: "dupont".parse().unwrap(),
        name: "Boulangerie Dupont".into(),
        timezone: TimeZone::get("Europe/Paris").unwrap(),
        currency: Currency::EUR,
        locale,
    }
}

fn moment(text: &str) -> Moment {
    Moment::new(text.parse().unwrap(), &TimeZone::get("Europe/Paris").unwrap())
}

fn content() -> OrderContent {
    OrderContent {
        order_id: Some("20261121042".into()),
        internal_id: Some("8841207".into()),
        is_refund: Some(false),
        dates: SentDates { validated: Some(moment("2026-11-21T13:03:10Z")), ..SentDates::default() },
        total: money("43.8"),
        total_vat: money("5.35"),
        vat: Some(vec![
            VatLine { rate: number("10"), net: money("23.45"), vat: money("2.35"), gross: money("25.80") },
            VatLine { rate: number("20"), net: money("15.00"), vat: money("3.00"), gross: money("18.00") },
        ]),
        items: Some(vec![
            Item { label: Some("Menu midi".into()), quantity: number("2"), total: money("25.80"), ..Item::default() },
            Item {
                label: Some("Chablis <2023> & Cie".into()),
                quantity: number("0.75"),
                total: money("18"),
                ..Item::default()
            },
        ]),
        customer: Some(Customer {
            id: Some("512".into()),
            name: Some("Zoé Durand".into()),
            email: Some("zoe@durand.example".into()),
            ..Customer::default()
        }),
        cash_box_id: Some("1".into()),
        delivery_method: Some(DeliveryMethod::from_code("2")),
        ..OrderContent::default()
    }
}

fn order_of(content: OrderContent, phases: &[Phase]) -> Order {
    let mut timeline = Timeline::default();
    for phase in phases {
        timeline.hear(*phase, content.clone());
    }
    Order::new(&timeline, Currency::EUR, moment("2026-11-21T13:05:40Z"))
}

fn paid() -> Order {
    order_of(content(), &[Phase::Validated, Phase::Terminated])
}

fn issued() -> Order {
    order_of(content(), &[Phase::Validated])
}

fn refund() -> Order {
    let given = content();
    let negative = |money: Option<Money>| money.map(|money| Money::new(-money.value(), 2));
    let (total, total_vat) = (negative(given.total), negative(given.total_vat));
    order_of(
        OrderContent { is_refund: Some(true), total, total_vat, items: None, vat: None, ..given },
        &[Phase::Validated],
    )
}

fn invoice() -> InvoiceFile {
    InvoiceFile {
        sha256: "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7".into(),
        filename: "20261121_Boulangerie-Dupont_Zoe-Durand_F20261121042.pdf".into(),
        bytes: PDF.len() as u64,
    }
}

fn event(kind: EventType, data: EventData) -> Event {
    Event {
        id: "evt_0199c0de00007000800000000000000a".parse().unwrap(),
        kind,
        at: now(),
        test: false,
        shop: Some(ShopRef { id: "dupont".parse().unwrap(), name: "Boulangerie Dupont".into() }),
        data,
    }
}

fn outgoing(locale: Locale, purpose: Purpose, kind: EventType, data: EventData) -> Outgoing {
    Outgoing {
        delivery: "dlv_0199c0de00007000800000000000000b".parse().unwrap(),
        event: event(kind, data),
        order: Some("ord_0199c0de00007000800000000000000d".parse().unwrap()),
        shop: Some(shop(locale)),
        purpose,
        thread: None,
        invoice: None,
        invoice_absent: false,
        names: Default::default(),
        now: now(),
    }
}

fn first(locale: Locale, order: Order) -> Outgoing {
    outgoing(locale, Purpose::First, EventType::OrderValidated, EventData::Order(Box::new(order)))
}

/// What continues a first mail that went out without its PDF.
fn then(first: Payload, purpose: Purpose, kind: EventType, order: Order, locale: Locale) -> Outgoing {
    let letter: Letter = serde_json::from_str(&first.body).unwrap();
    let thread = Some(Thread { reference: Some(letter.message_id), payload: first });
    Outgoing {
        delivery: "dlv_0199c0de00007000800000000000000c".parse().unwrap(),
        thread,
        ..outgoing(locale, purpose, kind, EventData::Order(Box::new(order)))
    }
}

fn options() -> Options {
    Options { to: vec!["compta@cabinet-martin.fr".into()], attach: vec![MailFile::Invoice], ..Options::default() }
}

fn smtp(port: u16) -> Smtp {
    Smtp {
        preset: None,
        templates: None,
        host: "127.0.0.1".into(),
        port,
        tls: Tls::None,
        username: None,
        password: None,
        from: "Boulangerie Dupont <caisse@dupont.fr>".into(),
        hello: None,
    }
}

fn context(smtp: Option<Smtp>) -> Context {
    Context {
        clock: Arc::new(SystemClock),
        smtp,
        allow_private: Vec::new(),
        timeout: Options::TIMEOUT,
        templates: None,
    }
}

fn sink(options: &Options, smtp: Smtp) -> Handle {
    options.build(&"accountant".parse().unwrap(), &context(Some(smtp))).unwrap()
}

fn render(outgoing: &Outgoing) -> (Payload, Letter) {
    let payload = sink(&options(), smtp(25)).render(outgoing).unwrap();
    let letter = serde_json::from_str(&payload.body).unwrap();
    (payload, letter)
}

fn delivery(payload: Payload, attempt: u32) -> Delivery {
    let attachments = payload.attachments.iter().map(|_| Bytes::from_static(PDF)).collect();
    Delivery {
        id: "dlv_0199c0de00007000800000000000000b".parse().unwrap(),
        event_id: "evt_0199c0de00007000800000000000000a".parse().unwrap(),
        event_type: EventType::OrderValidated,
        attempt,
        at: now(),
        payload,
        attachments,
        settled: Vec::new(),
    }
}

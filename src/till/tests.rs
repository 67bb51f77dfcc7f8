//! What is said in the till's words is understood as it was meant: `announce` and `decode` meet here, and only here.

use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;

use super::{
    Announcement, CashBoxCall, CashBoxClosing, Charset, Encoding, TillOrder, Voice, encode, encode_cash_box,
    sandbox::Sales,
};
use crate::{
    decode::{Input, Unreadable, decode},
    order::{Currency, Locale, Moment, Notification, Order, OrderNotice, Phase, Shop, Timeline},
};

fn shop() -> Shop {
    Shop {
        id: "dupont".parse().expect("a name"),
        name: "Boulangerie Dupont".to_owned(),
        timezone: TimeZone::get("Europe/Paris").expect("a zone"),
        currency: Currency::EUR,
        locale: Locale::Fr,
    }
}

fn noon() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().expect("an instant")
}

/// Sales, sales on account and refunds.
fn orders(count: usize) -> Vec<TillOrder> {
    let mut till = Sales::new(9, shop().timezone, "http://127.0.0.1:9");
    let mut sell = |n: usize| match n % 4 {
        0 => till.sell_on_account(noon()),
        1 => {
            let sale = till.sell(noon());
            till.refund(&sale, noon())
        }
        _ => till.sell(noon()),
    };
    (0..count).map(&mut sell).collect()
}

fn understood(call: &Announcement) -> Result<Notification, Unreadable> {
    let input = Input {
        content_type: call.content_type.as_deref(),
        query: call.query.as_deref(),
        body: &call.body,
        ..Input::default()
    };
    decode(&input, &shop())
}

fn heard(order: &TillOrder, phase: Phase, voice: Voice) -> OrderNotice {
    match understood(&encode(order, phase, voice)) {
        Ok(Notification::Order(notice)) => *notice,
        other => panic!("{voice:?}: {other:?}"),
    }
}

fn voices() -> impl Iterator<Item = Voice> {
    Encoding::ALL.iter().flat_map(|&encoding| {
        Charset::ALL
            .iter()
            .flat_map(move |&charset| [Locale::Fr, Locale::En].map(|language| Voice { encoding, charset, language }))
    })
}

#[test]
fn an_order_is_understood_as_the_same_in_every_encoding_charset_and_language() {
    for order in orders(20) {
        let plain = Voice { encoding: Encoding::Json, charset: Charset::Utf8, language: Locale::En };
        let expected = heard(&order, Phase::Validated, plain);
        for voice in voices() {
            let notice = heard(&order, Phase::Validated, voice);
            assert_eq!(notice, expected, "{voice:?}");
            assert_eq!(notice.content.fingerprint(), expected.content.fingerprint(), "{voice:?}");
        }
    }
}

#[test]
fn what_was_sold_is_what_is_understood_and_it_adds_up() {
    for order in orders(20) {
        for voice in voices() {
            let notice = heard(&order, Phase::Terminated, voice);
            assert_eq!((notice.phase, notice.test), (Phase::Terminated, false));
            assert_eq!((&notice.invoice_url, &notice.verification_url), (&order.pdf_url, &order.verification_url));
            let mut timeline = Timeline::default();
            timeline.hear(notice.phase, notice.content);
            let seen = Order::new(&timeline, Currency::EUR, Moment::new(noon(), &shop().timezone));
            assert_eq!(seen.order_id.as_ref(), Some(&order.order_id));
            assert_eq!(seen.internal_id.as_ref(), Some(&order.internal_id));
            assert_eq!(seen.total.map(|total| total.value()), Some(order.total()));
            assert_eq!(seen.total_vat.map(|vat| vat.value()), Some(order.total_vat()));
            assert_eq!(seen.is_refund, Some(order.is_refund));
            assert_eq!(seen.customer.and_then(|customer| customer.name), order.customer_name());
            assert_eq!(seen.dates.validated.map(Moment::timestamp), Some(noon()));
            let lines: Vec<Option<Decimal>> =
                seen.items.unwrap_or_default().iter().map(|item| item.unit_price.map(|price| price.value())).collect();
            assert_eq!(lines, order.items.iter().map(|item| Some(item.unit_price)).collect::<Vec<_>>(), "{voice:?}");
            assert!(
                seen.warnings.is_empty() && seen.extra.is_empty(),
                "{voice:?}: {:?} {:?}",
                seen.warnings,
                seen.extra
            );
        }
    }
}

#[test]
fn a_sample_is_understood_as_a_test_with_an_identity_of_its_own() {
    for refund in [false, true] {
        let order = super::sample_order(1, &shop().timezone, noon(), refund);
        for voice in voices() {
            let notice = heard(&order, Phase::Validated, voice);
            assert!(notice.test && notice.content.extra.is_empty());
            assert!(notice.content.order_id.is_some_and(|id| id.starts_with("TEST-")));
            assert_eq!(notice.content.is_refund, Some(refund));
        }
    }
}

#[test]
fn what_is_said_of_a_cash_box_is_understood_in_every_voice() {
    let at = |text: &str| text.parse::<Timestamp>().expect("an instant").to_zoned(shop().timezone);
    let closing = CashBoxClosing {
        total: Decimal::new(123_450, 2),
        opened: at("2026-11-21T07:00:00Z"),
        closed: at("2026-11-21T18:30:00Z"),
        verification_url: "http://127.0.0.1:9/verify/cashbox-2-1".to_owned(),
    };
    for voice in voices() {
        let call = CashBoxCall { cash_box_id: "2".to_owned(), closing: Some(closing.clone()) };
        let Ok(Notification::CashBoxClosed(notice)) = understood(&encode_cash_box(&call, voice)) else {
            panic!("{voice:?}: no closing")
        };
        assert_eq!(notice.total.map(|total| total.value()), Some(closing.total), "{voice:?}");
        let [opened, closed] = [notice.opened, notice.closed].map(|moment| moment.map(Moment::timestamp));
        assert_eq!((opened, closed), (Some(closing.opened.timestamp()), Some(closing.closed.timestamp())), "{voice:?}");
        assert_eq!(notice.verification_url.as_deref(), Some(closing.verification_url.as_str()));
        assert!(notice.extra.is_empty(), "{voice:?}: {:?}", notice.extra);

        let call = CashBoxCall { cash_box_id: "2".to_owned(), closing: None };
        let Ok(Notification::CashBoxOpened(notice)) = understood(&encode_cash_box(&call, voice)) else {
            panic!("{voice:?}: no opening")
        };
        assert_eq!(notice.cash_box_id.as_deref(), Some("2"));
    }
}

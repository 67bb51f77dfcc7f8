//! TEMPORARY until sink/words.rs is there.
use crate::order::{Currency, Event, Locale, Moment, Money, Number};

pub(super) struct Notice {
    pub title: String,
    pub lines: Vec<String>,
}
pub(super) fn money(locale: Locale, money: Money, currency: Currency) -> String {
    match locale {
        Locale::Fr => format!(
            "{} {}",
            money.to_string().replace('.', ","),
            if currency == Currency::EUR { "€".into() } else { currency.code().to_owned() }
        ),
        Locale::En => {
            format!("{}{}", if currency == Currency::EUR { "€".into() } else { currency.code().to_owned() }, money)
        }
    }
}
pub(super) fn number(locale: Locale, number: Number) -> String {
    match locale {
        Locale::Fr => number.to_string().replace('.', ","),
        Locale::En => number.to_string(),
    }
}
pub(super) fn percent(locale: Locale, rate: Number) -> String {
    format!("{} %", number(locale, rate))
}
pub(super) fn date_time(_: Locale, moment: Moment) -> String {
    moment.civil().strftime("%d/%m/%Y %H:%M").to_string()
}
pub(super) fn notice(_: Locale, event: &Event) -> Notice {
    Notice { title: event.kind.as_str().into(), lines: vec![event.data.to_json(false).to_string()] }
}

//! An order of the till's list, as the announcements that the till should have made of it.
//!
//! How the till writes an order in its list is documented nowhere. It is read as if it had been announced, with the names
//! of an announcement; and because nobody announced it, more is asked of it than of a call: both of its numbers, a total,
//! the day that it counts for, and no word about its state that we do not know.
//!
//! **Invariant:** nothing is guessed, and no reason quotes what the till wrote.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    decode::{self, Input, same_name},
    order::{Notification, OrderNotice, Phase, Shop},
    store::ListedNumbers,
    till::state::{State, is_state},
};

/// Names under which the till may say that an order is none any more.
const CANCELLED: &[&str] = &[
    "cancelled",
    "canceled",
    "iscancelled",
    "iscanceled",
    "deleted",
    "isdeleted",
    "annule",
    "annulee",
    "supprime",
    "supprimee",
];

/// The content type that an announcement in place of a call has.
pub(super) const JSON: &str = "application/json";

/// An order of the list.
pub(super) struct Listed {
    /// By what it is known.
    pub numbers: ListedNumbers,
    /// When the till validated it, else when it was begun.
    pub at: Option<Timestamp>,
    /// The announcements that it should have had, the earlier first, each with the words that it is read from.
    pub announcements: Vec<(OrderNotice, Vec<u8>)>,
}

/// Why there is nothing to do about an order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It is not validated: a quote.
    Quote,
    /// It cannot be read.
    Unread(&'static str),
}

/// Reads an order of the list; the till was asked for those that are validated.
pub(super) fn read(mut fields: Map<String, Value>, shop: &Shop) -> Result<Listed, Unfit> {
    if is_cancelled(&fields) {
        return Err(Unfit::Unread("it may be cancelled"));
    }
    let phases: &[Phase] = match state(&mut fields)? {
        Phase::Validated => &[Phase::Validated],
        Phase::Terminated => &[Phase::Validated, Phase::Terminated],
    };
    let mut announcements = Vec::new();
    for phase in phases {
        fields.insert("type".to_owned(), json!(phase.as_str()));
        let words = Value::Object(fields.clone()).to_string().into_bytes();
        announcements.push((announcement(&words, shop)?, words));
    }
    let Some((first, _)) = announcements.first() else { return Err(Unfit::Unread("it says nothing")) };
    let content = &first.content;
    let numbers = match (&content.internal_id, &content.order_id) {
        (Some(internal_id), Some(order_id)) => {
            ListedNumbers { internal_id: internal_id.clone(), order_id: order_id.clone() }
        }
        (Some(_), None) => return Err(Unfit::Unread("it has no number in the books")),
        (None, _) => return Err(Unfit::Unread("it has no internal number")),
    };
    if content.total.is_none() {
        return Err(Unfit::Unread("it has no total"));
    }
    // Else it would count for the day on which it was found.
    if content.dates.value.or(content.dates.validated).is_none() {
        return Err(Unfit::Unread("it does not say its day"));
    }
    let at = content.dates.validated.or(content.dates.created).map(|at| at.timestamp());
    Ok(Listed { numbers, at, announcements })
}

/// Whether the till says of an order that it is none any more.
pub(super) fn is_cancelled(fields: &Map<String, Value>) -> bool {
    let is_set = |name: &str, value: &Value| CANCELLED.iter().any(|known| same_name(name, known)) && !is_no(value);
    // Also where that is its state.
    let is_state = |name: &str, value: &Value| {
        is_state(name) && value.as_str().is_some_and(|word| CANCELLED.iter().any(|known| same_name(word, known)))
    };
    fields.iter().any(|(name, value)| is_set(name, value) || is_state(name, value))
}

/// Whether a flag is not set.
fn is_no(flag: &Value) -> bool {
    match flag {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => matches!(text.trim(), "" | "0" | "false" | "no" | "non"),
        _ => false,
    }
}

/// How far the order is. A list of validated orders need not say that they are.
fn state(fields: &mut Map<String, Value>) -> Result<Phase, Unfit> {
    let names: Vec<String> = fields.keys().filter(|name| is_state(name)).cloned().collect();
    let mut phase = Phase::Validated;
    for name in names {
        let Some(value) = fields.remove(&name).filter(|value| !value.is_null()) else { continue };
        match State::said(&value) {
            Some(State::Quote) => return Err(Unfit::Quote),
            Some(State::Invoice | State::PartPaid) => {}
            Some(State::Paid) => phase = Phase::Terminated,
            Some(State::Refund) | None => return Err(Unfit::Unread("its state is none that we know")),
        }
    }
    Ok(phase)
}

fn announcement(words: &[u8], shop: &Shop) -> Result<OrderNotice, Unfit> {
    match decode::decode(&Input { content_type: Some(JSON), body: words, ..Input::default() }, shop) {
        Ok(Notification::Order(notice)) if notice.test => Err(Unfit::Unread("it is a test")),
        Ok(Notification::Order(notice)) => Ok(*notice),
        _ => Err(Unfit::Unread("it has neither of the numbers of an order")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{Currency, Locale};

    fn read(order: Value) -> Result<Listed, Unfit> {
        let shop = Shop {
            id: "dupont".parse().unwrap(),
            name: "Dupont".to_owned(),
            timezone: jiff::tz::TimeZone::UTC,
            currency: Currency::EUR,
            locale: Locale::Fr,
        };
        let Value::Object(mut fields) = order else { panic!("an object") };
        fields.entry("validationDate").or_insert_with(|| json!("2026-11-21 14:03:10"));
        super::read(fields, &shop)
    }

    fn phases(order: Value) -> Vec<Phase> {
        let listed = read(order).unwrap_or_else(|unfit| panic!("{unfit:?}"));
        listed.announcements.iter().map(|(notice, _)| notice.phase).collect()
    }

    #[test]
    fn an_order_is_read_with_the_names_of_an_announcement_in_both_languages() {
        let english = json!({ "orderID": "42", "orderInternalID": 7, "price": "5,50", "type": "terminated" });
        assert_eq!(phases(english), [Phase::Validated, Phase::Terminated]);
        let french = json!({ "numero_commande": "42", "id_interne": "7", "prix": 5.5, "etat": "Payée" });
        assert_eq!(phases(french), [Phase::Validated, Phase::Terminated]);
        assert_eq!(phases(json!({ "orderID": "42", "orderInternalID": "7", "price": "5" })), [Phase::Validated]);
    }

    #[test]
    fn what_is_no_order_that_was_validated_is_not_guessed() {
        let unfit = |more: Value| {
            let mut order = json!({ "orderID": "42", "orderInternalID": "7", "price": "5" });
            for (name, value) in more.as_object().unwrap() {
                order[name] = value.clone();
            }
            read(order).err()
        };
        assert_eq!(unfit(json!({ "status": "devis" })), Some(Unfit::Quote));
        for well in [json!({ "statut": null }), json!({ "isCancelled": "0" }), json!({ "deleted": false })] {
            assert_eq!(unfit(well.clone()), None, "{well}");
        }
        for more in [
            json!({ "status": "annulée" }),
            json!({ "status": 3 }),
            json!({ "orderID": "" }),
            json!({ "orderInternalID": null }),
            json!({ "price": "a lot" }),
            json!({ "tillhooktest": "1" }),
            json!({ "isCancelled": true }),
            json!({ "annulée": "2026-11-22" }),
            json!({ "validationDate": null, "creationDate": "2026-11-21 14:03:10" }),
        ] {
            assert!(matches!(unfit(more.clone()), Some(Unfit::Unread(_))), "{more}");
        }
        assert!(matches!(read(json!({ "champ1": "42" })), Err(Unfit::Unread(_))));
    }
}

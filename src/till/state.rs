//! How far an order of the till's list is: in words of ours, where the till's answer says it.
//!
//! How it says it is documented nowhere. Its words are looked for under the names that an announcement, or a list of the
//! till's, has for them.
//!
//! **Invariant:** nothing is concluded from what is not there, and one word that we do not know makes the state unknown.

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use crate::{decode::same_name, order::OrderContent};

/// How far an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Not validated: it has no number yet.
    Quote,
    /// The invoice is issued, and not paid in full.
    Invoice,
    /// A part of it is paid.
    PartPaid,
    /// Paid in full.
    Paid,
    /// Money that went back.
    Refund,
}

/// Names under which the till may say it.
const NAMES: &[&str] = &["type", "state", "status", "etat", "statut"];

/// Names under which it may say what is still owed.
const OWED: &[&str] = &["remaining", "reste", "restedu", "resteapayer", "amountdue"];

/// Its words, as [`same_name`] compares them.
const WORDS: &[(State, &[&str])] = &[
    (State::Quote, &["quote", "devis", "draft", "brouillon", "pending", "enattente", "encours"]),
    (State::Invoice, &["validated", "valide", "validee", "invoice", "invoiced", "facture", "facturee", "unpaid"]),
    (
        State::PartPaid,
        &["partpaid", "partial", "partiallypaid", "partiel", "partielle", "partiellementpayee", "acompte"],
    ),
    (State::Paid, &["terminated", "termine", "terminee", "paid", "paye", "payee", "solde", "soldee"]),
];

impl State {
    /// Our word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Quote => "quote",
            Self::Invoice => "invoice",
            Self::PartPaid => "part paid",
            Self::Paid => "paid",
            Self::Refund => "refund",
        }
    }

    /// The state of an order: as the till wrote it in `fields`, and as it was `read`. `None` where it does not say.
    pub fn of(fields: &Map<String, Value>, read: &OrderContent) -> Option<Self> {
        if read.is_refund == Some(true) {
            return Some(Self::Refund);
        }
        let said: Option<Vec<Self>> = called(fields, NAMES).map(Self::said).collect();
        let state = said?.into_iter().max()?;
        let total = read.total.map(|total| total.value());
        match (state, called(fields, OWED).find_map(amount), total) {
            (Self::Invoice, Some(owed), Some(total)) if owed > Decimal::ZERO && owed < total => Some(Self::PartPaid),
            _ => Some(state),
        }
    }

    /// The state that one of the till's words says; `None` where it is none that we know.
    pub fn said(value: &Value) -> Option<Self> {
        let word = value.as_str()?.trim();
        let known = WORDS.iter().find(|(_, words)| words.iter().any(|known| same_name(word, known)));
        known.map(|(state, _)| *state)
    }
}

/// Whether the till may say it under this name.
pub fn is_state(name: &str) -> bool {
    NAMES.iter().any(|known| same_name(name, known))
}

/// The values of the fields that have one of these names.
fn called<'a>(fields: &'a Map<String, Value>, names: &'static [&str]) -> impl Iterator<Item = &'a Value> {
    fields.iter().filter(|(name, _)| names.iter().any(|known| same_name(name, known))).map(|(_, value)| value)
}

/// A number, or a text with one, with a dot or a comma.
fn amount(value: &Value) -> Option<Decimal> {
    match value {
        Value::Number(number) => number.to_string().parse().ok(),
        Value::String(text) => text.trim().replace(',', ".").parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::order::Money;

    fn state(order: Value) -> Option<&'static str> {
        let Value::Object(fields) = order else { panic!("an object") };
        let total = Some(Money::new(Decimal::from(20), 2));
        let is_refund = fields.get("isRefund").and_then(Value::as_bool);
        State::of(&fields, &OrderContent { total, is_refund, ..OrderContent::default() }).map(State::word)
    }

    #[test]
    fn the_words_of_an_announcement_and_of_a_list_are_known_in_both_languages() {
        assert_eq!(state(json!({ "type": "validated" })), Some("invoice"));
        assert_eq!(state(json!({ "type": "terminated", "isRefund": false })), Some("paid"));
        assert_eq!(state(json!({ "etat": "Payée" })), Some("paid"));
        assert_eq!(state(json!({ "statut": "Devis" })), Some("quote"));
        assert_eq!(state(json!({ "type": "terminated", "isRefund": true })), Some("refund"));
        assert_eq!(state(json!({ "type": "validated", "state": "paid" })), Some("paid"), "the later of two words");
    }

    #[test]
    fn a_part_is_paid_where_less_than_the_total_is_owed() {
        assert_eq!(state(json!({ "status": "partially_paid" })), Some("part paid"));
        assert_eq!(state(json!({ "etat": "facture", "reste": "12,50" })), Some("part paid"));
        assert_eq!(state(json!({ "type": "validated", "remaining": 20.00 })), Some("invoice"));
        assert_eq!(state(json!({ "type": "validated", "remaining": "a lot" })), Some("invoice"));
    }

    #[test]
    fn what_the_answer_does_not_say_is_not_guessed() {
        for order in
            [json!({ "orderID": "42" }), json!({ "state": 3 }), json!({ "type": "validated", "etat": "annulée" })]
        {
            assert_eq!(state(order.clone()), None, "{order}");
        }
    }
}

//! The fields of an object, taken out one by one as they are understood.
//!
//! Reading by taking makes one rule of two: what a reader understood is gone, so what remains is the `extra`, under the
//! till's own names and in its order.
//!
//! **Invariant:** a value leaves only when it was read or carries nothing (null, empty, `[]`, `{}`).

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::{date, names, number};
use crate::order::{Moment, Money, Number, Shop};

/// How many names of fields a reason lists.
const MAX_LISTED: usize = 10;

/// The field in which the unit of a quantity stays.
const UNIT: &str = "unit";

/// The fields that are not understood yet.
pub(super) struct Fields(Vec<(String, Value)>);

impl Fields {
    /// All the fields of an object.
    pub(super) fn new(map: Map<String, Value>) -> Self {
        Self(map.into_iter().collect())
    }

    /// What remains.
    pub(super) fn into_extra(self) -> Map<String, Value> {
        self.0.into_iter().collect()
    }

    /// The first of `names` that `read` understands. What `read` leaves of the value stays; empty values go.
    pub(super) fn take_parts<T>(&mut self, names: &[&str], mut read: impl FnMut(&mut Value) -> Option<T>) -> Option<T> {
        let mut found = None;
        for name in names {
            self.0.retain_mut(|(key, value)| {
                if !names::same(key, name) {
                    return true;
                }
                if found.is_none() && !is_empty(value) {
                    found = read(value);
                }
                !is_empty(value)
            });
        }
        found
    }

    /// The first of `names` that `read` understands, taken whole.
    pub(super) fn take<T>(&mut self, names: &[&str], read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        self.take_parts(names, |value| {
            let found = read(value)?;
            *value = Value::Null;
            Some(found)
        })
    }

    /// Everything called one of `names`, understood or not, as it was sent.
    pub(super) fn take_all(&mut self, names: &[&str]) -> Map<String, Value> {
        self.0.extract_if(.., |(key, _)| names.iter().any(|name| names::same(key, name))).collect()
    }

    /// A text, or a number in its own digits; trimmed, not empty.
    pub(super) fn text(&mut self, names: &[&str]) -> Option<String> {
        self.take(names, self::text)
    }

    /// [`Fields::text`], where `0` means none.
    pub(super) fn id(&mut self, names: &[&str]) -> Option<String> {
        self.text(names).filter(|id| id != "0")
    }

    /// An amount in the shop's currency.
    pub(super) fn money(&mut self, names: &[&str], shop: &Shop) -> Option<Money> {
        self.take(names, number::decimal).map(|value| money(value, shop))
    }

    /// A quantity. Its unit stays, as a field of its own.
    pub(super) fn quantity(&mut self, names: &[&str]) -> Option<Number> {
        let (number, unit) =
            self.take(names, |value| number::quantity(value).map(|(number, unit)| (number, unit.map(str::to_owned))))?;
        self.0.extend(unit.map(|unit| (UNIT.to_owned(), Value::String(unit))));
        Some(Number::new(number))
    }

    /// A rate in percent.
    pub(super) fn rate(&mut self, names: &[&str]) -> Option<Number> {
        self.take(names, number::rate).map(Number::new)
    }

    /// A moment; `0` and `0000-00-00` mean none.
    pub(super) fn moment(&mut self, names: &[&str], shop: &Shop) -> Option<Moment> {
        let read = |value: &Value| match date::is_none(value) {
            true => Some(None),
            false => date::moment(value, &shop.timezone).map(Some),
        };
        self.take(names, read).flatten()
    }

    /// A yes or no; a field that is there and empty is a no, as PHP writes `false`.
    pub(super) fn flag(&mut self, names: &[&str]) -> Option<bool> {
        let sent_empty = self.0.iter().any(|(key, value)| {
            names.iter().any(|name| names::same(key, name)) && value.as_str().is_some_and(|text| text.trim().is_empty())
        });
        self.take(names, flag).or_else(|| sent_empty.then_some(false))
    }

    /// Whether one of `names` is there, says something, and is not what `reads` understands. A second field of the same
    /// meaning that could be read as well is none.
    pub(super) fn holds_unread(&self, names: &[&str], reads: impl Fn(&Value) -> bool) -> bool {
        let is_named = |key: &str| names.iter().any(|name| names::same(key, name));
        self.0.iter().any(|(key, value)| is_named(key) && !is_empty(value) && !reads(value))
    }

    /// The same of an amount.
    pub(super) fn holds_unread_amount(&self, names: &[&str]) -> bool {
        self.holds_unread(names, |value| number::decimal(value).is_some())
    }

    /// The same of a rate.
    pub(super) fn holds_unread_rate(&self, names: &[&str]) -> bool {
        self.holds_unread(names, |value| number::rate(value).is_some())
    }

    /// Whether one of `names` is there and says something.
    pub(super) fn has(&self, names: &[&str]) -> bool {
        self.0.iter().any(|(key, value)| names.iter().any(|name| names::same(key, name)) && !is_empty(value))
    }

    /// Whether no field says anything.
    pub(super) fn are_empty(&self) -> bool {
        self.0.iter().all(|(_, value)| is_empty(value))
    }

    /// The names of the fields, for a person who looks for what is missing. Only what looks like the name of a field is
    /// shown: anything else may be a customer's data in the wrong place.
    pub(super) fn inventory(&self) -> String {
        let looks_like_a_name = |key: &&str| {
            key.len() <= 40 && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-[].".contains(&byte))
        };
        let named: Vec<&str> = self.0.iter().map(|(key, _)| key.as_str()).filter(looks_like_a_name).collect();
        let listed = &named[..named.len().min(MAX_LISTED)];
        match (listed.is_empty(), self.0.len() - listed.len()) {
            (true, 0) => "it has no fields".to_owned(),
            (true, others) => format!("it has {others} fields with unusual names"),
            (false, 0) => format!("fields found: {}", listed.join(", ")),
            (false, others) => format!("fields found: {} and {others} more", listed.join(", ")),
        }
    }
}

/// Whether a value carries nothing.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// An amount in the shop's currency.
pub(super) fn money(value: Decimal, shop: &Shop) -> Money {
    let decimals = shop.currency.minor_digits();
    Money::new(number::meant(value, decimals), decimals)
}

/// A text, or a number in its own digits.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

pub(super) fn flag(value: &Value) -> Option<bool> {
    let word = match value {
        Value::Bool(flag) => return Some(*flag),
        Value::Number(number) => number.as_str(),
        Value::String(text) => text.trim(),
        _ => return None,
    };
    let is = |words: &[&str]| words.iter().any(|known| word.eq_ignore_ascii_case(known));
    if is(&["1", "true", "yes", "on", "oui", "vrai"]) {
        Some(true)
    } else if is(&["0", "false", "no", "off", "non", "faux"]) {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        Fields::new(serde_json::from_value(value).expect("an object"))
    }

    #[test]
    fn the_first_name_that_can_be_read_wins_and_the_rest_stays() {
        let mut sent = fields(json!({"prix": "3", "PRICE": "dear", "total": "", "z": null}));
        assert_eq!(sent.take(&["price", "prix", "total"], number::decimal), Some(Decimal::from(3)));
        assert_eq!(Value::Object(sent.into_extra()), json!({"PRICE": "dear", "z": null}));
    }

    #[test]
    fn a_flag_is_read_however_it_is_written() {
        for (value, expected) in [
            (json!(true), Some(true)),
            (json!("1"), Some(true)),
            (json!("ON"), Some(true)),
            (json!("oui"), Some(true)),
            (json!(0), Some(false)),
            (json!("false"), Some(false)),
            (json!(""), Some(false)),
            (json!(null), None),
            (json!("perhaps"), None),
        ] {
            assert_eq!(fields(json!({ "isRefund": value })).flag(names::IS_REFUND), expected);
        }
        assert_eq!(fields(json!({})).flag(names::IS_REFUND), None);
    }

    #[test]
    fn an_inventory_lists_names_of_fields_and_nothing_else() {
        let sent = fields(json!({"orderID": "secret", "Zoé Durand, 10 rue": "", "items[0]": 1}));
        assert_eq!(sent.inventory(), "fields found: orderID, items[0] and 1 more");
    }
}

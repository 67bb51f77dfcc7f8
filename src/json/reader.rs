//! Reads one value out of JSON, by the budget, with keys that are all alike.

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use super::{Budget, Fault};

/// The only key of the object as which `serde_json` hands over a number that keeps its digits (`arbitrary_precision`).
pub(super) const NUMBER: &str = "$serde_json::private::Number";

/// Reads one value that stands `level` levels deep.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub budget: &'a Budget,
    pub level: usize,
}

impl Reader<'_> {
    fn count<E: serde::de::Error>(self) -> Result<(), E> {
        self.budget.take(1).map_err(|fault| self.budget.stop(fault))
    }

    /// The reader of what stands in a list or an object that begins here.
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        let level = self.level + 1;
        self.budget.allow(level).map_err(|fault| self.budget.stop(fault))?;
        self.count()?;
        Ok(Self { level, ..self })
    }

    fn scalar<E: serde::de::Error>(self, value: impl Into<Value>) -> Result<Value, E> {
        self.count()?;
        Ok(value.into())
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: serde::de::Error>(self, truth: bool) -> Result<Value, E> {
        self.scalar(truth)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Value, E> {
        self.scalar(number)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Value, E> {
        self.scalar(number)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.scalar(text)
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Value, E> {
        self.scalar(text)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        self.scalar(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut key = entries.next_key_seed(Key)?;
        if let Some(Name::Number) = key {
            let digits: String = entries.next_value()?;
            return self.scalar(digits.parse::<Number>().map_err(A::Error::custom)?);
        }
        let inside = self.inside()?;
        let mut map = Map::new();
        while let Some(name) = key {
            let name = match name {
                Name::Key(name) => name,
                Name::Number => NUMBER.to_owned(),
            };
            let earlier = map.insert(name, entries.next_value_seed(inside)?);
            if earlier.is_some() && !self.budget.repeats {
                return Err(self.budget.stop(Fault::Repeated));
            }
            key = entries.next_key_seed(Key)?;
        }
        Ok(Value::Object(map))
    }
}

/// What stands where an object has a key.
enum Name {
    Key(String),
    /// No key: a number follows.
    Number,
}

/// Reads a key as bytes. The text of a document is then bytes, whatever it says, and the mark of a number, which is no text
/// of the document, still a string.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E: serde::de::Error>(self, key: &[u8]) -> Result<Name, E> {
        // Half of a surrogate pair is bytes, but no text.
        let key = std::str::from_utf8(key).map_err(|_| E::custom("a key is no text"))?;
        Ok(Name::Key(key.to_owned()))
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Name, E> {
        Ok(if key == NUMBER { Name::Number } else { Name::Key(key.to_owned()) })
    }
}

//! Reads our types out of the tree with serde.
//!
//! The text of an environment variable is read as whatever its key wants: text, a number, a TOML list.
//!
//! **Invariant:** a mismatch of types names both types and never the value, which may be a secret.

use serde::{
    Deserializer,
    de::{self, IntoDeserializer, Visitor, value::StrDeserializer},
};

use super::{
    fault::{Fault, FaultKind, Step},
    node::{Entry, Node, Value, parse_value},
};

const TEXT: &str = "text in quotes";
const NUMBER: &str = "a whole number";
const TRUTH: &str = "true or false";
const LIST: &str = "a list";
const TABLE: &str = "a table";

impl Node {
    fn instead_of(&self, wanted: &str) -> Fault {
        let found = match &self.value {
            Value::Broken => return FaultKind::Told.into(),
            Value::Text(_) => "text",
            Value::Loose(_) => "this",
            Value::Whole(_) => "a number",
            Value::Truth(_) => "true or false",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Other(other) => other,
        };
        let example = match wanted {
            TEXT => "\"…\"",
            NUMBER => "4",
            TRUTH => "true",
            LIST => "[\"…\"]",
            _ => "{ … }",
        };
        Fault::wrong(format!("must be {wanted}, not {found}"), Some(format!("write it like `{example}`")))
    }

    /// What an environment variable holds where a list or a table is wanted.
    fn tightened(&self, text: &str, wanted: &str) -> Result<Self, Fault> {
        parse_value(text, self.place.clone())
            .filter(|node| !matches!(node.value, Value::Text(_)))
            .ok_or_else(|| self.instead_of(wanted))
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match &self.value {
                Value::Whole(number) => visitor.visit_i64(*number),
                Value::Loose(text) => match text.trim().parse() {
                    Ok(number) => visitor.visit_i64(number),
                    Err(_) => Err(self.instead_of(NUMBER)),
                },
                _ => Err(self.instead_of(NUMBER)),
            }
        })*
    };
}

macro_rules! texts {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.text() {
                Some(text) => visitor.visit_str(text),
                None => Err(self.instead_of(TEXT)),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for &Node {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.value {
            Value::Text(text) | Value::Loose(text) => visitor.visit_str(text),
            Value::Whole(number) => visitor.visit_i64(*number),
            Value::Truth(truth) => visitor.visit_bool(*truth),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Table(_) => self.deserialize_map(visitor),
            Value::Other(_) | Value::Broken => Err(self.instead_of(TEXT)),
        }
    }

    numbers! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
    deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64 }

    texts! { deserialize_str deserialize_string deserialize_char deserialize_bytes deserialize_byte_buf }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.value {
            Value::Truth(truth) => visitor.visit_bool(*truth),
            Value::Loose(text) => match text.trim().parse() {
                Ok(truth) => visitor.visit_bool(truth),
                Err(_) => Err(self.instead_of(TRUTH)),
            },
            _ => Err(self.instead_of(TRUTH)),
        }
    }

    /// An empty text is the same as leaving an optional key out.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.text() == Some("") { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.value {
            Value::List(items) => visitor.visit_seq(Items { items: items.iter().enumerate() }),
            Value::Loose(text) => self.tightened(text, LIST)?.deserialize_seq(visitor),
            _ => Err(self.instead_of(LIST)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.value {
            Value::Table(table) => visitor.visit_map(Keys { entries: table.0.iter(), current: None }),
            Value::Loose(text) => self.tightened(text, TABLE)?.deserialize_map(visitor),
            _ => Err(self.instead_of(TABLE)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let text = self.text().ok_or_else(|| self.instead_of(TEXT))?;
        let variant: StrDeserializer<'_, Fault> = text.into_deserializer();
        visitor.visit_enum(variant)
    }

    serde::forward_to_deserialize_any! { i128 u128 unit unit_struct tuple tuple_struct identifier ignored_any }
}

struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some((index, node)) = self.items.find(|(_, node)| !matches!(node.value, Value::Broken)) else {
            return Ok(None);
        };
        seed.deserialize(node).map(Some).map_err(|fault| fault.within(Step::Item(index), node.place.as_ref()))
    }
}

struct Keys<'a> {
    entries: std::slice::Iter<'a, Entry>,
    current: Option<&'a Entry>,
}

impl<'de> de::MapAccess<'de> for Keys<'_> {
    type Error = Fault;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.current = self.entries.next();
        let Some(entry) = self.current else { return Ok(None) };
        let key: StrDeserializer<'_, Fault> = entry.key.as_str().into_deserializer();
        let step = || Step::Key(entry.key.clone());
        seed.deserialize(key).map(Some).map_err(|fault| fault.within(step(), entry.place.as_ref()))
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        // serde always asks for a key first; without one there is nothing to read.
        let entry = self.current.ok_or_else(|| Fault::from(FaultKind::Told))?;
        let step = || Step::Key(entry.key.clone());
        seed.deserialize(&entry.node).map_err(|fault| fault.within(step(), entry.node.place.as_ref()))
    }
}

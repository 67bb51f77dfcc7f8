//! JSON of others, read within bounds, and JSON with parts of others read back.
//!
//! `serde_json::Value` cannot be trusted with it. Where an object's first key is `$serde_json::private::RawValue` (a feature
//! that libraries of ours switch on), it reads that key's text as JSON once more, and counts the depth from nothing: 15 KB
//! of such texts within texts overflow the stack, which ends the process. Here that key is a key like any other.
//!
//! What others send is read within [`Bounds`], which count levels and values over everything that belongs together: a
//! body, and the JSON that travels as text in its fields ([`Budget`]). What we wrote ourselves, with parts of theirs in it,
//! is read back for as long as it is kept ([`kept`], [`ours`], [`map`]), also where an older version took in more than
//! [`CALL`] allows: up to [`KEPT_LEVELS`], far above the 127 levels at which `serde_json` stops by itself.
//!
//! **Invariant:** no other file makes a `Value` out of text (`tests/house.rs`), and no error quotes what was read.

use std::{cell::Cell, fmt, io, marker::PhantomData};

use serde::{
    Deserializer, Serialize,
    de::{DeserializeOwned, DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// How much may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Levels of lists and objects within each other; the outermost is the first.
    pub levels: usize,
    /// Values in all: each list, object, text, number, truth value and null is one.
    pub parts: usize,
}

/// What a call of the till may hold, with all that is JSON in its texts (contract §5, Finding the order), and an answer of
/// any far side.
pub const CALL: Bounds = Bounds { levels: 32, parts: 20_000 };

/// What a list of the till may hold: the orders of some days, a catalogue. Some 40 MiB of memory.
pub const LIST: Bounds = Bounds { levels: 32, parts: 200_000 };

/// How many levels of our own JSON are read: twice of what was ever written, and far below what a thread's stack takes.
const KEPT_LEVELS: usize = 256;

/// Our own JSON is bounded where it was written.
const OURS: Bounds = Bounds { levels: KEPT_LEVELS, parts: usize::MAX };

/// The only key of the object as which `serde_json` hands over a number that keeps its digits (`arbitrary_precision`).
const NUMBER: &str = "$serde_json::private::Number";

/// Why JSON was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It has more levels than the bounds allow.
    #[error("it is nested too deeply")]
    TooDeep,
    /// It has more values than the bounds allow.
    #[error("it has too many values")]
    TooMany,
    /// It breaks off.
    #[error("it is cut off")]
    CutOff {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// It is no JSON.
    #[error("it is not well-formed")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
}

impl Fault {
    /// Whether it is JSON, and too much of it.
    pub fn is_too_much(self) -> bool {
        matches!(self, Self::TooDeep | Self::TooMany)
    }
}

/// What is left of the bounds of things that are read one after the other and belong together.
#[derive(Debug)]
pub struct Budget {
    levels: usize,
    parts: Cell<usize>,
    /// Which bound stopped the reader: its error has room for words alone.
    exceeded: Cell<Option<Fault>>,
}

impl Budget {
    /// All of these bounds.
    pub fn new(bounds: Bounds) -> Self {
        Self { levels: bounds.levels, parts: Cell::new(bounds.parts), exceeded: Cell::new(None) }
    }

    /// Takes some values from what is left.
    ///
    /// # Errors
    /// When fewer are left; nothing is taken then.
    pub fn take(&self, parts: usize) -> Result<(), Fault> {
        let left = self.parts.get().checked_sub(parts).ok_or(Fault::TooMany)?;
        self.parts.set(left);
        Ok(())
    }

    /// Whether something may stand `level` levels deep.
    ///
    /// # Errors
    /// When that is too deep.
    pub fn allow(&self, level: usize) -> Result<(), Fault> {
        if level > self.levels { Err(Fault::TooDeep) } else { Ok(()) }
    }

    /// Reads JSON that stands `level` levels deep; 0 where it is all there is. A number keeps its digits, and of a repeated
    /// key the last value counts.
    ///
    /// # Errors
    /// When it is no JSON, or too much of it; what stands behind the bound is not looked at. Nothing is taken then.
    pub fn read(&self, text: &str, level: usize) -> Result<Value, Fault> {
        let left = self.parts.get();
        parse(text, Reader { budget: self, level }).map_err(|error| {
            self.parts.set(left);
            self.exceeded.take().unwrap_or_else(|| fault(&error))
        })
    }

    fn stop<E: serde::de::Error>(&self, fault: Fault) -> E {
        self.exceeded.set(Some(fault));
        E::custom(fault)
    }
}

/// Whether a text is JSON, however much of it. It takes no memory, whatever the depth.
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Reads JSON of somebody else.
///
/// # Errors
/// When it is no JSON, or more than the bounds allow.
pub fn read(text: &str, bounds: Bounds) -> Result<Value, Fault> {
    Budget::new(bounds).read(text, 0)
}

/// The same of bytes, which have to be UTF-8.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(bytes: &[u8], bounds: Bounds) -> Result<Value, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::Malformed { line: 1, column: 1 })?;
    read(text, bounds)
}

/// Reads back something that we wrote. Fields with keys of others have to be read by [`map`].
///
/// # Errors
/// When it is not what was written. The error may quote what stands there: it is not for a log.
pub fn kept<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    deep(text, PhantomData)
}

/// Reads back JSON that we wrote, in which there may be keys of others.
///
/// # Errors
/// When it is no JSON.
pub fn ours(text: &str) -> Result<Value, serde_json::Error> {
    let budget = Budget::new(OURS);
    deep(text, Reader { budget: &budget, level: 0 })
}

/// Reads up to [`KEPT_LEVELS`], which are counted first: the library's own count would stop at 127.
fn deep<'de, S: DeserializeSeed<'de>>(text: &'de str, seed: S) -> Result<S::Value, serde_json::Error> {
    if levels(text) > KEPT_LEVELS {
        return Err(serde_json::Error::custom(Fault::TooDeep));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    json.disable_recursion_limit();
    let value = seed.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

/// How deep brackets are nested, those in texts left out.
fn levels(json: &str) -> usize {
    let (mut deepest, mut open, mut in_text, mut is_escaped) = (0, 0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                open += 1;
                deepest = deepest.max(open);
            }
            b'}' | b']' if !in_text => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Reads back an object with keys of others, as a field of something of ours (`#[serde(deserialize_with)]`).
///
/// # Errors
/// When it is no object.
pub fn map<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    let budget = Budget::new(OURS);
    match (Reader { budget: &budget, level: 0 }).deserialize(deserializer)? {
        Value::Object(map) => Ok(map),
        _ => Err(D::Error::custom("an object was expected")),
    }
}

/// Writes something as JSON of at most so many bytes; `None` where it has more, which are then not written.
pub fn written_within(value: &impl Serialize, most: usize) -> Option<String> {
    let mut text = Bounded { text: Vec::new(), most };
    serde_json::to_writer(&mut text, value).ok()?;
    String::from_utf8(text.text).ok()
}

/// Takes no more than so many bytes.
struct Bounded {
    text: Vec<u8>,
    most: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.most - self.text.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn parse(text: &str, reader: Reader<'_>) -> Result<Value, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = reader.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

fn fault(error: &serde_json::Error) -> Fault {
    let (line, column) = (error.line(), error.column());
    if error.is_eof() { Fault::CutOff { line, column } } else { Fault::Malformed { line, column } }
}

/// Reads one value that stands `level` levels deep.
#[derive(Clone, Copy)]
struct Reader<'a> {
    budget: &'a Budget,
    level: usize,
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
            map.insert(name, entries.next_value_seed(inside)?);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SMALL: Bounds = Bounds { levels: 3, parts: 6 };

    /// Lists within lists.
    fn nested(levels: usize) -> String {
        format!("{}{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn json_is_read_as_it_stands_and_numbers_keep_their_digits() {
        let text = r#"{"a":[1.10,-0.00,1e+999,20261121042000000000001,true,null,"\u00e9"],"a\u0062":{}}"#;
        assert_eq!(read(text, CALL).expect("JSON").to_string(), text.replace("\\u00e9", "é").replace("\\u0062", "b"));
        assert_eq!(ours(text).ok(), serde_json::from_str(text).ok());
        assert_eq!(read(r#"{"a":1,"a":2}"#, CALL), Ok(json!({"a": 2})));
    }

    #[test]
    fn keys_that_mean_something_to_the_library_are_ordinary_keys() {
        for key in ["$serde_json::private::RawValue", NUMBER] {
            for value in [json!("[[[["), json!("1"), json!(1), json!({"x": 1}), json!(null)] {
                let mut object = Map::new();
                object.insert(key.to_owned(), value);
                object.insert("other".to_owned(), json!("{"));
                let object = Value::Object(object);
                let text = format!("[{object},{{\"a\":{object}}}]");
                for read in
                    [read(&text, CALL).map_err(|fault| fault.to_string()), ours(&text).map_err(|e| e.to_string())]
                {
                    assert_eq!(read.map(|read| read.to_string()), Ok(text.clone()));
                }
            }
        }
    }

    #[test]
    fn texts_within_texts_are_not_read_by_themselves() {
        let mut text = "[]".to_owned();
        while text.len() < 15_000 {
            text = format!(r#"{{"$serde_json::private::RawValue":{}}}"#, Value::from(format!("[{text}]")));
        }
        let read = read(&text, CALL).expect("an object with one text");
        assert_eq!(read.as_object().map(Map::len), Some(1));
    }

    #[test]
    fn levels_and_parts_are_counted() {
        assert!(read(&nested(32), CALL).is_ok());
        assert_eq!(read(&nested(33), CALL), Err(Fault::TooDeep));
        assert_eq!(read(&nested(100_000), CALL), Err(Fault::TooDeep));
        assert!(read("[1,2,3,4,5]", SMALL).is_ok());
        assert_eq!(read("[1,2,3,4,5,6]", SMALL), Err(Fault::TooMany));
        assert_eq!(read(r#"{"a":[{"b":[]}]}"#, SMALL), Err(Fault::TooDeep));
    }

    #[test]
    fn what_belongs_together_is_counted_together() {
        let budget = Budget::new(SMALL);
        assert!(budget.read("[1]", 1).is_ok() && budget.read("[1]", 2).is_ok());
        assert_eq!(budget.read("[1]", 3), Err(Fault::TooDeep));
        assert_eq!(budget.read("[1,2]", 1), Err(Fault::TooMany));
    }

    #[test]
    fn what_is_not_read_costs_nothing() {
        let budget = Budget::new(SMALL);
        for (unread, is_too_much) in
            [("[[[[[[[", true), ("[1,2,3,4,5,6,7]", true), ("[1,2,3,4", false), ("{]", false), ("[1] 2", false)]
        {
            assert_eq!(budget.read(unread, 0).expect_err(unread).is_too_much(), is_too_much, "{unread}");
        }
        assert!(is_json(&nested(100_000)) && !is_json(&"[".repeat(100_000)));
        assert_eq!(read("[1", CALL), Err(Fault::CutOff { line: 1, column: 2 }));
        assert_eq!(read("[1,]", CALL), Err(Fault::Malformed { line: 1, column: 4 }));
        assert!(budget.read("[1,2,3,4,5]", 0).is_ok());
    }

    #[test]
    fn what_is_kept_may_be_deeper_than_the_library_reads_and_no_end_of_brackets_is_followed() {
        for levels in [1, 127, 128, 200, KEPT_LEVELS] {
            assert!(ours(&nested(levels)).is_ok(), "{levels}");
        }
        for levels in [KEPT_LEVELS + 1, 1_000_000] {
            assert!(ours(&nested(levels)).is_err() && kept::<IgnoredAny>(&nested(levels)).is_err(), "{levels}");
        }
        let text = Value::from(format!("\\\"{}", "[{".repeat(1_000))).to_string();
        assert_eq!(levels(&text), 0);
        assert!(kept::<String>(&text).is_ok() && kept::<Value>("{} {}").is_err());
    }

    #[test]
    fn what_would_be_too_long_is_not_written() {
        assert_eq!(written_within(&json!(["é", 1]), 8).as_deref(), Some("[\"é\",1]"));
        assert_eq!(written_within(&json!(["é", 1]), 7), None);
    }

    #[test]
    fn a_field_is_read_back_as_it_was_written() {
        #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        struct Row {
            #[serde(deserialize_with = "map")]
            extra: Map<String, Value>,
        }
        let text = format!(r#"{{"extra":{{"n":1.50,"o":{{"{NUMBER}":"x","l":[{{}}]}}}}}}"#);
        let row: Row = serde_json::from_str(&text).expect("a row");
        assert_eq!(serde_json::to_string(&row).expect("JSON"), text);
        assert!(serde_json::from_str::<Row>(r#"{"extra":[]}"#).is_err());
    }
}

//! JSON that we write and read back, with parts of others in it.

use std::{io, marker::PhantomData};

use serde::{
    Deserializer, Serialize,
    de::{DeserializeOwned, DeserializeSeed, Error as _},
};
use serde_json::{Map, Value};

use super::{Bounds, Budget, Fault, reader::Reader};

/// How many levels of our own JSON are read: twice of what was ever written, and far below what a thread's stack takes.
pub(super) const KEPT_LEVELS: usize = 256;

/// Our own JSON is bounded where it was written.
const OURS: Bounds = Bounds { levels: KEPT_LEVELS, parts: usize::MAX };

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
pub(super) fn levels(json: &str) -> usize {
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

//! JSON of others, read within bounds, and JSON with parts of others read back.
//!
//! `serde_json::Value` cannot be trusted with it. Where an object's first key is `$serde_json::private::RawValue` (a feature
//! that libraries of ours switch on), it reads that key's text as JSON once more, and counts the depth from nothing: 15 KB
//! of such texts within texts overflow the stack, which ends the process. Here that key is a key like any other.
//!
//! What others send is read within [`Bounds`], which count levels and values over everything that belongs together: a
//! body, and the JSON that travels as text in its fields ([`Budget`]). What we wrote ourselves, with parts of theirs in it,
//! is read back for as long as it is kept ([`kept`], [`ours`], [`map`]), also where an older version took in more than
//! [`CALL`] allows: up to 256 levels, far above the 127 at which `serde_json` stops by itself.
//!
//! **Invariant:** no other file makes a `Value` out of text (`tests/house.rs`), and no error quotes what was read.

mod ours;
mod reader;
#[cfg(test)]
mod tests;

use std::cell::Cell;

use serde::de::{DeserializeSeed, IgnoredAny};
use serde_json::Value;

pub use ours::{kept, map, ours, written_within};

use reader::Reader;

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

/// Why JSON was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It has more levels than the bounds allow.
    #[error("it is nested too deeply")]
    TooDeep,
    /// It has more values than the bounds allow.
    #[error("it has too many values")]
    TooMany,
    /// An object has a key twice, where that is not read.
    #[error("a key is repeated")]
    Repeated,
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
    /// Whether an object may have a key twice.
    repeats: bool,
    /// Which bound stopped the reader: its error has room for words alone.
    exceeded: Cell<Option<Fault>>,
}

impl Budget {
    /// All of these bounds.
    pub fn new(bounds: Bounds) -> Self {
        Self { levels: bounds.levels, parts: Cell::new(bounds.parts), repeats: true, exceeded: Cell::new(None) }
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

/// The same where an object with a repeated key is not read: of its values the next reader may take another.
///
/// # Errors
/// As [`read`], and [`Fault::Repeated`].
pub fn read_unique(text: &str, bounds: Bounds) -> Result<Value, Fault> {
    Budget { repeats: false, ..Budget::new(bounds) }.read(text, 0)
}

/// As [`read`], of bytes, which have to be UTF-8.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(bytes: &[u8], bounds: Bounds) -> Result<Value, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::Malformed { line: 1, column: 1 })?;
    read(text, bounds)
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

//! JSON, strict first and then with three common faults forgiven, and JSON that travels as text inside other fields.
//!
//! All of it is within the bounds of the call ([`Budget`]). Numbers keep their digits, so that an amount is never a binary
//! fraction.

use std::{borrow::Cow, fmt::Write as _};

use serde_json::Value;

use super::escapes;
use crate::json::{Budget, Fault, is_json};

/// How often JSON may be wrapped in a JSON string.
const MAX_WRAPPINGS: usize = 3;

/// What PHP, Python and JavaScript write where a number is none.
const NO_NUMBERS: &[&str] = &["NaN", "-NaN", "Infinity", "-Infinity", "INF", "-INF"];

/// Reads JSON that stands `level` levels deep. Lone surrogates, bare control characters in strings and `NaN` are forgiven.
///
/// # Errors
/// The strict reader's, when the forgiving one fails as well; or that it is too much.
pub(super) fn parse(text: &str, budget: &Budget, level: usize) -> Result<Value, Fault> {
    let strict = match budget.read(text, level) {
        Err(fault) if !fault.is_too_much() => fault,
        read => return read,
    };
    budget.read(&repair(text), level).map_err(|fault| if fault.is_too_much() { fault } else { strict })
}

/// As [`parse`], also where the text was escaped once too often: with backslashes before its quotes, or entities.
///
/// # Errors
/// As [`parse`], of the text as it is.
pub(super) fn parse_escaped(text: &str, budget: &Budget, level: usize) -> Result<Value, Fault> {
    let as_sent = match parse(text, budget, level) {
        Err(fault) if !fault.is_too_much() => fault,
        read => return read,
    };
    if text.contains("\\\"") {
        return parse(&escapes::without_slashes(text), budget, level).map_err(|_| as_sent);
    }
    match escapes::without_entities(text) {
        Cow::Owned(plain) => parse(&plain, budget, level).map_err(|_| as_sent),
        Cow::Borrowed(_) => Err(as_sent),
    }
}

/// Replaces a text that is a JSON list or object, once or more often encoded, by what it says. It stands `level` levels
/// deep.
///
/// # Errors
/// When it is one, and too much.
pub(super) fn unpack(value: &mut Value, budget: &Budget, level: usize) -> Result<(), Fault> {
    let Value::String(text) = &*value else { return Ok(()) };
    let mut text = Cow::Borrowed(text.as_str());
    for _ in 0..=MAX_WRAPPINGS {
        if !text.trim_start().starts_with(['{', '[', '"']) {
            return Ok(());
        }
        match parse_escaped(&text, budget, level) {
            Ok(Value::String(inner)) => text = inner.into(),
            Ok(inner @ (Value::Array(_) | Value::Object(_))) => {
                *value = inner;
                return Ok(());
            }
            // A text that only begins like JSON is no reason to keep the whole call from being read.
            Err(fault) if fault.is_too_much() && is_json(&text) => return Err(fault),
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// The same JSON with U+FFFD for lone surrogates, escapes for control characters, and text for `NaN` and its like.
fn repair(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 16);
    let mut rest = json;
    let mut in_string = false;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '"' => {
                in_string = !in_string;
                out.push(c);
                1
            }
            '\\' if in_string => escape(rest, &mut out),
            c if in_string && c.is_control() && c.is_ascii() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
                1
            }
            _ => match NO_NUMBERS.iter().find(|word| !in_string && rest.starts_with(**word)) {
                Some(word) => {
                    let _ = write!(out, "\"{word}\"");
                    word.len()
                }
                None => {
                    out.push(c);
                    c.len_utf8()
                }
            },
        };
        rest = rest.get(length..).unwrap_or("");
    }
    out
}

/// Writes the escape that `rest` begins with, repaired, and says how long it was.
fn escape(rest: &str, out: &mut String) -> usize {
    let pair = || Some((code_unit(rest)?, rest.get(6..).and_then(code_unit)));
    let length = match pair() {
        Some((0xD800..=0xDBFF, Some(0xDC00..=0xDFFF))) => 12,
        Some((0xD800..=0xDFFF, _)) => {
            out.push_str("\\ufffd");
            return 6;
        }
        Some(_) => 6,
        None => 1 + rest.chars().nth(1).map_or(0, char::len_utf8),
    };
    out.push_str(&rest[..length]);
    length
}

/// The code unit of a `\uXXXX` at the start of `text`.
fn code_unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json::CALL;

    fn parse(text: &str) -> Result<Value, Fault> {
        super::parse(text, &Budget::new(CALL), 0)
    }

    fn unpacked(mut value: Value) -> Value {
        unpack(&mut value, &Budget::new(CALL), 1).expect("little");
        value
    }

    #[test]
    fn common_faults_are_forgiven() {
        for (text, expected) in [
            (r#"{"a":"\ud83d\ude00"}"#, json!({"a": "😀"})),
            (r#"{"a":"x\ud83d","b":"\ude00y\\"}"#, json!({"a": "x\u{fffd}", "b": "\u{fffd}y\\"})),
            ("{\"a\":\"x\ny\t\"}", json!({"a": "x\ny\t"})),
            (r#"{"a":NaN,"b":-Infinity,"c":"NaN \" NaN"}"#, json!({"a": "NaN", "b": "-Infinity", "c": "NaN \" NaN"})),
        ] {
            assert_eq!(parse(text).ok(), Some(expected), "{text}");
        }
        for broken in ["{", "{\"a\":}", "\"\\", "\"\\u12", "[1,]", "\"\\é"] {
            assert!(parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn numbers_keep_their_text() {
        for text in ["1.10", "20261121042000000000001", "1e+999", "-0.00"] {
            assert_eq!(parse(text).map(|number| number.to_string()).ok().as_deref(), Some(text));
        }
    }

    #[test]
    fn json_text_is_unpacked_however_often_it_was_packed() {
        let mut packed = Value::from(r#"[{"t":"é"}]"#);
        for _ in 0..3 {
            assert_eq!(unpacked(packed.clone()), json!([{"t": "é"}]));
            packed = Value::from(packed.to_string());
        }
    }

    #[test]
    fn text_that_is_no_list_and_no_object_stays_text() {
        for text in ["12", "[urgent]", "\"quoted\"", "{", "true", ""] {
            assert_eq!(unpacked(Value::from(text)), Value::from(text));
        }
    }

    #[test]
    fn too_much_is_told_also_where_faults_are_forgiven_and_what_only_looks_like_json_stays_text() {
        for lists in [40, 4_000] {
            let deep = format!("{}1{}", "[".repeat(lists), "]".repeat(lists));
            assert_eq!(parse(&deep), Err(Fault::TooDeep));
            assert_eq!(unpack(&mut Value::from(deep.clone()), &Budget::new(CALL), 1), Err(Fault::TooDeep));
            let comment = Value::from("[".repeat(lists));
            assert_eq!(unpacked(comment.clone()), comment);
        }
    }
}

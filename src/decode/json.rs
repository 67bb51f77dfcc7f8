//! JSON, strict first and then with three common faults forgiven, and JSON that travels as text inside other fields.
//!
//! Numbers keep their digits (`arbitrary_precision`), so that an amount is never a binary fraction.

use std::fmt::Write as _;

use serde_json::{Error, Value};

/// How often JSON may be wrapped in a JSON string.
const MAX_WRAPPINGS: usize = 3;

/// What PHP, Python and JavaScript write where a number is none.
const NO_NUMBERS: &[&str] = &["NaN", "-NaN", "Infinity", "-Infinity", "INF", "-INF"];

/// Reads JSON. Lone surrogates, bare control characters in strings and `NaN` are forgiven.
///
/// # Errors
/// The strict reader's, when the forgiving one fails as well.
pub(super) fn parse(text: &str) -> Result<Value, Error> {
    serde_json::from_str(text).or_else(|error| serde_json::from_str(&repair(text)).map_err(|_| error))
}

/// Replaces a text that is a JSON list or object, once or more often encoded, by what it says.
pub(super) fn unpack(value: &mut Value) {
    let Value::String(text) = &*value else { return };
    let mut text = std::borrow::Cow::Borrowed(text.as_str());
    for _ in 0..=MAX_WRAPPINGS {
        if !text.trim_start().starts_with(['{', '[', '"']) {
            return;
        }
        match parse(&text) {
            Ok(Value::String(inner)) => text = inner.into(),
            Ok(inner @ (Value::Array(_) | Value::Object(_))) => {
                *value = inner;
                return;
            }
            _ => return,
        }
    }
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
            let mut unpacked = packed.clone();
            unpack(&mut unpacked);
            assert_eq!(unpacked, json!([{"t": "é"}]));
            packed = Value::from(packed.to_string());
        }
    }

    #[test]
    fn text_that_is_no_list_and_no_object_stays_text() {
        for text in ["12", "[urgent]", "\"quoted\"", "{", "true", ""] {
            let mut value = Value::from(text);
            unpack(&mut value);
            assert_eq!(value, Value::from(text));
        }
    }
}

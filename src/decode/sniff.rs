//! Looks at the bytes, decides what they are, and makes one tree of them.
//!
//! The declared content type is not asked: tills send JSON as forms and forms as anything.

use serde_json::{Map, Value};

use super::{Unreadable, brackets, charset, fields::is_empty, form, json, multipart};
use crate::json::{Budget, CALL, Fault};

/// The first bytes of what is certainly no call of a till, and what it is instead.
const FOREIGN: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "compressed with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"%PDF-", "a PDF"),
    (b"<", "XML or HTML"),
];

/// The fields of a body, whatever they were encoded as.
///
/// # Errors
/// When the bytes are empty, foreign, broken or too many.
pub(super) fn tree(body: &[u8], content_type: Option<&str>, budget: &Budget) -> Result<Map<String, Value>, Unreadable> {
    let bytes = body.trim_ascii();
    match kind(bytes, content_type)? {
        Kind::Multipart(delimiter) => from_multipart(bytes, delimiter, charset::declared(content_type), budget),
        Kind::Json => from_json(bytes, content_type, budget),
        Kind::Form => form(bytes, content_type, budget),
    }
}

enum Kind<'a> {
    Multipart(&'a [u8]),
    Json,
    Form,
}

fn kind<'a>(bytes: &'a [u8], content_type: Option<&'a str>) -> Result<Kind<'a>, Unreadable> {
    if bytes.is_empty() {
        return Err(Unreadable::because("the call is empty: it has neither a body nor parameters"));
    }
    if let Some((_, what)) = FOREIGN.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err(Unreadable::because(format!("the body is {what}; a form, JSON or multipart was expected")));
    }
    if let Some(delimiter) = multipart::delimiter(bytes, content_type) {
        return Ok(Kind::Multipart(delimiter));
    }
    match bytes[0] {
        b'{' | b'[' | b'"' => Ok(Kind::Json),
        _ if bytes.contains(&b'=') => Ok(Kind::Form),
        _ => Err(Unreadable::because("the body is neither a form nor JSON nor multipart")),
    }
}

fn from_multipart(
    bytes: &[u8],
    delimiter: &[u8],
    declared: Option<&'static encoding_rs::Encoding>,
    budget: &Budget,
) -> Result<Map<String, Value>, Unreadable> {
    let declared = if charset::is_mostly_utf8([bytes]) { Some(encoding_rs::UTF_8) } else { declared };
    let pairs = multipart::pairs(bytes, delimiter, declared, CALL.parts).map_err(|fault| match fault {
        multipart::Fault::CutOff => Unreadable::because("the multipart body is cut off: its last boundary is missing"),
        multipart::Fault::TooMany => too_much(Fault::TooMany),
    })?;
    brackets::nest(pairs, budget).map_err(too_much)
}

/// The fields of a form.
///
/// # Errors
/// When there are too many.
pub(super) fn form(
    bytes: &[u8],
    content_type: Option<&str>,
    budget: &Budget,
) -> Result<Map<String, Value>, Unreadable> {
    let pairs = form::pairs(bytes, charset::declared(content_type), CALL.parts);
    brackets::nest(pairs.ok_or_else(|| too_much(Fault::TooMany))?, budget).map_err(too_much)
}

/// The fields of a form that is a text in a field.
///
/// # Errors
/// When there are too many.
pub(super) fn pairs_of_text(text: &str, budget: &Budget) -> Result<Map<String, Value>, Fault> {
    brackets::nest(form::pairs(text.as_bytes(), None, CALL.parts).ok_or(Fault::TooMany)?, budget)
}

fn from_json(bytes: &[u8], content_type: Option<&str>, budget: &Budget) -> Result<Map<String, Value>, Unreadable> {
    let text = charset::text(bytes, charset::declared(content_type));
    // Where JSON is sent as a form, it is a name without a value.
    let text = text.strip_suffix('=').unwrap_or(&text);
    let fault = match json::parse_escaped(text, budget, 0) {
        Ok(value) => return object(value, budget),
        Err(fault) => fault,
    };
    if fault.is_too_much() {
        return Err(too_much(fault));
    }
    // What could not be read has taken nothing from the budget.
    match form(bytes, content_type, budget) {
        // A form whose first key begins like JSON.
        Ok(form) if form.contains_key("type") => Ok(form),
        _ => Err(Unreadable::because(match fault {
            Fault::CutOff { line, column } | Fault::Malformed { line, column } => {
                format!("the body begins like JSON, but breaks at line {line}, column {column}: {fault}")
            }
            Fault::TooDeep | Fault::TooMany | Fault::Repeated => format!("the body is JSON, but {fault}"),
        })),
    }
}

/// The object that a JSON text is about: itself, inside a string, or alone in a list.
fn object(mut value: Value, budget: &Budget) -> Result<Map<String, Value>, Unreadable> {
    json::unpack(&mut value, budget, 0).map_err(too_much)?;
    if let Value::Array(list) = &mut value
        && list.len() == 1
    {
        value = list.remove(0);
        json::unpack(&mut value, budget, 1).map_err(too_much)?;
    }
    match value {
        Value::Object(fields) => Ok(fields),
        // What PHP, Python and JavaScript write where there is nothing.
        nothing if is_empty(&nothing) => Ok(Map::new()),
        Value::Array(list) => Err(Unreadable::because(format!(
            "the JSON is a list of {} values: one object, one notification, was expected",
            list.len()
        ))),
        _ => Err(Unreadable::because("the JSON is a single value: an object with a `type` was expected")),
    }
}

/// A call beyond the bounds is kept, and not looked into any further.
pub(super) fn too_much(fault: Fault) -> Unreadable {
    Unreadable::because(match fault {
        Fault::TooDeep => format!("the call is nested too deeply: in more than {} levels", CALL.levels),
        _ => format!("the call has more than {} fields and values", CALL.parts),
    })
}

//! Looks at the bytes, decides what they are, and makes one tree of them.
//!
//! The declared content type is not asked: tills send JSON as forms and forms as anything.

use serde_json::{Map, Value};

use super::{Input, Unreadable, brackets, charset, form, json, multipart};

/// How many fields a form may have.
const MAX_FIELDS: usize = 20_000;

/// The first bytes of what is certainly no call of a till, and what it is instead.
const FOREIGN: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "compressed with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"%PDF-", "a PDF"),
    (b"<", "XML or HTML"),
];

/// The fields of a call, whatever they were encoded as; JSON text inside them is unpacked.
///
/// # Errors
/// When the bytes are empty, foreign, broken or too many.
pub(super) fn tree(input: &Input<'_>) -> Result<Map<String, Value>, Unreadable> {
    let declared = charset::declared(input.content_type);
    let body = charset::unmark(input.body, declared);
    let bytes = match body.trim_ascii() {
        b"" => input.query.unwrap_or("").as_bytes(),
        body => body,
    };
    let mut fields = match kind(bytes, input.content_type)? {
        Kind::Multipart(delimiter) => multipart::pairs(bytes, delimiter, declared, MAX_FIELDS)
            .map(brackets::nest)
            .map_err(|fault| match fault {
                multipart::Fault::CutOff => {
                    Unreadable::because("the multipart body is cut off: its last boundary is missing")
                }
                multipart::Fault::TooMany => too_many_fields(),
            })?,
        Kind::Json => from_json(bytes, input)?,
        Kind::Form => from_form(bytes, input)?,
    };
    fields.iter_mut().for_each(|(_, value)| json::unpack(value));
    Ok(fields)
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

fn from_form(bytes: &[u8], input: &Input<'_>) -> Result<Map<String, Value>, Unreadable> {
    let pairs = form::pairs(bytes, charset::declared(input.content_type), MAX_FIELDS).ok_or_else(too_many_fields)?;
    Ok(brackets::nest(pairs))
}

fn from_json(bytes: &[u8], input: &Input<'_>) -> Result<Map<String, Value>, Unreadable> {
    let text = charset::text(bytes, charset::declared(input.content_type));
    match json::parse(&text) {
        Ok(value) => object(value),
        // A form whose first key begins like JSON.
        Err(_) if bytes.contains(&b'=') && from_form(bytes, input).is_ok_and(|form| form.contains_key("type")) => {
            from_form(bytes, input)
        }
        Err(error) => Err(Unreadable::because(format!(
            "the body begins like JSON, but breaks at line {}, column {}: {}",
            error.line(),
            error.column(),
            fault(&error)
        ))),
    }
}

/// What is wrong, without a word of the text that it is wrong in.
fn fault(error: &serde_json::Error) -> &'static str {
    if error.is_eof() {
        "it is cut off"
    } else if error.to_string().starts_with("recursion limit") {
        "it is nested too deeply"
    } else {
        "it is not well-formed"
    }
}

/// The object that a JSON text is about: itself, inside a string, or alone in a list.
fn object(mut value: Value) -> Result<Map<String, Value>, Unreadable> {
    json::unpack(&mut value);
    if let Value::Array(list) = &mut value
        && list.len() == 1
    {
        value = list.remove(0);
        json::unpack(&mut value);
    }
    match value {
        Value::Object(fields) => Ok(fields),
        Value::Array(list) => Err(Unreadable::because(format!(
            "the JSON is a list of {} values: one object, one notification, was expected",
            list.len()
        ))),
        _ => Err(Unreadable::because("the JSON is a single value: an object with a `type` was expected")),
    }
}

fn too_many_fields() -> Unreadable {
    Unreadable::because(format!("the call has more than {MAX_FIELDS} fields"))
}

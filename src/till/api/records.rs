//! Finds the records of a list whose shape nobody documents: an array, an array in an envelope, or an object keyed by id.

use serde_json::{Map, Value};

use super::ApiError;
use crate::json::Budget;

/// Names under which an envelope may hold a list; any other name counts where it holds the only list.
const ENVELOPES: &[&str] = &["data", "result", "results", "list", "rows", "orders", "commandes"];

/// Keys that say how an answer went, beside what it holds.
const REMARKS: &[&str] = &["success", "result", "message", "count", "total", "page", "pages", "next", "error"];

/// How many levels deep a record stands at the most: a list in an envelope.
const RECORD: usize = 2;

/// Things that could not be read, all for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Why; it quotes nothing.
    pub reason: &'static str,
    /// How many.
    pub count: usize,
}

/// A record, and the key that it stood under where the list is an object.
pub(super) struct Record {
    pub(super) key: Option<String>,
    pub(super) value: Value,
}

/// The records of an answer.
///
/// # Errors
/// When there is no list in it.
pub(super) fn records(answer: Value) -> Result<Vec<Record>, ApiError> {
    match answer {
        Value::Array(list) => Ok(list.into_iter().map(|value| Record { key: None, value }).collect()),
        Value::Object(fields) => within(fields),
        _ => Err(ApiError::Unreadable("there is no list in it")),
    }
}

fn within(mut fields: Map<String, Value>) -> Result<Vec<Record>, ApiError> {
    if is_keyed(&fields) {
        return Ok(fields.into_iter().map(|(key, value)| Record { key: Some(key), value }).collect());
    }
    let is_list = |value: &Value| value.is_array() || value.as_object().is_some_and(is_keyed);
    let lists: Vec<&String> = fields.iter().filter(|(_, value)| is_list(value)).map(|(key, _)| key).collect();
    let named = ENVELOPES.iter().find(|name| lists.iter().any(|list| list == *name)).map(|name| (*name).to_owned());
    let others_are_remarks = || fields.iter().all(|(key, value)| is_list(value) || is_remark(key, value));
    let only = if let [only] = lists[..] { Some(only.clone()) } else { None }.filter(|_| others_are_remarks());
    let Some(list) = named.or(only).and_then(|name| fields.remove(&name)) else {
        return Err(ApiError::Unreadable("there is no list in it"));
    };
    let records = records(list)?;
    if is_a_part(&fields, records.len()) {
        return Err(ApiError::Unreadable("it is one page of several, or a part of what it counts"));
    }
    Ok(records)
}

/// Whether the envelope says that there is more. How to ask for the rest nobody documents, and a part must not pass for
/// the whole.
fn is_a_part(envelope: &Map<String, Value>, found: usize) -> bool {
    let number = |key: &str| match envelope.get(key) {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    let goes_on = match envelope.get("next") {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(Value::Number(number)) => number.as_u64() != Some(0),
        Some(Value::Bool(true) | Value::Array(_) | Value::Object(_)) => true,
    };
    goes_on
        || number("pages").is_some_and(|pages| pages > 1)
        || number("count").is_some_and(|count| count > found as u64)
}

fn is_remark(key: &str, value: &Value) -> bool {
    REMARKS.contains(&key) && !value.is_object()
}

/// Whether this is a list whose keys are ids, as PHP writes an array that has holes.
fn is_keyed(fields: &Map<String, Value>) -> bool {
    fields.keys().all(|key| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The records that are objects, and how many are none.
pub(super) fn objects(records: Vec<Record>, budget: &Budget) -> (Vec<Map<String, Value>>, Vec<Unread>) {
    let (mut objects, mut unread) = (Vec::new(), Vec::new());
    for record in records {
        match object(record.value, budget) {
            Ok(fields) => objects.push(fields),
            Err(reason) => count(&mut unread, reason),
        }
    }
    (objects, unread)
}

/// An object, also one that is written as text, of what is left of the answer's budget.
pub(super) fn object(value: Value, budget: &Budget) -> Result<Map<String, Value>, &'static str> {
    match value {
        Value::Object(fields) if fields.is_empty() => Err("an object without fields"),
        Value::Object(fields) => Ok(fields),
        Value::String(text) => match budget.read(&text, RECORD) {
            Ok(Value::Object(fields)) if !fields.is_empty() => Ok(fields),
            Err(fault) if fault.is_too_much() => Err("an object with too much in it"),
            _ => Err("text in place of an object"),
        },
        Value::Array(_) => Err("a list in place of an object"),
        Value::Null => Err("null in place of an object"),
        Value::Bool(_) | Value::Number(_) => Err("a number or a truth value in place of an object"),
    }
}

pub(super) fn count(unread: &mut Vec<Unread>, reason: &'static str) {
    match unread.iter_mut().find(|known| known.reason == reason) {
        Some(known) => known.count += 1,
        None => unread.push(Unread { reason, count: 1 }),
    }
}

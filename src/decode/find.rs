//! Finding the order in a call (contract §5): in body and query together, one wrapping deep, and however often it was escaped.
//!
//! A call is first read as it was sent. Only where that gives no order, or no other announcement that we know, is it read as
//! if its separators had been escaped once too often or were semicolons, and the first of these readings that gives one
//! counts. So a call that is right is never changed by a repair that it does not need.
//!
//! **Invariant:** whatever is tried, each reading is within the bounds of a call, and there are three.

use serde_json::{Map, Value};

use super::{
    Input, Unreadable, charset, escapes,
    fields::text,
    form, json, names,
    sniff::{self, too_much},
};
use crate::json::{Budget, CALL, Fault};

/// How often a call is wrapped that we look into: a field of one of these names holds it.
const WRAPPERS: &[&str] = &["payload", "data", "json", "body"];

/// The longest `type`; the till's own have 13 characters at the most.
const LONGEST_TYPE: usize = 64;

/// As what the separators of a call are read.
#[derive(Clone, Copy)]
enum Separators {
    /// As it was sent.
    AsSent,
    /// `;` is one.
    Semicolons,
    /// `%26` is one, and `%3D` stands between a name and its value.
    Escaped,
}

/// How much of what we look for some fields have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    /// No `type`.
    Nothing,
    /// A `type` that we do not know, or an order without a number.
    AType,
    /// An announcement that we know.
    Everything,
}

/// The fields of a call, whatever they were encoded as; JSON text inside them is unpacked.
///
/// # Errors
/// When the call as it was sent is empty, foreign, broken or too much, and no other reading of it is better.
pub(super) fn fields(input: &Input<'_>) -> Result<Map<String, Value>, Unreadable> {
    let as_sent = read(input, Separators::AsSent);
    let is_found = |fields: &Map<String, Value>| found(fields) == Found::Everything;
    if as_sent.as_ref().is_ok_and(is_found) {
        return as_sent;
    }
    let mut others =
        [Separators::Semicolons, Separators::Escaped].into_iter().filter_map(|other| read(input, other).ok());
    others.find(is_found).map_or(as_sent, Ok)
}

/// Reads body and query.
fn read(input: &Input<'_>, separators: Separators) -> Result<Map<String, Value>, Unreadable> {
    let budget = Budget::new(CALL);
    let unmarked = charset::unmark(input.body, charset::declared(input.content_type));
    let body = respell(&unmarked, separators);
    let query = respell(input.query.unwrap_or_default().as_bytes(), separators);
    let query = match query.trim_ascii() {
        b"" => None,
        query => Some(sniff::form(query, input.content_type, &budget)?),
    };
    let fields = match (sniff::tree(&body, input.content_type, &budget), query) {
        (Ok(body), Some(query)) => joined(body, query, "query"),
        (Ok(fields), None) => fields,
        // A body that says nothing, or nothing to us, is no reason to lose what the query says.
        (Err(_), Some(query)) if body.trim_ascii().is_empty() || found(&query) == Found::Everything => query,
        (Err(error), _) => return Err(error),
    };
    let mut fields = unwrapped(unpacked(fields, &budget).map_err(too_much)?, &budget).map_err(too_much)?;
    fields.values_mut().for_each(escapes::undo);
    names::forget_secrets(&mut fields);
    Ok(fields)
}

fn respell(bytes: &[u8], separators: Separators) -> std::borrow::Cow<'_, [u8]> {
    match separators {
        Separators::AsSent => bytes.into(),
        Separators::Semicolons => bytes.iter().map(|byte| if *byte == b';' { b'&' } else { *byte }).collect(),
        Separators::Escaped => form::unescape_once(bytes).into(),
    }
}

/// Unpacks the fields, and the rows of a table, each of which may be JSON text again.
fn unpacked(mut fields: Map<String, Value>, budget: &Budget) -> Result<Map<String, Value>, Fault> {
    for (name, value) in &mut fields {
        json::unpack(value, budget, 1)?;
        let mut tables = names::ITEMS.iter().chain(names::VAT_LINES);
        if let Value::Array(rows) = value
            && tables.any(|table| names::same(name, table))
        {
            rows.iter_mut().try_for_each(|row| json::unpack(row, budget, 2))?;
        }
    }
    Ok(fields)
}

/// The fields of what is wrapped, where that says more than what is around it; with what is around it.
fn unwrapped(mut fields: Map<String, Value>, budget: &Budget) -> Result<Map<String, Value>, Fault> {
    let around = found(&fields);
    if around == Found::Everything {
        return Ok(fields);
    }
    if let Some(inner) = only_key(&fields, budget)? {
        return Ok(inner);
    }
    for wrapper in WRAPPERS {
        let Some(name) = fields.keys().find(|name| names::same(name, wrapper)).cloned() else { continue };
        let Some(wrapped) = wrapped(&fields[&name], budget)? else { continue };
        let inner = unpacked(wrapped, budget)?;
        let mut outer = fields.clone();
        outer.shift_remove(&name);
        let both = joined(inner, outer, "outer");
        if found(&both) > around {
            fields = both;
            break;
        }
    }
    Ok(fields)
}

/// JSON that was sent as a form: it is the only key, and has no value.
fn only_key(fields: &Map<String, Value>, budget: &Budget) -> Result<Option<Map<String, Value>>, Fault> {
    let mut entries = fields.iter();
    let (Some((key, Value::String(value))), None) = (entries.next(), entries.next()) else { return Ok(None) };
    // What stands behind a `=` in the JSON became the value.
    let text = if value.is_empty() { key.clone() } else { format!("{key}={value}") };
    let mut value = Value::String(text);
    json::unpack(&mut value, budget, 0)?;
    match value {
        Value::Object(inner) => unpacked(inner, budget).map(Some),
        _ => Ok(None),
    }
}

/// The fields that a value holds: an object, one alone in a list, or a form.
fn wrapped(value: &Value, budget: &Budget) -> Result<Option<Map<String, Value>>, Fault> {
    Ok(match value {
        Value::Object(inner) => Some(inner.clone()),
        Value::Array(list) => match list.as_slice() {
            [Value::Object(inner)] => Some(inner.clone()),
            _ => None,
        },
        Value::String(text) if text.contains('=') => Some(sniff::pairs_of_text(text, budget)?),
        _ => None,
    })
}

/// The fields of both. Where both have one and it differs, that of `under` has a name that says where it stood.
fn joined(mut over: Map<String, Value>, mut under: Map<String, Value>, place: &str) -> Map<String, Value> {
    // Under another name a secret would not be known for one any more.
    names::forget_secrets(&mut over);
    names::forget_secrets(&mut under);
    for (name, value) in under {
        match over.get(&name) {
            Some(known) if *known == value => {}
            Some(_) => {
                over.insert(format!("{place}.{name}"), value);
            }
            None => {
                over.insert(name, value);
            }
        }
    }
    over
}

fn found(fields: &Map<String, Value>) -> Found {
    let Some(kind) = field(fields, names::TYPE).filter(|kind| is_word(kind)) else { return Found::Nothing };
    let is = |words: &[&str]| words.iter().any(|word| names::same(&kind, word));
    let is_number = |name| field(fields, name).is_some_and(|id| id != "0" && !holds_more(&id));
    let is_complete = if is(names::ORDER_TYPES) {
        is_number(names::ORDER_ID) || is_number(names::INTERNAL_ID)
    } else {
        is(names::CASH_BOX_TYPES)
    };
    if is_complete { Found::Everything } else { Found::AType }
}

fn field(fields: &Map<String, Value>, wanted: &[&str]) -> Option<String> {
    let mut named = wanted.iter().flat_map(|wanted| fields.iter().filter(|(name, _)| names::same(name, wanted)));
    named.find_map(|(_, value)| text(value).filter(|text| !text.is_empty()))
}

/// Whether a number goes on with another field: its separator was not seen.
fn holds_more(id: &str) -> bool {
    id.split_once([';', '&']).is_some_and(|(_, rest)| rest.contains('='))
}

/// Whether a `type` is one plain word (contract §5). Anything else is somebody's text, which must reach nobody.
pub(super) fn is_word(kind: &str) -> bool {
    (1..=LONGEST_TYPE).contains(&kind.len())
        && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

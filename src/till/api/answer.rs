//! From bytes to data, or to the till's own words: the content type is not believed, and neither is the status.
//!
//! **Invariant:** what is quoted is one short line without control characters, and never the key.

use serde_json::{Map, Value};

use super::{ApiError, client::MASK};
use crate::{
    decode,
    json::{Budget, CALL, Fault},
    sink::client::Fetched,
};

/// How much of the till's own words is shown, in characters.
const QUOTED: usize = 200;

/// How often JSON may be wrapped into text, as PHP does by mistake.
const WRAPPED: usize = 2;

/// The data of an answer whatever its status, without the till's refusals.
pub(super) fn data(answer: &Fetched, key: &str, budget: &Budget) -> Result<Value, ApiError> {
    let text = text_of(answer)?;
    let read = parse(&text, budget).or_else(|why| match without_notices(&text) {
        Some(rest) if !why.is_too_much() => parse(rest, budget).map_err(|_| why),
        _ => Err(why),
    });
    let value = match read {
        Ok(value) => value,
        Err(why) => return Err(no_data(answer.status, &text, why, key)),
    };
    if let Some(words) = refusal(&value) {
        return Err(ApiError::Refused(quoted(&words, key)));
    }
    if is_success(answer.status) { Ok(value) } else { Err(status(answer)) }
}

/// The text of an answer that has one; redirects have none that matters.
fn text_of(answer: &Fetched) -> Result<String, ApiError> {
    if (300..400).contains(&answer.status) {
        return Err(status(answer));
    }
    let text = decode::text(&answer.body, answer.content_type.as_deref());
    match text.trim() {
        "" if is_success(answer.status) => Err(ApiError::Empty(answer.status)),
        "" => Err(status(answer)),
        text => Ok(text.to_owned()),
    }
}

/// Checks a document that is handed on as it is: it is there, and it is no refusal. `page` says whether a web page is what
/// was asked for.
pub(super) fn document(answer: &Fetched, page: bool, key: &str) -> Result<(), ApiError> {
    let text = text_of(answer)?;
    if let Ok(value) = parse(&text, &Budget::new(CALL))
        && let Some(words) = refusal(&value)
    {
        return Err(ApiError::Refused(quoted(&words, key)));
    }
    if !is_success(answer.status) {
        return Err(if is_page(&text) { ApiError::Page(answer.status) } else { status(answer) });
    }
    if is_page(&text) && !page { Err(ApiError::Page(answer.status)) } else { Ok(()) }
}

fn parse(text: &str, budget: &Budget) -> Result<Value, Fault> {
    let mut value = budget.read(text, 0)?;
    for _ in 0..WRAPPED {
        match &value {
            Value::String(inner) if inner.trim_start().starts_with(['{', '[']) => value = budget.read(inner, 0)?,
            _ => break,
        }
    }
    Ok(value)
}

/// What PHP writes before an answer where it complains and goes on.
const NOTICES: &[&str] = &["Warning", "Notice", "Deprecated", "Strict Standards"];

/// An answer without PHP's complaints before and behind it; `None` where there are none. Each ends with `on line 112`, in
/// tags or not.
fn without_notices(text: &str) -> Option<&str> {
    let mut rest = text;
    while is_notice(rest) {
        let (_, behind) = rest.split_once(" on line ")?;
        rest = after_tags(after_tags(behind).trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    let is_notice = |at: &usize| is_notice(&rest[*at..]);
    let end = rest.match_indices(['\n', '<']).map(|(at, _)| at).find(is_notice).unwrap_or(rest.len());
    let answer = rest[..end].trim();
    (answer.len() < text.len() && answer.starts_with(['{', '[', '"'])).then_some(answer)
}

fn is_notice(text: &str) -> bool {
    let text = after_tags(text);
    NOTICES.iter().any(|word| text.starts_with(word))
}

/// The longest tag of layout: `br /`.
const TAG: usize = 4;

/// A text behind blanks and tags of layout.
fn after_tags(text: &str) -> &str {
    let mut rest = text.trim_start();
    while let Some(tag) = rest.strip_prefix('<')
        && let Some(end) = tag.bytes().take(TAG + 1).position(|byte| byte == b'>')
    {
        rest = tag[end + 1..].trim_start();
    }
    rest
}

fn no_data(status: u16, text: &str, why: Fault, key: &str) -> ApiError {
    if why.is_too_much() {
        ApiError::Unreadable("it holds more than is read at once: ask for less of it")
    } else if is_page(text) {
        ApiError::Page(status)
    } else if text.starts_with(['{', '[']) {
        ApiError::Unreadable(if matches!(why, Fault::CutOff { .. }) {
            "its JSON breaks off"
        } else {
            "it is not JSON, but begins like it"
        })
    } else if is_words(text) {
        ApiError::Refused(quoted(text, key))
    } else if is_success(status) {
        ApiError::Unreadable("it is text in place of JSON")
    } else {
        ApiError::Status { status, wait: None }
    }
}

/// A short line that is a sentence to people and no table: what a till says that knows no JSON for it.
fn is_words(text: &str) -> bool {
    text.chars().count() <= QUOTED && !text.contains(['\n', '\t', ';', '@', '|'])
}

/// What a web page, or a complaint of PHP, begins with; an audit file in XML begins with something else.
const PAGE: &[&str] =
    &["html", "head", "body", "title", "meta", "br", "b", "div", "p", "h1", "table", "center", "script"];

fn is_page(text: &str) -> bool {
    let mut rest = text.trim_start();
    for (opening, closing) in [("<?", "?>"), ("<!--", "-->")] {
        while let Some((_, behind)) = rest.strip_prefix(opening).and_then(|within| within.split_once(closing)) {
            rest = behind.trim_start();
        }
    }
    let word =
        |text: &str| text.chars().take_while(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    match rest.strip_prefix("<!") {
        Some(declared) => declared.split_whitespace().nth(1).is_some_and(|kind| word(kind) == "html"),
        None => rest.strip_prefix('<').is_some_and(|tag| PAGE.contains(&word(tag).as_str())),
    }
}

/// What the till says where it refuses: `{"success":false,"result":…}`, `{"result":"ERROR","message":…}` or an `error`.
fn refusal(value: &Value) -> Option<String> {
    let answer = value.as_object()?;
    let said = |keys: &[&str]| {
        let text = keys.iter().filter_map(|key| answer.get(*key)).find_map(words);
        text.unwrap_or_else(|| "it does not say why".to_owned())
    };
    if is_false(answer.get("success")) {
        return Some(said(&["result", "message", "error"]));
    }
    let result = answer.get("result").and_then(Value::as_str).unwrap_or_default();
    if ["error", "ko", "false", "fail", "failed"].iter().any(|word| result.eq_ignore_ascii_case(word)) {
        return Some(said(&["message", "error", "reason"]));
    }
    let error = answer.get("error").and_then(words)?;
    (!is_true(answer.get("success"))).then_some(error)
}

fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(inner) => ["message", "text"].iter().find_map(|key| inner.get(*key).and_then(words)),
        _ => None,
    }
}

fn is_false(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(truth)) => !truth,
        Some(Value::Number(number)) => number.to_string() == "0",
        Some(Value::String(text)) => ["false", "0", "no"].iter().any(|word| text.eq_ignore_ascii_case(word)),
        _ => false,
    }
}

/// Whether the till says yes: `true`, `1` or the text of one of them.
pub(super) fn is_true(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(truth)) => *truth,
        Some(Value::Number(number)) => number.to_string() == "1",
        Some(Value::String(text)) => ["true", "1", "ok", "yes"].iter().any(|word| text.eq_ignore_ascii_case(word)),
        _ => false,
    }
}

/// Whether it is an answer that something was done: `{"success":true}` or `{"result":"OK"}`.
pub(super) fn is_done(answer: &Map<String, Value>) -> bool {
    is_true(answer.get("success")) || is_true(answer.get("result"))
}

pub(super) fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

fn status(answer: &Fetched) -> ApiError {
    let wait = answer.retry_after.as_deref().and_then(|wait| wait.trim().parse().ok());
    ApiError::Status { status: answer.status, wait }
}

/// The till's words on one line. Some programs repeat what they were asked with, so the key is taken out.
fn quoted(words: &str, key: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(key.as_bytes()).collect();
    let mut words = words.to_owned();
    for secret in [key, &encoded].into_iter().filter(|secret| !secret.is_empty()) {
        words = words.replace(secret, MASK);
    }
    let words = words.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(QUOTED).collect()
}

//! What the till answers when it is asked whether it made a call (`signatureVerificationURL`) → yes, no, or neither.

use serde_json::Value;

use super::names;
use crate::{json, order::Verification};

/// Keys of a JSON answer whose value may be the answer.
const KEYS: [&str; 14] = [
    "valid",
    "isvalid",
    "verified",
    "isverified",
    "authentic",
    "signature",
    "signaturevalid",
    "verification",
    "success",
    "result",
    "status",
    "ok",
    "data",
    "valide",
];

/// Keys that say no by not being empty.
const ERRORS: [&str; 4] = ["error", "errors", "erreur", "exception"];

const YES: [&str; 9] = ["true", "1", "ok", "yes", "oui", "valid", "valide", "verified", "authentic"];

const NO: [&str; 14] = [
    "false",
    "0",
    "ko",
    "no",
    "non",
    "not",
    "invalid",
    "invalide",
    "error",
    "erreur",
    "refused",
    "failed",
    "unverified",
    "forged",
];

/// How deep a JSON answer is looked into.
const DEPTH: u8 = 3;

/// Whether an answer confirms a call. The protocol is documented nowhere; this is all that we assume of it, and the only
/// place that does:
///
/// - Only status 200 can be a yes. A redirect was followed before, within the till's own hosts.
/// - The answer is one word ("OK", "true", "1", …), or JSON that is such a word, or a JSON object in which `valid`,
///   `verified`, `success`, `result` or the like is one.
/// - A no beats any yes: `{"success":true,"valid":false}` is a no, and so is an `error` that says anything. In a sentence a
///   single word of denial is enough; not in a `signature`, which may be that itself, where chance may spell any word.
/// - Everything else (an empty answer, a page, a sentence, other JSON) is neither, and nothing is taken for a yes that is
///   not plainly one.
/// - A yes is believed because of who says it: the host is one of the shop's `till_hosts`, by https. That the URL belongs
///   to this call and to no other is up to the till; we cannot see it.
pub fn verification(status: u16, body: &[u8]) -> Verification {
    if status != 200 {
        return Verification::Unknown;
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    let said = match json::read(text, json::CALL) {
        Ok(json) => of_json(&json, DEPTH),
        Err(_) => of_text(text),
    };
    match said {
        Some(true) => Verification::Verified,
        Some(false) => Verification::Refused,
        None => Verification::Unknown,
    }
}

fn of_json(json: &Value, depth: u8) -> Option<bool> {
    match json {
        Value::Bool(said) => Some(*said),
        Value::Number(number) => of_text(&number.to_string()),
        Value::String(text) => of_text(text),
        Value::Object(fields) if depth > 0 => {
            let errors = fields.iter().filter(|(key, value)| is_one_of(key, &ERRORS) && says_anything(value));
            let errors = errors.map(|_| false);
            let answers = fields.iter().filter(|(key, _)| is_one_of(key, &KEYS));
            let answers = answers.filter_map(|(key, value)| match value {
                Value::String(text) if names::same(key, "signature") => of_word(text),
                value => of_json(value, depth - 1),
            });
            errors.chain(answers).reduce(|one, other| one && other)
        }
        _ => None,
    }
}

fn of_text(text: &str) -> Option<bool> {
    if text.starts_with('<') {
        return None;
    }
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    of_word(text).or_else(|| words.any(|word| is_one_of(word, &NO)).then_some(false))
}

/// The same of a text that is to be one word.
fn of_word(text: &str) -> Option<bool> {
    let word = text.trim().trim_end_matches(['.', '!']);
    if is_one_of(word, &YES) {
        return Some(true);
    }
    is_one_of(word, &NO).then_some(false)
}

fn is_one_of(word: &str, known: &[&str]) -> bool {
    known.iter().any(|name| names::same(word, name))
}

fn says_anything(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(number) => number.as_i64() != Some(0),
        Value::String(text) => !text.trim().is_empty() && text.trim() != "0" && text != "false",
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verification::{Refused, Unknown, Verified};

    #[test]
    fn a_plain_yes_is_a_yes_any_no_is_a_no_and_the_rest_is_neither() {
        for (answer, expected) in [
            ("OK", Verified),
            (" true\r\n", Verified),
            ("1", Verified),
            ("\u{feff}ok", Verified),
            ("\"valid\"", Verified),
            (r#"{"valid":true}"#, Verified),
            (r#"{"result":"OK"}"#, Verified),
            (r#"{"success":true,"error":null}"#, Verified),
            (r#"{"data":{"is_verified":"1"}}"#, Verified),
            (r#"{"Signature":"VALID","orderID":"20261121042"}"#, Verified),
            (r#"{"valid":true,"signature":"Zm9v/0+no=="}"#, Verified),
            ("false", Refused),
            ("0", Refused),
            ("KO", Refused),
            ("Error: unknown signature", Refused),
            ("The signature is not valid", Refused),
            (r#"{"valid":false}"#, Refused),
            (r#"{"success":true,"signature":"invalid"}"#, Refused),
            (r#"{"success":true,"valid":false}"#, Refused),
            (r#"{"success":true,"result":"invalid signature"}"#, Refused),
            (r#"{"success":true,"error":"expired"}"#, Refused),
            (r#"{"result":"ERROR","message":"login"}"#, Refused),
            (r#"{"data":{"valid":0}}"#, Refused),
            ("", Unknown),
            ("2", Unknown),
            ("null", Unknown),
            ("[]", Unknown),
            ("[true]", Unknown),
            ("{}", Unknown),
            (r#"{"message":"true"}"#, Unknown),
            (r#"{"valid":null}"#, Unknown),
            ("The signature is valid", Unknown),
            ("<!doctype html><title>OK</title><p>error", Unknown),
            (r#"{"valid":tru"#, Unknown),
            ("\u{fffd}\u{0}", Unknown),
            (r#"{"data":{"data":{"data":{"data":{"valid":true}}}}}"#, Unknown),
        ] {
            assert_eq!(verification(200, answer.as_bytes()), expected, "{answer}");
        }
    }

    #[test]
    fn no_status_but_200_confirms_anything() {
        for status in [201, 202, 204, 301, 400, 401, 403, 404, 500] {
            assert_eq!(verification(status, b"OK"), Unknown, "{status}");
        }
    }
}

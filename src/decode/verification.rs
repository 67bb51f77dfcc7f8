//! What the till answers when it is asked whether it made a call (`signatureVerificationURL`) → yes, no, or neither.

use serde_json::Value;

use super::names;
use crate::{json, order::Verification};

/// Keys of a JSON answer that speak of a verification: a yes in one of these is a yes, a no is a no.
const ASKED: [&str; 19] = [
    "valid",
    "isvalid",
    "valide",
    "estvalide",
    "verified",
    "isverified",
    "verifie",
    "estverifie",
    "authentic",
    "isauthentic",
    "authentique",
    "signature",
    "signaturevalid",
    "signaturevalide",
    "validsignature",
    "signatureverified",
    "verification",
    "authenticity",
    "authenticite",
];

/// Keys that any page of the vendor's has, whatever it is about: a no in one of these is a no, a yes is nothing. What they
/// wrap is looked into.
const ANYTHING: [&str; 5] = ["success", "result", "status", "ok", "data"];

/// Keys that say no by not being empty.
const ERRORS: [&str; 4] = ["error", "errors", "erreur", "exception"];

/// What says of itself that something was verified.
const CONFIRMED: [&str; 6] = ["valid", "valide", "verified", "verifie", "authentic", "authentique"];

/// A yes in a field that speaks of a verification.
const YES: [&str; 11] =
    ["true", "1", "ok", "yes", "oui", "valid", "valide", "verified", "verifie", "authentic", "authentique"];

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
/// - The answer is one word that speaks of a verification ("valid", "verified", "authentic", …), or JSON that is such a
///   word, or a JSON object in which `valid`, `verified`, `signature` or the like says yes. The caller chose the URL, and any
///   page of the vendor's says "OK", `true` or `{"success":true}`: that is no yes.
/// - A no beats any yes: `{"success":false,"valid":true}` is a no, and so is an `error` that says anything. In a sentence a
///   single word of denial is enough; not in a `signature`, which may be that itself, where chance may spell any word.
/// - Everything else (an empty answer, a page, a sentence, other JSON) is neither, and nothing is taken for a yes that is
///   not plainly one.
/// - A yes is believed because of who says it: the host is one of the shop's `till_hosts`, by https. That the URL belongs
///   to this call is up to the till; we see only that no other order brought it (`verify.rs`).
pub fn verification(status: u16, body: &[u8]) -> Verification {
    if status != 200 {
        return Verification::Unknown;
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    let said = match parsed(text) {
        Some(json) => of_json(&json, &CONFIRMED, DEPTH),
        None => of_text(text, &CONFIRMED),
    };
    match said {
        Some(true) => Verification::Verified,
        Some(false) => Verification::Refused,
        None => Verification::Unknown,
    }
}

/// The answer as JSON, where it is that.
fn parsed(text: &str) -> Option<Value> {
    json::read(text, json::CALL).ok()
}

/// What JSON says, where these words are a yes.
fn of_json(json: &Value, yes: &[&str], depth: u8) -> Option<bool> {
    match json {
        Value::Bool(said) => of_text(if *said { "true" } else { "false" }, yes),
        Value::Number(number) => of_text(&number.to_string(), yes),
        Value::String(text) => of_text(text, yes),
        Value::Object(fields) if depth > 0 => {
            let said = fields.iter().filter_map(|(key, value)| of_field(key, value, depth - 1));
            said.reduce(|one, other| one && other)
        }
        _ => None,
    }
}

fn of_field(key: &str, value: &Value, depth: u8) -> Option<bool> {
    match value {
        value if is_one_of(key, &ERRORS) => says_anything(value).then_some(false),
        Value::String(text) if names::same(key, "signature") => of_word(text, &YES),
        value if is_one_of(key, &ASKED) => of_json(value, &YES, depth),
        value if is_one_of(key, &ANYTHING) => of_json(value, &[], depth),
        _ => None,
    }
}

fn of_text(text: &str, yes: &[&str]) -> Option<bool> {
    if text.starts_with('<') {
        return None;
    }
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    of_word(text, yes).or_else(|| words.any(|word| is_one_of(word, &NO)).then_some(false))
}

/// The same of a text that is to be one word.
fn of_word(text: &str, yes: &[&str]) -> Option<bool> {
    let word = text.trim().trim_end_matches(['.', '!']);
    if is_one_of(word, yes) {
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
            ("valid", Verified),
            (" VERIFIED.\r\n", Verified),
            ("\u{feff}Authentic!", Verified),
            ("Vérifié", Verified),
            ("\"valide\"", Verified),
            (r#"{"valid":true}"#, Verified),
            (r#"{"signatureValid":"OK"}"#, Verified),
            (r#"{"success":true,"error":null,"verified":1}"#, Verified),
            (r#"{"data":{"is_verified":"1"}}"#, Verified),
            (r#"{"result":{"data":{"authentic":"yes"}}}"#, Verified),
            (r#"{"Signature":"VALID","orderID":"20261121042"}"#, Verified),
            (r#"{"valid":true,"signature":"Zm9v/0+no=="}"#, Verified),
            // What any page of the vendor's may say.
            ("OK", Unknown),
            (" true\r\n", Unknown),
            ("1", Unknown),
            ("\"oui\"", Unknown),
            (r#"{"success":true}"#, Unknown),
            (r#"{"success":true,"error":null}"#, Unknown),
            (r#"{"result":"OK"}"#, Unknown),
            (r#"{"status":"verified","email":"me@example.com"}"#, Unknown),
            (r#"{"ok":1,"data":true}"#, Unknown),
            (r#"{"data":{"success":"true","status":"valid"}}"#, Unknown),
            (r#"{"verification":{"ok":true}}"#, Unknown),
            ("false", Refused),
            ("0", Refused),
            ("KO", Refused),
            ("Error: unknown signature", Refused),
            ("The signature is not valid", Refused),
            (r#"{"valid":false}"#, Refused),
            (r#"{"success":false}"#, Refused),
            (r#"{"status":"ko","valid":true}"#, Refused),
            (r#"{"ok":0,"signature":"valid"}"#, Refused),
            (r#"{"data":false,"valid":true}"#, Refused),
            (r#"{"success":true,"signature":"invalid"}"#, Refused),
            (r#"{"success":true,"valid":false}"#, Refused),
            (r#"{"success":true,"result":"invalid signature"}"#, Refused),
            (r#"{"success":true,"valid":true,"error":"expired"}"#, Refused),
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
            assert_eq!(verification(status, b"valid"), Unknown, "{status}");
        }
    }
}

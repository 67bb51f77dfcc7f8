//! What the till answers when it is asked whether it made a call (`signatureVerificationURL`) → yes, no, or neither.
//!
//! **Invariant:** a no anywhere beats every yes, and so does a doubt; nothing is taken for a yes that is not plainly one.

mod words;

use serde_json::{Map, Value};

use super::names;
use crate::{json, order::Verification};
use words::{ANYTHING, ASKED, CODES, CONFIRMED, DENIED, DOUBTED, ERRORS, NO, STEMS, YES};

/// How many levels of objects may stand around a yes. A no counts at any depth.
const DEPTH: u8 = 3;

/// What a part of an answer says; of several parts the greatest counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Nothing,
    Yes,
    /// Neither, where a yes was to be expected, or something that contradicts a yes.
    Doubt,
    No,
}

use Said::{Doubt, No, Nothing, Yes};

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is the whole answer, or one of a list that is.
    Top,
    /// In a field that speaks of a verification.
    Asked,
    /// In a `signature`, which may be that itself, where chance may spell any word.
    Signature,
    /// In a field that any page has.
    Anything,
    /// In a code of the page's, of which 0 often means that all is well.
    Code,
    /// In a field of which we know only that its name has a word about verification in it.
    Near,
    /// In any other.
    Elsewhere,
}

/// Whether an answer confirms a call. The protocol is documented nowhere; this is all that we assume of it, and the only
/// place that does:
///
/// - Only status 200 can be a yes. A redirect was followed before, within the till's own hosts.
/// - The answer is one word that speaks of a verification ("valid", "verified", "authentic", …), or JSON that is such a
///   word, or a JSON object in which `valid`, `verified`, `signature` or the like says yes. The caller chose the URL, and any
///   page of the vendor's says "OK", `true` or `{"success":true}`: that is no yes.
/// - A no beats any yes, at whatever depth and in lists: `{"success":false,"valid":true}` is a no, and so is an `error` that
///   says anything, or a `status` of 400 and more. In a sentence a single word of denial is enough; not in a `signature`.
/// - A yes is none beside another word about the verification that is not a plain yes (`"verified":null`), or beside one
///   that says "pending", "expired", "unknown" or the like. Nor is one where an object has a key twice.
/// - Everything else (an empty answer, a page, a sentence, a list, other JSON) is neither.
/// - A yes is believed because of who says it: the host is one of the shop's `till_hosts`, by https. That the URL belongs
///   to this call is up to the till; we see only that no other order brought it (`verify.rs`).
pub fn verification(status: u16, body: &[u8]) -> Verification {
    if status != 200 {
        return Verification::Unknown;
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    let said = match json::read_unique(text, json::CALL) {
        Ok(json) => of_json(&json, Place::Top, DEPTH),
        Err(_) if json::is_json(text) => Doubt,
        Err(_) => of_text(text, Place::Top),
    };
    match said {
        Yes => Verification::Verified,
        No => Verification::Refused,
        Nothing | Doubt => Verification::Unknown,
    }
}

/// What JSON says; a yes within so many levels of objects counts.
fn of_json(json: &Value, place: Place, depth: u8) -> Said {
    match json {
        Value::Null if matches!(place, Place::Asked | Place::Signature) => Doubt,
        Value::Null => Nothing,
        Value::Bool(said) => of_truth(*said, place),
        Value::Number(number) => number.to_string().parse().map_or(Nothing, |number| of_number(number, place)),
        Value::String(text) => of_text(text, place),
        Value::Array(list) => {
            // Nobody knows of which of them the question was.
            let said = list.iter().map(|item| of_json(item, place, 0)).filter(|said| *said != Yes);
            said.fold(if place == Place::Asked { Doubt } else { Nothing }, Said::max)
        }
        Value::Object(fields) => match of_object(fields, depth) {
            Nothing if place == Place::Asked => Doubt,
            said => said,
        },
    }
}

fn of_object(fields: &Map<String, Value>, depth: u8) -> Said {
    let said = fields.iter().map(|(key, value)| of_field(key, value, depth.saturating_sub(1)));
    said.filter(|said| depth > 0 || *said != Yes).max().unwrap_or(Nothing)
}

fn of_field(key: &str, value: &Value, depth: u8) -> Said {
    let lower = key.to_lowercase();
    let bare = ["is", "has", "est"].iter().find_map(|verb| lower.strip_prefix(verb)).unwrap_or(&lower);
    let if_anything = |said| if says_anything(value) { said } else { Nothing };
    let has_one_of = |stems: &[&str]| stems.iter().any(|stem| lower.contains(stem));
    if is_one_of(bare, &DENIED) || has_one_of(&ERRORS) {
        return if_anything(No);
    }
    if is_one_of(bare, &DOUBTED) {
        return if_anything(Doubt);
    }
    if names::same(key, "signature") {
        return of_json(value, Place::Signature, depth);
    }
    if is_one_of(bare, &ASKED) {
        return of_json(value, Place::Asked, depth);
    }
    if is_one_of(key, &CODES) {
        return of_json(value, Place::Code, 0);
    }
    if is_one_of(key, &ANYTHING) {
        return of_json(value, Place::Anything, depth);
    }
    of_json(value, if has_one_of(&STEMS) { Place::Near } else { Place::Elsewhere }, 0)
}

fn of_truth(said: bool, place: Place) -> Said {
    match place {
        Place::Elsewhere | Place::Code => Nothing,
        _ if !said => No,
        Place::Asked | Place::Signature => Yes,
        Place::Top | Place::Anything | Place::Near => Nothing,
    }
}

/// What a number says, however it is written: 1.0 is 1.
fn of_number(number: f64, place: Place) -> Said {
    let (is_one, is_zero) = (number == 1.0, number == 0.0);
    match place {
        Place::Anything | Place::Code if (400.0..1000.0).contains(&number) => No,
        Place::Elsewhere | Place::Code => Nothing,
        _ if is_zero => No,
        Place::Asked | Place::Signature if is_one => Yes,
        Place::Asked => Doubt,
        Place::Top | Place::Signature | Place::Anything | Place::Near => Nothing,
    }
}

fn of_text(text: &str, place: Place) -> Said {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>()
        && number.is_finite()
    {
        return of_number(number, place);
    }
    let word = text.strip_suffix(['.', '!']).unwrap_or(text);
    let is_word = word.chars().all(char::is_alphanumeric);
    match place {
        Place::Top if is_word && is_one_of(word, &CONFIRMED) => Yes,
        Place::Top if text.starts_with('<') => Nothing,
        Place::Asked if is_word && is_one_of(word, &YES) => Yes,
        Place::Asked => of_sentence(text).max(Doubt),
        Place::Signature if is_word && is_one_of(word, &YES) => Yes,
        Place::Signature if !text.contains(char::is_whitespace) => of_word(word, &NO),
        // A name or an address may hold any word.
        Place::Elsewhere => of_word(word, &[]),
        Place::Near => of_word(word, &NO),
        Place::Top | Place::Signature | Place::Anything | Place::Code => of_sentence(text),
    }
}

/// What a text says that is to be one word, where these deny as well.
fn of_word(word: &str, no: &[&str]) -> Said {
    match word {
        _ if is_one_of(word, &DENIED) || is_one_of(word, no) => No,
        _ if is_one_of(word, &DOUBTED) => Doubt,
        _ => Nothing,
    }
}

/// What is denied or doubted in a text. Words end where letters do; a number with a point is one word.
fn of_sentence(text: &str) -> Said {
    let pieces = text.split(|c: char| !c.is_alphanumeric() && c != '.');
    let said = pieces.map(|piece| match piece.parse::<f64>() {
        Ok(0.0) => No,
        Ok(number) if number.is_finite() => Nothing,
        _ => piece.split('.').map(of_word_in_sentence).max().unwrap_or(Nothing),
    });
    said.max().unwrap_or(Nothing)
}

fn of_word_in_sentence(word: &str) -> Said {
    // Also `signatureInvalid`.
    if word.to_lowercase().contains("invalid") { No } else { of_word(word, &NO) }
}

fn is_one_of(word: &str, known: &[&str]) -> bool {
    known.iter().any(|name| names::same(word, name))
}

fn says_anything(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(number) => number.to_string().parse() != Ok(0.0),
        Value::String(text) => !matches!(text.trim(), "" | "0" | "false"),
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
            ("valid!!!...", Unknown),
            ("v-a-l-i-d", Unknown),
            (r#"{"valid":"y e s"}"#, Unknown),
        ] {
            assert_eq!(verification(200, answer.as_bytes()), expected, "{answer}");
        }
    }

    #[test]
    fn a_no_anywhere_beats_every_yes() {
        let deep = |depth: usize| {
            let (open, close) = (r#"{"data":["#.repeat(depth), "]}".repeat(depth));
            format!(r#"{{"valid":true,"data":{open}{{"valid":false}}{close}}}"#)
        };
        for answer in [
            r#"{"valid":true,"message":"signature invalid"}"#,
            r#"{"valid":true,"reason":"It isn't ours"}"#,
            r#"{"valid":true,"detail":{"text":["forged"]}}"#,
            r#"{"valid":true,"msg":"INVALID_SIGNATURE"}"#,
            r#"{"valid":true,"message":"SignatureInvalid"}"#,
            r#"{"valid":true,"message":"error.refused"}"#,
            r#"{"valid":true,"status":401}"#,
            r#"{"valid":true,"status":"404"}"#,
            r#"{"valid":true,"status":4.04e2}"#,
            r#"{"valid":true,"httpStatus":500}"#,
            r#"{"valid":true,"status":999}"#,
            r#"{"valid":true,"code":403}"#,
            r#"{"valid":true,"data":[{"valid":false}]}"#,
            r#"{"valid":true,"calls":[[{"signature":"invalid"}]]}"#,
            r#"{"valid":true,"signature":"signature is not valid"}"#,
            r#"{"valid":true,"signatureMatches":false}"#,
            r#"{"valid":true,"isInvalid":true}"#,
            r#"{"valid":true,"signatureInvalid":true}"#,
            r#"{"valid":true,"validation_errors":["sum"]}"#,
            r#"{"valid":true,"forged":1}"#,
            r#"{"valid":true,"outcome":"refused"}"#,
            r#"{"valid":true,"customer":{"errors":["login"]}}"#,
            r#"{"valid":true,"Valid":false}"#,
            r#"{"valid":true,"verified":0.0}"#,
            r#"[{"valid":true},{"valid":false}]"#,
            &deep(3),
            &deep(15),
        ] {
            assert_eq!(verification(200, answer.as_bytes()), Refused, "{answer}");
        }
        assert_eq!(verification(200, deep(16).as_bytes()), Unknown, "too deep to be read, and no yes");
    }

    #[test]
    fn a_yes_beside_a_doubt_is_neither() {
        for answer in [
            r#"{"valid":false,"valid":true}"#,
            r#"{"valid":true,"valid":true}"#,
            r#"{"valid":true,"data":{"a":1,"a":2}}"#,
            r#"{"valid":true,"status":"expired"}"#,
            r#"{"valid":true,"message":"still pending"}"#,
            r#"{"valid":true,"outcome":"unknown"}"#,
            r#"{"valid":true,"expired":true}"#,
            r#"{"valid":true,"verified":"pending"}"#,
            r#"{"valid":true,"verified":null}"#,
            r#"{"valid":true,"verified":""}"#,
            r#"{"valid":true,"verified":"maybe"}"#,
            r#"{"valid":true,"verified":2}"#,
            r#"{"valid":true,"verified":{}}"#,
            r#"{"valid":true,"verified":[true]}"#,
            r#"{"valid":true,"signature":"pending"}"#,
            r#"{"valid":true,"signature":null}"#,
            r#"{"valid":[true]}"#,
            r#"{"data":[{"valid":true}]}"#,
            r#"{"order":{"valid":true}}"#,
            r#"{"valid":1.1}"#,
            r#"{"valid":10}"#,
        ] {
            assert_eq!(verification(200, answer.as_bytes()), Unknown, "{answer}");
        }
    }

    #[test]
    fn what_says_nothing_about_it_leaves_a_yes_a_yes() {
        for answer in [
            r#"{"valid":1.0}"#,
            r#"{"valid":1e0}"#,
            r#"{"valid":"1.0"}"#,
            r#"{"valid":true,"status":200,"code":0,"message":"Signature valid (API 1.0)"}"#,
            r#"{"valid":true,"invalid":false,"isExpired":0,"errors":[],"error":0.0,"validationErrors":0}"#,
            r#"{"valid":true,"validUntil":"2027-01-01","signatureAlgorithm":"RS256"}"#,
            r#"{"valid":true,"paid":false,"table":0,"customer":{"name":"Non, Jean","note":null}}"#,
            r#"{"valid":true,"items":[{"name":"No. 5","price":450}]}"#,
        ] {
            assert_eq!(verification(200, answer.as_bytes()), Verified, "{answer}");
        }
    }

    #[test]
    fn no_status_but_200_confirms_anything() {
        for status in [201, 202, 204, 301, 400, 401, 403, 404, 500] {
            assert_eq!(verification(status, b"valid"), Unknown, "{status}");
        }
    }
}

//! How much memory a call may take up while it is taken in, told from its bytes alone: before it is decoded it is
//! decided how many others may be taken in beside it.
//!
//! **Invariant:** it is never less than what decoding, comparing and writing were measured to take. That it is many times
//! more for odd bytes costs only their sender.

use super::percent;
use crate::json::CALL;

/// What a call may weigh that is taken in at once, whatever else is going on. Nearly every call is as light.
pub const LIGHT: usize = 128 * 1024;

/// What a byte of text takes: it is held as it came, decoded, and in what is written of the order.
const PLAIN: usize = 8;

/// What a byte takes that JSON writes as up to six (`\u0001`), or that another charset had as one.
const ESCAPED: usize = 48;

/// What a byte may take that begins a value, as `,` does: an item that says nothing is held, and written, with all its fields.
const VALUE: usize = 512;

/// How many bytes of memory a call may take up. A usual one has some ten thousand.
pub fn weight(query: Option<&str>, body: &[u8]) -> usize {
    let (mut plain, mut escaped, mut values) = (0, 0, 1);
    // Whether they are a form is not known yet, so `%2C` counts as what it stands for wherever it is.
    for (byte, _) in percent::bytes(query.unwrap_or_default().as_bytes()).chain(percent::bytes(body)) {
        match byte {
            b',' | b'&' | b';' | b'{' | b'[' | b'\\' => values += 1,
            b'"' | ..b' ' | 0x7f.. => escaped += 1,
            _ => plain += 1,
        }
    }
    // More values are not taken out of a call; what is beyond is quarantined.
    PLAIN * plain + ESCAPED * (escaped + values) + VALUE * values.min(CALL.parts)
}

#[cfg(test)]
mod tests {
    use super::{CALL, ESCAPED, PLAIN, VALUE};

    fn weight(query: &str, body: &[u8]) -> usize {
        super::weight(Some(query), body)
    }

    #[test]
    fn a_call_weighs_more_the_more_can_be_made_of_its_bytes() {
        let (text, items) = ("x".repeat(16_000), "{},".repeat(5_000));
        assert!(weight("", text.as_bytes()) < 200_000);
        assert!(weight("", items.as_bytes()) > 5_000 * VALUE);
        assert!(weight("", &[1; 16_000]) > 16_000 * 6 * PLAIN - 1);
        assert!(weight("", &[0x80; 16_000]) > 16_000 * 3 * PLAIN);
        assert_eq!(weight(&text, b""), weight("", text.as_bytes()), "wherever it stands");
    }

    #[test]
    fn what_is_escaped_counts_as_what_it_stands_for_and_a_broken_escape_as_it_stands() {
        assert_eq!(weight("", b"a%2Cb%22"), weight("", b"a,b\""));
        assert_eq!(weight("", b"%%2%2x%"), weight("", b"xx2x2xx"));
    }

    #[test]
    fn no_number_of_values_weighs_more_than_are_taken() {
        let (most, more) = (vec![b','; CALL.parts], vec![b','; CALL.parts * 2]);
        assert!(weight("", &more) - weight("", &most) <= CALL.parts * ESCAPED + VALUE);
    }

    #[test]
    fn a_usual_call_is_light() {
        let line = r#"{"titre":"Café, 2 sucres","qte":"2","prix":"2.50","tva":"10"},"#;
        let call = format!(
            r#"{{"type":"validated","orderInternalID":"4711","orderID":"2026-118","price":"50.00","items":[{}]}}"#,
            line.repeat(10)
        );
        assert!(weight("", call.as_bytes()) < 64 * 1024, "{}", weight("", call.as_bytes()));
    }
}

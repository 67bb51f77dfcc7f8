//! `application/x-www-form-urlencoded` → pairs of texts.
//!
//! The usual parsers turn a byte that is not UTF-8 into U+FFFD, and with it every accent of a Latin-1 till; this one keeps
//! the bytes until their charset is known.

use encoding_rs::{Encoding, UTF_8};

use super::{charset, names};

/// The field by which a form says its own charset (HTML standard).
const CHARSET_FIELD: &[u8] = b"_charset_";

/// What stands before a name whose separator was an entity: `&amp;orderID=`.
const ENTITIES: &[&[u8]] = &[b"amp;", b"#38;", b"#038;", b"#x26;"];

/// The pairs of a form, in the order sent, at most `limit` of them; `None` when there are more.
pub(super) fn pairs(form: &[u8], declared: Option<&'static Encoding>, limit: usize) -> Option<Vec<(String, String)>> {
    let mut raw: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for part in form.split(|byte| *byte == b'&').filter(|part| !part.is_empty()) {
        if raw.len() == limit {
            return None;
        }
        let part = ENTITIES.iter().find_map(|entity| part.strip_prefix(*entity)).unwrap_or(part);
        if let Some((name, link)) = raw.last_mut()
            && is_cut(name, link, part)
        {
            link.push(b'&');
            link.extend_from_slice(part);
            continue;
        }
        raw.push(match part.iter().position(|byte| *byte == b'=') {
            Some(at) => (unescape(&part[..at]), unescape(&part[at + 1..])),
            None => (unescape(part), Vec::new()),
        });
    }
    let mut own = None;
    raw.retain(|(key, value)| {
        let is_charset = key == CHARSET_FIELD;
        if is_charset {
            own = std::str::from_utf8(value).ok().and_then(charset::by_label);
        }
        !is_charset
    });
    let mostly_utf8 = charset::is_mostly_utf8(raw.iter().flat_map(|(key, value)| [&key[..], value]));
    let encoding = if mostly_utf8 { Some(UTF_8) } else { declared.or(own) };
    let text = |bytes| charset::into_text(bytes, encoding);
    Some(raw.into_iter().map(|(key, value)| (text(key), text(value))).collect())
}

/// Whether a part goes on with the link before it: a link that was not encoded is cut off at its own `&`. Only a secret of the
/// till is known to be part of it; anything else may be a field of the call.
fn is_cut(name: &[u8], link: &[u8], part: &[u8]) -> bool {
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    let (name, key) = (text(name), text(part.split(|byte| *byte == b'=').next().unwrap_or_default()));
    let is_link = names::INVOICE_URL.iter().chain(names::VERIFICATION_URL).any(|known| names::same(name, known));
    is_link && link.contains(&b'?') && names::is_secret(key)
}

/// Undoes `%XX` in a form that was escaped as a whole.
pub(super) fn unescape_once(form: &[u8]) -> Vec<u8> {
    // A `+` is still one of the form within.
    unescape(
        &form
            .iter()
            .flat_map(|byte| if *byte == b'+' { b"%2B" } else { std::slice::from_ref(byte) })
            .copied()
            .collect::<Vec<_>>(),
    )
}

/// Undoes `+` and `%XX`. A `%` that no two hexadecimal digits follow stands for itself.
fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        out.push(match (byte, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => byte,
        });
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &[u8]) -> Vec<(String, String)> {
        pairs(form, None, 9).expect("few fields")
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.into(), value.into())
    }

    #[test]
    fn a_form_field_that_is_not_utf8_is_windows_1252() {
        assert_eq!(read(b"a=Zo%E9+%80&b=Zo%C3%A9&c=Zo\xe9"), [pair("a", "Zoé €"), pair("b", "Zoé"), pair("c", "Zoé")]);
    }

    #[test]
    fn a_form_may_say_its_charset_in_a_field_of_its_own() {
        assert_eq!(read(b"a=%A4&_charset_=iso-8859-15"), [pair("a", "€")]);
    }

    #[test]
    fn what_is_not_an_escape_stands_for_itself() {
        assert_eq!(
            read(b"a=100%&b=%zz%4&&c&=d&e=f=g"),
            [pair("a", "100%"), pair("b", "%zz%4"), pair("c", ""), pair("", "d"), pair("e", "f=g")]
        );
    }

    #[test]
    fn too_many_fields_are_refused() {
        assert_eq!(pairs(b"a&b&c", None, 2), None);
    }
}

//! `application/x-www-form-urlencoded` → pairs of texts.
//!
//! The usual parsers turn a byte that is not UTF-8 into U+FFFD, and with it every accent of a Latin-1 till; this one keeps
//! the bytes until their charset is known.

use encoding_rs::{Encoding, UTF_8};

use super::{charset, names, percent};

/// The field by which a form says its own charset (HTML standard).
const CHARSET_FIELD: &[u8] = b"_charset_";

/// What stands before a name whose separator was an entity: `&amp;orderID=`.
const ENTITIES: &[&[u8]] = &[b"amp;", b"#38;", b"#038;", b"#x26;"];

/// The pairs of a form, in the order sent, at most `limit` of them; `None` when there are more.
pub(super) fn pairs(form: &[u8], declared: Option<&'static Encoding>, limit: usize) -> Option<Vec<(String, String)>> {
    let (mut raw, mut link_is_open) = (Vec::<(Vec<u8>, Vec<u8>)>::new(), false);
    for part in form.split(|byte| *byte == b'&').filter(|part| !part.is_empty()) {
        if raw.len() == limit {
            return None;
        }
        let part = ENTITIES.iter().find_map(|entity| part.strip_prefix(*entity)).unwrap_or(part);
        if let Some((_, link)) = raw.last_mut().filter(|_| link_is_open && goes_on(part)) {
            link.push(b'&');
            link.extend_from_slice(part);
            continue;
        }
        let (name, value) = match part.iter().position(|byte| *byte == b'=') {
            Some(at) => (unescape(&part[..at]), unescape(&part[at + 1..])),
            None => (unescape(part), Vec::new()),
        };
        link_is_open = is_open_link(&name, &value);
        raw.push((name, value));
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

/// Whether a pair is a link that may have been cut off at its own `&`: one that was not encoded.
fn is_open_link(name: &[u8], link: &[u8]) -> bool {
    let mut links = names::INVOICE_URL.iter().chain(names::VERIFICATION_URL);
    link.contains(&b'?') && links.any(|known| names::same(text_of(name), known))
}

/// Whether a part goes on with the link before it. Only a secret of the till is known to be part of it; anything else may be a
/// field of the call.
fn goes_on(part: &[u8]) -> bool {
    names::is_secret(text_of(part.split(|byte| *byte == b'=').next().unwrap_or_default()))
}

fn text_of(name: &[u8]) -> &str {
    std::str::from_utf8(name).unwrap_or_default()
}

/// Undoes `%XX` in a form that was escaped as a whole. A `+` is still one of the form within.
pub(super) fn unescape_once(form: &[u8]) -> Vec<u8> {
    percent::bytes(form).map(|(byte, _)| byte).collect()
}

/// Undoes `+` and `%XX`.
fn unescape(bytes: &[u8]) -> Vec<u8> {
    percent::bytes(bytes).map(|unit| if unit == (b'+', false) { b' ' } else { unit.0 }).collect()
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

//! Bytes → text: UTF-8 if they are, but for some, else the declared charset, else Windows-1252.
//!
//! Windows-1252 comes last because it reads any bytes at all and contains ISO-8859-1, the other charset a French till uses.

use std::borrow::Cow;

use encoding_rs::{Encoding, REPLACEMENT, UTF_8, WINDOWS_1252};

/// The charset that a label names, unless it is UTF-8 (which is tried anyway) or none that can be read.
pub(super) fn by_label(label: &str) -> Option<&'static Encoding> {
    Encoding::for_label(label.trim().trim_matches('"').as_bytes())
        .filter(|encoding| *encoding != UTF_8 && *encoding != REPLACEMENT)
}

/// The charset that a content type declares.
pub(super) fn declared(content_type: Option<&str>) -> Option<&'static Encoding> {
    parameter(content_type?, "charset").and_then(by_label)
}

/// A parameter of a header value such as `text/plain; charset="utf-8"`, without its quotes.
pub(super) fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// Whether bytes that belong together are UTF-8, but for some: they have as many of its characters as pieces that are none. A
/// text that was cut in the middle of a character is no reason to read all its others in another charset.
pub(super) fn is_mostly_utf8<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let (mut characters, mut wrong) = (0, 0);
    for chunk in texts.into_iter().flat_map(<[u8]>::utf8_chunks) {
        characters += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        wrong += usize::from(!chunk.invalid().is_empty());
    }
    characters > 0 && characters >= wrong
}

/// The text of some bytes.
pub(super) fn text<'a>(bytes: &'a [u8], declared: Option<&'static Encoding>) -> Cow<'a, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) if is_mostly_utf8([bytes]) => String::from_utf8_lossy(bytes),
        Err(_) => declared.unwrap_or(WINDOWS_1252).decode_without_bom_handling(bytes).0,
    }
}

/// [`text`] of bytes that are owned already.
pub(super) fn into_text(bytes: Vec<u8>, declared: Option<&'static Encoding>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| text(error.as_bytes(), declared).into_owned())
}

/// The body as UTF-8 or a superset of ASCII, without byte order mark; UTF-16 is converted.
pub(super) fn unmark<'a>(body: &'a [u8], declared: Option<&'static Encoding>) -> Cow<'a, [u8]> {
    let (encoding, mark) = match Encoding::for_bom(body) {
        Some((encoding, length)) => (encoding, length),
        None => (declared.unwrap_or(UTF_8), 0),
    };
    let body = &body[mark..];
    if encoding.is_ascii_compatible() {
        return Cow::Borrowed(body);
    }
    Cow::Owned(encoding.decode_without_bom_handling(body).0.into_owned().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_utf8_else_what_was_declared_else_windows_1252() {
        let latin9 = by_label("iso-8859-15");
        for (bytes, declared, expected) in [
            ("Zoé".as_bytes(), latin9, "Zoé"),
            (b"Zo\xe9 5\x80", None, "Zoé 5€"),
            (b"5\xa4", latin9, "5€"),
            (b"5\xa4", None, "5¤"),
        ] {
            assert_eq!(text(bytes, declared), expected);
            assert_eq!(into_text(bytes.to_vec(), declared), expected);
        }
    }

    #[test]
    fn a_byte_order_mark_is_obeyed_and_removed() {
        assert_eq!(&*unmark(b"\xef\xbb\xbfa=1", None), b"a=1");
        assert_eq!(&*unmark(b"\xff\xfea\0=\0", None), b"a=");
        assert_eq!(&*unmark(b"a\0=\0", by_label("utf-16le")), b"a=");
    }

    #[test]
    fn a_content_type_may_declare_a_charset_or_not() {
        assert_eq!(declared(Some("text/plain; Charset=\"latin1\"")), Some(WINDOWS_1252));
        assert_eq!(declared(Some("text/plain; charset=utf-8")), None);
        assert_eq!(declared(Some("application/json")), None);
    }
}

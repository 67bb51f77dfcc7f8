//! A call's bytes as text that a name can be searched in, whatever they were encoded as.
//!
//! This is no decoding: a body that cannot be decoded has to be searched as well. Every escape that a till may use is
//! undone where it stands, so that a customer is found in a form, in JSON inside a form, and in a broken half of either.

use encoding_rs::WINDOWS_1252;

/// The bytes as text: `%C3%A9`, `\u00e9` and the Latin-1 byte for `é` all become `é`.
pub fn plain(bytes: &[u8]) -> String {
    let bytes = without_percent(bytes);
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(&bytes).0.into_owned(),
    };
    // Twice, for JSON text inside JSON.
    without_backslash(&without_backslash(&text))
}

/// Undoes `%41` and `+`.
fn without_percent(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &after[2..];
            }
            None => {
                plain.push(if *first == b'+' { b' ' } else { *first });
                rest = after;
            }
        }
    }
    plain
}

/// Undoes `\u00e9`, `\/` and `\"`; a line break that is written as `\n` becomes a space.
fn without_backslash(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(escape) = rest.chars().next() else { break };
        match (escape, utf16(rest)) {
            ('u', Some((letter, length))) => {
                plain.push(letter);
                rest = &rest[length..];
                continue;
            }
            ('n' | 'r' | 't', _) => plain.push(' '),
            _ => plain.push(escape),
        }
        rest = &rest[escape.len_utf8()..];
    }
    plain.push_str(rest);
    plain
}

/// The letter that `u00e9`, or a pair as `ud83d\ude00`, stands for, and the length of that.
fn utf16(escape: &str) -> Option<(char, usize)> {
    let unit = |at: usize| u16::from_str_radix(escape.get(at..at + 4)?, 16).ok();
    let first = unit(1)?;
    if let Some(letter) = char::from_u32(u32::from(first)) {
        return Some((letter, 5));
    }
    let second = escape.get(5..7).filter(|mark| *mark == "\\u").and_then(|_| unit(7))?;
    let letter = char::decode_utf16([first, second]).next()?.ok()?;
    Some((letter, 11))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_of_a_name_reads_the_same() {
        for (bytes, text) in [
            (&b"nom=Zo%C3%A9+Durand"[..], "nom=Zoé Durand"),
            (b"nom=Zo%e9", "nom=Zoé"),
            (b"nom=Zo\xe9", "nom=Zoé"),
            (br#"{"nom":"Zo\u00e9","a":"1\/2"}"#, r#"{"nom":"Zoé","a":"1/2"}"#),
            (br#"{"customer":"{\"nom\":\"Zo\\u00e9\"}"}"#, r#"{"customer":"{"nom":"Zoé"}"}"#),
            (b"customer=%7B%22nom%22%3A%22Zo%5Cu00e9%22", r#"customer={"nom":"Zoé""#),
            (br"\ud83d\ude00 \ud83d \u12", "\u{1f600} ud83d u12"),
            (b"100%, 5%x\\", "100%, 5%x"),
        ] {
            assert_eq!(plain(bytes), text, "{}", String::from_utf8_lossy(bytes));
        }
    }
}

//! Texts that were escaped once too often: `&eacute;` and `\'`.
//!
//! Old tills pass their fields through PHP's `htmlentities` or `addslashes` before they send them. An entity counts only
//! where it ends with its semicolon: `&copy=1` in a link is none.

use std::borrow::Cow;

use serde_json::Value;

/// Undoes it in every text of a value.
pub(super) fn undo(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(plain) = plain(text) {
                *text = plain;
            }
        }
        Value::Array(list) => list.iter_mut().for_each(undo),
        Value::Object(map) => map.values_mut().for_each(undo),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A text without entities, and without backslashes before quotes.
fn plain(text: &str) -> Cow<'_, str> {
    let text = without_entities(text);
    if text.contains("\\'") || text.contains("\\\"") {
        return text.replace("\\'", "'").replace("\\\"", "\"").into();
    }
    text
}

/// A text without entities.
pub(super) fn without_entities(text: &str) -> Cow<'_, str> {
    html_escape::decode_html_entities(text)
}

/// A text without the backslash that `addslashes` put before each quote and each backslash.
pub(super) fn without_slashes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escaped @ ('"' | '\'' | '\\')) => out.push(escaped),
                other => out.extend(std::iter::once(c).chain(other)),
            },
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_that_was_escaped_once_too_often_is_plain_and_any_other_stays() {
        for (sent, expected) in [
            ("Cr&egrave;me br&ucirc;l&eacute;e", "Crème brûlée"),
            ("L&#039;Atelier &amp; Fils", "L'Atelier & Fils"),
            ("12,50&nbsp;&euro;", "12,50\u{a0}€"),
            ("https://x/f.pdf?id=1&amp;key=a", "https://x/f.pdf?id=1&key=a"),
            ("L\\'Atelier \\\"chez\\\" Zoé", "L'Atelier \"chez\" Zoé"),
            ("&amp;eacute;", "&eacute;"),
            ("fish & chips &copy=1 &nothing; &#x110000;", "fish & chips &copy=1 &nothing; &#x110000;"),
            ("C:\\temp", "C:\\temp"),
        ] {
            let mut value = json!({ "a": [sent] });
            undo(&mut value);
            assert_eq!(value["a"][0], expected, "{sent}");
        }
    }
}

//! Makes foreign text harmless before it stands in a mail or in a verdict.
//!
//! A customer may be called `Zoé\r\nBcc: x@evil.example`, a product may turn its line around with a bidi control, and a
//! mail server's refusal names the customer it refuses.

use crate::sink::words::{breaks_line, is_hidden};

/// What stands in for an address that nobody should read.
const ADDRESS: &str = "[address]";

/// How much of what a mail server says is kept, in characters.
const MAX_QUOTE: usize = 300;

/// How much of a name or a label is shown, in characters.
const MAX_SHORT: usize = 200;

/// The text as one line: control and bidi characters gone, runs of white space made one space.
pub(super) fn line(text: &str) -> String {
    sentence(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Words of ours with foreign ones in them, as one line: the spaces that keep an amount together stay.
pub(super) fn sentence(text: &str) -> String {
    text.chars().map(|c| if breaks_line(c) { ' ' } else { c }).filter(|c| !is_hidden(*c)).collect()
}

/// The same, cut where it is longer than anybody reads in a table, or than a server takes as one word of a header: lines
/// of 998 characters (RFC 5322 §2.1.1), and a word cannot be folded.
pub(super) fn short(text: &str) -> String {
    cut(line(text), MAX_SHORT)
}

/// The text with its lines kept, ended by `\n`; every other control or bidi character is gone. A mail server that reads
/// a bare `\r` as a line's end would otherwise see another mail than we sent.
pub(super) fn lines(text: &str) -> String {
    let unix = text.replace("\r\n", "\n").replace('\r', "\n");
    unix.chars().filter(|c| matches!(c, '\n' | '\t') || !is_hidden(*c)).collect()
}

/// What a mail server said, fit to be stored and shown: one line, not long, without anybody's address.
pub(super) fn quote(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || "<>()[]{}\"',;".contains(c);
    let mut quote = String::new();
    for piece in line(text).split_inclusive(ends) {
        let word = piece.trim_end_matches(ends);
        // The word goes as a whole: what stands around an address in it (`mailto:`, a VERP prefix) is part of it.
        match word.contains('@') {
            true => quote.push_str(ADDRESS),
            false => quote.push_str(word),
        }
        quote.push_str(&piece[word.len()..]);
    }
    cut(quote, MAX_QUOTE)
}

/// At most so many characters, and a sign that there were more.
fn cut(text: String, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_one_line_without_hidden_characters() {
        assert_eq!(line("Zoé\r\nBcc: x@evil.example"), "Zoé Bcc: x@evil.example");
        assert_eq!(line(" a\u{0}b\u{202e}c\u{85}d \u{2028} e\u{9b}\u{feff} "), "abc d e");
    }

    #[test]
    fn a_text_keeps_its_lines_and_has_one_kind_of_line_end() {
        assert_eq!(lines("a\r\nb\rc\n\td\u{0}\u{2066}"), "a\nb\nc\n\td");
    }

    #[test]
    fn no_address_is_quoted() {
        assert_eq!(
            quote("5.1.1 <zoe@durand.example>: unknown,\r\n see mailto:zoe@durand.example (\"z d\"@x.fr)"),
            "5.1.1 <[address]>: unknown, see [address] (\"z d\"[address])"
        );
        let long = "é".repeat(1000);
        assert_eq!(quote(&long).chars().count(), MAX_QUOTE + 1);
        assert_eq!(short(&long).chars().count(), MAX_SHORT + 1);
    }
}

//! Text for a cell: on one line, and nothing that a spreadsheet would run.
//!
//! A cell that begins with `=`, `+`, `-` or `@` is a formula to a spreadsheet, and customers name themselves. An
//! apostrophe in front makes it a text (OWASP, "CSV Injection"). A French spreadsheet cuts a file with commas at its
//! semicolons, and the other way round, whatever the quotes say, so what follows one of these inside a text is made
//! harmless too.

/// What a formula may begin with, full-width and small variants included: spreadsheets of East Asia read them alike.
const TRIGGERS: &[char] = &['=', '+', '-', '@', '＝', '＋', '－', '＠', '﹦', '﹢', '﹣', '﹫'];

/// What a spreadsheet may cut a line at.
const CUTS: &[char] = &[';', ','];

/// The text on one line: control characters and line breaks become spaces.
pub(super) fn one_line(text: &str) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.chars().map(|c| if breaks(c) { ' ' } else { c }).collect()
}

/// The text on one line, with an apostrophe before whatever would be run.
pub(super) fn defused(text: &str) -> String {
    let line = one_line(text);
    let mut safe = String::with_capacity(line.len() + 1);
    for piece in line.split_inclusive(CUTS) {
        if piece.trim_start_matches(is_skipped).starts_with(TRIGGERS) {
            safe.push('\'');
        }
        safe.push_str(piece);
    }
    safe
}

/// What may stand before a formula without a reader minding: blanks, quotes, and what nobody sees.
fn is_skipped(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_begins_with_an_apostrophe() {
        for (given, written) in [
            ("=HYPERLINK(\"http://evil.example\")", "'=HYPERLINK(\"http://evil.example\")"),
            ("+33 1 23 45 67 89", "'+33 1 23 45 67 89"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("  =1+1", "'  =1+1"),
            ("\t=1+1", "' =1+1"),
            ("\r\n@x", "'  @x"),
            ("\u{a0}\u{200b}=1", "'\u{a0}\u{200b}=1"),
            ("\u{feff}=1", "'\u{feff}=1"),
            ("＝1+1", "'＝1+1"),
            (" ＠x", "' ＠x"),
            ("﹣2", "'﹣2"),
            ("\"=1+1\"", "'\"=1+1\""),
            ("Durand;=1+1", "Durand;'=1+1"),
            ("a,b, @x", "a,b,' @x"),
            ("\u{85}\u{0}-", "'  -"),
        ] {
            assert_eq!(defused(given), written, "{given:?}");
        }
    }

    #[test]
    fn other_text_stays_but_for_its_line_breaks() {
        for text in ["", "Zoé Durand", "O'Brien", "Jean-Pierre", "A=B", "1 + 1", "'=quoted", "Müller & Fils", ";"] {
            assert_eq!(defused(text), text);
        }
        assert_eq!(defused("two\r\nlines\u{2028}\tand\u{0}more"), "two  lines  and more");
    }
}

//! How answers are laid out: columns for people, one JSON shape for programs.
//!
//! **Invariant:** nothing here writes colours, so that a pipe and `NO_COLOR` get what everybody gets.

use std::{
    collections::HashSet,
    io::{self, Write},
};

use serde::Serialize;

/// How wide a column is at most, in characters: the longest name that an invoice's file has (`invoice::filename`). What a
/// till sends may be a thousand times as long, and a width of more than 65,535 cannot be formatted.
const WIDEST: usize = 120;

/// The least that is shown of an id: twelve digits of time and some of chance.
const SHORT_ID: usize = 20;

/// Writes the page that every listing has for programs: `{"data":[…],"next":null}`.
///
/// # Errors
/// When the output cannot be written.
pub fn page<T: Serialize>(data: &[T], out: &mut dyn Write) -> io::Result<()> {
    json(&serde_json::json!({ "data": data, "next": null }), out)
}

/// Writes one JSON value, indented.
///
/// # Errors
/// When the output cannot be written.
pub fn json(value: &serde_json::Value, out: &mut dyn Write) -> io::Result<()> {
    let text = format!("{value:#}");
    // In what is indented by us, a line's end stands outside of every text; all else stands inside, where an escape means the same.
    text.chars().try_for_each(|c| match commands(c) && c != '\n' {
        true => write!(out, "\\u{:04x}", u32::from(c)),
        false => write!(out, "{c}"),
    })?;
    writeln!(out)
}

/// What is said beside the answer, on standard error. Whoever does not read it loses it; the answer is whole all the same.
pub fn notes() -> impl Write {
    Notes(io::stderr())
}

/// A writer whose errors are nobody's concern.
struct Notes<W>(W);

impl<W: Write> Write for Notes<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

/// Columns under headings, two spaces apart. A heading that begins with `>` stands above a column of numbers.
pub struct Table {
    headings: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub fn new(headings: &'static [&'static str]) -> Self {
        Self { headings, rows: Vec::new() }
    }

    /// Adds a row of as many cells as there are headings. What is too long is cut; JSON has it in full.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| cut(&harmless(&cell), WIDEST)).into());
    }

    /// Writes it, each line behind `indent`.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn write(&self, indent: &str, out: &mut dyn Write) -> io::Result<()> {
        self.lines().iter().try_for_each(|line| writeln!(out, "{indent}{line}"))
    }

    /// Its lines; the headings first, unless they are all empty.
    pub fn lines(&self) -> Vec<String> {
        let titles: Vec<String> = self.headings.iter().map(|title| title.trim_start_matches('>').to_owned()).collect();
        let titled = titles.iter().any(|title| !title.is_empty());
        let rows = || titled.then_some(&titles).into_iter().chain(&self.rows);
        let width = |column: usize| rows().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..titles.len()).map(width).collect();
        rows().map(|cells| self.line(cells, &widths)).collect()
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let pad = |((cell, heading), width): ((&String, &&str), &usize)| match heading.starts_with('>') {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        };
        let cells: Vec<String> = cells.iter().zip(self.headings).zip(widths).map(pad).collect();
        cells.join("  ").trim_end().to_owned()
    }
}

/// The length to which ids are cut.
pub struct ShortIds(usize);

impl ShortIds {
    /// Ids in full.
    pub const WHOLE: Self = Self(usize::MAX);

    /// A length at which these ids still differ.
    pub fn of(ids: impl Iterator<Item = String>) -> Self {
        let ids: HashSet<String> = ids.collect();
        let differ = |length: &usize| {
            let distinct: HashSet<String> = ids.iter().map(|id| Self(*length).cut(id)).collect();
            distinct.len() == ids.len()
        };
        let longest = ids.iter().map(String::len).max().unwrap_or(0);
        Self((SHORT_ID..longest).find(differ).unwrap_or(longest))
    }

    /// The id at that length.
    pub fn cut(&self, id: &impl ToString) -> String {
        id.to_string().chars().take(self.0).collect()
    }
}

/// The text on one line, without characters that could command a terminal: the till's words are anybody's.
pub fn harmless(text: &str) -> String {
    text.chars().map(|c| if commands(c) { ' ' } else { c }).collect()
}

/// The same for what has several lines.
pub fn harmless_lines(text: &str) -> String {
    text.split('\n').map(harmless).collect::<Vec<_>>().join("\n")
}

/// Whether a terminal is commanded by it: a control character, or one that turns the direction of what follows, so that
/// it reads as something else (Unicode's `Bidi_Control`).
pub(super) fn commands(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The beginning of a text, on one line.
pub fn excerpt(text: &str, length: usize) -> String {
    let line: Vec<&str> = text.split_whitespace().collect();
    cut(&line.join(" "), length)
}

/// At most so many characters of a text, the last of them a sign that there are more.
fn cut(text: &str, length: usize) -> String {
    if text.chars().nth(length).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(length.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// `1 delivery`, `2 deliveries`.
pub fn counted(number: u64, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

/// What is not known.
pub fn or_dash(text: Option<String>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "–".to_owned())
}

/// A number of bytes as people read it: `84.0 KiB`.
pub fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_said_commands_a_terminal_or_turns_the_direction_of_a_text() {
        let hostile = "a\u{1b}]0;pwned\u{7}\u{9b}2J\u{7f}\n\u{202e}fdp.\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}é b";
        assert_eq!(harmless(hostile), "a ]0;pwned  2J   fdp.     é b");
        assert_eq!(harmless_lines(hostile), "a ]0;pwned  2J \n fdp.     é b");
    }

    #[test]
    fn json_says_the_same_in_escapes_that_command_no_terminal() {
        let value = serde_json::json!({ "name": "\u{1b}[2J\u{9b}2J\u{7f}\u{202e}é\n", "list": [1] });
        let mut out = Vec::new();
        json(&value, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(r"\u001b[2J\u009b2J\u007f\u202eé\n"), "{text}");
        assert!(!text.replace('\n', "").contains(commands), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}

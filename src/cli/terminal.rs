//! Standard output as a terminal shows it: whatever a command prints, nothing in it commands the terminal.
//!
//! Numbers, names and answers are anybody's texts. Each command takes care of those that it prints; this is for the one that
//! is forgotten, and for bodies that a person asked to see. Into a file or a pipe everything goes as it is.
//!
//! **Invariant:** a line's end and a tabulator are the only control characters that pass.

use std::io::{self, IsTerminal as _, Write};

use super::print::commands;

/// Standard output, guarded where it is a terminal.
pub(super) fn stdout() -> Box<dyn Write> {
    // Not locked: a `stdout` sink writes there from a thread of its own.
    let out = io::stdout();
    if out.is_terminal() { Box::new(Guarded::new(out)) } else { Box::new(out) }
}

/// Lets texts through, with a blank in place of each character that commands a terminal.
struct Guarded<W> {
    inner: W,
    /// The beginning of a character whose end is still to come.
    begun: Vec<u8>,
}

/// The most bytes of a character.
const CHARACTER: usize = 4;

impl<W: Write> Guarded<W> {
    fn new(inner: W) -> Self {
        Self { inner, begun: Vec::new() }
    }
}

impl<W: Write> Write for Guarded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes_in_all = [&self.begun[..], bytes].concat();
        let mut text = String::with_capacity(bytes_in_all.len());
        self.begun.clear();
        let mut rest = bytes_in_all.len();
        for chunk in bytes_in_all.utf8_chunks() {
            text.extend(chunk.valid().chars().map(|c| if commands(c) && !matches!(c, '\n' | '\t') { ' ' } else { c }));
            rest -= chunk.valid().len() + chunk.invalid().len();
            let invalid = chunk.invalid();
            let is_begun = rest == 0
                && invalid.len() < CHARACTER
                && std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
            if is_begun {
                self.begun = invalid.to_vec();
            } else if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.inner.write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_printed_commands_a_terminal_however_it_is_cut_into_writes() {
        let text = "é\u{1b}[2J\r\n\ta\u{202e}b\u{9b}c 😀".as_bytes();
        let hostile = [text, b"\xff\x1b\xc3\x1bz"].concat();
        let expected = "é [2J \n\ta b c 😀\u{fffd} \u{fffd} z";
        for piece in 1..=hostile.len() {
            let mut out = Guarded::new(Vec::new());
            hostile.chunks(piece).for_each(|piece| out.write_all(piece).unwrap());
            assert_eq!(String::from_utf8(out.inner).unwrap(), expected, "{piece} bytes at a time");
        }
    }
}

//! JSON as our manifests are: shallow, and of short texts.
//!
//! A reader of JSON that takes one piece at a time still holds that piece, and what is ignored too: a text, a number, the
//! brackets that are open. So they are measured before it sees them.
//!
//! **Invariant:** what passes holds no text and no number longer than [`LONGEST`], and no more than [`DEEPEST`] brackets that
//! are open at once.

use std::io::{self, Read};

/// The longest text or number, in bytes: a path is the longest that we write, and has about a hundred.
const LONGEST: usize = 4096;

/// How many brackets are open at once, at the most; ours are three.
const DEEPEST: u32 = 8;

/// What is no JSON of ours.
#[derive(Debug, thiserror::Error)]
#[error("it is longer or deeper than any list of ours")]
pub(super) struct Outsized;

/// Measures JSON while it is read.
pub(super) struct PlainJson<R> {
    inner: R,
    depth: u32,
    /// The length of the text or the number that is read.
    length: usize,
    in_text: bool,
    is_escaped: bool,
}

impl<R> PlainJson<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, depth: 0, length: 0, in_text: false, is_escaped: false }
    }

    fn step(&mut self, byte: u8) -> Result<(), Outsized> {
        self.length += 1;
        match byte {
            _ if self.in_text && self.is_escaped => self.is_escaped = false,
            b'\\' if self.in_text => self.is_escaped = true,
            b'"' => (self.in_text, self.length) = (!self.in_text, 0),
            _ if self.in_text => {}
            b'[' | b'{' => (self.depth, self.length) = (self.depth + 1, 0),
            b']' | b'}' => (self.depth, self.length) = (self.depth.saturating_sub(1), 0),
            b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' => self.length = 0,
            _ => {}
        }
        if self.depth > DEEPEST || self.length > LONGEST { Err(Outsized) } else { Ok(()) }
    }
}

impl<R: Read> Read for PlainJson<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        for byte in &buffer[..read] {
            self.step(*byte).map_err(io::Error::other)?;
        }
        Ok(read)
    }
}

/// Whether reading failed because of what was read.
pub(super) fn is_outsized(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|cause| cause.is::<Outsized>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(json: &str) -> bool {
        let read = io::read_to_string(PlainJson::new(json.as_bytes()));
        assert!(read.as_ref().err().is_none_or(is_outsized), "{read:?}");
        read.is_ok()
    }

    #[test]
    fn long_texts_and_numbers_and_deep_brackets_do_not_pass() {
        let text = |length| format!("[\"{}\"]", "a".repeat(length));
        let (brackets, digits) = (|depth| "[".repeat(depth), |length| format!("[1{}]", "0".repeat(length)));
        for json in
            [text(4000), digits(4000), brackets(8), "[[],{}],".repeat(5000), r#"["a\\",[],"\"[[[[[[[[["]"#.into()]
        {
            assert!(passes(&json), "{json:.40}");
        }
        assert!(passes(&"[1, 2],\n".repeat(5000)) && passes(&" ".repeat(10_000)));
        for json in
            [text(5000), digits(5000), brackets(9), r#"{"a":"#.repeat(9), format!("[\"\\\"{}\"]", "]".repeat(5000))]
        {
            assert!(!passes(&json), "{json:.40}");
        }
    }
}

//! A mail for the wire, with as many of its files as the server takes.
//!
//! **Invariant:** a file that is left out is named in the mail, where everybody who gets it reads it.

use bytes::Bytes;

use super::letter::Letter;
use crate::sink::{Payload, SinkError};

/// A mail and what goes with it.
pub(super) struct Content<'a> {
    letter: &'a Letter,
    payload: &'a Payload,
    files: &'a [Bytes],
    /// The places of the files, the largest first: the order in which they are left out.
    by_size: Vec<usize>,
    /// How many are left out, and the mail without them.
    made: (usize, Vec<u8>),
}

impl<'a> Content<'a> {
    /// The mail in full. `files` are the bytes of what `payload` attaches, in its order; `whole`: none may be left out,
    /// because the mail is nothing without it.
    pub(super) fn new(
        letter: &'a Letter,
        payload: &'a Payload,
        files: &'a [Bytes],
        whole: bool,
    ) -> Result<Self, SinkError> {
        let mut by_size: Vec<usize> = if whole { Vec::new() } else { (0..files.len()).collect() };
        by_size.sort_by_key(|place| std::cmp::Reverse(files[*place].len()));
        let made = (0, letter.to_mime(payload, files, &[])?);
        Ok(Self { letter, payload, files, by_size, made })
    }

    /// How many files have to be left out of a mail of at most so many bytes; all of them, where none helps.
    pub(super) fn fitting(&mut self, largest: usize) -> Result<usize, SinkError> {
        for left_out in 0..self.by_size.len() {
            if self.without(left_out)?.len() <= largest {
                return Ok(left_out);
            }
        }
        Ok(self.by_size.len())
    }

    /// Whether one more can be left out than these.
    pub(super) fn has_more_than(&self, left_out: usize) -> bool {
        left_out < self.by_size.len()
    }

    /// The mail without so many of its largest files: seven-bit, lines ended by CRLF.
    pub(super) fn without(&mut self, left_out: usize) -> Result<&[u8], SinkError> {
        if self.made.0 != left_out {
            // The earlier one first: both may be large.
            self.made = (left_out, Vec::new());
            let places = &self.by_size[..left_out.min(self.by_size.len())];
            self.made.1 = self.letter.to_mime(self.payload, self.files, places)?;
        }
        Ok(&self.made.1)
    }
}

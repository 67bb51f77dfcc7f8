//! Options that take a word or a number, and say what they take when they get something else.

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};

/// Takes one of `all` by its word; the help and a refusal name every word there is.
pub fn one_of<T>(all: &'static [T], word: fn(T) -> &'static str) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    let words = PossibleValuesParser::new(all.iter().map(|one| word(*one)));
    words.try_map(move |said| all.iter().copied().find(|one| word(*one) == said).ok_or("there is no such word"))
}

/// Takes a whole number.
///
/// # Errors
/// When it is none, or too large.
pub fn whole<T: FromStr>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| format!("`{text}` is no whole number: write one such as 12"))
}

//! The till's order numbers as they are written: a counter, and what stands around it.
//!
//! Known are one sequence for ever (`17724460`), one a day behind the date (`20261121042`), and both behind a word or a year
//! (`F000504`, `2026-0504`, `504/2026`). What has no counter follows no other number, and whoever counts says so. Which
//! numbers follow each other is in `sequences.rs`.

use std::{fmt, sync::Arc};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Digits of a date in front of a day's sequence.
const DATE: usize = 8;

/// The longest counter that is understood: with more digits it would not fit.
const LONGEST: usize = 18;

/// The longest number that is understood, in bytes.
const LONGEST_TEXT: usize = 64;

/// A number that a sequence goes on from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrderNumber {
    form: NumberForm,
    place: u64,
    /// How many digits are written, zeros in front included.
    width: usize,
}

/// What stands around the counter. Numbers of one form may follow each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NumberForm {
    before: Arc<str>,
    after: Arc<str>,
    /// The day's own sequence, where `before` is, or ends in, its date.
    day: Option<Date>,
}

/// Numbers that are missing, first and last included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hole {
    /// The first.
    pub first: String,
    /// The last; the same where one is missing.
    pub last: String,
    /// How many.
    pub count: u64,
    /// Whose sequence it is, where each till has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub till: Option<String>,
}

/// The first and the last number of a sequence, or of the sequences of several days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberRange {
    /// The first.
    pub first: String,
    /// The last; the same where there is one.
    pub last: String,
    /// Whose sequence it is, where each till has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub till: Option<String>,
    /// How many are missing in it; `None` where nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<u64>,
}

impl OrderNumber {
    /// Reads a number; `None` for one without a counter.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > LONGEST_TEXT || text.chars().any(char::is_control) {
            return None;
        }
        let (before, digits, after) = parted(text)?;
        let (before, digits, day) = match dated(digits) {
            Some((day, rest)) => (&text[..before.len() + DATE], rest, Some(day)),
            None => (before, digits, None),
        };
        if digits.len() > LONGEST {
            return None;
        }
        let form = NumberForm { before: before.into(), after: after.into(), day };
        Some(Self { form, place: digits.parse().ok()?, width: digits.len() })
    }

    /// What stands around its counter.
    pub fn form(&self) -> &NumberForm {
        &self.form
    }

    /// Its counter.
    pub fn place(&self) -> u64 {
        self.place
    }

    /// Another number of the same form, with at least as many digits.
    pub fn at(&self, place: u64) -> Self {
        Self { place, ..self.clone() }
    }

    /// Whether the till began a new year: its counter begins with the year.
    pub(super) fn is_next_year_of(&self, earlier: &Self) -> bool {
        let year = |number: &Self| {
            let digits = format!("{:0width$}", number.place, width = number.width);
            (digits.len() > 4 && digits.starts_with("20")).then(|| digits[..4].parse::<u16>().ok()).flatten()
        };
        let years = year(earlier).zip(year(self));
        self.form == earlier.form && self.width == earlier.width && years.is_some_and(|(one, next)| one + 1 == next)
    }
}

impl NumberForm {
    /// Whether it is that of one day.
    pub fn is_of_a_day(&self) -> bool {
        self.day.is_some()
    }

    /// The form without its day, where it has one: days that follow are listed as one.
    pub fn family(&self) -> (&str, &str, bool) {
        let before = if self.day.is_some() { &self.before[..self.before.len() - DATE] } else { &*self.before };
        (before, &self.after, self.day.is_some())
    }
}

impl fmt::Display for OrderNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NumberForm { before, after, .. } = &self.form;
        write!(f, "{before}{:0width$}{after}", self.place, width = self.width)
    }
}

/// What stands before the counter, the counter, and what stands after it. The counter is the last run of digits, or the one
/// before where a year follows it.
fn parted(text: &str) -> Option<(&str, &str, &str)> {
    let (before, digits, after) = last_run(text)?;
    if after.is_empty() && is_year(digits) && before.ends_with(['/', '-']) {
        let (earlier, counter, separator) = last_run(before).unwrap_or_default();
        let is_counted = separator == "/" || (separator == "-" && earlier.is_empty());
        if is_counted && !is_year(counter) && is_plain(earlier) {
            return Some((earlier, counter, &text[earlier.len() + counter.len()..]));
        }
    }
    (is_plain(before) && (after.is_empty() || after.starts_with(is_separator))).then_some((before, digits, after))
}

/// The last run of digits, and what stands around it.
fn last_run(text: &str) -> Option<(&str, &str, &str)> {
    let end = text.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = text[..end]
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    Some((&text[..start], &text[start..end], &text[end..]))
}

/// Whether no letter follows a digit, as in what was drawn by chance (`3f2a9`).
fn is_plain(before: &str) -> bool {
    before.chars().zip(before.chars().skip(1)).all(|(one, next)| !(one.is_ascii_digit() && next.is_alphabetic()))
}

fn is_separator(c: char) -> bool {
    !c.is_alphanumeric()
}

fn is_year(digits: &str) -> bool {
    digits.len() == 4 && digits.starts_with("20")
}

/// A date in front, and the counter behind it.
fn dated(digits: &str) -> Option<(Date, &str)> {
    let (date, rest) = digits.split_at_checked(DATE)?;
    if !date.starts_with("20") || rest.is_empty() {
        return None;
    }
    Some((Date::strptime("%Y%m%d", date).ok()?, rest))
}

/// Numbers as people list them, ascending: those that follow each other as one.
pub fn runs(numbers: impl IntoIterator<Item = OrderNumber>) -> Vec<Hole> {
    let mut numbers: Vec<OrderNumber> = numbers.into_iter().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let follows = |one: &OrderNumber, next: &OrderNumber| one.form == next.form && one.place + 1 == next.place;
    let hole = |run: &[OrderNumber]| {
        let (first, last) = (run.first()?.to_string(), run.last()?.to_string());
        Some(Hole { first, last, count: run.len() as u64, till: None })
    };
    numbers.chunk_by(follows).filter_map(hole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Before the counter, the counter, and the number written again.
    fn read(text: &str) -> Option<(String, u64)> {
        let number = OrderNumber::parse(text)?;
        assert_eq!(number.to_string(), text.trim(), "it is written as it was");
        Some((format!("{}…{}", number.form.before, number.form.after), number.place))
    }

    #[test]
    fn a_number_is_a_counter_and_what_stands_around_it() {
        for (text, form, place) in [
            ("17724460", "…", 17_724_460),
            (" 0008 ", "…", 8),
            ("20261121042", "20261121…", 42),
            ("20260504", "…", 20_260_504),
            ("F000504", "F…", 504),
            ("F20261121042", "F20261121…", 42),
            ("2026-0504", "2026-…", 504),
            ("FA/2026/11/0504", "FA/2026/11/…", 504),
            ("T1-000504", "T1-…", 504),
            ("504/2026", "…/2026", 504),
            ("F504/2026", "F…/2026", 504),
            ("504-2026", "…-2026", 504),
            ("2026-2027", "2026-…", 2027),
            ("T1-2026", "T1-…", 2026),
            ("F/2026", "F/…", 2026),
            ("N° 12", "N° …", 12),
            ("é7", "é…", 7),
        ] {
            assert_eq!(read(text), Some((form.to_owned(), place)), "{text}");
        }
    }

    #[test]
    fn what_has_no_counter_follows_nothing() {
        for text in ["", "abc", "3f2a9c", "3f2a9", "0199c0de-0000-7000-8000-0000000000aa", "504A", "1\u{1b}2"] {
            assert_eq!(OrderNumber::parse(text), None, "{text:?}");
        }
        assert_eq!(OrderNumber::parse("1234567890123456789"), None, "too long to count on");
        assert_eq!(OrderNumber::parse(&format!("{}1", "x".repeat(64))), None);
    }

    #[test]
    fn numbers_that_follow_each_other_are_one_run() {
        let numbers = ["20261121004", "7", "20261121005", "9", "8", "8", "F7"];
        let runs = runs(numbers.map(|text| OrderNumber::parse(text).unwrap()));
        let runs = runs.into_iter().map(|run| format!("{}-{}:{}", run.first, run.last, run.count));
        assert_eq!(runs.collect::<Vec<_>>(), ["7-9:3", "20261121004-20261121005:2", "F7-F7:1"]);
    }
}

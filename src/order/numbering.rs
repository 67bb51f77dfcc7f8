//! The till's order numbers: sequential without holes, so a hole is an order that did not arrive.
//!
//! Two forms are known: one sequence for ever (`17724460`), and one a day behind the date (`20261121042`). Within a
//! sequence the numbers between two others are known; that a day's sequence begins at 1 is not documented, so nothing is
//! said of what may be before its first.

use std::{fmt, ops::RangeInclusive};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Digits of a date in front of a day's sequence.
const DATE: usize = 8;

/// The longest number that is understood: with more digits it would not fit.
const LONGEST: usize = 18;

/// The widest hole; what is further apart belongs to two sequences.
pub const WIDEST: u64 = 1_000;

/// A number that a sequence goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrderNumber {
    /// The day's own sequence, where the number begins with one.
    day: Option<Date>,
    place: u64,
    /// How many digits are written, zeros in front included.
    width: usize,
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
}

/// The first and the last number of a sequence, or of the sequences of several days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberRange {
    /// The first.
    pub first: String,
    /// The last; the same where there is one.
    pub last: String,
}

impl OrderNumber {
    /// Reads a number; `None` for anything but digits.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let dated = text.split_at_checked(DATE).filter(|(date, rest)| date.starts_with("20") && !rest.is_empty());
        let dated = dated.and_then(|(date, rest)| Some((Date::strptime("%Y%m%d", date).ok()?, rest)));
        match dated {
            Some((day, rest)) => Some(Self { day: Some(day), place: rest.parse().ok()?, width: rest.len() }),
            None => Some(Self { day: None, place: text.parse().ok()?, width: text.len() }),
        }
    }

    /// The places that are missing between this number and a later one of the same sequence.
    fn between(self, later: Self) -> Option<RangeInclusive<u64>> {
        let is_one_sequence = self.day == later.day;
        let missing = self.place + 1..=later.place.saturating_sub(1);
        (is_one_sequence && !missing.is_empty()).then_some(missing)
    }

    fn at(self, place: u64) -> Self {
        Self { place, ..self }
    }
}

impl fmt::Display for OrderNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(day) = self.day {
            write!(f, "{}", day.strftime("%Y%m%d"))?;
        }
        write!(f, "{:0width$}", self.place, width = self.width)
    }
}

/// The holes in these numbers that are not wider than `widest`, ascending. `is_known` says whether a number that looks
/// missing is with us all the same (an order of another day, say).
pub fn holes(
    numbers: impl IntoIterator<Item = OrderNumber>,
    widest: u64,
    is_known: impl Fn(&str) -> bool,
) -> Vec<Hole> {
    let mut numbers: Vec<OrderNumber> = numbers.into_iter().collect();
    numbers.sort_unstable();
    let mut holes: Vec<Hole> = Vec::new();
    for pair in numbers.windows(2) {
        let Some(missing) = pair[0].between(pair[1]) else { continue };
        let count = missing.end() - missing.start() + 1;
        // A new sequence rather than that many lost orders.
        if count > widest {
            continue;
        }
        let mut open: Option<Hole> = None;
        for place in missing {
            let number = pair[0].at(place).to_string();
            match (&mut open, is_known(&number)) {
                (_, true) => holes.extend(open.take()),
                (Some(hole), false) => (hole.last, hole.count) = (number, hole.count + 1),
                (None, false) => open = Some(Hole { first: number.clone(), last: number, count: 1 }),
            }
        }
        holes.extend(open);
    }
    holes
}

/// Takes a number into the sequences that were seen so far, and says which numbers it leaves open before it, or behind it
/// where it comes late: none of a sequence that begins with it. What is further apart than `widest` begins another one.
pub fn hear(seen: &mut Vec<NumberRange>, number: OrderNumber, widest: u64) -> Vec<String> {
    let near = seen.iter().enumerate().filter_map(|(at, range)| {
        let (first, last) = (OrderNumber::parse(&range.first)?, OrderNumber::parse(&range.last)?);
        let away = first.place.saturating_sub(number.place).max(number.place.saturating_sub(last.place));
        (first.day == number.day && away <= widest + 1).then_some((away, at, first, last))
    });
    let Some((_, at, first, last)) = near.min_by_key(|(away, ..)| *away) else {
        seen.push(NumberRange { first: number.to_string(), last: number.to_string() });
        return Vec::new();
    };
    // The sequence that goes on stands last: those that nothing is heard of any more come to the front.
    let mut range = seen.remove(at);
    // Missing numbers are written like the one before them: 9999 comes before 10000.
    let (before, open) = if number.place > last.place {
        range.last = number.to_string();
        (last, last.between(number))
    } else if number.place < first.place {
        range.first = number.to_string();
        (number, number.between(first))
    } else {
        (number, None)
    };
    seen.push(range);
    open.into_iter().flatten().map(|place| before.at(place).to_string()).collect()
}

/// These numbers, and beside them the last one before each of their sequences, where it is among `earlier`.
pub fn with_those_before(mut numbers: Vec<OrderNumber>, earlier: &[OrderNumber], widest: u64) -> Vec<OrderNumber> {
    numbers.sort_unstable();
    let goes_on = |one: &OrderNumber, next: &OrderNumber| {
        one.day == next.day && next.place.saturating_sub(one.place) <= widest + 1
    };
    let before = |first: &OrderNumber| earlier.iter().filter(|one| *one < first && goes_on(one, first)).max().copied();
    let before: Vec<OrderNumber> = numbers.chunk_by(goes_on).filter_map(|sequence| before(sequence.first()?)).collect();
    numbers.extend(before);
    numbers
}

/// Numbers as people list them, ascending: those that follow each other as one.
pub fn runs(numbers: impl IntoIterator<Item = OrderNumber>) -> Vec<Hole> {
    let mut numbers: Vec<OrderNumber> = numbers.into_iter().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let follows = |one: &OrderNumber, next: &OrderNumber| one.day == next.day && one.place + 1 == next.place;
    let hole = |run: &[OrderNumber]| {
        Some(Hole { first: run.first()?.to_string(), last: run.last()?.to_string(), count: run.len() as u64 })
    };
    numbers.chunk_by(follows).filter_map(hole).collect()
}

/// The numbers by sequence, ascending: what is further apart than `widest` is two; those of days that follow are one.
pub fn ranges(numbers: impl IntoIterator<Item = OrderNumber>, widest: u64) -> Vec<NumberRange> {
    let mut numbers: Vec<OrderNumber> = numbers.into_iter().collect();
    numbers.sort_unstable();
    let is_apart = |one: &OrderNumber, next: &OrderNumber| match (one.day, next.day) {
        (Some(_), Some(_)) => false,
        (None, None) => next.place - one.place > widest,
        _ => true,
    };
    let sequences = numbers.chunk_by(|one, next| !is_apart(one, next));
    let range = |sequence: &[OrderNumber]| {
        let (first, last) = (sequence.first()?.to_string(), sequence.last()?.to_string());
        Some(NumberRange { first, last })
    };
    sequences.filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(numbers: &[&str], known: &[&str]) -> Vec<String> {
        let numbers = numbers.iter().filter_map(|text| OrderNumber::parse(text));
        let holes = holes(numbers, 1_000, |number| known.contains(&number));
        holes.into_iter().map(|hole| format!("{}-{}:{}", hole.first, hole.last, hole.count)).collect()
    }

    #[test]
    fn what_is_missing_between_two_numbers_of_a_sequence_is_a_hole() {
        assert_eq!(found(&["17724460", "17724461", "17724464"], &[]), ["17724462-17724463:2"]);
        assert_eq!(found(&["17724460", "17724464"], &["17724462"]), ["17724461-17724461:1", "17724463-17724463:1"]);
        assert_eq!(found(&["0008", "0010"], &[]), ["0009-0009:1"]);
        assert!(found(&["5", "2000000"], &[]).is_empty(), "another sequence");
        assert!(found(&["7", "abc", "", "8", "8"], &[]).is_empty());
    }

    #[test]
    fn numbers_are_told_by_sequence() {
        let told = |numbers: &[&str]| {
            let numbers = numbers.iter().filter_map(|text| OrderNumber::parse(text));
            ranges(numbers, 1_000)
                .into_iter()
                .map(|range| format!("{}-{}", range.first, range.last))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            told(&["20261121003", "5", "7", "20261120001", "9000"]),
            ["5-7", "9000-9000", "20261120001-20261121003"]
        );
        assert!(told(&["abc"]).is_empty());
    }

    #[test]
    fn a_number_leaves_open_what_is_between_it_and_its_sequence() {
        let mut seen = Vec::new();
        let mut open = |text: &str| hear(&mut seen, OrderNumber::parse(text).unwrap(), 1_000);
        assert!(open("42").is_empty(), "nothing is said of what may be before the first");
        assert!(open("43").is_empty() && open("43").is_empty());
        assert_eq!(open("46"), ["44", "45"]);
        assert!(open("44").is_empty(), "it was open before");
        assert_eq!(open("39"), ["40", "41"], "a late one");
        assert!(open("9000").is_empty(), "another sequence");
        assert_eq!(open("9002"), ["9001"]);
        assert_eq!(open("48"), ["47"], "the first goes on");
        assert!(open("20261121003").is_empty() && open("20261122001").is_empty(), "each day begins anew");
        assert_eq!(open("20261121005"), ["20261121004"]);
        assert_eq!(seen.len(), 4);
        let mut seen = Vec::new();
        let mut open = |text: &str| hear(&mut seen, OrderNumber::parse(text).unwrap(), 1_000);
        assert!(open("9998").is_empty());
        assert_eq!(open("10001"), ["9999", "10000"], "as the till writes them");
        assert!(open("007").is_empty());
        assert_eq!(open("009"), ["008"]);
    }

    #[test]
    fn each_sequence_goes_on_from_its_own_last_number() {
        let parsed = |numbers: &[&str]| -> Vec<OrderNumber> {
            numbers.iter().filter_map(|text| OrderNumber::parse(text)).collect()
        };
        let earlier = parsed(&["8996", "8997", "20261126009", "20261127001", "3"]);
        let numbers = with_those_before(parsed(&["9001", "9002", "20261127003"]), &earlier, 1_000);
        let found = holes(numbers, 1_000, |_| false).into_iter().map(|hole| format!("{}-{}", hole.first, hole.last));
        assert_eq!(found.collect::<Vec<_>>(), ["8998-9000", "20261127002-20261127002"]);
    }

    #[test]
    fn numbers_that_follow_each_other_are_one_run() {
        let numbers = ["20261121004", "7", "20261121005", "9", "8", "8"].map(|text| OrderNumber::parse(text).unwrap());
        let runs = runs(numbers).into_iter().map(|run| format!("{}-{}:{}", run.first, run.last, run.count));
        assert_eq!(runs.collect::<Vec<_>>(), ["7-9:3", "20261121004-20261121005:2"]);
    }

    #[test]
    fn a_day_has_a_sequence_of_its_own() {
        assert_eq!(found(&["20261121042", "20261122001", "20261121040"], &[]), ["20261121041-20261121041:1"]);
        assert_eq!(found(&["20261121999", "202611211001"], &[]), ["202611211000-202611211000:1"]);
    }
}

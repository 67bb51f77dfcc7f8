//! A day as it is typed: `2026-11-21`, `today`, `yesterday`.

use std::str::FromStr;

use jiff::{ToSpan as _, civil::Date};

/// A day, perhaps seen from today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Day {
    /// A day of the calendar.
    Date(Date),
    /// So many days ago.
    Ago(i8),
}

impl Day {
    /// Which day it is, where it is `today`.
    pub fn seen_from(self, today: Date) -> Date {
        match self {
            Self::Date(date) => date,
            Self::Ago(days) => today.saturating_sub(days.days()),
        }
    }
}

impl FromStr for Day {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "today" => Ok(Self::Ago(0)),
            "yesterday" => Ok(Self::Ago(1)),
            text => {
                let date = Date::strptime("%Y-%m-%d", text);
                date.map(Self::Date).map_err(|_| "write a day as 2026-11-21, or today, or yesterday")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_day_is_a_date_or_seen_from_today() {
        let day = |text: &str| text.parse::<Day>().map(|day| day.seen_from(date(2026, 3, 1)));
        assert_eq!(day("2026-11-21"), Ok(date(2026, 11, 21)));
        assert_eq!(day("today"), Ok(date(2026, 3, 1)));
        assert_eq!(day("yesterday"), Ok(date(2026, 2, 28)));
        for text in ["", "tomorrow", "2026-02-30", "21/11/2026"] {
            assert!(day(text).is_err(), "{text}");
        }
    }
}

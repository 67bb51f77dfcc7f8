//! When summaries are due, and which days they are about: calendar arithmetic on the shop's wall.
//!
//! A summary that is due before noon is about the days up to yesterday, from noon on about those up to today: "daily
//! 07:00" tells of yesterday, "daily 20:00" of today. Days begin at midnight on the shop's wall, however long a night
//! with a change of the clocks is; a time that such a night leaves out is the first one after it, one that it has twice is
//! the earlier.

use std::{fmt, str::FromStr};

use jiff::{
    Span, Timestamp, ToSpan,
    civil::{Date, Time, Weekday, time},
    tz::TimeZone,
};
use serde::{Deserialize, Serialize};

/// Days, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Period {
    /// The first.
    pub first: Date,
    /// The last.
    pub last: Date,
}

/// How often a summary is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cadence {
    /// Every day at this time.
    Daily(Time),
    /// Once a week: the seven days before.
    Weekly(Weekday, Time),
    /// Once a month, on this day or the month's last: the last month that was over.
    Monthly(i8, Time),
    /// When the till closes, else at this time.
    Closing(Time),
}

/// A summary that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// What it is about.
    pub period: Period,
}

/// No cadence is written like that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no time for a digest: use one such as \"daily 20:00\", \"weekly mon 07:00\" or \"monthly 1 06:00\"")]
pub struct CadenceError(String);

/// As they are written.
const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl Period {
    /// One day.
    pub fn day(day: Date) -> Self {
        Self { first: day, last: day }
    }

    /// The whole month of a day.
    pub fn month(day: Date) -> Self {
        Self { first: day.first_of_month(), last: day.last_of_month() }
    }

    /// Whether it is a single day.
    pub fn is_day(self) -> bool {
        self.first == self.last
    }

    /// Whether it is a whole month.
    pub fn is_month(self) -> bool {
        self == Self::month(self.first)
    }

    /// Whether the day is one of them.
    pub fn contains(self, day: Date) -> bool {
        self.first <= day && day <= self.last
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_day() { write!(f, "{}", self.first) } else { write!(f, "{} to {}", self.first, self.last) }
    }
}

impl Cadence {
    /// The summary of the period that holds this day.
    pub fn period_of(self, day: Date) -> Period {
        match self {
            Self::Daily(_) | Self::Closing(_) => Period::day(day),
            Self::Monthly(..) => Period::month(day),
            Self::Weekly(weekday, at) => {
                let ends_on = if at < NOON { weekday.previous() } else { weekday };
                let ahead = ends_on.since(day.weekday());
                let last = plus(day, i64::from(ahead).days());
                Period { first: plus(last, -6.days()), last }
            }
        }
    }

    /// When the summary of a period of this cadence is due.
    pub fn due_at(self, period: Period, zone: &TimeZone) -> Timestamp {
        let (day, at) = match self {
            Self::Daily(at) | Self::Weekly(_, at) | Self::Closing(at) => (after(period.last, at), at),
            Self::Monthly(day, at) => (self.monthly_day(period, day, at), at),
        };
        instant(day, at, zone)
    }

    /// The first day on which the month's summary can be sent that is its day.
    fn monthly_day(self, period: Period, day: i8, at: Time) -> Date {
        let mut on = after(period.last, at);
        // The calendar ends before some of its last months do.
        while on.day() != day.min(on.days_in_month()) && on < Date::MAX {
            on = plus(on, 1.day());
        }
        on
    }

    /// What became due after `after`, up to and with `until`, the oldest first.
    pub fn due(self, after: Timestamp, until: Timestamp, zone: &TimeZone) -> Vec<Due> {
        let mut due = Vec::new();
        // Two months before is before whatever may be due.
        let mut period = self.period_of(plus(day_of(after, zone), -62.days()));
        let today = day_of(until, zone);
        while period.first <= today {
            let at = self.due_at(period, zone);
            if at > until {
                break;
            }
            if at > after {
                due.push(Due { at, period });
            }
            period = self.period_of(plus(period.last, 1.day()));
        }
        due
    }

    /// What is due next after `after`.
    pub fn next(self, after: Timestamp, zone: &TimeZone) -> Due {
        let mut period = self.period_of(plus(day_of(after, zone), -62.days()));
        loop {
            let at = self.due_at(period, zone);
            if at > after {
                return Due { at, period };
            }
            period = self.period_of(plus(period.last, 1.day()));
        }
    }

    /// The time that is written with it.
    pub fn time(self) -> Time {
        match self {
            Self::Daily(at) | Self::Weekly(_, at) | Self::Monthly(_, at) | Self::Closing(at) => at,
        }
    }
}

const NOON: Time = time(12, 0, 0, 0);

/// The day on which what ends on `last` is told at this time.
fn after(last: Date, at: Time) -> Date {
    if at < NOON { plus(last, 1.day()) } else { last }
}

/// The day on the shop's wall.
pub fn day_of(at: Timestamp, zone: &TimeZone) -> Date {
    zone.to_datetime(at).date()
}

/// When a day begins on the shop's wall.
pub fn midnight(day: Date, zone: &TimeZone) -> Timestamp {
    instant(day, Time::midnight(), zone)
}

fn instant(day: Date, at: Time, zone: &TimeZone) -> Timestamp {
    zone.to_ambiguous_timestamp(day.to_datetime(at)).compatible().unwrap_or(Timestamp::MAX)
}

/// Within the years that the calendar knows, which orders never leave.
fn plus(day: Date, span: Span) -> Date {
    day.saturating_add(span)
}

impl fmt::Display for Cadence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.time().strftime("%H:%M");
        match self {
            Self::Daily(_) => write!(f, "daily {at}"),
            Self::Weekly(weekday, _) => {
                let name = WEEKDAYS.iter().find(|(_, known)| known == weekday).map_or("", |(name, _)| name);
                write!(f, "weekly {name} {at}")
            }
            Self::Monthly(day, _) => write!(f, "monthly {day} {at}"),
            Self::Closing(_) => write!(f, "cashbox.closed {at}"),
        }
    }
}

impl FromStr for Cadence {
    type Err = CadenceError;

    fn from_str(text: &str) -> Result<Self, CadenceError> {
        let wrong = || CadenceError(text.to_owned());
        let words: Vec<&str> = text.split(' ').collect();
        let at = |text: &str| clock_time(text).ok_or_else(wrong);
        match words[..] {
            ["daily", time] => Ok(Self::Daily(at(time)?)),
            ["weekly", day, time] => {
                let (_, weekday) = WEEKDAYS.iter().find(|(name, _)| *name == day).ok_or_else(wrong)?;
                Ok(Self::Weekly(*weekday, at(time)?))
            }
            ["monthly", day, time] => {
                let day = day.parse().ok().filter(|day| (1..=31).contains(day)).ok_or_else(wrong)?;
                Ok(Self::Monthly(day, at(time)?))
            }
            _ => Err(wrong()),
        }
    }
}

/// A time of day as it is written: `07:00`.
pub fn clock_time(text: &str) -> Option<Time> {
    Some(text).filter(|text| text.len() == "07:00".len()).and_then(|text| Time::strptime("%H:%M", text).ok())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn paris() -> TimeZone {
        TimeZone::get("Europe/Paris").expect("a zone")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn told(cadence: &str, after: &str, until: &str) -> Vec<String> {
        let cadence: Cadence = cadence.parse().expect("a cadence");
        let due = cadence.due(at(after), at(until), &paris());
        due.into_iter().map(|due| format!("{} {}", due.at, due.period)).collect()
    }

    #[rstest]
    #[case("daily 07:00", &["2026-11-21T06:00:00Z 2026-11-20", "2026-11-22T06:00:00Z 2026-11-21"])]
    #[case("daily 20:00", &["2026-11-20T19:00:00Z 2026-11-20", "2026-11-21T19:00:00Z 2026-11-21"])]
    #[case("weekly sun 23:00", &[])]
    #[case("weekly sat 20:00", &["2026-11-21T19:00:00Z 2026-11-15 to 2026-11-21"])]
    #[case("weekly sat 07:00", &["2026-11-21T06:00:00Z 2026-11-14 to 2026-11-20"])]
    fn before_noon_yesterday_is_told_and_from_noon_on_today(#[case] cadence: &str, #[case] expected: &[&str]) {
        assert_eq!(told(cadence, "2026-11-20T12:00:00Z", "2026-11-22T12:00:00Z"), expected);
    }

    #[rstest]
    #[case("monthly 1 06:00", &["2026-03-01T05:00:00Z 2026-02-01 to 2026-02-28", "2026-04-01T04:00:00Z 2026-03-01 to 2026-03-31"])]
    #[case("monthly 5 20:00", &["2026-03-05T19:00:00Z 2026-02-01 to 2026-02-28", "2026-04-05T18:00:00Z 2026-03-01 to 2026-03-31"])]
    #[case("monthly 31 23:00", &["2026-02-28T22:00:00Z 2026-02-01 to 2026-02-28", "2026-03-31T21:00:00Z 2026-03-01 to 2026-03-31"])]
    fn a_month_is_told_once_it_is_over(#[case] cadence: &str, #[case] expected: &[&str]) {
        assert_eq!(told(cadence, "2026-02-10T12:00:00Z", "2026-04-10T12:00:00Z"), expected);
    }

    #[test]
    fn in_odd_nights_each_day_is_told_once() {
        assert_eq!(
            told("daily 02:30", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z"),
            ["2026-10-25T00:30:00Z 2026-10-24", "2026-10-26T01:30:00Z 2026-10-25"]
        );
        assert_eq!(
            told("daily 02:30", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z"),
            ["2026-03-29T01:30:00Z 2026-03-28", "2026-03-30T00:30:00Z 2026-03-29"]
        );
    }

    #[test]
    fn at_the_end_of_the_calendar_a_summary_is_due_all_the_same() {
        for cadence in ["daily 20:00", "weekly mon 07:00", "monthly 1 06:00", "monthly 15 20:00"] {
            let cadence: Cadence = cadence.parse().expect("a cadence");
            for day in [Date::MIN, Date::MAX] {
                let period = cadence.period_of(day);
                assert!(period.first <= period.last);
                cadence.due_at(period, &paris());
            }
        }
    }

    #[test]
    fn every_day_is_in_one_period_and_the_next_one_due_is_the_first_of_those_due_later() {
        for cadence in [
            "daily 07:00",
            "daily 20:00",
            "weekly mon 07:00",
            "weekly wed 13:00",
            "monthly 1 06:00",
            "monthly 30 18:00",
        ] {
            let written = cadence;
            let cadence: Cadence = cadence.parse().expect("a cadence");
            assert_eq!(cadence.to_string(), written);
            let mut day = jiff::civil::date(2026, 1, 1);
            for _ in 0..800 {
                let period = cadence.period_of(day);
                assert!(period.contains(day) && cadence.period_of(period.first) == period);
                assert_eq!(cadence.period_of(period.last), period);
                day = plus(day, 1.day());
            }
            let (from, to) = (at("2026-05-07T10:00:00Z"), at("2026-09-07T10:00:00Z"));
            assert_eq!(cadence.due(from, to, &paris()).first(), Some(&cadence.next(from, &paris())));
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_an_example() {
        for bad in
            ["", "daily", "daily 25:00", "daily 7:00", "weekly 07:00", "weekly lun 07:00", "monthly 0 06:00", "hourly"]
        {
            assert!(bad.parse::<Cadence>().is_err_and(|error| error.to_string().contains("daily 20:00")), "{bad}");
        }
    }
}

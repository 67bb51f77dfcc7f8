//! Dates as tills write them → moments with the shop's offset.
//!
//! Read are ISO 8601, `YYYY-MM-DD HH:MM:SS`, `DD/MM/YYYY` with or without a time, and Unix time in seconds or
//! milliseconds, and dates as PHP writes an object. Without offset it is the shop's time: in a repeated hour the earlier, in a skipped one the later. A year
//! that RFC 3339 and the names of files have no room for is none that anything was sold in.

use jiff::{Timestamp, civil::Time, fmt::temporal::Pieces, tz::TimeZone};
use serde_json::{Map, Value};

use crate::order::Moment;

/// From here on a Unix time counts milliseconds: as seconds this would be the year 5138.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// The years that have four digits; the calendar knows those before Christ too.
const YEARS: std::ops::RangeInclusive<i16> = 1..=9999;

/// How many digits a Unix time has: seconds since 1973, milliseconds until 2286.
const UNIX_DIGITS: std::ops::RangeInclusive<usize> = 9..=13;

/// Whether a value is a date that says "none": `0`, `0000-00-00 00:00:00`.
pub(super) fn is_none(value: &Value) -> bool {
    let nothing = |text: &str| {
        text.contains('0') && text.chars().all(|c| matches!(c, '0' | '-' | '/' | ':' | '.' | ' ' | 'T' | 'Z'))
    };
    match value {
        Value::String(text) => nothing(text),
        Value::Number(number) => nothing(number.as_str()),
        _ => false,
    }
}

/// The moment that a value is, in a shop in `zone`.
pub(super) fn moment(value: &Value, zone: &TimeZone) -> Option<Moment> {
    let text = match value {
        Value::String(text) => text.trim(),
        Value::Number(number) => number.as_str(),
        Value::Object(object) => return of_object(object, zone),
        _ => return None,
    };
    let at = if text.bytes().all(|byte| byte.is_ascii_digit()) && UNIX_DIGITS.contains(&text.len()) {
        unix(text)?
    } else {
        written(text, zone)?
    };
    Some(Moment::new(at, zone)).filter(|moment| YEARS.contains(&moment.civil().year()))
}

/// A date as PHP writes its object: `{"date": "2026-11-21 23:59:40.000000", "timezone_type": 3, "timezone": "Europe/Paris"}`.
/// The zone is a name, an abbreviation or an offset.
fn of_object(object: &Map<String, Value>, zone: &TimeZone) -> Option<Moment> {
    let text = |name| object.get(name).and_then(Value::as_str).map(str::trim);
    let at = match text("timezone") {
        None | Some("") => written(text("date")?, zone)?,
        Some(own) => match TimeZone::get(own) {
            Ok(own) => written(text("date")?, &own)?,
            Err(_) if own.starts_with(['+', '-']) => written(&format!("{}{own}", text("date")?), zone)?,
            Err(_) => written(text("date")?, &abbreviated(own)?)?,
        },
    };
    Some(Moment::new(at, zone)).filter(|moment| YEARS.contains(&moment.civil().year()))
}

/// The zone of an abbreviation. Each stands for an hour of its own, so the name of a zone that has it will do.
fn abbreviated(name: &str) -> Option<TimeZone> {
    let hours = match name {
        "Z" | "GMT" | "WET" => 0,
        "CET" | "WEST" => 1,
        "CEST" | "EET" => 2,
        "EEST" => 3,
        _ => return None,
    };
    Some(TimeZone::fixed(jiff::tz::offset(hours)))
}

fn unix(digits: &str) -> Option<Timestamp> {
    let number: i64 = digits.parse().ok()?;
    if number > MILLISECONDS_FROM { Timestamp::from_millisecond(number) } else { Timestamp::from_second(number) }.ok()
}

fn written(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let turned = year_first(text);
    let text = turned.as_deref().unwrap_or(text);
    // `14:03:10 +01:00` has a space before its offset; in `14:03:10 01:00` it was a `+` that the form did not escape.
    let joined = text.rsplit_once(' ').filter(|(time, _)| time.contains(':')).map(|(time, offset)| {
        let plus = if offset.starts_with(['+', '-']) { "" } else { "+" };
        format!("{time}{plus}{offset}")
    });
    let pieces = Pieces::parse(joined.as_deref().unwrap_or(text)).ok()?;
    let civil = pieces.date().to_datetime(pieces.time().unwrap_or(Time::midnight()));
    match pieces.to_numeric_offset() {
        Some(offset) => offset.to_timestamp(civil).ok(),
        None => zone.to_ambiguous_timestamp(civil).compatible().ok(),
    }
}

/// `21/11/2026 14:03` → `2026-11-21 14:03`; `None` when the day is not first.
fn year_first(text: &str) -> Option<String> {
    let separator = text.chars().find(|c| !c.is_ascii_digit()).filter(|c| matches!(c, '/' | '-' | '.'))?;
    let mut parts = text.splitn(3, separator);
    let (first, month, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (last, time) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
    let (year, day) = match (first.len(), last.len()) {
        (4, 1..=2) => (first, last),
        (1..=2, 4) => (last, first),
        _ => return None,
    };
    Some(format!("{year}-{month:0>2}-{day:0>2}{time}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: impl Into<Value>) -> Option<String> {
        moment(&value.into(), &TimeZone::get("Europe/Paris").expect("a zone")).map(|moment| moment.to_string())
    }

    #[test]
    fn a_date_is_read_however_it_is_written() {
        for text in [
            "2026-11-21T14:03:10+01:00",
            "2026-11-21T14:03:10+0100",
            "2026-11-21 14:03:10 +01:00",
            "2026-11-21T14:03:10 01:00",
            "2026-11-21T13:03:10Z",
            "2026-11-21 13:03:10.000Z",
            "2026-11-21T14:03:10",
            "2026-11-21 14:03:10",
            "2026/11/21 14:03:10",
            "21/11/2026 14:03:10",
            "21-11-2026 14:03:10",
            " 21.11.2026T14:03:10 ",
            "1795266190",
            "1795266190000",
        ] {
            assert_eq!(read(text).as_deref(), Some("2026-11-21T14:03:10+01:00"), "{text}");
        }
        assert_eq!(read(1_795_266_190).as_deref(), Some("2026-11-21T14:03:10+01:00"));
        for day in ["2026-11-21", "21/11/2026", "20261121", "21/11/2026 00:00"] {
            assert_eq!(read(day).as_deref(), Some("2026-11-21T00:00:00+01:00"), "{day}");
        }
        assert_eq!(read("1/2/2026").as_deref(), Some("2026-02-01T00:00:00+01:00"));
    }

    #[test]
    fn a_repeated_hour_is_the_earlier_and_a_skipped_one_the_later() {
        assert_eq!(read("2026-10-25 02:30:00").as_deref(), Some("2026-10-25T02:30:00+02:00"));
        assert_eq!(read("2026-03-29 02:30:00").as_deref(), Some("2026-03-29T03:30:00+02:00"));
    }

    #[test]
    fn a_date_may_be_an_object_of_php_with_a_zone_of_its_own() {
        for (date, zone, expected) in [
            ("2026-11-21 23:59:40.000000", json!("Europe/Paris"), Some("2026-11-21T23:59:40+01:00")),
            ("2026-11-21 22:59:40.000000", json!("UTC"), Some("2026-11-21T23:59:40+01:00")),
            ("2026-11-21 22:59:40.000000", json!("+00:00"), Some("2026-11-21T23:59:40+01:00")),
            ("2026-07-21 23:59:40", json!("CEST"), Some("2026-07-21T23:59:40+02:00")),
            ("2026-11-21 23:59:40", json!(null), Some("2026-11-21T23:59:40+01:00")),
            ("2026-11-21 23:59:40", json!("Mars/Olympus"), None),
            ("yesterday", json!("Europe/Paris"), None),
        ] {
            let sent = json!({ "date": date, "timezone_type": 3, "timezone": zone });
            assert_eq!(read(sent.clone()).as_deref(), expected, "{sent}");
        }
        assert_eq!(read(json!({"day": "2026-11-21"})), None);
    }

    #[test]
    fn what_is_no_date_is_not_guessed() {
        for text in
            ["", "yesterday", "32/01/2026", "2026-13-01", "12", "99999999999999999", "21/11", "é/é/é", "-", "1/2/3"]
        {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read(true), None);
    }

    #[test]
    fn a_year_has_four_digits() {
        for text in [
            "-000005-11-21",
            "-0005-11-21",
            "-0001-11-30 00:00:00",
            "0000-11-21 10:00",
            "+012026-11-21",
            "12026-11-21",
            "21/11/12026",
            "-009999-01-02T01:59:59Z",
            "9999-12-31T23:59:59-23:59",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read("0001-01-01T12:00:00+00:09").as_deref(), Some("0001-01-01T12:00:00+00:09"));
        assert_eq!(read("9999-12-30").as_deref(), Some("9999-12-30T00:00:00+01:00"));
    }

    #[test]
    fn zeros_mean_no_date() {
        for none in ["0", "0000-00-00", "0000-00-00 00:00:00", "00/00/0000"] {
            assert!(is_none(&none.into()), "{none}");
        }
        assert!(is_none(&0.into()) && !is_none(&"2000-01-01".into()) && !is_none(&"".into()));
    }
}

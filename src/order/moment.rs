//! A moment as a shop wrote it: an instant that remembers the shop's offset.

use std::fmt;

use jiff::{
    Timestamp, Zoned,
    tz::{Offset, TimeZone},
};
use serde::{Deserialize, Serialize};

/// An instant with the offset of the shop at that instant, written as RFC 3339 (`2026-11-21T14:03:10+01:00`).
///
/// Equality and order are those of the instant. The offset is in whole minutes, because RFC 3339 knows no others; before
/// there were time zones, noon was not at a whole minute.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    at: Timestamp,
    offset: Offset,
}

impl Moment {
    /// The instant `at` as a clock on the shop's wall shows it.
    pub fn new(at: Timestamp, zone: &TimeZone) -> Self {
        Self { at, offset: whole_minutes(zone.to_offset(at)) }
    }

    /// The instant.
    pub fn timestamp(self) -> Timestamp {
        self.at
    }

    /// Date and time on the shop's wall.
    pub fn civil(self) -> jiff::civil::DateTime {
        self.offset.to_datetime(self.at)
    }
}

impl From<&Zoned> for Moment {
    fn from(zoned: &Zoned) -> Self {
        Self { at: zoned.timestamp(), offset: whole_minutes(zoned.offset()) }
    }
}

fn whole_minutes(offset: Offset) -> Offset {
    offset.round(jiff::Unit::Minute).unwrap_or(offset)
}

impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Moment {}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.at.display_with_offset(self.offset), f)
    }
}

impl Serialize for Moment {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parser = jiff::fmt::temporal::DateTimeParser::new();
        let pieces = jiff::fmt::temporal::Pieces::parse(&text).map_err(serde::de::Error::custom)?;
        let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
        let at = parser.parse_timestamp(&text).map_err(serde::de::Error::custom)?;
        Ok(Self { at, offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_keeps_the_shops_offset_through_json() {
        let zone = TimeZone::get("Europe/Paris").expect("a zone");
        let moment = Moment::new("2026-11-21T13:03:10Z".parse().expect("an instant"), &zone);
        let json = serde_json::to_string(&moment).expect("json");
        assert_eq!(json, "\"2026-11-21T14:03:10+01:00\"");
        let back: Moment = serde_json::from_str(&json).expect("a moment");
        assert_eq!(back.to_string(), moment.to_string());
    }
    #[test]
    fn a_moment_from_before_time_zones_stays_the_same_through_json() {
        let zone = TimeZone::get("Europe/Paris").expect("a zone");
        let moment = Moment::new("1202-09-30T23:50:39Z".parse().expect("an instant"), &zone);
        let json = serde_json::to_string(&moment).expect("json");
        assert_eq!(serde_json::from_str::<Moment>(&json).expect("a moment"), moment);
    }
}

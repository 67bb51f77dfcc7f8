//! How durations, sizes and the other small values are written: `"30s"`, `"10y"`, `"10MiB"`, `"Europe/Paris"`.
//!
//! Each function is a field's `deserialize_with`. Their errors say `WHAT: use FIX`.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use ipnet::IpNet;
use jiff::{Span, SpanRelativeTo, civil::Time, tz::TimeZone};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error};
use url::Url;

use super::problem::hint;

/// No wait is longer: what is meant to be for ever would overflow the calendar.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// A duration such as `"30s"`, `"5m"` or `"90d"`, of at most a year; a day has 24 hours here.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Interval(pub(super) Duration);

impl TryFrom<String> for Interval {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let span: Option<Span> = text.parse().ok();
        let duration = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
        let duration = duration.and_then(|duration| Duration::try_from(duration).ok());
        let duration = duration
            .ok_or_else(|| format!("`{text}` is not a duration: use one such as \"30s\", \"5m\", \"24h\" or \"7d\""))?;
        if duration > LONGEST {
            return Err(format!("`{text}` is too long: use at most \"366d\""));
        }
        Ok(Self(duration))
    }
}

/// A time that something takes or waits: nothing is done in less than a second, and zero would be no time at all.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Wait(Duration);

impl TryFrom<String> for Wait {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        of_at_least(text, Duration::from_secs(1), "1s").map(Self)
    }
}

/// A duration that is not below `least`, which is written `example`.
fn of_at_least(text: String, least: Duration, example: &str) -> Result<Duration, String> {
    let wrong = format!("`{text}` is too short: use at least \"{example}\"");
    let duration = Interval::try_from(text)?.0;
    if duration < least { Err(wrong) } else { Ok(duration) }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        if seconds > 0 && seconds.is_multiple_of(60) { write!(f, "{}m", seconds / 60) } else { write!(f, "{seconds}s") }
    }
}

impl JsonSchema for Interval {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Interval".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]" })
    }
}

/// A network such as `10.0.0.0/8`, or one address of one.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Network(IpNet);

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let network = text.parse().or_else(|_| text.parse().map(|address: IpAddr| address.into()));
        network
            .map(Self)
            .map_err(|_| format!("`{text}` is not a network: use one such as \"172.16.0.0/12\" or \"fd00::/8\""))
    }
}

/// A list of networks.
pub(super) fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
    Ok(Vec::<Network>::deserialize(from)?.into_iter().map(|network| network.0).collect())
}

/// An address and a port to listen on.
pub(super) fn listen<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    let wrong = || format!("`{text}` is not an address with a port: use one such as \"0.0.0.0:8080\" or \"[::]:8080\"");
    text.parse().map_err(|_| D::Error::custom(wrong()))
}

/// A table that is read by itself, so that everything that is wrong with it is told.
pub(super) fn read_elsewhere<'de, D: Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    Ok(())
}

/// A [`Duration`].
pub(super) fn interval<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    Interval::deserialize(from).map(|interval| interval.0)
}

/// A [`Duration`] of at least a second.
pub(super) fn wait<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    Wait::deserialize(from).map(|wait| wait.0)
}

/// A [`Duration`] of at least a minute, after which people are told, or never.
pub(super) fn told_after_or_off<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    match String::deserialize(from)?.as_str() {
        "off" => Ok(None),
        text => of_at_least(text.to_owned(), Duration::from_mins(1), "1m").map(Some).map_err(D::Error::custom),
    }
}

/// A list of [`Duration`]s of at least a second each.
pub(super) fn waits<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Duration>, D::Error> {
    Ok(Vec::<Wait>::deserialize(from)?.into_iter().map(|wait| wait.0).collect())
}

/// How long something is kept: a calendar span, so that ten years are ten years.
pub(super) fn retention<'de, D: Deserializer<'de>>(from: D) -> Result<Span, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().ok().filter(|span: &Span| !span.is_negative()).ok_or_else(|| {
        D::Error::custom(format!("`{text}` is not a duration: use one such as \"90d\", \"6mo\" or \"10y\""))
    })
}

/// A size in bytes.
pub(super) fn size<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let text = String::deserialize(from)?;
    let size = text.parse().ok().map(|size: bytesize::ByteSize| size.as_u64()).filter(|size| *size > 0);
    size.ok_or_else(|| D::Error::custom(format!("`{text}` is not a size: use one such as \"512KiB\" or \"2MiB\"")))
}

/// A time of day at which something is done, or never.
pub(super) fn daily<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Time>, D::Error> {
    let text = String::deserialize(from)?;
    if text == "off" {
        return Ok(None);
    }
    let time = text.strip_prefix("daily ").filter(|time| time.len() == "03:30".len());
    let time = time.and_then(|time| Time::strptime("%H:%M", time).ok());
    time.map(Some).ok_or_else(|| {
        D::Error::custom(format!("`{text}` is not a time of day: use one such as \"daily 03:30\", or \"off\""))
    })
}

/// A number of things of which at least one is kept.
pub(super) fn kept<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    match usize::deserialize(from)? {
        0 => Err(D::Error::custom("must be at least 1: use 1 or more, or set `backup` to \"off\"")),
        number => Ok(number),
    }
}

/// A number of things done at the same time.
pub(super) fn at_least_one<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    match usize::deserialize(from)? {
        0 => Err(D::Error::custom("must be at least 1: use 1 to do one thing after the other")),
        number => Ok(number),
    }
}

/// A time zone of the IANA database.
pub(super) fn timezone<'de, D: Deserializer<'de>>(from: D) -> Result<TimeZone, D::Error> {
    let text = String::deserialize(from)?;
    TimeZone::get(&text).map_err(|_| {
        let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        let hint = hint(&text, names.iter().map(String::as_str));
        let fix = hint.strip_prefix("did you mean ").map_or("`Europe/Paris`", |name| name.trim_end_matches('?'));
        D::Error::custom(format!("`{text}` is not a time zone: use one such as {fix}"))
    })
}

/// The address under which the world reaches us, without its last `/`.
pub(super) fn public_url<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Url>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    let usable = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    let url = Url::parse(text.trim_end_matches('/')).ok().filter(usable);
    let wrong =
        "is not a public address: use one such as \"https://hooks.example.com\", without user, query or fragment";
    url.map(Some).ok_or_else(|| D::Error::custom(wrong))
}

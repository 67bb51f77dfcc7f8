//! From an HTTP answer to a verdict: the one place that knows what a status means (contract §7).

use std::time::Duration;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::{
    client::Answer,
    verdict::{Reason, SinkError},
};

/// The longest wait that a far side may ask for.
pub const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// What an answer means. Success is 2xx and nothing else.
///
/// # Errors
/// The verdict.
pub fn judge(answer: &Answer, now: Timestamp) -> Result<(), SinkError> {
    let detail = || match answer.excerpt() {
        Some(excerpt) => format!("HTTP {}: {excerpt}", answer.status),
        None => format!("HTTP {}", answer.status),
    };
    let after = || answer.retry_after.as_deref().and_then(|value| wait(value, now));
    Err(match answer.status {
        200..=299 => return Ok(()),
        300..=399 => SinkError::retry(
            Reason::Refused,
            format!("HTTP {}: redirects are not followed, use the final address", answer.status),
        ),
        410 => SinkError::pause(Reason::Gone, detail()),
        429 => SinkError::Retry { reason: Reason::Throttled, detail: detail(), after: after() },
        503 => SinkError::Retry { reason: Reason::Unavailable, detail: detail(), after: after() },
        408 | 425 | 500..=599 => SinkError::retry(Reason::Unavailable, detail()),
        400..=499 => SinkError::retry(Reason::Refused, detail()),
        _ => SinkError::retry(Reason::Protocol, detail()),
    })
}

/// How long a `Retry-After` asks to wait from `now`, in seconds or until a date; at most [`LONGEST_WAIT`]. `None` where
/// it asks for nothing, or cannot be read.
pub fn wait(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number too large for us is longer than the longest wait.
        value.parse().map_or(LONGEST_WAIT, Duration::from_secs)
    } else {
        Duration::try_from(http_date(value)?.duration_since(now)).ok()?
    };
    (!wait.is_zero()).then_some(wait.min(LONGEST_WAIT))
}

/// The three forms of a date that RFC 9110 §5.6.7 wants to be read.
fn http_date(text: &str) -> Option<Timestamp> {
    ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
        .iter()
        .find_map(|form| DateTime::strptime(form, text).ok())
        .and_then(|date| date.to_zoned(TimeZone::UTC).ok())
        .map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    fn now() -> Timestamp {
        "2026-11-21T13:00:00Z".parse().expect("a time")
    }

    fn answer(status: u16, retry_after: Option<&str>) -> Answer {
        Answer { status, retry_after: retry_after.map(Into::into), ..Answer::default() }
    }

    #[rstest]
    #[case(200, "ok")]
    #[case(201, "ok")]
    #[case(202, "ok")]
    #[case(204, "ok")]
    #[case(299, "ok")]
    #[case(301, "retry refused")]
    #[case(302, "retry refused")]
    #[case(303, "retry refused")]
    #[case(304, "retry refused")]
    #[case(307, "retry refused")]
    #[case(308, "retry refused")]
    #[case(400, "retry refused")]
    #[case(401, "retry refused")]
    #[case(403, "retry refused")]
    #[case(404, "retry refused")]
    #[case(405, "retry refused")]
    #[case(408, "retry unavailable")]
    #[case(409, "retry refused")]
    #[case(410, "pause gone")]
    #[case(413, "retry refused")]
    #[case(415, "retry refused")]
    #[case(418, "retry refused")]
    #[case(422, "retry refused")]
    #[case(425, "retry unavailable")]
    #[case(429, "retry throttled")]
    #[case(451, "retry refused")]
    #[case(499, "retry refused")]
    #[case(500, "retry unavailable")]
    #[case(501, "retry unavailable")]
    #[case(502, "retry unavailable")]
    #[case(503, "retry unavailable")]
    #[case(504, "retry unavailable")]
    #[case(522, "retry unavailable")]
    #[case(599, "retry unavailable")]
    #[case(600, "retry protocol")]
    #[case(101, "retry protocol")]
    fn every_status_has_one_meaning(#[case] status: u16, #[case] meaning: &str) {
        let said = match judge(&answer(status, None), now()) {
            Ok(()) => "ok".to_owned(),
            Err(SinkError::Retry { reason, after: None, .. }) => format!("retry {reason}"),
            Err(SinkError::Pause { reason, .. }) => format!("pause {reason}"),
            Err(other) => format!("{other:?}"),
        };
        assert_eq!(said, meaning);
    }

    #[rstest]
    #[case("30", Some(30))]
    #[case(" 30 ", Some(30))]
    #[case("0", None)]
    #[case("-5", None)]
    #[case("1.5", None)]
    #[case("soon", None)]
    #[case("", None)]
    #[case("86401", Some(DAY))]
    #[case("99999999999999999999999", Some(DAY))]
    #[case("Sat, 21 Nov 2026 13:01:00 GMT", Some(60))]
    #[case("Saturday, 21-Nov-26 13:01:00 GMT", Some(60))]
    #[case("Sat Nov 21 13:01:00 2026", Some(60))]
    #[case("Sat, 21 Nov 2026 12:59:00 GMT", None)]
    #[case("Fri, 31 Dec 2027 13:01:00 GMT", Some(DAY))]
    fn a_far_side_may_ask_everyone_to_wait_for_at_most_a_day(#[case] header: &str, #[case] seconds: Option<u64>) {
        for status in [429, 503] {
            let Err(SinkError::Retry { after, .. }) = judge(&answer(status, Some(header)), now()) else {
                panic!("{status} is retried")
            };
            assert_eq!(after, seconds.map(Duration::from_secs), "{status}");
        }
    }

    #[test]
    fn only_429_and_503_may_ask_to_wait() {
        for status in [500, 502, 408, 425, 400, 302] {
            assert!(matches!(judge(&answer(status, Some("30")), now()), Err(SinkError::Retry { after: None, .. })));
        }
    }

    #[test]
    fn the_detail_quotes_the_answer_on_one_short_line() {
        let body = format!("no\r\n\tsuch\u{1b}[31m {}", "x".repeat(2_000)).into();
        let error = judge(&Answer { status: 404, body, ..Answer::default() }, now()).expect_err("refused");
        assert!(error.detail().starts_with("HTTP 404: no such [31m xx"));
        assert!(error.detail().chars().count() < 600 && !error.detail().contains(char::is_control));
    }
}

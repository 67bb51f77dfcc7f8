//! When to try again, and when to stop trying. Pure: verdicts in, times out.

use std::time::Duration;

use jiff::Timestamp;

use crate::sink::SinkError;

/// How far a retry may be moved either way, in thousandths, so that what failed together does not come back together.
pub const JITTER_PERMILLE: u32 = 200;

/// A refusal for good is believed after that many attempts …
pub const REJECTED_ATTEMPTS: u32 = 3;

/// … and that long after the first (greylisting mail servers refuse "for good" too).
pub const REJECTED_AFTER: Duration = Duration::from_hours(2);

/// What a delivery has behind it, the present attempt included.
#[derive(Clone, Copy, Debug)]
pub struct History {
    /// Attempts made.
    pub attempts: u32,
    /// Retries of the schedule that were used up before this attempt.
    pub retries: u32,
    /// When the first attempt was made.
    pub first_attempt_at: Timestamp,
}

/// What follows from a failed attempt, for its delivery and for its sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// When to try again, and whether that uses up a retry; `None`: never.
    pub again: Option<(Timestamp, bool)>,
    /// The whole sink waits until then.
    pub hold_until: Option<Timestamp>,
    /// The whole sink stops.
    pub pause: bool,
}

/// All that a decision depends on but the error.
pub struct Plan<'a> {
    /// What the delivery has behind it.
    pub history: History,
    /// The waits between attempts.
    pub retry: &'a [Duration],
    /// When the attempt ended.
    pub now: Timestamp,
    /// A random number: what is decided of one attempt is spread alike.
    pub jitter: u32,
}

impl Plan<'_> {
    /// Decides.
    pub fn next(&self, error: &SinkError) -> Next {
        next(error, self.history, self.retry, self.now, self.jitter)
    }
}

/// Decides. `jitter` is a random number; any will do.
pub fn next(error: &SinkError, history: History, retry: &[Duration], now: Timestamp, jitter: u32) -> Next {
    let slot = |index: u32| retry.get(index as usize).map(|wait| now + jittered(*wait, jitter));
    match error {
        SinkError::Pause { .. } => Next { again: Some((now, false)), hold_until: None, pause: true },
        SinkError::Retry { after: Some(wait), .. } => {
            let asked = now + *wait;
            let planned = slot(history.retries).unwrap_or(asked);
            Next { again: Some((asked.max(planned), false)), hold_until: Some(asked), pause: false }
        }
        SinkError::Retry { after: None, .. } => {
            Next { again: slot(history.retries).map(|at| (at, true)), hold_until: None, pause: false }
        }
        SinkError::Reject { .. } => {
            let believed = history.attempts >= REJECTED_ATTEMPTS && now >= history.first_attempt_at + REJECTED_AFTER;
            let again = slot(history.retries).filter(|_| !believed).map(|at| (at, true));
            Next { again, hold_until: None, pause: false }
        }
    }
}

/// `wait`, up to [`JITTER_PERMILLE`] longer or shorter.
fn jittered(wait: Duration, random: u32) -> Duration {
    let permille = 1000 - JITTER_PERMILLE + random % (2 * JITTER_PERMILLE + 1);
    wait * permille / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Reason;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const RETRY: [Duration; 2] = [Duration::from_secs(10), Duration::from_hours(1)];

    fn history(attempts: u32, retries: u32) -> History {
        History { attempts, retries, first_attempt_at: NOW }
    }

    #[test]
    fn a_retry_stays_within_a_fifth_of_its_plan_and_the_last_one_is_the_end() {
        let error = SinkError::retry(Reason::TimeOut, "slow");
        for random in [0, 1, 200, 399, 400, u32::MAX] {
            let (at, uses) = next(&error, history(1, 0), &RETRY, NOW, random).again.expect("another try");
            assert!(at >= NOW + Duration::from_secs(8) && at <= NOW + Duration::from_secs(12) && uses);
        }
        assert_eq!(next(&error, history(3, 2), &RETRY, NOW, 0).again, None);
        assert_eq!(next(&error, history(1, 0), &[], NOW, 0).again, None);
    }

    #[test]
    fn retry_after_holds_the_sink_uses_up_no_retry_and_never_shortens_the_schedule() {
        let wait = |seconds| SinkError::Retry {
            reason: Reason::Throttled,
            detail: String::new(),
            after: Some(Duration::from_secs(seconds)),
        };
        let long = next(&wait(7200), history(1, 0), &RETRY, NOW, 200);
        assert_eq!(long.again, Some((NOW + Duration::from_secs(7200), false)));
        let short = next(&wait(1), history(2, 1), &RETRY, NOW, 200);
        assert_eq!(short.again, Some((NOW + Duration::from_hours(1), false)));
        assert_eq!(short.hold_until, Some(NOW + Duration::from_secs(1)));
        assert!(next(&wait(1), history(9, 2), &RETRY, NOW, 200).again.is_some());
    }

    #[test]
    fn a_refusal_is_believed_after_three_tries_and_two_hours() {
        let error = SinkError::reject(Reason::Refused, "550");
        let later = NOW + Duration::from_hours(3);
        assert!(next(&error, history(3, 0), &RETRY, NOW, 0).again.is_some());
        assert!(next(&error, history(2, 0), &RETRY, later, 0).again.is_some());
        assert_eq!(next(&error, history(3, 0), &RETRY, later, 0).again, None);
    }

    #[test]
    fn a_pause_keeps_the_delivery_and_uses_up_nothing() {
        let paused = next(&SinkError::pause(Reason::Gone, "410"), history(1, 0), &RETRY, NOW, 0);
        assert_eq!(paused, Next { again: Some((NOW, false)), hold_until: None, pause: true });
    }
}

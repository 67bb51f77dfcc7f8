//! When a person has to know that a sink is in trouble, and that it is over. Once an outage (contract §6).
//!
//! The decision is made inside the transaction that writes an attempt or gives a delivery up, so a crash cannot come
//! between a delivery that is given up and whoever has to know.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::json;

use crate::{
    order::EventType,
    record::{Alert, Policy},
    store::{Changes, RefusedRecipient, Review, SinkState},
};

/// A sink is failing after that many failed attempts in a row …
pub const FAILING_ATTEMPTS: u32 = 3;

/// … over at least that long.
pub const FAILING_FOR: Duration = Duration::from_mins(10);

/// What an attempt says of its sink.
pub(super) struct Health {
    /// Who is told.
    pub policy: Arc<Policy>,
    /// How long the sink may fail before it is paused.
    pub pause_after: Duration,
    /// How the attempt ended.
    pub ended: Ended,
    /// When it ended.
    pub now: Timestamp,
}

/// How an attempt ended, as far as its sink is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Well.
    Delivered,
    /// Badly, and somebody has to know at once: trying again will not help, or the delivery was given up.
    NeedsAPerson,
    /// Badly, as far sides do at times.
    Failed,
}

/// What there is to tell of a sink.
pub(super) struct News {
    kind: EventType,
    /// What the far side said last; empty where all is well.
    reason: String,
    /// Why the sink is paused, as the command line shows it.
    pause: Option<String>,
}

impl Review for Health {
    type News = News;

    fn news(&self, state: &SinkState, paused: bool, retrying: bool) -> Option<News> {
        let last = || state.last_error.clone().unwrap_or_default();
        if self.ended == Ended::Delivered {
            let news = News { kind: EventType::SinkRecovered, reason: String::new(), pause: None };
            // One message that is refused again and again, between others that are taken, is one outage.
            return state.told_at.filter(|_| !retrying).map(|_| news);
        }
        if paused {
            return Some(News { kind: EventType::SinkPaused, reason: last(), pause: Some(last()) });
        }
        let failing_for = failing_for(state, self.now);
        if failing_for >= self.pause_after && state.paused.is_none() {
            let pause = Some(format!("it has failed for {} h: {}", failing_for.as_secs() / 3600, last()));
            return Some(News { kind: EventType::SinkPaused, reason: last(), pause });
        }
        let series = state.failures >= FAILING_ATTEMPTS && failing_for >= FAILING_FOR;
        let untold = state.told_at.is_none() && (self.ended == Ended::NeedsAPerson || series);
        untold.then(|| News { kind: EventType::SinkFailing, reason: last(), pause: None })
    }

    fn pauses<'a>(&self, news: &'a News) -> Option<&'a str> {
        news.pause.as_deref()
    }

    fn tell(&self, state: &SinkState, news: News, waiting: u64, dead: u64) -> Changes {
        let facts = json!({
            "sink": state.sink, "reason": news.reason, "since": state.failing_since, "waiting": waiting, "dead": dead,
        });
        let alert = Alert {
            kind: news.kind,
            shop: None,
            about: Some(state.sink.clone()),
            facts: facts.as_object().cloned().unwrap_or_default(),
            also: None,
            marks_told: Some(news.kind != EventType::SinkRecovered),
        };
        alert.into_changes(&self.policy, self.now)
    }

    /// Said of an address as it is of a sink: once, when it was given up or fails for a while. Where no other sink can tell,
    /// this one does: it works for the others.
    fn refused(&self, refused: &RefusedRecipient, (waiting, dead): (u64, u64)) -> Option<Changes> {
        let series = refused.failures >= FAILING_ATTEMPTS && self.now >= refused.since + FAILING_FOR;
        if refused.told_at.is_some() || !(refused.given_up || series) {
            return None;
        }
        let facts = json!({
            "sink": refused.sink, "address": refused.called, "reason": refused.error, "since": refused.since,
            "waiting": waiting, "dead": dead,
        });
        let has_others = self.policy.tell_of(&refused.sink).next().is_some();
        let alert = Alert {
            kind: EventType::SinkFailing,
            shop: None,
            about: has_others.then(|| refused.sink.clone()),
            facts: facts.as_object().cloned().unwrap_or_default(),
            also: (!has_others).then(|| refused.sink.clone()),
            marks_told: None,
        };
        Some(alert.into_changes(&self.policy, self.now))
    }
}

fn failing_for(state: &SinkState, now: Timestamp) -> Duration {
    let since = state.failing_since.unwrap_or(now);
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

//! When a person has to know that a sink is in trouble, and that it is over. Once an outage (contract §6).

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Lane, Outbox, attempt::Ended};
use crate::{
    order::{EventType, SinkName},
    record::Alert,
    store::{SinkState, StoreError},
};

/// A sink is failing after that many failed attempts in a row …
pub const FAILING_ATTEMPTS: u32 = 3;

/// … over at least that long.
pub const FAILING_FOR: Duration = Duration::from_mins(10);

/// Looks at how an attempt ended, pauses the sink where it has failed for too long, and tells whoever is to know.
pub(super) async fn review(outbox: &Outbox, lane: &Lane, ended: &Ended) -> Result<(), StoreError> {
    let Some(state) = outbox.store.sink_state(&lane.name).await? else { return Ok(()) };
    let Some(error) = &ended.failure else {
        return if state.told_at.is_some() {
            tell(outbox, EventType::SinkRecovered, &state, "it works again").await
        } else {
            Ok(())
        };
    };
    let now = outbox.clock.now();
    let failing_for = failing_for(&state, now);
    let last = state.last_error.clone().unwrap_or_default();
    if ended.paused {
        return tell(outbox, EventType::SinkPaused, &state, &last).await;
    }
    if failing_for >= lane.pause_after && state.paused.is_none() {
        let because = format!("it has failed for {} h: {last}", failing_for.as_secs() / 3600);
        if outbox.store.pause_sink(&lane.name, &because, now).await? {
            return tell(outbox, EventType::SinkPaused, &state, &because).await;
        }
    }
    let series = state.failures >= FAILING_ATTEMPTS && failing_for >= FAILING_FOR;
    if state.told_at.is_none() && (error.needs_a_person() || ended.dead || series) {
        return tell(outbox, EventType::SinkFailing, &state, &last).await;
    }
    Ok(())
}

fn failing_for(state: &SinkState, now: Timestamp) -> Duration {
    let since = state.failing_since.unwrap_or(now);
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

async fn tell(outbox: &Outbox, kind: EventType, state: &SinkState, reason: &str) -> Result<(), StoreError> {
    let facts = facts(outbox, &state.sink, state.failing_since, reason).await?;
    let alert = Alert {
        kind,
        shop: None,
        about: Some(state.sink.clone()),
        facts,
        marks_told: Some(kind != EventType::SinkRecovered),
    };
    outbox.recorder.raise(alert).await
}

async fn facts(
    outbox: &Outbox,
    sink: &SinkName,
    since: Option<Timestamp>,
    reason: &str,
) -> Result<Map<String, Value>, StoreError> {
    let (waiting, dead) = outbox.store.backlog(sink).await?;
    let facts = json!({ "sink": sink, "reason": reason, "since": since, "waiting": waiting, "dead": dead });
    Ok(facts.as_object().cloned().unwrap_or_default())
}

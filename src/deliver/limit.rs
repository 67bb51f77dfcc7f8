//! The limit of a sink: a shop that is busier than its accountant's inbox sends the rest of the day in one summary.
//!
//! What is above the limit is skipped, visibly, and remembered by that: the summary is made of it once the day is over
//! (`digest/run.rs`). Alerts, summaries and what was attempted before are never held back.

use std::time::Duration;

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use serde_json::json;

use super::{Lane, Outbox};
use crate::{
    order::{EventType, day_of, midnight},
    record::Alert,
    sink::{Limit, Purpose},
    store::{Candidate, LIMIT, Started, StoreError},
};

const AN_HOUR: Duration = Duration::from_hours(1);

/// The candidates that may be sent; the others are skipped.
pub(super) async fn keep(
    outbox: &Outbox,
    lane: &Lane,
    candidates: Vec<Candidate>,
    now: Timestamp,
) -> Result<Vec<Candidate>, StoreError> {
    let Some(limit) = lane.limit else { return Ok(candidates) };
    let zone = candidates.iter().find_map(|one| zone(outbox, one)).unwrap_or(TimeZone::UTC);
    let limited = outbox.store.limited(&lane.name).await?.is_some_and(|(_, until)| now < until);
    let mut room = if limited { 0 } else { room(outbox, lane, limit, &zone, now).await? };
    let (mut kept, mut over) = (Vec::new(), Vec::new());
    for candidate in candidates {
        match counts(lane, &candidate) {
            false => kept.push(candidate),
            true if room > 0 => {
                room -= 1;
                kept.push(candidate);
            }
            true => over.push(candidate),
        }
    }
    if !over.is_empty() {
        if !limited {
            begin(outbox, lane, limit, &zone, now).await?;
        }
        let skipped = |one: Candidate| Started {
            id: one.id,
            version: one.version,
            how: Err(LIMIT.to_owned()),
            without_invoice: false,
            at: now,
        };
        outbox.store.start(over.into_iter().map(skipped).collect()).await?;
    }
    Ok(kept)
}

/// Whether it is a new message about an order that the sink wants.
fn counts(lane: &Lane, candidate: &Candidate) -> bool {
    let current = || candidate.current.as_ref().ok().and_then(Option::as_ref);
    let is_wanted = || current().is_none_or(|order| lane.rule.only.refuses(order).is_none());
    let is_message = candidate.order_key.is_some() && candidate.purpose != Purpose::Alert;
    is_message && candidate.first_attempt_at.is_none() && is_wanted()
}

fn zone(outbox: &Outbox, candidate: &Candidate) -> Option<TimeZone> {
    let (shop, _) = candidate.event.shop.as_ref()?;
    outbox.recorder.shop(shop).map(|policy| policy.shop.timezone)
}

/// How many more messages the sink may have now.
async fn room(outbox: &Outbox, lane: &Lane, limit: Limit, zone: &TimeZone, now: Timestamp) -> Result<u32, StoreError> {
    let mut room = u32::MAX;
    for (most, since) in [(limit.per_hour, now - AN_HOUR), (limit.per_day, midnight(day_of(now, zone), zone))] {
        if let Some(most) = most {
            let sent = outbox.store.sent_since(&lane.name, since).await?;
            room = room.min(most.saturating_sub(sent));
        }
    }
    Ok(room)
}

/// Begins the time of summaries, until the day is over, and says so.
async fn begin(outbox: &Outbox, lane: &Lane, limit: Limit, zone: &TimeZone, now: Timestamp) -> Result<(), StoreError> {
    let until = midnight(day_of(now, zone).saturating_add(1.day()), zone);
    let most = |most: Option<u32>, per: &str| most.map(|most| format!("{most}/{per}"));
    let limit = [most(limit.per_hour, "h"), most(limit.per_day, "24 h")].into_iter().flatten().collect::<Vec<_>>();
    let facts = json!({
        "sink": lane.name,
        "limit": limit.join(", "),
        "until": until.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
    });
    let alert = Alert {
        kind: EventType::SinkLimited,
        shop: None,
        about: None,
        also: Some(lane.name.clone()),
        facts: facts.as_object().cloned().unwrap_or_default(),
        marks_told: None,
    };
    let policy = outbox.recorder.policy();
    outbox.store.limit_sink(&lane.name, (now, until), move || alert.clone().into_changes(&policy, now)).await?;
    tracing::warn!(sink.name = %lane.name, "as many messages as it is to have; the rest of the day comes in one summary");
    Ok(())
}

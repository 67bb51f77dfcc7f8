//! One attempt: hand the message over, contain what may go wrong, write down how it ended.

use std::{panic::AssertUnwindSafe, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt;
use jiff::Timestamp;

use super::{
    Lane, Outbox,
    health::{Ended, Health},
    recipients::{self, Concluded},
    schedule::{self, History},
};
use crate::{
    digest,
    sink::{Delivery, Payload, Reason, Receipt, SinkError},
    store::{AttemptRow, Candidate, Finished, RecipientStatus, Shared, Verdict},
};

/// How long to wait before a result that could not be written is written again.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

/// How much of an answer is kept.
const EXCERPT: usize = 500;

/// Attempts a delivery that was started, or that could not even be made (`failure`), and writes down how it ended.
pub(super) async fn attempt(
    outbox: Outbox,
    lane: Lane,
    candidate: Candidate,
    payload: Option<Payload>,
    failure: Option<SinkError>,
) {
    let at = outbox.clock.now();
    let result = match (failure, payload) {
        (Some(error), _) => Err(error),
        (None, Some(payload)) => {
            let handing_over = AssertUnwindSafe(hand_over(&outbox, &lane, &candidate, payload, at)).catch_unwind();
            handing_over
                .await
                .unwrap_or_else(|_| Err(SinkError::retry(Reason::Panic, "the attempt failed by a bug in tillhook")))
        }
        (None, None) => Err(SinkError::reject(Reason::Local, "there is no message")),
    };
    let finished = conclude(&outbox, &lane, &candidate, at, &result);
    log(&lane, &candidate, &finished);
    write(&outbox, &lane, finished, &result).await;
}

async fn hand_over(
    outbox: &Outbox,
    lane: &Lane,
    candidate: &Candidate,
    payload: Payload,
    at: Timestamp,
) -> Result<Receipt, SinkError> {
    let attachments = read_attachments(outbox, &payload).await?;
    let delivery = Delivery {
        id: candidate.id,
        event_id: candidate.event.id,
        event_type: candidate.event.kind,
        attempt: candidate.attempts + 1,
        at,
        payload,
        attachments,
        settled: settled(candidate),
    };
    tokio::select! {
        result = lane.sink.send(&delivery) => result,
        () = outbox.clock.sleep(lane.timeout) => {
            let waited = format!("no answer within {} s", lane.timeout.as_secs());
            Err(SinkError::retry(Reason::TimeOut, waited))
        }
    }
}

/// The addresses that are not asked again.
fn settled(candidate: &Candidate) -> Vec<String> {
    let settled = candidate.recipients.iter().filter(|row| !row.is_open());
    settled.map(|row| row.address.clone()).collect()
}

async fn read_attachments(outbox: &Outbox, payload: &Payload) -> Result<Vec<Bytes>, SinkError> {
    let lost = |detail: String| SinkError::retry(Reason::Local, detail);
    let mut attachments = Vec::with_capacity(payload.attachments.len());
    for file in &payload.attachments {
        let stored = outbox.store.invoice_by_sha256(&file.sha256).await.map_err(|error| lost(error.to_string()))?;
        let stored = stored.ok_or_else(|| lost("the invoice is no longer in the archive".to_owned()))?;
        let bytes = outbox.archive.read(&stored.path, &stored.sha256).await.map_err(|error| lost(error.to_string()))?;
        attachments.push(bytes);
    }
    for file in &payload.made {
        attachments.push(digest::bytes(&outbox.store, &outbox.archive, file).await?);
    }
    Ok(attachments)
}

/// From the sink's verdict to what is written.
fn conclude(
    outbox: &Outbox,
    lane: &Lane,
    candidate: &Candidate,
    at: Timestamp,
    result: &Result<Receipt, SinkError>,
) -> Finished {
    let now = outbox.clock.now();
    let attempts = candidate.attempts + 1;
    let took = Duration::try_from(now.duration_since(at)).unwrap_or_default();
    let row = |verdict, reason, status, excerpt: Option<String>| AttemptRow {
        number: attempts,
        at,
        ended_at: now,
        took,
        verdict,
        reason,
        status,
        excerpt: excerpt.map(|text| text.chars().take(EXCERPT).collect()),
    };
    let finished = |concluded: Concluded, attempt| Finished {
        id: candidate.id,
        sink: lane.name.clone(),
        verdict: concluded.verdict,
        attempt,
        hold_until: None,
        pause: None,
        shared: concluded.shared,
    };
    let first_attempt_at = candidate.first_attempt_at.unwrap_or(at);
    let history = History { attempts, retries: candidate.retries, first_attempt_at };
    let plan = schedule::Plan { history, retry: &lane.retry, now, jitter: random() };
    let error = match result {
        Ok(receipt) => {
            let concluded = recipients::told(&candidate.recipients, receipt, &plan, now);
            let refusal = receipt.refused.first().filter(|_| concluded.shared.only_refused).map(|(_, error)| error);
            let row = match refusal {
                Some(error) => row(word(error), Some(error.reason().as_str()), None, receipt.excerpt.clone()),
                None => row("delivered", None, Some(receipt.status.clone()), receipt.excerpt.clone()),
            };
            return finished(concluded, row);
        }
        Err(error) => error,
    };
    let next = plan.next(error);
    let row = row(word(error), Some(error.reason().as_str()), None, Some(error.detail().to_owned()));
    let concluded = if candidate.recipients.is_empty() {
        let verdict = next.again.map_or(Verdict::Dead, |(at, uses_retry)| Verdict::Again { at, uses_retry });
        Concluded { verdict, shared: Shared::default() }
    } else {
        recipients::failed(&candidate.recipients, error, &next, now)
    };
    Finished {
        hold_until: next.hold_until,
        pause: next.pause.then(|| error.detail().to_owned()),
        ..finished(concluded, row)
    }
}

/// The verdict as the log has it.
fn word(error: &SinkError) -> &'static str {
    match error {
        SinkError::Retry { .. } => "retry",
        SinkError::Reject { .. } => "reject",
        SinkError::Pause { .. } => "pause",
    }
}

/// Writes how it ended, again and again until it is on disk: the far side may have the message, so that must not be lost.
async fn write(outbox: &Outbox, lane: &Lane, finished: Finished, result: &Result<Receipt, SinkError>) {
    let ended = match result {
        Ok(_) => Ended::Delivered,
        Err(error) if error.needs_a_person() || finished.verdict == Verdict::Dead => Ended::NeedsAPerson,
        Err(_) => Ended::Failed,
    };
    loop {
        let (policy, now) = (outbox.recorder.policy(), finished.attempt.ended_at);
        let health = Health { policy, pause_after: lane.pause_after, ended, now };
        let Err(error) = outbox.store.finish(finished.clone(), health).await else { return };
        tracing::error!(delivery.id = %finished.id, error = %error, "an attempt could not be written down; trying again");
        outbox.clock.sleep(WRITE_AGAIN).await;
    }
}

fn log(lane: &Lane, candidate: &Candidate, finished: &Finished) {
    let (sink, id, attempt) = (&lane.name, candidate.id, finished.attempt.number);
    let took = finished.attempt.took.as_millis();
    let rows = finished.shared.rows.iter().flatten();
    let without = rows.filter(|row| row.status != RecipientStatus::Taken).count();
    if without > 0 {
        tracing::warn!(sink.name = %sink, delivery.id = %id, delivery.attempt = attempt, delivery.without = without, "the far side has the message, but not for all recipients; see `tillhook deliveries show`");
        return;
    }
    match &finished.verdict {
        Verdict::Delivered { .. } => {
            tracing::info!(sink.name = %sink, delivery.id = %id, delivery.attempt = attempt, delivery.took_ms = took, "delivered");
        }
        Verdict::Again { at, .. } => {
            let reason = finished.attempt.reason;
            tracing::warn!(sink.name = %sink, delivery.id = %id, delivery.attempt = attempt, delivery.reason = reason, delivery.next = %at, "an attempt failed; it will be made again");
        }
        Verdict::Dead => {
            let reason = finished.attempt.reason;
            tracing::error!(sink.name = %sink, delivery.id = %id, delivery.attempt = attempt, delivery.reason = reason, "a delivery was given up; see `tillhook deliveries show`");
        }
    }
}

/// A random number for jitter.
pub(super) fn random() -> u32 {
    let mut bytes = [0; 4];
    // Without randomness retries keep their plan; they are only less spread.
    let _ = getrandom::fill(&mut bytes);
    u32::from_le_bytes(bytes)
}

//! `tillhook deliveries show`: one delivery on one sheet, and the words for how deliveries and attempts fare.

use std::io::Write;

use jiff::Timestamp;
use serde_json::json;

use super::{
    Exit,
    desk::Desk,
    print::{self, ShortIds},
};
use crate::store::{DeliveryLine, RecipientStatus, StoredAttempt};

/// How much of an error fits into a line of a list.
const ERROR_WIDTH: usize = 30;

/// How much of a far side's answer is shown; the rest is in the JSON.
const DETAIL_WIDTH: usize = 200;

/// Writes everything that is known about a delivery; its message only when asked for.
///
/// # Errors
/// When the database or the output fails.
pub async fn show(
    desk: &Desk,
    line: &DeliveryLine,
    with_payload: bool,
    as_json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let delivery = desk.store.delivery(line.id).await?;
    desk.leave_out(delivery.iter().flat_map(|delivery| delivery.unreadable.clone()));
    let (attempts, payload) = delivery.map_or((Vec::new(), None), |delivery| (delivery.attempts, delivery.payload));
    if as_json {
        let mut shown = json!({ "delivery": line, "attempts": attempts });
        if with_payload {
            shown["payload"] = json!(payload);
        }
        print::json(&shown, out)?;
        return Ok(Exit::Ok);
    }
    facts(desk, line, out)?;
    recipients(desk, line, out)?;
    writeln!(out, "\n{}", if attempts.is_empty() { "No attempt yet." } else { "Attempts" })?;
    for attempt in &attempts {
        writeln!(out, "  {}", attempted(desk, attempt, line.shop.as_deref()))?;
    }
    match payload.filter(|_| with_payload) {
        Some(payload) => writeln!(out, "\nMessage ({})\n{}", payload.content_type, payload.body)?,
        None if with_payload => writeln!(out, "\nThe message is made at the first attempt.")?,
        None => {}
    }
    Ok(Exit::Ok)
}

fn facts(desk: &Desk, line: &DeliveryLine, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "Delivery {}", line.id)?;
    let before = |at| format!("before, {}", desk.time(at, line.shop.as_deref()));
    for (name, value) in [
        ("sink", Some(line.sink.to_string())),
        ("event", Some(format!("{} ({})", line.event_type, line.event_id))),
        ("order", line.order_id.clone().or_else(|| line.internal_id.clone())),
        ("shop", line.shop.clone()),
        ("status", Some(outcome(desk, line, &ShortIds::WHOLE))),
        ("delivered", line.delivered_at.filter(|_| line.status != "delivered").map(before)),
        ("held back", line.held_because.clone()),
        ("last error", line.last_error.clone()),
    ] {
        if let Some(value) = value {
            writeln!(out, "  {name:<12}{}", print::harmless(&value))?;
        }
    }
    Ok(())
}

/// How those stand that it goes to, where they did not fare alike.
fn recipients(desk: &Desk, line: &DeliveryLine, out: &mut dyn Write) -> anyhow::Result<()> {
    if !line.recipients.is_empty() {
        writeln!(out, "\nRecipients")?;
    }
    let width = line.recipients.iter().map(|row| row.address.chars().count()).max().unwrap_or(0);
    for row in &line.recipients {
        let word = match row.status {
            RecipientStatus::Taken => "taken",
            RecipientStatus::Refused => "refused",
            RecipientStatus::GivenUp => "given up",
        };
        let at = desk.time(row.at, line.shop.as_deref());
        let error = row.error.as_deref().map(|error| format!(": {}", print::excerpt(error, DETAIL_WIDTH)));
        writeln!(out, "  {:<width$}  {word} {at}{}", print::harmless(&row.address), error.unwrap_or_default())?;
    }
    Ok(())
}

/// How many of those that it goes to do not have it.
fn without(line: &DeliveryLine) -> String {
    let without = line.recipients.iter().filter(|row| row.status != RecipientStatus::Taken).count() as u64;
    match without {
        0 => String::new(),
        without => format!(", but not to {}", print::counted(without, "address", "addresses")),
    }
}

/// The length at which the ids of a list, and of what these deliveries wait behind, still differ.
pub fn short_ids(lines: &[DeliveryLine]) -> ShortIds {
    ShortIds::of(lines.iter().flat_map(|line| [Some(line.id), line.behind]).flatten().map(|id| id.to_string()))
}

/// The status, and what belongs to it, in a few words.
pub fn outcome(desk: &Desk, line: &DeliveryLine, ids: &ShortIds) -> String {
    let shop = line.shop.as_deref();
    let with_time = |word: &str, at: Option<Timestamp>| match at {
        Some(at) => format!("{word} {}", desk.time(at, shop)),
        None => line.status.clone(),
    };
    if let (Some(first), "waiting" | "due" | "retrying") = (&line.behind, line.status.as_str()) {
        return format!("waits behind {}", ids.cut(first));
    }
    if line.held_because.is_some() && line.status == "waiting" {
        return "waiting: not confirmed by the till".to_owned();
    }
    match (line.status.as_str(), &line.last_error) {
        ("delivered", _) => with_time("delivered", line.delivered_at) + &without(line),
        ("waiting", _) => with_time("waiting until", line.next_attempt_at),
        ("retrying", _) if !line.recipients.is_empty() => {
            format!("delivered{}, {}", without(line), with_time("retrying at", line.next_attempt_at))
        }
        ("retrying", _) => with_time("retrying at", line.next_attempt_at),
        ("skipped", _) => format!("skipped: {}", line.skipped_because.as_deref().unwrap_or("?")),
        ("dead", Some(error)) => format!("dead: {}", print::excerpt(error, ERROR_WIDTH)),
        (status, _) => status.to_owned(),
    }
}

/// How an attempt went, in a few words.
pub fn attempted(desk: &Desk, attempt: &StoredAttempt, shop: Option<&str>) -> String {
    let at = attempt.at.to_zoned(desk.zone(shop)).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let word = match attempt.verdict.as_str() {
        "delivered" => "delivered",
        "retry" => "failed",
        "reject" => "refused",
        "pause" => "failed, and paused the sink",
        _ => "cut off",
    };
    let details = [&attempt.status, &attempt.excerpt].into_iter().flatten();
    let details: Vec<String> = details.map(|text| print::excerpt(text, DETAIL_WIDTH)).collect();
    let details = if details.is_empty() { String::new() } else { format!(": {}", details.join(" ")) };
    format!("attempt {}  {at}  {word} in {} ms{details}", attempt.number, attempt.duration_ms)
}

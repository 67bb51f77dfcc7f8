//! `tillhook render`: the message that a sink would send about an order now, without sending it.

use std::io::Write;

use clap::Args;
use serde_json::Value;

use super::{Exit, Stop, day::Day, desk::Desk, find, print};
use crate::{
    app::assemble,
    deliver::{self, Present},
    digest::Maker,
    json,
    order::{DeliveryId, EventData, EventId, EventType, SinkName},
    route::Rule,
    sink::{Payload, Purpose},
    store::{Candidate, StoredEvent, StoredOrder},
};

/// What to print.
#[derive(Debug, Args)]
pub struct Render {
    /// The sink
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    about: About,
    /// The HTML in place of the text; for sinks of type email
    #[arg(long)]
    html: bool,
}

/// What the message is about.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct About {
    /// The order: its internal id, else its number
    #[arg(long, value_name = "ORDER")]
    order: Option<String>,
    /// A day of the period of a summary: 2026-11-21, today, yesterday
    #[arg(long, value_name = "D")]
    day: Option<Day>,
}

/// Prints the message to standard output, and remarks to standard error.
///
/// # Errors
/// When the order or the sink is not found, the message cannot be made, or the database or the output fails.
pub async fn run(wanted: &Render, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let name = find::sink(&desk.config, &wanted.name)?;
    let kind = desk.config.sinks[&name].options.kind();
    if wanted.html && kind != "email" {
        let what = format!("`--html` is for sinks of type `email`, and `{name}` is of type `{kind}`");
        return Err(Stop::with_fix(Exit::Usage, what, "leave it out"));
    }
    let lane = assemble::lane(&desk.config, &name, &desk.clock)?;
    let candidate = match (&wanted.about.order, wanted.about.day) {
        (Some(order), _) => candidate(desk, &lane.rule, find::order(desk, order).await?).await?,
        (None, Some(day)) => summary(desk, &name, day).await?,
        (None, None) => {
            return Err(Stop::with_fix(Exit::Usage, "it is not said what to render", "give --order or --day"));
        }
    };
    let names = assemble::names(&desk.store).await?;
    let public_url = desk.config.server.public_url.as_ref();
    let context = Present { recorder: &desk.recorder, public_url, names: &names, now: desk.now() };
    let outgoing = deliver::outgoing(&lane, &candidate, &context)?;
    let payload = lane.sink.render(&outgoing).map_err(|error| {
        Stop::with_fix(
            Exit::Failed,
            format!("the message cannot be made: {}", error.detail()),
            "look at the sink's options",
        )
    })?;
    let mut notes = print::notes();
    if let Some(condition) = outgoing.event.order().and_then(|order| lane.rule.only.refuses(order)) {
        let _ = writeln!(notes, "note: the sink would not be told of this order, because of `{condition}`");
    }
    if lane.rule.needs_invoice && outgoing.invoice.is_none() {
        let _ = writeln!(notes, "note: the invoice is not here, and the sink is sent nothing without it");
    } else if outgoing.invoice_absent {
        let _ = writeln!(notes, "note: the invoice is not here yet; the service would wait for it");
    }
    match kind {
        "email" => mail(&payload, wanted.html, out)?,
        _ => writeln!(out, "{}", payload.body.trim_end_matches('\n'))?,
    }
    Ok(Exit::Ok)
}

/// A first message about the order as it stands, of the latest event that the sink selects, else of the latest.
async fn candidate(desk: &Desk, rule: &Rule, stored: StoredOrder) -> anyhow::Result<Candidate> {
    let mut events: Vec<StoredEvent> = desk.readable(desk.store.events_of(stored.key).await?);
    let latest = events.iter().rposition(|event| rule.selects(event.kind)).or(events.len().checked_sub(1));
    let event = latest.map(|index| events.swap_remove(index));
    let event = event.ok_or_else(|| anyhow::anyhow!("the order's events are not in the database any more"))?;
    Ok(Candidate {
        order_key: Some(stored.key),
        verification: stored.verification,
        current: Ok(Some(Box::new(stored.order))),
        invoice: desk.invoice(stored.key).await?,
        ..about(desk, event)
    })
}

/// The summary of a period of the sink's first shop.
async fn summary(desk: &Desk, sink: &SinkName, day: Day) -> anyhow::Result<Candidate> {
    let plan = super::digest::plan(desk, sink)?;
    let shop = desk.config.shops.values().map(|one| &one.shop).find(|shop| plan.rule.admits(Some(&shop.id)));
    let shop =
        shop.ok_or_else(|| Stop::with_fix(Exit::Usage, "the sink is told of no shop", "look at `shops` in its table"))?;
    let maker = Maker { store: &desk.store, plan: &plan, shop, now: desk.now(), reports: None };
    let day = day.seen_from(desk.today(Some(shop.id.as_str())));
    let digest = maker.preview(super::digest::period(&plan, day)).await?;
    let event = StoredEvent {
        seq: 0,
        id: EventId::new(desk.now()),
        kind: EventType::DigestMade,
        shop: Some((shop.id.clone(), shop.name.clone())),
        order_key: None,
        at: desk.now(),
        test: false,
        data: EventData::Digest(Box::new(digest)).to_text(),
    };
    Ok(about(desk, event))
}

/// A first message that was not attempted.
fn about(desk: &Desk, event: StoredEvent) -> Candidate {
    Candidate {
        id: DeliveryId::new(desk.now()),
        seq: 0,
        version: 0,
        event,
        order_key: None,
        verification: None,
        current: Ok(None),
        invoice: None,
        purpose: Purpose::First,
        thread: None,
        payload: None,
        attempts: 0,
        retries: 0,
        first_attempt_at: None,
        recipients: Vec::new(),
    }
}

/// A mail as its reader would see it: headers, then the text, or the HTML alone.
fn mail(payload: &Payload, html: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let letter = json::ours(&payload.body)?;
    if html {
        writeln!(out, "{}", letter["html"].as_str().unwrap_or_default())?;
        return Ok(());
    }
    for (title, key) in
        [("From", "from"), ("To", "to"), ("Cc", "cc"), ("Bcc", "bcc"), ("Reply-To", "reply_to"), ("Subject", "subject")]
    {
        let value = joined(&letter[key]);
        if !value.is_empty() {
            writeln!(out, "{title}: {value}")?;
        }
    }
    for file in &payload.attachments {
        writeln!(out, "Attachment: {} ({})", file.filename, print::size(file.bytes))?;
    }
    for file in &payload.made {
        writeln!(out, "Attachment: {}", file.filename)?;
    }
    writeln!(out, "\n{}", letter["text"].as_str().unwrap_or_default().trim_end())?;
    Ok(())
}

/// An address or a text, or several.
fn joined(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(several) => several.iter().map(joined).collect::<Vec<_>>().join(", "),
        _ => String::new(),
    }
}

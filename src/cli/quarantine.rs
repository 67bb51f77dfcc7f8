//! `tillhook quarantine`: what the till sent and we could not read; kept until somebody decides.
//!
//! **Invariant:** a body is shown only when asked for, and never with characters that could command a terminal.

use std::io::Write;

use clap::{Args, Subcommand};

use super::{
    Exit, Stop,
    args::Listing,
    desk::Desk,
    find,
    print::{self, ShortIds, Table},
};
use crate::{
    decode,
    order::ReceiptId,
    record::{Call, Origin, Outcome, Requeued},
    store::{QuarantinedBody, StoreError},
};

/// How much of a body is shown, in bytes.
const SHOWN: usize = 16 * 1024;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Quarantine {
    /// List the calls that could not be read, oldest first
    #[command(after_help = "Example: tillhook quarantine list")]
    List(List),
    /// Show one of them, and why it could not be read
    #[command(after_help = "Example: tillhook quarantine show rcp_019a9f6c2b7a7f3c --body")]
    Show(Show),
    /// Read one of them again, or all: after an upgrade, or a change of the shop's settings
    #[command(after_help = "Example: tillhook quarantine reprocess")]
    Reprocess(Reprocess),
    /// Take one of them out without reading it
    #[command(after_help = "Example: tillhook quarantine dismiss rcp_019a9f6c2b7a7f3c")]
    Dismiss(Dismiss),
}

/// How to list them.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    listing: Listing,
}

/// Which one to show, and how much of it.
#[derive(Debug, Args)]
pub struct Show {
    /// Its id, or the beginning of it
    id: String,
    /// What was sent too; it may hold a customer's data
    #[arg(long)]
    body: bool,
}

/// Which one to read again.
#[derive(Debug, Args)]
pub struct Reprocess {
    /// Its id, or the beginning of it; without it, all
    id: Option<String>,
}

/// Which one to take out.
#[derive(Debug, Args)]
pub struct Dismiss {
    /// Its id, or the beginning of it
    id: String,
}

/// Carries out one of them.
///
/// # Errors
/// When something is not found, or the database or the output fails.
pub async fn run(command: &Quarantine, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        Quarantine::List(wanted) => list(wanted.listing, desk, out).await,
        Quarantine::Show(wanted) => show(wanted, desk, out).await,
        Quarantine::Reprocess(wanted) => reprocess(wanted.id.as_deref(), desk, out).await,
        Quarantine::Dismiss(wanted) => dismiss(&wanted.id, desk, out).await,
    }
}

async fn list(listing: Listing, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let bodies = desk.readable(desk.store.list_quarantine(listing.limit).await?);
    if listing.json {
        print::page(&bodies, out)?;
    } else if bodies.is_empty() {
        writeln!(out, "nothing is in quarantine: every call could be read")?;
    } else {
        let ids = ShortIds::of(bodies.iter().map(|body| body.id.clone()));
        let mut table = Table::new(&["ID", "SHOP", "RECEIVED", "REASON"]);
        for body in &bodies {
            let at = desk.time(body.received_at, Some(&body.shop));
            table.row([ids.cut(&body.id), body.shop.clone(), at, print::excerpt(&body.reason, 60)]);
        }
        table.write("", out)?;
    }
    Ok(Exit::Ok)
}

async fn show(wanted: &Show, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let body = find(desk, &wanted.id).await?;
    let raw = &body.raw;
    let size = (raw.body.len() + raw.query.as_ref().map_or(0, String::len)) as u64;
    writeln!(out, "Call {}", body.id)?;
    for (name, value) in [
        ("shop", body.shop.to_string()),
        ("received", desk.time(body.received_at, Some(body.shop.as_str()))),
        ("reason", body.reason.clone()),
        ("sent as", format!("{}, {}", raw.method, raw.content_type.as_deref().unwrap_or("no content type"))),
        ("size", print::size(size)),
        ("state", body.resolution.clone().unwrap_or_else(|| "in quarantine".to_owned())),
    ] {
        writeln!(out, "  {name:<10}{}", print::harmless(&value))?;
    }
    if !wanted.body {
        return Ok(Exit::Ok);
    }
    for (title, bytes) in [("Query", raw.query.as_deref().unwrap_or_default().as_bytes()), ("Body", &raw.body[..])] {
        if !bytes.is_empty() {
            let cut =
                if bytes.len() > SHOWN { format!(", the first {}", print::size(SHOWN as u64)) } else { String::new() };
            writeln!(out, "\n{title}{cut}")?;
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]);
            writeln!(out, "{}", text.lines().map(print::harmless).collect::<Vec<_>>().join("\n"))?;
        }
    }
    Ok(Exit::Ok)
}

async fn find(desk: &Desk, id: &str) -> anyhow::Result<QuarantinedBody> {
    let id = find::quarantined(desk, id).await?;
    desk.store
        .quarantined(id)
        .await?
        .ok_or_else(|| Stop::new(Exit::NotFound, format!("there is no call `{id}` any more")).into())
}

async fn reprocess(id: Option<&str>, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let ids: Vec<ReceiptId> = match id {
        Some(id) => vec![find::quarantined(desk, id).await?],
        None => {
            let lines = desk.readable(desk.store.list_quarantine(u32::MAX).await?);
            lines.iter().map(|line| line.id.parse()).collect::<Result<_, _>>()?
        }
    };
    if ids.is_empty() {
        writeln!(out, "nothing is in quarantine: every call could be read")?;
    }
    let mut unreadable = 0;
    for id in ids {
        let became = match desk.store.quarantined(id).await {
            Ok(None) => continue,
            Ok(Some(body)) => read_again(desk, body).await?,
            Err(error @ StoreError::Corrupt(_)) => Err(error.to_string()),
            Err(error) => return Err(error.into()),
        };
        unreadable += u32::from(became.is_err());
        writeln!(out, "{id}  {}", became.unwrap_or_else(|reason| format!("stays: {reason}")))?;
    }
    Ok(if unreadable == 0 { Exit::Ok } else { Exit::Failed })
}

/// What became of a call, or why it stays in quarantine.
async fn read_again(desk: &Desk, body: QuarantinedBody) -> anyhow::Result<Result<String, String>> {
    if let Some(resolution) = body.resolution {
        return Ok(Ok(format!("is out of quarantine already: {resolution}")));
    }
    let Some(policy) = desk.recorder.shop(&body.shop) else {
        return Ok(Err(format!("the shop `{}` is not configured", body.shop)));
    };
    let raw = body.raw;
    let decoded = decode::decode(&raw.input(), &policy.shop).map_err(|unreadable| unreadable.reason);
    let call = Call {
        shop: body.shop,
        raw,
        origin: Origin::Quarantine(Requeued { receipt: body.id, received_at: body.received_at }),
    };
    let accepted = desk.recorder.accept(call, || decoded).await?;
    Ok(match accepted.outcome {
        Outcome::Stored => Ok("is understood now, and on its way to the sinks".to_owned()),
        Outcome::Duplicate => Ok("is understood now, and says nothing new".to_owned()),
        Outcome::Quarantined => Err(accepted.reason.unwrap_or_else(|| "it cannot be read".to_owned())),
    })
}

async fn dismiss(id: &str, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let id = find::quarantined(desk, id).await?;
    if desk.store.dismiss(id, desk.now()).await? {
        writeln!(out, "{id} is out of quarantine")?;
    } else {
        writeln!(out, "{id} was out of quarantine already")?;
    }
    Ok(Exit::Ok)
}

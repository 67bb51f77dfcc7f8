//! `tillhook deliveries`: who is told what, how that went, and what a person can do about it.

use std::io::Write;

use clap::{ArgGroup, Args, Subcommand, builder::PossibleValuesParser};

use super::{
    Exit, Stop,
    args::Listing,
    delivery_sheet::{self, outcome, short_ids},
    desk::Desk,
    find,
    print::{self, ShortIds, Table},
};
use crate::{
    order::DeliveryId,
    store::{DeliveryFilter, DeliveryLine, RecipientStatus},
};

/// The statuses of contract §2.
const STATUSES: [&str; 8] = ["waiting", "due", "sending", "retrying", "paused", "delivered", "skipped", "dead"];

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Deliveries {
    /// List deliveries, newest first
    #[command(after_help = "Example: tillhook deliveries list --sink accountant --status dead")]
    List(List),
    /// Show a delivery and each of its attempts
    #[command(after_help = "Example: tillhook deliveries show dlv_019a9f6c2b7a7f3c")]
    Show(Show),
    /// Attempt a delivery again at once, or every dead one of a sink
    #[command(after_help = "Examples: tillhook deliveries retry dlv_019a9f6c2b7a7f3c\n          \
                            tillhook deliveries retry --sink erp --dead")]
    Retry(Retry),
    /// Give a delivery up, and let the next one of its order go, or give up all that wait for a paused sink
    #[command(after_help = "Examples: tillhook deliveries skip dlv_019a9f6c2b7a7f3c\n          \
                            tillhook deliveries skip --sink erp --paused")]
    Skip(Skip),
}

/// Which deliveries to list, and how.
#[derive(Debug, Args)]
pub struct List {
    /// To this sink alone
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// With this status alone
    #[arg(long, value_parser = PossibleValuesParser::new(STATUSES))]
    status: Option<String>,
    /// Of this order alone
    #[arg(long, value_name = "ORDER")]
    order: Option<String>,
    #[command(flatten)]
    listing: Listing,
}

/// Which delivery to show, and how.
#[derive(Debug, Args)]
pub struct Show {
    /// Its id, or the beginning of it
    id: String,
    /// The message too, as it was or will be sent; it may hold a customer's data
    #[arg(long)]
    payload: bool,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// What to attempt again.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["id", "sink"])))]
#[group(skip)]
pub struct Retry {
    /// The delivery's id, or the beginning of it
    id: Option<String>,
    /// Every dead delivery of this sink
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// Has to go with --sink, because that may be many
    #[arg(long, requires = "sink")]
    dead: bool,
    /// Also what was delivered already, or what a later delivery of the order has overtaken
    #[arg(long)]
    force: bool,
}

/// What to give up.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["id", "sink"])))]
#[group(skip)]
pub struct Skip {
    /// The delivery's id, or the beginning of it
    id: Option<String>,
    /// Every delivery that waits for this sink, which has to be paused
    #[arg(long, value_name = "NAME", requires = "paused")]
    sink: Option<String>,
    /// Has to go with --sink, because that may be many
    #[arg(long, requires = "sink")]
    paused: bool,
}

/// Carries out one of them.
///
/// # Errors
/// When something is not found or refused, or the database or the output fails.
pub async fn run(command: &Deliveries, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        Deliveries::List(wanted) => list(wanted, desk, out).await,
        Deliveries::Show(wanted) => {
            let id = find::delivery(desk, &wanted.id).await?;
            delivery_sheet::show(desk, &line(desk, id).await?, wanted.payload, wanted.json, out).await
        }
        Deliveries::Retry(wanted) => retry(wanted, desk, out).await,
        Deliveries::Skip(Skip { id: Some(id), .. }) => skip(id, desk, out).await,
        Deliveries::Skip(wanted) => skip_all(wanted.sink.as_deref().unwrap_or_default(), desk, out).await,
    }
}

async fn list(wanted: &List, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let order = match &wanted.order {
        Some(name) => Some(find::order(desk, name).await?.key.to_string()),
        None => None,
    };
    let sink = match &wanted.sink {
        Some(name) => Some(find::any_sink(desk, name).await?.to_string()),
        None => None,
    };
    let limit = wanted.listing.limit;
    let filter = DeliveryFilter { sink, order, status: wanted.status.clone(), limit, ..DeliveryFilter::default() };
    let deliveries = desk.readable(desk.store.list_deliveries(&filter, desk.now()).await?);
    if wanted.listing.json {
        print::page(&deliveries, out)?;
    } else if deliveries.is_empty() {
        let narrowed = wanted.sink.is_some() || wanted.status.is_some() || wanted.order.is_some();
        let none = if narrowed { "no such deliveries" } else { "no deliveries yet: `tillhook send-test` makes some" };
        writeln!(out, "{none}")?;
    } else {
        let ids = short_ids(&deliveries);
        let mut table = Table::new(&["ID", "SINK", "EVENT", "ORDER", "STATUS"]);
        for line in &deliveries {
            let number = line.order_id.clone().or_else(|| line.internal_id.clone());
            table.row([
                ids.cut(&line.id),
                line.sink.to_string(),
                line.event_type.clone(),
                print::or_dash(number),
                outcome(desk, line, &ids),
            ]);
        }
        table.write("", out)?;
    }
    Ok(Exit::Ok)
}

async fn line(desk: &Desk, id: DeliveryId) -> anyhow::Result<DeliveryLine> {
    let filter = DeliveryFilter { id: Some(id.to_string()), limit: 1, ..DeliveryFilter::default() };
    let (mut found, unreadable) = desk.store.list_deliveries(&filter, desk.now()).await?.into_parts();
    found.pop().ok_or_else(|| unreadable.first().map_or_else(|| gone(id), find::unreadable))
}

fn gone(id: DeliveryId) -> anyhow::Error {
    Stop::new(Exit::NotFound, format!("there is no delivery `{id}` any more")).into()
}

async fn retry(wanted: &Retry, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match (&wanted.id, &wanted.sink) {
        (Some(id), _) => retry_one(find::delivery(desk, id).await?, wanted.force, desk, out).await,
        (None, Some(sink)) if !wanted.dead => {
            let what = format!("`--sink {sink}` alone does not say which of its deliveries");
            let fix = "add `--dead` to attempt every dead one again, or give the id of one";
            Err(Stop::with_fix(Exit::Usage, what, fix))
        }
        (None, sink) => retry_dead(sink.as_deref().unwrap_or_default(), wanted.force, desk, out).await,
    }
}

async fn retry_one(id: DeliveryId, force: bool, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let refused = |what: &str| Stop::with_fix(Exit::Refused, what, "`--force` attempts it all the same");
    let before = line(desk, id).await?;
    let given_up = before.recipients.iter().any(|row| row.status == RecipientStatus::GivenUp);
    if !force && before.status == "delivered" && !given_up {
        return Err(refused("this was delivered already: the far side would get it twice"));
    }
    if !force && !given_up && desk.store.is_overtaken(id).await? {
        return Err(refused("a later delivery of this order has gone out already: the far side would go back in time"));
    }
    if !desk.store.retry_delivery(id, desk.now(), force).await? {
        anyhow::bail!("this delivery is being sent just now\n  fix: look at it again in a moment");
    }
    let paused = if before.status == "paused" {
        format!("; `tillhook sinks resume {}` first", before.sink)
    } else {
        String::new()
    };
    let alone = if given_up { ", for the addresses alone that do not have it" } else { "" };
    writeln!(out, "{id} is due now: the running service attempts it{alone}{paused}")?;
    Ok(Exit::Ok)
}

async fn retry_dead(sink: &str, force: bool, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let sink = find::any_sink(desk, sink).await?;
    let retried = desk.store.retry_dead(&sink, desk.now(), force).await?;
    let (_, left) = desk.store.backlog(&sink).await?;
    if retried + left == 0 {
        writeln!(out, "{sink} has no dead deliveries")?;
    }
    if retried > 0 {
        let retried = print::counted(retried, "dead delivery is", "dead deliveries are");
        writeln!(out, "{retried} due now: the running service attempts them in order")?;
    }
    if left > 0 {
        let left = print::counted(left, "delivery stays", "deliveries stay");
        let what = format!("{left} dead, because a later one of the same order has gone out");
        return Err(Stop::with_fix(Exit::Refused, what, "`--force` attempts them all the same"));
    }
    Ok(Exit::Ok)
}

async fn skip_all(sink: &str, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let sink = find::any_sink(desk, sink).await?;
    if desk.store.sink_state(&sink).await?.is_none_or(|state| state.paused.is_none()) {
        let what = format!("{sink} is not paused: what waits for it goes out by itself");
        return Err(Stop::with_fix(Exit::Refused, what, format!("`tillhook sinks pause {sink}` first, and look")));
    }
    let skipped = desk.store.skip_open(&sink).await?;
    let skipped = print::counted(skipped, "delivery is", "deliveries are");
    writeln!(out, "{skipped} skipped; `tillhook sinks resume {sink}` lets what comes from now on go out")?;
    Ok(Exit::Ok)
}

async fn skip(id: &str, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let id = find::delivery(desk, id).await?;
    if !desk.store.skip_delivery(id).await? {
        let status = line(desk, id).await?.status;
        let fix =
            if status == "sending" { "wait until this attempt is over" } else { "there is nothing to do: it is over" };
        return Err(Stop::with_fix(Exit::Failed, format!("this delivery cannot be skipped: it is {status}"), fix));
    }
    let now = line(desk, id).await?;
    if now.status == "delivered" {
        writeln!(out, "{id} is not sent again; it stays {}", outcome(desk, &now, &ShortIds::WHOLE))?;
    } else {
        writeln!(out, "{id} is skipped; what waited behind it goes on")?;
    }
    Ok(Exit::Ok)
}

//! `tillhook digest send`: a summary that somebody asks for.

use std::io::Write;

use clap::{Args, Subcommand};
use jiff::civil::Date;

use super::{Exit, Stop, day::Day, desk::Desk, find};
use crate::{
    app::assemble,
    digest::{Maker, Plan},
    order::{Period, SinkName, Why},
};

/// The first day of which there may be a summary: no till has sold before, and what is asked for is a slip of the hand.
const FIRST_DAY: Date = Date::constant(1970, 1, 1);

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Digest {
    /// Make the summary of the day, week or month that holds a day, and send it, also where it was sent before
    #[command(after_help = "Example: tillhook digest send accountant --day 2026-11-21\n\n\
                            The running service sends it.")]
    Send(Send),
}

/// Which summary.
#[derive(Debug, Args)]
pub struct Send {
    /// The sink
    #[arg(value_name = "NAME")]
    name: String,
    /// A day of its period: 2026-11-21, today, yesterday
    #[arg(long, value_name = "D")]
    day: Day,
    /// Of this shop alone [default: every shop of the sink]
    #[arg(long, value_name = "SHOP")]
    shop: Option<String>,
}

/// The summaries of a sink.
///
/// # Errors
/// When it gets none.
pub(super) fn plan(desk: &Desk, sink: &SinkName) -> anyhow::Result<Plan> {
    let plan = assemble::digests(&desk.config).into_iter().find(|plan| plan.rule.sink == *sink);
    plan.filter(|plan| plan.cadence.is_some()).ok_or_else(|| {
        let what = format!("the sink `{sink}` gets no summaries");
        Stop::with_fix(Exit::Usage, what, "give it `digest = { every = \"daily 20:00\" }`, or name another sink")
    })
}

/// The period of its summaries that holds a day.
pub(super) fn period(plan: &Plan, day: Date) -> Period {
    plan.cadence.map_or_else(|| Period::day(day), |cadence| cadence.period_of(day))
}

/// Carries it out.
///
/// # Errors
/// When there is no such sink or shop, or the database or the output fails.
pub async fn run(command: &Digest, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let Digest::Send(wanted) = command;
    let sink = find::sink(&desk.config, &wanted.name)?;
    let shop = wanted.shop.as_deref().map(|name| find::shop(&desk.config, name)).transpose()?;
    let plan = plan(desk, &sink)?;
    let admitted = desk.config.shops.values().filter(|one| plan.rule.admits(Some(&one.shop.id)));
    let reports = assemble::reports(&assemble::tills(&desk.config, &desk.clock));
    let mut made = 0;
    for one in admitted.filter(|one| shop.as_ref().is_none_or(|id| *id == one.shop.id)) {
        let today = desk.today(Some(one.shop.id.as_str()));
        let day = wanted.day.seen_from(today);
        let period = period(&plan, day);
        if period.first > today || day < FIRST_DAY {
            let why = if day < FIRST_DAY { "before anything was sold" } else { "yet to come" };
            let fix = format!("name a day with `--day` from {FIRST_DAY} to {today}");
            return Err(Stop::with_fix(Exit::Usage, format!("{period} is {why}"), fix));
        }
        let (store, reports) = (&desk.store, reports.as_ref());
        let maker = Maker { store, plan: &plan, shop: &one.shop, now: desk.now(), reports };
        if maker.make(period, Why::OnPurpose).await? {
            writeln!(out, "{}: the summary of {period} is made; the running service sends it to {sink}", one.shop.id)?;
            made += 1;
        }
    }
    if made == 0 {
        let what = format!("the sink `{sink}` is told of none of these shops");
        return Err(Stop::with_fix(Exit::Usage, what, "look at `shops` in its table"));
    }
    Ok(Exit::Ok)
}

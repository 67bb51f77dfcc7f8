//! `tillhook sinks recover`: enqueues what a sink's present rules would have selected and it never got.

use std::{
    collections::{BTreeMap, HashSet},
    io::Write,
};

use clap::Args;

use super::{Exit, Stop, desk::Desk, find, print::counted};
use crate::{
    order::OrderKey,
    route::Rule,
    store::{StoreError, StoredEvent},
};

/// Events that are read at a time.
const PAGE: u32 = 200;

/// What to recover.
#[derive(Debug, Args)]
pub struct Recover {
    /// The sink
    #[arg(value_name = "NAME")]
    name: String,
    /// From when on: 2026-11-21, 2026-11-21T08:00, 2h or 3d ago
    #[arg(long, value_name = "T")]
    since: String,
    /// Only say what it would be
    #[arg(long)]
    dry_run: bool,
}

/// Enqueues it, or with `--dry-run` counts it.
///
/// # Errors
/// When there is no such sink, the time is none, or the database or the output fails.
pub async fn run(wanted: &Recover, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let sink = find::sink(&desk.config, &wanted.name)?;
    let since = find::time(&wanted.since, &desk.zone(None), desk.now())?;
    let rule = &desk.config.sinks[&sink].rule;
    if rule.digests {
        let fix = format!("send the summary of a day again with `tillhook digest send {sink} --day D`");
        return Err(Stop::with_fix(Exit::Usage, format!("the sink `{sink}` gets summaries, not single orders"), fix));
    }
    let state = desk.store.sink_state(&sink).await?;
    if state.is_none() && !wanted.dry_run {
        let fix = "start `tillhook serve`, or reload it, with this sink in its configuration first";
        return Err(Stop::with_fix(Exit::Failed, format!("the sink `{sink}` has not run yet"), fix));
    }
    let mut recovery = Recovery { desk, rule, dry_run: wanted.dry_run, begun: HashSet::new() };
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut after = 0;
    loop {
        let page = desk.store.events_since(since, after, PAGE).await?;
        let Some(last) = page.last else { break };
        after = last;
        for event in desk.readable(page) {
            let kind = event.kind.as_str();
            if recovery.take(event).await? {
                *counts.entry(kind).or_default() += 1;
            }
        }
    }
    let from = desk.time(since, None);
    if counts.is_empty() {
        writeln!(out, "{sink} has missed nothing since {from}")?;
        return Ok(Exit::Ok);
    }
    let total = counted(counts.values().sum(), "event", "events");
    let would = if wanted.dry_run { "would be enqueued" } else { "enqueued" };
    writeln!(out, "{total} since {from} {would} for {sink}:")?;
    for (kind, count) in counts {
        writeln!(out, "  {kind:<20}{count:>6}")?;
    }
    if !wanted.dry_run {
        writeln!(out, "The running service delivers them; conditions (`only`) are asked when each is due.")?;
    }
    if state.is_some_and(|state| state.paused.is_some()) {
        writeln!(out, "{sink} is paused: `tillhook sinks resume {sink}` lets them go.")?;
    }
    Ok(Exit::Ok)
}

struct Recovery<'a> {
    desk: &'a Desk,
    rule: &'a Rule,
    dry_run: bool,
    /// Orders whose message a dry run has counted already.
    begun: HashSet<OrderKey>,
}

impl Recovery<'_> {
    /// Whether the sink is, or would be, told of this event now.
    async fn take(&mut self, event: StoredEvent) -> Result<bool, StoreError> {
        // Most events are none of the sink's business; these need no transaction.
        if !self.rule.begins(event.kind) {
            return Ok(false);
        }
        if !self.dry_run {
            return self.desk.recorder.recover(self.rule.clone(), event).await;
        }
        let merges = !self.rule.selects(event.kind) && event.order_key.is_some_and(|order| self.begun.contains(&order));
        let told = !merges && self.desk.recorder.would_recover(self.rule, &event).await?;
        self.begun.extend(event.order_key.filter(|_| told));
        Ok(told)
    }
}

//! When summaries are made: each in its time, once; and corrections, when something changed afterwards.
//!
//! What is due is found by the calendar and by what was made, never by a timer: after a restart, an outage of days or a
//! clock that was set, what is missing is made, and nothing twice.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::{Timestamp, ToSpan as _};
use tokio_util::sync::CancellationToken;

use super::{Maker, Plan, closings, closings::Heard};
use crate::{
    clock::Clock,
    order::{Cadence, Due, Period, Shop, ShopId, Why, day_of},
    store::{MadeDigest, Store, StoreError},
};

/// How often to look whether something is due: a till that closes is noticed after that.
const EVERY: Duration = Duration::from_mins(1);

/// How long a summary waits for the PDFs of its orders.
const PATIENCE: Duration = Duration::from_hours(1);

/// How long after a summary a correction of it is made at the earliest, so that several changes are one.
const SETTLE: Duration = Duration::from_hours(1);

/// How long ago a summary may have been due that is still made.
const LOOK_BACK: Duration = Duration::from_hours(400 * 24);

/// For how long a summary is corrected.
const CORRECTED_FOR: i64 = 62;

/// How far back openings and closings of a day are looked for: a night and a day.
const A_DAY: Duration = Duration::from_hours(36);

/// Makes the summaries of all sinks.
pub struct Digests {
    store: Store,
    clock: Arc<dyn Clock>,
    plans: Vec<Plan>,
    shops: BTreeMap<ShopId, Shop>,
    /// Until when a summary is known to need no correction.
    unchanged: HashMap<String, Timestamp>,
}

impl Digests {
    /// Those that these sinks want of these shops.
    pub fn new(store: Store, clock: Arc<dyn Clock>, plans: Vec<Plan>, shops: BTreeMap<ShopId, Shop>) -> Self {
        Self { store, clock, plans, shops, unchanged: HashMap::new() }
    }

    /// Makes what is due until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let began = self.clock.now();
            if let Err(error) = self.pass().await {
                tracing::error!(error = %error, "summaries could not be made; trying again");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                // The clock may be set ahead while we work, and back while we sleep.
                () = self.clock.sleep_until(began + EVERY) => {}
                () = self.clock.sleep(EVERY) => {}
            }
        }
    }

    /// Makes what is due now.
    ///
    /// # Errors
    /// When some of it is not on disk; it is made in the next pass.
    pub async fn pass(&mut self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let sinks: Vec<_> =
            self.plans.iter().filter(|plan| plan.cadence.is_some()).map(|plan| plan.rule.sink.clone()).collect();
        self.store.begin_digests(&sinks, now).await?;
        for plan in self.plans.clone() {
            self.untold(&plan, now).await?;
            let Some(cadence) = plan.cadence else { continue };
            let Some(since) = self.store.digests_since(&plan.rule.sink).await? else { continue };
            let shops = self.shops.clone().into_values().filter(|shop| plan.rule.admits(Some(&shop.id)));
            for shop in shops {
                let turn = Turn { store: &self.store, plan: &plan, cadence, shop: &shop, since, now };
                turn.due().await?;
                turn.corrections(&mut self.unchanged).await?;
            }
        }
        Ok(())
    }
}

impl Digests {
    /// Tells in a summary what a sink was not told one by one, once the day is over.
    async fn untold(&self, plan: &Plan, now: Timestamp) -> Result<(), StoreError> {
        let sink = &plan.rule.sink;
        let Some((since, _)) = self.store.limited(sink).await?.filter(|(_, until)| *until <= now) else {
            return Ok(());
        };
        let untold = self.store.untold(sink, since).await?;
        for shop in self.shops.values() {
            Maker { store: &self.store, plan, shop, now }.make_of_untold(&untold).await?;
        }
        self.store.end_limit(sink).await
    }
}

/// One sink and one shop, now.
struct Turn<'a> {
    store: &'a Store,
    plan: &'a Plan,
    cadence: Cadence,
    shop: &'a Shop,
    since: Timestamp,
    now: Timestamp,
}

impl Turn<'_> {
    async fn due(&self) -> Result<(), StoreError> {
        let since = self.since.max(self.now - LOOK_BACK);
        let mut due = self.cadence.due(since, self.now, &self.shop.timezone);
        due.extend(self.closed().await?);
        let Some(oldest) = due.first() else { return Ok(()) };
        let made = self.made(oldest.period.last).await?;
        due.retain(|due| !made.iter().any(|made| made.number == 0 && made.period == due.period));
        for due in due {
            let awaited = self.store.pdfs_awaited_until(&self.shop.id, due.period).await?;
            if awaited.is_some_and(|until| self.now < until.min(due.at + PATIENCE)) {
                continue;
            }
            self.make(due.period, Why::Due).await?;
        }
        Ok(())
    }

    /// The day that the tills have closed, where that is what the sink waits for.
    async fn closed(&self) -> Result<Option<Due>, StoreError> {
        if !matches!(self.cadence, Cadence::Closing(_)) {
            return Ok(None);
        }
        let heard = self.store.cash_box_events(&self.shop.id, self.now - A_DAY, self.now).await?;
        let heard: Vec<Heard> = heard.iter().filter_map(Heard::new).collect();
        let last = heard.last().filter(|last| closings::all_closed(&heard) && last.at > self.since);
        Ok(last.map(|last| Due { at: last.at, period: Period::day(last.day(&self.shop.timezone)) }))
    }

    async fn corrections(&self, unchanged: &mut HashMap<String, Timestamp>) -> Result<(), StoreError> {
        let today = day_of(self.now, &self.shop.timezone);
        let made = self.made(today.saturating_sub(CORRECTED_FOR.days())).await?;
        // The last one of each period counts; the list is by period and number.
        let last =
            made.iter().enumerate().filter(|(at, one)| made.get(at + 1).is_none_or(|next| next.period != one.period));
        for (_, last) in last {
            let is_due = made.iter().any(|one| one.period == last.period && one.number == 0);
            if !is_due || self.now < last.at + SETTLE || self.goes_on(last).await? {
                continue;
            }
            let checked = unchanged.get(&last.id).copied().filter(|at| *at <= self.now).unwrap_or(last.at);
            if self.store.changed_since(&self.shop.id, last, checked).await? {
                self.make(last.period, Why::Correction).await?;
            }
            unchanged.insert(last.id.clone(), self.now);
        }
        Ok(())
    }

    /// Whether the period is not over, so that what comes is no surprise: a correction waits until it is, or the till has
    /// closed again.
    async fn goes_on(&self, last: &MadeDigest) -> Result<bool, StoreError> {
        if last.period.last < day_of(self.now, &self.shop.timezone) {
            return Ok(false);
        }
        Ok(self.closed().await?.is_none_or(|closed| closed.at <= last.at))
    }

    async fn made(&self, since: jiff::civil::Date) -> Result<Vec<MadeDigest>, StoreError> {
        self.store.digests(&self.plan.rule.sink, &self.shop.id, since).await
    }

    async fn make(&self, period: Period, why: Why) -> Result<(), StoreError> {
        let maker = Maker { store: self.store, plan: self.plan, shop: self.shop, now: self.now };
        if maker.make(period, why).await? {
            tracing::info!(sink.name = %self.plan.rule.sink, shop.id = %self.shop.id, digest.period = %period, "a summary was made");
        }
        Ok(())
    }
}

//! When summaries are made: each in its time, once; and corrections, when something changed afterwards.
//!
//! What is due is found by the calendar and by what was made, never by a timer: after a restart or an outage of days what is
//! missing is made, and no day is told twice. What changed is found by the order of commits, whatever the clock said.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use jiff::{Timestamp, ToSpan as _};
use tokio_util::sync::CancellationToken;

use super::{Maker, Plan, Reports, closings};
use crate::{
    clock::Clock,
    order::{CORRECTED_FOR, Cadence, Due, Period, Shop, ShopId, SinkName, Why, day_of},
    store::{DigestPlan, MadeDigest, Store, StoreError},
};

/// How often to look whether something is due: a till that closes is noticed after that.
const EVERY: Duration = Duration::from_mins(1);

/// How long a summary waits for the PDFs of its orders.
const PATIENCE: Duration = Duration::from_hours(1);

/// How long after a summary a correction of it is made at the earliest, so that several changes are one.
const SETTLE: Duration = Duration::from_hours(1);

/// How long ago a summary may have been due that is still made.
const LOOK_BACK: Duration = Duration::from_hours(400 * 24);

/// How far back openings and closings of a day are looked for: a night and a day.
const A_DAY: Duration = Duration::from_hours(36);

/// Makes the summaries of all sinks.
pub struct Digests {
    store: Store,
    clock: Arc<dyn Clock>,
    plans: Vec<Plan>,
    shops: BTreeMap<ShopId, Shop>,
    reports: Option<Reports>,
    news: News,
}

impl Digests {
    /// Those that these sinks want of these shops; `reports` leads to the tills' own.
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        plans: Vec<Plan>,
        shops: BTreeMap<ShopId, Shop>,
        reports: Option<Reports>,
    ) -> Self {
        Self { store, clock, plans, shops, reports, news: News::default() }
    }

    /// Makes what is due until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let began = self.clock.now();
            // The till may be asked for reports, and take its time; what is made then is made anew at the next start.
            let passed = tokio::select! {
                () = stop.cancelled() => return,
                passed = self.pass() => passed,
            };
            if let Err(error) = passed {
                tracing::error!(error = %error, "summaries could not be made; trying again");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.clock.rest(began, EVERY) => {}
            }
        }
    }

    /// Makes what is due now. One that cannot be made holds up no other sink's, and no other shop's.
    ///
    /// # Errors
    /// When some of it is not on disk; it is made in the next pass.
    pub async fn pass(&mut self) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.begin(now).await?;
        let since = self.store.digest_plans().await?;
        let mut passed = Ok(());
        for plan in self.plans.clone() {
            passed = self.untold(&plan, now).await.and(passed);
            let Some(cadence) = plan.cadence else { continue };
            for begun in since.iter().filter(|begun| begun.sink == plan.rule.sink) {
                let Some(shop) = self.shops.get(&begun.shop) else { continue };
                let reports = self.reports.as_ref();
                let turn = Turn { store: &self.store, plan: &plan, cadence, shop, reports, since: begun.since, now };
                let due = turn.due().await;
                passed = turn.corrections(&mut self.news).await.and(due).and(passed);
            }
        }
        passed
    }

    /// Remembers since when each summary is made, and says what falls between two ways of telling.
    async fn begin(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut wanted = Vec::new();
        for plan in &self.plans {
            let Some(cadence) = plan.cadence else { continue };
            for shop in self.shops.keys().filter(|shop| plan.rule.admits(Some(shop))) {
                let (sink, cadence) = (plan.rule.sink.clone(), cadence.to_string());
                wanted.push(DigestPlan { sink, shop: shop.clone(), cadence, since: now });
            }
        }
        for gone in self.store.begin_digests(&wanted, now).await? {
            tracing::warn!(
                sink.name = %gone.sink,
                shop.id = %gone.shop,
                "the sink gets no summaries of this shop any more; what was sold since the last one it was not told: see \
                 `tillhook sinks recover`"
            );
        }
        Ok(())
    }

    /// Tells in a summary what a sink was not told one by one, once the day is over.
    async fn untold(&self, plan: &Plan, now: Timestamp) -> Result<(), StoreError> {
        let sink = &plan.rule.sink;
        let Some((_, until)) = self.store.limited(sink).await?.filter(|(_, until)| *until <= now) else {
            return Ok(());
        };
        let untold = self.store.untold(sink).await?;
        let mut told = Ok(());
        for shop in self.shops.values() {
            let maker = Maker { store: &self.store, plan, shop, now, reports: self.reports.as_ref() };
            told = maker.make_of_untold(&untold).await.map(drop).and(told);
        }
        told?;
        self.store.end_limit(sink, until).await
    }
}

/// What happened to orders after a summary counted them.
#[derive(Default)]
struct News {
    /// The last event that was looked at, of each sink and shop.
    heard: HashMap<(SinkName, ShopId), i64>,
    /// Summaries whose orders changed.
    of: HashSet<String>,
}

impl News {
    /// Looks at the events since the last time, or since these summaries were made.
    async fn hear(&mut self, turn: &Turn<'_>, newest: &[&MadeDigest]) -> Result<(), StoreError> {
        let Some(oldest) = newest.iter().map(|made| made.seen).min() else { return Ok(()) };
        let upto = turn.store.newest_event().await?;
        let (sink, shop) = (&turn.plan.rule.sink, &turn.shop.id);
        let of_turn = (sink.clone(), shop.clone());
        let after = self.heard.get(&of_turn).copied().unwrap_or(oldest);
        for changed in turn.store.changes_between(sink, shop, after, upto).await? {
            let concerns = |made: &&&MadeDigest| {
                changed.seq > made.seen && (made.period.contains(changed.day) || changed.counted_in.contains(&made.id))
            };
            self.of.extend(newest.iter().filter(concerns).map(|made| made.id.clone()));
        }
        self.heard.insert(of_turn, upto);
        Ok(())
    }

    fn is_of(&self, made: &MadeDigest) -> bool {
        self.of.contains(&made.id)
    }

    fn forget(&mut self, made: &MadeDigest) {
        self.of.remove(&made.id);
    }
}

/// One sink and one shop, now.
struct Turn<'a> {
    store: &'a Store,
    plan: &'a Plan,
    cadence: Cadence,
    shop: &'a Shop,
    reports: Option<&'a Reports>,
    since: Timestamp,
    now: Timestamp,
}

impl Turn<'_> {
    async fn due(&self) -> Result<(), StoreError> {
        let since = self.since.max(self.now - LOOK_BACK);
        let mut due = self.cadence.due(since, self.now, &self.shop.timezone);
        due.extend(self.closed().await?);
        for due in due {
            let Some(period) = self.untold_part(due.period).await? else { continue };
            let awaited = self.store.pdfs_awaited_until(&self.shop.id, period).await?;
            if awaited.is_some_and(|until| self.now < until.min(due.at + PATIENCE)) {
                continue;
            }
            self.make(period, Why::Due).await?;
        }
        Ok(())
    }

    /// The days of a period that no summary that was due has told of yet: after another cadence, those that are left.
    async fn untold_part(&self, period: Period) -> Result<Option<Period>, StoreError> {
        let made = self.made(period.first).await?;
        let told = made.iter().filter(|made| made.why == Why::Due && made.period.first <= period.last);
        let first = told.map(|made| made.period.last.saturating_add(1.day())).max().unwrap_or(period.first);
        Ok((first <= period.last).then_some(Period { first: first.max(period.first), ..period }))
    }

    /// The day that the tills have closed, where that is what the sink waits for.
    async fn closed(&self) -> Result<Option<Due>, StoreError> {
        if !matches!(self.cadence, Cadence::Closing(_)) {
            return Ok(None);
        }
        let heard = self.store.cash_box_events(&self.shop.id, self.now - A_DAY, self.now).await?;
        let last = heard.last().filter(|last| closings::all_closed(&heard) && last.at > self.since);
        Ok(last.map(|last| Due { at: last.at, period: Period::day(closings::day(last, &self.shop.timezone)) }))
    }

    async fn corrections(&self, news: &mut News) -> Result<(), StoreError> {
        let today = day_of(self.now, &self.shop.timezone);
        let made = self.made(today.saturating_sub(CORRECTED_FOR.days())).await?;
        let made: Vec<MadeDigest> = made.into_iter().filter(|made| made.why != Why::Limit).collect();
        // The newest one of each period counts; the list is by period and age.
        let is_newest = |at: usize| made.get(at + 1).is_none_or(|next| next.period != made[at].period);
        // One that somebody asked for is corrected too, where none is due any more.
        let was_due = |last: &MadeDigest| made.iter().any(|one| one.period == last.period && one.why == Why::Due);
        let is_past = |last: &MadeDigest| self.cadence.due_at(last.period, &self.shop.timezone) <= self.now;
        let is_final = |last: &MadeDigest| was_due(last) || (last.is_told && is_past(last));
        let newest = made.iter().enumerate().filter(|(at, last)| is_newest(*at) && is_final(last));
        let newest: Vec<&MadeDigest> = newest.map(|(_, last)| last).collect();
        news.hear(self, &newest).await?;
        for last in newest {
            // A summary of tomorrow was made when the clock was ahead.
            let is_settled = self.now >= last.at + SETTLE || last.at > self.now;
            if news.is_of(last) && is_settled && !self.goes_on(last).await? {
                self.make(last.period, Why::Correction).await?;
                news.forget(last);
            }
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
        let maker = Maker { store: self.store, plan: self.plan, shop: self.shop, now: self.now, reports: self.reports };
        if maker.make(period, why).await? {
            tracing::info!(sink.name = %self.plan.rule.sink, shop.id = %self.shop.id, digest.period = %period, "a summary was made");
        }
        Ok(())
    }
}

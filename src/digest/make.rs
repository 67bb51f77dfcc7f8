//! Making a summary: what it counts, what changed since the last one, which files go with it, in how many mails.

use bytes::Bytes;
use jiff::{Timestamp, ToSpan as _, civil::Date};

use super::{Line, Plan, closings, enclosures::originals, figures, files, numbers, reports::Reports};
use crate::{
    order::{
        Accounting, Booking, Closing, DeliveryId, Digest, EventData, EventId, EventType, LeftOut, MadeFile, Moment,
        OrderKey, Period, ReportFile, Shop, Why, day_of, midnight,
    },
    route,
    sink::Purpose,
    store::{
        Booked, CashBoxEvent, MadeDigest, NOTHING_TO_TELL, NewDelivery, NewDigest, NewEvent, Rows, Store, StoreError,
    },
};

/// How far back the summary before the period's is looked for.
const LOOK_BACK: i64 = 31;

/// A summary before it is written.
pub(super) struct Draft {
    /// What it says, without its files.
    pub(super) whole: Digest,
    /// The files of each mail, at least one mail.
    pub(super) parts: Vec<Vec<MadeFile>>,
    /// How each order is counted.
    pub(super) bookings: Vec<Booking>,
    /// The till's own reports, in bytes.
    pub(super) reports: Vec<(ReportFile, Bytes)>,
}

/// Makes the summaries of one shop for one sink.
pub struct Maker<'a> {
    /// The database.
    pub store: &'a Store,
    /// What the sink wants.
    pub plan: &'a Plan,
    /// The shop.
    pub shop: &'a Shop,
    /// The time.
    pub now: Timestamp,
    /// Where the till's own reports come from.
    pub reports: Option<&'a Reports>,
}

impl Maker<'_> {
    /// Makes the summary of a period and hands it to the outbox, in one commit. Returns whether it did: one that is due is
    /// made once, and a correction only where there is something to correct.
    ///
    /// # Errors
    /// When nothing of it is on disk.
    pub async fn make(&self, period: Period, why: Why) -> Result<bool, StoreError> {
        let seen = self.store.newest_event().await?;
        let booked = self.booked(period).await?;
        self.make_of(period, why, seen, &booked).await
    }

    /// Makes a summary of these orders, which the sink was not told of one by one.
    ///
    /// # Errors
    /// When nothing of it is on disk.
    pub async fn make_of_untold(&self, untold: &[OrderKey]) -> Result<bool, StoreError> {
        let seen = self.store.newest_event().await?;
        let booked = self.store.booked_orders(&self.shop.id, untold).await?;
        let wanted: Vec<&Booked> = booked.iter().filter(|one| self.wants(one)).collect();
        let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return Ok(false) };
        let period = Period { first: first.booking.date, last: last.booking.date };
        self.make_of(period, Why::Limit, seen, &booked).await
    }

    /// The orders of a period, and those that cannot be read and are, or may be, of it.
    async fn booked(&self, period: Period) -> Result<Rows<Booked>, StoreError> {
        let mut booked = self.store.booked_in_short(&self.shop.id, period.first, period.last).await?;
        booked.unreadable.extend(self.store.misdated(&self.shop.id).await?);
        Ok(booked)
    }

    async fn make_of(&self, period: Period, why: Why, seen: i64, booked: &Rows<Booked>) -> Result<bool, StoreError> {
        let earlier = self.earlier(period, why).await?;
        let Some(mut draft) = self.draft_of(period, why, booked, &earlier).await? else { return Ok(false) };
        self.add_reports(&mut draft).await;
        let thread = match earlier.iter().find(|made| made.is_told) {
            Some(first) => self.store.delivery_of(&self.plan.rule.sink, first.event).await?,
            None => None,
        };
        self.store.make_digest(self.written(draft, thread, seen)).await
    }

    /// What the summary of a period would be; nothing is written.
    ///
    /// # Errors
    /// What the database says.
    pub async fn preview(&self, period: Period) -> Result<Digest, StoreError> {
        let booked = self.booked(period).await?;
        let earlier = self.earlier(period, Why::OnPurpose).await?;
        let draft = self.draft_of(period, Why::OnPurpose, &booked, &earlier).await?;
        let Some(Draft { whole, parts, .. }) = draft else { return Err(StoreError::Bug) };
        Ok(Digest { files: parts.into_iter().next().unwrap_or_default(), ..whole })
    }

    /// Whether the sink wants an order as it stands.
    fn wants(&self, booked: &Booked) -> bool {
        self.plan.rule.only.refuses(&booked.order).is_none()
    }

    /// The whole summaries of the period that this one follows, the oldest first.
    async fn earlier(&self, period: Period, why: Why) -> Result<Vec<MadeDigest>, StoreError> {
        if why == Why::Limit {
            return Ok(Vec::new());
        }
        let made = self.store.digests(&self.plan.rule.sink, &self.shop.id, period.last).await?;
        Ok(made.into_iter().filter(|made| made.period == period && made.why != Why::Limit).collect())
    }

    /// The summary as it is to be sent; `None` for a correction of nothing.
    async fn draft_of(
        &self,
        period: Period,
        why: Why,
        booked: &Rows<Booked>,
        earlier: &[MadeDigest],
    ) -> Result<Option<Draft>, StoreError> {
        let orders: Vec<&Booked> = booked.iter().filter(|one| self.wants(one)).collect();
        let bookings: Vec<Booking> = orders.iter().map(|one| one.booking.clone()).collect();
        let changes = match (why, earlier.last()) {
            (Why::Correction | Why::OnPurpose, Some(last)) => self.changes(last, period, &bookings).await?,
            _ => Vec::new(),
        };
        if why == Why::Correction && changes.is_empty() {
            return Ok(None);
        }
        let mut figures = figures::figures(&bookings, self.shop.currency);
        figures::leave_out(&mut figures, booked.unreadable.iter().map(|row| row.name.clone()).collect());
        figures.numbers = numbers::of_some(&orders);
        let mut closings = Vec::new();
        // Some orders of a day are not the day.
        if why != Why::Limit {
            numbers::fill(self.store, self.shop, period, &bookings, &mut figures).await?;
            closings = self.closings(period, why).await?;
        }
        let id = EventId::new(self.now).to_string().replace("evt_", "dig_");
        let originals = originals(&bookings, why, &changes);
        let without = self.without(&bookings, &originals, why);
        let parts = self.files(&id, period, &bookings, originals);
        let moment = |at| Moment::new(at, &self.shop.timezone);
        let goes_on = period.last >= day_of(self.now, &self.shop.timezone);
        let is_provisional = why == Why::OnPurpose && goes_on && earlier.iter().all(|made| made.why != Why::Due);
        let whole = Digest {
            id,
            period,
            why,
            replaces: earlier.iter().rfind(|made| made.is_told).map(|last| moment(last.at)),
            provisional: is_provisional.then(|| moment(self.now)),
            part: 1,
            parts: u32::try_from(parts.len()).unwrap_or(u32::MAX),
            currency: self.shop.currency,
            figures,
            closings,
            left_out: self.left_out(&orders),
            journal: self.accounts().map(|accounts| files::journal_sums(&bookings, self.shop.currency, accounts)),
            changes,
            files: Vec::new(),
            without,
        };
        Ok(Some(Draft { whole, parts, bookings, reports: Vec::new() }))
    }

    /// The orders that are not in the journal that goes with it.
    fn left_out(&self, orders: &[&Booked]) -> Vec<LeftOut> {
        let Some(accounting) = self.accounts() else { return Vec::new() };
        let lines: Vec<Line> = orders.iter().map(|one| Line::from(*one)).collect();
        files::journal(&lines, self.csv(), accounting).map(|journal| journal.left_out).unwrap_or_default()
    }

    /// The accounts, where a journal goes with it.
    fn accounts(&self) -> Option<&Accounting> {
        self.plan.accounting.as_ref().filter(|_| self.plan.files.contains(&ReportFile::Journal))
    }

    /// The rows of a draft: the summary, how it counted each order, and an event and a delivery for each part.
    fn written(&self, draft: Draft, thread: Option<DeliveryId>, seen: i64) -> NewDigest {
        let Draft { whole, parts, bookings, reports } = draft;
        let says_nothing = says_nothing(&whole, &bookings);
        let mut new = NewDigest {
            id: whole.id.clone(),
            sink: self.plan.rule.sink.clone(),
            shop: self.shop.id.clone(),
            period: whole.period,
            why: whole.why,
            seen,
            lines: bookings,
            reports,
            events: Vec::new(),
            deliveries: Vec::new(),
            at: self.now,
        };
        for (part, files) in (1..).zip(parts) {
            let follows = if part == 1 { thread } else { new.deliveries.first().map(|first| first.id) };
            let (event, delivery) = self.told(Digest { part, files, ..whole.clone() }, follows, says_nothing);
            new.events.push(event);
            new.deliveries.push(delivery);
        }
        new
    }

    /// The closings of tills: those since the last summary that was due, and where somebody asks those of the days.
    async fn closings(&self, period: Period, why: Why) -> Result<Vec<Closing>, StoreError> {
        let zone = &self.shop.timezone;
        let last = match why {
            Why::Due => self.last_due(period).await?,
            _ => None,
        };
        let from = last.as_ref().map_or_else(|| midnight(period.first, zone), |last| last.at);
        let heard = self.store.cash_box_events(&self.shop.id, from, self.now).await?;
        let is_told = |event: &CashBoxEvent| last.as_ref().is_none_or(|last| event.seq > last.seen);
        let closed = heard.into_iter().filter(|one| is_told(one) && one.kind == EventType::CashBoxClosed);
        let is_asked = |one: &CashBoxEvent| last.is_some() || period.contains(closings::day(one, zone));
        let closed: Vec<CashBoxEvent> = closed.filter(is_asked).collect();
        let Some(days) = closings::days(&closed, zone) else { return Ok(Vec::new()) };
        let booked = self.store.booked_in_short(&self.shop.id, earlier(days.first, 1), days.last).await?;
        let mut closings = closings::closings(&closed, &booked);
        // What an order would add that cannot be read is not known.
        if !booked.unreadable.is_empty() {
            closings.iter_mut().for_each(|one| (one.ours, one.unpaid, one.outside) = (None, None, None));
        }
        Ok(closings)
    }

    /// The last summary that was due before the one of this period.
    async fn last_due(&self, period: Period) -> Result<Option<MadeDigest>, StoreError> {
        let since = earlier(period.first, LOOK_BACK);
        let made = self.store.digests(&self.plan.rule.sink, &self.shop.id, since).await?;
        let due = made.into_iter().filter(|made| made.why == Why::Due && made.period.last < period.first);
        Ok(due.max_by_key(|made| made.seen))
    }

    fn told(&self, digest: Digest, follows: Option<DeliveryId>, says_nothing: bool) -> (NewEvent, NewDelivery) {
        let (sink, shop, now) = (&self.plan.rule.sink, &self.shop.id, self.now);
        let event = NewEvent {
            id: EventId::new(now),
            kind: EventType::DigestMade,
            shop: Some((shop.clone(), self.shop.name.clone())),
            order: None,
            at: now,
            test: false,
            data: EventData::Digest(Box::new(digest)).to_text().into(),
        };
        let delivery = NewDelivery {
            id: DeliveryId::new(now),
            sink: sink.clone(),
            event: event.id,
            event_type: event.kind.as_str().to_owned(),
            shop: Some(shop.clone()),
            order: None,
            lane: route::lane(sink, Some(shop), None),
            purpose: if follows.is_some() { Purpose::Change } else { Purpose::First },
            thread_of: follows,
            settle_until: now,
            invoice_until: now,
            at: now,
            skipped_because: says_nothing.then_some(NOTHING_TO_TELL),
        };
        (event, delivery)
    }
}

/// Whether nothing happened, so that nobody is to be told.
pub(super) fn says_nothing(whole: &Digest, bookings: &[Booking]) -> bool {
    // Where something was told before, that there is nothing any more is news.
    let is_news = !bookings.is_empty()
        || !whole.figures.unreadable.is_empty()
        || !whole.closings.is_empty()
        || whole.replaces.is_some();
    whole.why == Why::Due && !is_news
}

fn earlier(day: Date, days: i64) -> Date {
    day.saturating_sub(days.days())
}

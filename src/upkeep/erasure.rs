//! Erasure: a customer is taken out of everything that is stored here, and the books stay whole.
//!
//! What goes: name, address and every other word about the person in orders, events and messages, what far sides answered
//! to those, the bytes of their calls, their name in the file names of invoices, and the till's own reports that went with
//! summaries, which may name anybody. What stays: numbers, amounts, VAT,
//! articles, and the fingerprints that recognise a repeat. Messages that wait are sent without the customer, because the
//! sale has to reach the books. PDFs stay as they are: the law wants invoices kept.
//!
//! It goes in small commits beside the running service. Whatever cuts it off, the same command finishes it: what is found
//! by the customer alone goes first, the mark on the orders finds the rest.
//!
//! **Invariant:** after [`Erasure::compact`] no file of the data directory holds what was erased, but the PDFs (and
//! backups, which are not touched).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;

use super::{
    plain::plain,
    unreadable::{Wanted, look_into_unreadable},
};
use crate::{
    clock::Clock,
    invoice, json,
    order::{Currency, Locale, OrderKey, Person, Shop, ShopId, Traces},
    store::{CustomerLine, ErasedRows, Rows, Store, StoreError, UnreadableRow},
};

/// How many orders a transaction erases.
const ORDERS: usize = 50;

/// How many bytes of alerts that name the person are held at a time, where memory is short.
const ALERTS: usize = 8 << 20;

/// How often to try to empty the log: the service may be busy with it, and each try waits some seconds for readers.
const TRIES: u32 = 20;

/// How long to wait in between.
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// What stands where a text named the person.
const ERASED: &str = "[erased]";

/// Why a person is not, or not yet wholly, erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The database. What was erased so far stays erased.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something reads the database all the time.
    #[error("the rows are erased, but something reads the database without a pause, so its log still holds them")]
    LogInUse,
}

/// Erases one person.
pub struct Erasure {
    store: Store,
    clock: Arc<dyn Clock>,
    person: Person,
    shop: Option<ShopId>,
    /// How many orders, and how many calls, are found at a time.
    most: usize,
}

/// Where the person is.
#[derive(Default)]
pub struct Found {
    /// Their orders, each with its shop.
    pub orders: BTreeMap<OrderKey, ShopId>,
    /// Calls about no order of ours that name them and wait in quarantine.
    pub quarantined: Vec<String>,
    /// How many rows hold something of them.
    pub rows: ErasedRows,
    /// Rows that cannot be read and name them: they stay as they are.
    pub unreachable: Vec<UnreadableRow>,
    /// Calls that cannot be read: whether these name them is not known.
    pub unknown: Vec<UnreadableRow>,
    pub(super) traces: Traces,
    /// Calls about no order of ours that name them.
    calls: Vec<i64>,
    /// Events about no order that name them, as they are to be.
    events: Vec<(i64, String)>,
    /// Whether there is no more than this that can be erased.
    pub(super) whole: bool,
}

impl Found {
    /// Whether nothing that can be read names them, so that there is nothing to erase.
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.calls.is_empty() && self.events.is_empty()
    }
}

impl Erasure {
    /// Erases `person` from the orders of `shop`, or of every shop.
    pub fn new(store: Store, clock: Arc<dyn Clock>, person: Person, shop: Option<ShopId>) -> Self {
        Self { store, clock, person, shop, most: usize::MAX }
    }

    /// The same where memory is short: it finds so many orders and calls at a time, and has to be repeated until it has found
    /// the whole.
    #[must_use]
    pub fn in_pieces_of(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// Looks for them everywhere. Changes nothing.
    ///
    /// # Errors
    /// What the database says.
    pub async fn find(&self) -> Result<Found, StoreError> {
        let mut found = self.find_readable().await?;
        let wanted = Wanted { person: &self.person, shop: self.shop.as_ref(), traces: &found.traces };
        let mut unreachable = Vec::new();
        look_into_unreadable(&self.store, &[wanted], &mut |row| unreachable.push(row)).await?;
        found.unreachable = unreachable;
        self.count(&mut found).await?;
        Ok(found)
    }

    /// The same of what can be read, uncounted: what can be erased.
    pub(super) async fn find_readable(&self) -> Result<Found, StoreError> {
        let mut found = Found { traces: Traces::of(&self.person), ..Found::default() };
        let mut after = 0;
        while let Some(last) = self.learn(&mut found, self.store.customers_of_events(after).await?) {
            after = last;
        }
        after = 0;
        while let Some(last) = self.learn(&mut found, self.store.customers_of_orders(after).await?) {
            after = last;
        }
        self.find_calls(&mut found).await?;
        let all_alerts = self.find_alerts(&mut found).await?;
        found.whole = all_alerts && found.orders.len() < self.most && found.calls.len() < self.most;
        Ok(found)
    }

    /// Takes them out of everything. `shop_of` is the shop as it is configured, for the names of its invoices; of one that
    /// no longer is, only the id is known.
    ///
    /// # Errors
    /// What the database says; the same again finishes what was begun.
    pub async fn erase(&self, found: &Found, shop_of: impl Fn(&ShopId) -> Option<Shop>) -> Result<(), StoreError> {
        let now = self.clock.now();
        let traces = Arc::new(found.traces.clone());
        for calls in found.calls.chunks(ORDERS) {
            self.store.erase_bodies(calls, now).await?;
        }
        for events in found.events.chunks(ORDERS) {
            self.store.erase_plain_events(events.to_vec()).await?;
        }
        let names = traces.clone();
        self.store.erase_sink_errors(move |text| names.are_surely_in(&plain(text.as_bytes()))).await?;
        let shops: BTreeSet<ShopId> = found.orders.values().cloned().collect();
        if !shops.is_empty() {
            self.store.erase_reports(&shops.into_iter().collect::<Vec<_>>()).await?;
        }
        let mut batch = Vec::with_capacity(ORDERS);
        for (order, shop) in &found.orders {
            batch.push((
                *order,
                self.counter_name(*order, shop_of(shop).unwrap_or_else(|| removed(shop)), &traces).await?,
            ));
            if batch.len() == ORDERS {
                self.store.erase_orders(std::mem::take(&mut batch), traces.clone()).await?;
            }
        }
        self.store.erase_orders(batch, traces).await?;
        self.drop_bodies(now).await
    }

    /// Ends what [`Erasure::erase`] began: drops what is left of erased orders' calls, rewrites the file, and empties its
    /// log. Nobody can write while the file is rewritten.
    ///
    /// # Errors
    /// What the database says, or that the log is in use; the same again finishes it.
    pub async fn compact(&self) -> Result<(), EraseError> {
        self.drop_bodies(self.clock.now()).await?;
        self.store.rewrite().await?;
        for _ in 0..TRIES {
            if self.store.checkpoint().await? {
                return Ok(self.store.erasure_finished().await?);
            }
            self.clock.sleep(BETWEEN_TRIES).await;
        }
        Err(EraseError::LogInUse)
    }

    /// Takes note of a page; returns where the next one begins.
    fn learn(&self, found: &mut Found, page: Rows<CustomerLine>) -> Option<i64> {
        let last = page.last?;
        for line in page.into_iter().filter(|line| self.concerns(&line.shop)) {
            if found.orders.len() < self.most && line.customers.iter().any(|customer| self.person.is(customer)) {
                line.customers.iter().for_each(|customer| found.traces.learn(customer));
                found.orders.insert(line.order, line.shop);
            }
        }
        Some(last)
    }

    fn concerns(&self, shop: &ShopId) -> bool {
        self.shop.as_ref().is_none_or(|wanted| wanted == shop)
    }

    async fn find_calls(&self, found: &mut Found) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let page = self.store.kept_bodies(after).await?;
            let Some(last) = page.last else { return Ok(()) };
            after = last;
            if self.most == usize::MAX {
                found.unknown.extend(page.unreadable.iter().cloned());
            }
            for call in page.into_iter().filter(|call| self.concerns(&call.shop)) {
                match call.order {
                    Some(order) => found.rows.receipts += u64::from(found.orders.contains_key(&order)),
                    None if found.calls.len() < self.most && found.traces.are_surely_in(&plain(&call.bytes)) => {
                        found.calls.push(call.seq);
                        found.rows.receipts += 1;
                        found.quarantined.extend(call.quarantined.then_some(call.id));
                    }
                    None => {}
                }
            }
        }
    }

    /// Returns whether that was all.
    async fn find_alerts(&self, found: &mut Found) -> Result<bool, StoreError> {
        let (mut after, mut held) = (0, 0);
        while self.most == usize::MAX || held < ALERTS {
            let page = self.store.plain_events(after).await?;
            let Some((last, _)) = page.last() else { return Ok(true) };
            after = *last;
            for (seq, data) in page {
                if found.traces.are_surely_in(&plain(data.as_bytes())) {
                    held += data.len();
                    found.events.push((seq, without(&data, &found.traces)));
                }
            }
        }
        Ok(false)
    }

    async fn count(&self, found: &mut Found) -> Result<(), StoreError> {
        let orders: Vec<OrderKey> = found.orders.keys().copied().collect();
        let rows = &mut found.rows;
        rows.events = found.events.len() as u64;
        for orders in orders.chunks(ORDERS) {
            let more = self.store.count_to_erase(orders).await?;
            rows.orders += more.orders;
            rows.events += more.events;
            rows.deliveries += more.deliveries;
            rows.sending += more.sending;
            rows.attempts += more.attempts;
            rows.invoices += more.invoices;
        }
        Ok(())
    }

    /// The name that the invoice would have had without the customer.
    async fn counter_name(&self, order: OrderKey, shop: Shop, traces: &Traces) -> Result<Option<String>, StoreError> {
        let stored = StoreError::readable(self.store.order(order).await)?.flatten();
        // Where its name cannot be made: the one that it has names them.
        let Some(mut stored) = stored else { return Ok(Some(format!("{order}.pdf"))) };
        stored.order.forget_customer(traces);
        Ok(Some(invoice::filename(&stored.order, &shop)))
    }

    /// Drops the bodies of calls about orders whose customers are erased.
    async fn drop_bodies(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let page = self.store.kept_bodies(after).await?;
            let Some(last) = page.last else { return Ok(()) };
            after = last;
            let erased: Vec<i64> = page.iter().filter(|call| call.erased).map(|call| call.seq).collect();
            if !erased.is_empty() {
                self.store.erase_bodies(&erased, now).await?;
            }
        }
    }
}

/// A shop that is no longer configured.
fn removed(id: &ShopId) -> Shop {
    Shop {
        id: id.clone(),
        name: id.to_string(),
        timezone: TimeZone::UTC,
        currency: Currency::EUR,
        locale: Locale::default(),
    }
}

/// The JSON without the texts that name the person.
fn without(data: &str, traces: &Traces) -> String {
    fn forget(value: &mut Value, traces: &Traces) {
        match value {
            Value::String(text) if traces.are_surely_in(&plain(text.as_bytes())) => ERASED.clone_into(text),
            Value::Array(list) => list.iter_mut().for_each(|item| forget(item, traces)),
            Value::Object(map) => map.values_mut().for_each(|item| forget(item, traces)),
            _ => {}
        }
    }
    // What is no JSON of ours is nobody's fact: nothing of it stays.
    let mut value = json::ours(data).unwrap_or_else(|_| Value::Object(Default::default()));
    forget(&mut value, traces);
    value.to_string()
}

//! What the database knows of the orders that a group of calls is about, and what the group adds to it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::json;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    Changes, DeliveryMerge, FoundOrder, NewDelivery, NewEvent, NewReceipt, SavedOrder, StoreError, from_json,
    intake::{Keys, Numbered},
    parse, timestamp,
    unread::{Unread, UnreadOrder},
};
use crate::{
    order::{DeliveryId, EventId, Fingerprint, InvoiceStatus, OrderKey, Phase, ShopId, SinkName, Timeline, hex},
    sink::Purpose,
};

/// What is known, and what was decided since.
#[derive(Default)]
pub struct View {
    orders: HashMap<OrderKey, KnownOrder>,
    by_internal_id: HashMap<(ShopId, bool, String), OrderKey>,
    by_order_id: HashMap<(ShopId, bool, String), Vec<OrderKey>>,
    announced: HashMap<(OrderKey, Phase, Fingerprint), EventId>,
    deliveries: HashMap<OrderKey, Vec<KnownDelivery>>,
    invoices: HashMap<OrderKey, KnownInvoice>,
    notices: HashMap<(ShopId, String, [u8; 32]), (EventId, Timestamp)>,
    unread: Unread,
    changes: Changes,
}

/// An order as it stands.
#[derive(Clone, Debug)]
pub struct KnownOrder {
    /// Its key.
    pub key: OrderKey,
    /// The shop.
    pub shop: ShopId,
    /// Whether it is a test order.
    pub test: bool,
    /// `orderInternalID`, once known.
    pub internal_id: Option<String>,
    /// `orderID`, once known.
    pub order_id: Option<String>,
    /// Both phases.
    pub timeline: Arc<Timeline>,
    /// When it was first heard of.
    pub received_at: Timestamp,
    /// Sinks that were told of it by deliveries that are pruned since.
    pub told: Vec<SinkName>,
    /// Whether its customer was erased.
    pub erased: bool,
}

/// A delivery of an order.
#[derive(Clone, Debug)]
pub struct KnownDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// Where it goes.
    pub sink: SinkName,
    /// The event it tells.
    pub event: EventId,
    /// That event's type.
    pub event_type: String,
    /// Why.
    pub purpose: Purpose,
    /// `pending`, `sending`, …
    pub status: String,
    /// Attempts so far; the body is frozen from the first on.
    pub attempts: u32,
    /// Which rule skipped it.
    pub skipped_because: Option<String>,
    /// Whether its frozen body lacks the invoice that it should carry.
    pub without_invoice: bool,
}

/// The invoice of an order.
#[derive(Clone, Debug)]
pub struct KnownInvoice {
    /// Whether it is with us.
    pub status: InvoiceStatus,
    /// Where it can be fetched.
    pub url: Option<String>,
    /// When the first link was seen.
    pub first_seen_at: Timestamp,
    /// How long deliveries wait for it.
    pub wait_until: Timestamp,
    /// Whether it was with us once, also where it is pruned since.
    pub was_stored: bool,
}

impl View {
    /// The order with this internal id.
    pub fn by_internal_id(&self, shop: &ShopId, test: bool, id: &str) -> Option<&KnownOrder> {
        let key = self.by_internal_id.get(&(shop.clone(), test, id.to_owned()))?;
        self.orders.get(key)
    }

    /// Every order with this accounting number.
    pub fn by_order_id(&self, shop: &ShopId, test: bool, id: &str) -> Vec<&KnownOrder> {
        let keys = self.by_order_id.get(&(shop.clone(), test, id.to_owned()));
        keys.into_iter().flatten().filter_map(|key| self.orders.get(key)).collect()
    }

    /// The order with this key.
    pub fn order(&self, key: OrderKey) -> Option<&KnownOrder> {
        self.orders.get(&key)
    }

    /// Why nothing can be decided of a call that carries these numbers: it is, or may be, about an order of which something
    /// stored cannot be read.
    pub fn unreadable(&self, numbers: &Numbered) -> Option<&str> {
        let is_known = |id: &String| self.by_internal_id(&numbers.shop, numbers.test, id).is_some();
        self.unread.order(numbers, numbers.internal_id.as_ref().is_some_and(is_known))
    }

    /// The same of an order by its key.
    pub fn unreadable_order(&self, key: OrderKey) -> Option<&str> {
        self.unread.order_of_key(&key.to_string())
    }

    /// The same of a call about no order, which may have been heard before.
    pub fn unreadable_notice(&self, shop: &ShopId, kind: &str, digest: &[u8; 32]) -> Option<&str> {
        self.unread.notice(shop, kind, digest)
    }

    /// The event of an equal call of this phase.
    pub fn announced(&self, key: OrderKey, phase: Phase, content: Fingerprint) -> Option<EventId> {
        self.announced.get(&(key, phase, content)).copied()
    }

    /// The event of any call of this phase.
    pub fn announced_any(&self, key: OrderKey, phase: Phase) -> Option<EventId> {
        let said = |((order, of, _), event): (&(OrderKey, Phase, Fingerprint), &EventId)| {
            (*order == key && *of == phase).then_some(*event)
        };
        self.announced.iter().find_map(said)
    }

    /// Remembers that an order was found in the till's list, so that somebody is told.
    pub fn found(&mut self, order: FoundOrder) {
        self.changes.found.push(order);
    }

    /// What a sink was, or is to be, told of an order, oldest first.
    pub fn deliveries<'a>(
        &'a self,
        key: OrderKey,
        sink: &'a SinkName,
    ) -> impl DoubleEndedIterator<Item = &'a KnownDelivery> {
        self.deliveries.get(&key).into_iter().flatten().filter(move |delivery| delivery.sink == *sink)
    }

    /// The invoice of an order, once a link was seen.
    pub fn invoice(&self, key: OrderKey) -> Option<&KnownInvoice> {
        self.invoices.get(&key)
    }

    /// The event of an equal call about no order, and when it was recorded.
    pub fn notice(&self, shop: &ShopId, kind: &str, digest: &[u8; 32]) -> Option<(EventId, Timestamp)> {
        self.notices.get(&(shop.clone(), kind.to_owned(), *digest)).copied()
    }

    /// Leaves a receipt.
    pub fn add_receipt(&mut self, receipt: NewReceipt) {
        self.changes.receipts.push(receipt);
    }

    /// Marks a quarantined receipt as settled: `reprocessed` or `dismissed`.
    pub fn resolve_receipt(&mut self, id: crate::order::ReceiptId, resolution: &'static str, at: Timestamp) {
        self.changes.resolved.push((id, resolution, at));
    }

    /// Writes an order as it now stands.
    pub fn save_order(&mut self, saved: SavedOrder) {
        let order = saved.order.clone();
        self.index(&order);
        self.changes.orders.insert(order.key, saved);
        self.orders.insert(order.key, order);
    }

    /// Remembers what a phase said.
    pub fn announce(&mut self, key: OrderKey, phase: Phase, content: Fingerprint, event: EventId) {
        self.announced.insert((key, phase, content), event);
        self.changes.announcements.push((key, phase, content, event));
    }

    /// Remembers a call about no order.
    pub fn save_notice(&mut self, shop: ShopId, kind: &str, digest: [u8; 32], event: EventId, at: Timestamp) {
        self.notices.insert((shop.clone(), kind.to_owned(), digest), (event, at));
        self.changes.notices.push((shop, kind.to_owned(), digest, event, at));
    }

    /// Records an event.
    pub fn add_event(&mut self, event: NewEvent) {
        self.changes.events.push(event);
    }

    /// Adds to the outbox, or leaves a row that says why not.
    pub fn add_delivery(&mut self, delivery: NewDelivery) {
        if let Some(key) = delivery.order {
            self.deliveries.entry(key).or_default().push(KnownDelivery {
                id: delivery.id,
                sink: delivery.sink.clone(),
                event: delivery.event,
                event_type: delivery.event_type.clone(),
                purpose: delivery.purpose,
                status: if delivery.skipped_because.is_some() { "skipped" } else { "pending" }.to_owned(),
                attempts: 0,
                skipped_because: delivery.skipped_because.map(str::to_owned),
                without_invoice: false,
            });
        }
        self.changes.deliveries.push(delivery);
    }

    /// How many deliveries were planned so far that will be sent.
    pub fn planned_deliveries(&self) -> usize {
        self.changes.deliveries.iter().filter(|delivery| delivery.skipped_because.is_none()).count()
    }

    /// Makes a delivery that was not attempted yet tell a later event, or go sooner.
    pub fn merge_delivery(&mut self, merge: DeliveryMerge) {
        for known in self.deliveries.values_mut().flatten().filter(|known| known.id == merge.id) {
            known.event = merge.event;
            known.event_type.clone_from(&merge.event_type);
        }
        let fresh = self.changes.deliveries.iter_mut().find(|delivery| delivery.id == merge.id);
        match fresh {
            Some(delivery) => merge.apply_to(delivery),
            None => self.changes.merges.push(merge),
        }
    }

    /// Writes what is known of an order's invoice before it was fetched.
    pub fn save_invoice(&mut self, key: OrderKey, shop: ShopId, invoice: KnownInvoice) {
        self.changes.invoices.insert(key, (shop, invoice.clone()));
        self.invoices.insert(key, invoice);
    }

    /// Has the till asked whether it made a call.
    pub fn verify(&mut self, call: super::NewVerification) {
        self.changes.verifications.push(call);
    }

    /// A repeat of the call that made `event` brought this URL: it is asked there, unless it is asked elsewhere, or was
    /// confirmed.
    pub fn verify_elsewhere(&mut self, event: EventId, url: String, at: Timestamp) {
        self.changes.other_urls.push((event, url, at));
    }

    /// Remembers that somebody was told of a sink's outage (`Some`), or of its end (`None`).
    pub fn told_of_sink(&mut self, sink: SinkName, at: Option<Timestamp>) {
        self.changes.told.push((sink, at));
    }

    /// Writes that an order's invoice arrived, and lets waiting deliveries go.
    pub fn invoice_arrived(&mut self, key: OrderKey, file: super::StoredFile, at: Timestamp) {
        self.changes.arrived.push((key, file, at));
    }

    /// Writes that a link gives no invoice, and lets waiting deliveries go. Returns whether it is still the order's link.
    pub fn invoice_given_up(&mut self, given_up: super::GivenUp) -> bool {
        let current = self.invoices.get(&given_up.order).is_some_and(|known| known.url.as_ref() == Some(&given_up.url));
        // Of an order that cannot be read nothing is known here; the link is compared when it is written.
        if current || self.unreadable_order(given_up.order).is_some() {
            self.changes.given_up.push(given_up);
        }
        current
    }

    /// Everything that was decided.
    pub fn into_changes(self) -> Changes {
        self.changes
    }

    fn index(&mut self, order: &KnownOrder) {
        if let Some(id) = &order.internal_id {
            self.by_internal_id.insert((order.shop.clone(), order.test, id.clone()), order.key);
        }
        if let Some(id) = &order.order_id {
            let keys = self.by_order_id.entry((order.shop.clone(), order.test, id.clone())).or_default();
            if !keys.contains(&order.key) {
                keys.push(order.key);
            }
        }
    }
}

/// The rows of the orders that calls may be about (contract §5, Identity): those of their internal ids; those of their
/// accounting numbers that have no internal id; for a call without one two of its number, which tell whether there is one
/// alone; and those asked for by key.
macro_rules! found {
    ($select:literal) => {
        concat!(
            "WITH wanted AS (SELECT value ->> 0 AS shop, value ->> 1 AS test, value ->> 2 AS internal_id,
                    value ->> 3 AS order_id FROM json_each($1)),
             found AS (
                 SELECT o.seq FROM wanted w CROSS JOIN customer_order o
                 ON o.shop = w.shop AND o.internal_id = w.internal_id AND o.test = w.test
                 UNION
                 SELECT o.seq FROM wanted w CROSS JOIN customer_order o
                 ON o.shop = w.shop AND o.order_id = w.order_id AND o.test = w.test AND o.internal_id IS NULL
                 UNION
                 SELECT o.seq FROM wanted w CROSS JOIN customer_order o
                 ON o.seq IN (SELECT n.seq FROM customer_order n
                              WHERE n.shop = w.shop AND n.order_id = w.order_id AND n.test = w.test LIMIT 2)
                 WHERE w.internal_id IS NULL AND w.order_id IS NOT NULL
                 UNION
                 SELECT o.seq FROM json_each($2) k CROSS JOIN customer_order o ON o.key = k.value) ",
            $select,
            " FROM found f CROSS JOIN customer_order o ON o.seq = f.seq"
        )
    };
}

pub(super) const ORDERS: &str = found!(
    "SELECT o.key, o.shop, o.test, o.internal_id, o.order_id, o.timeline, o.received_at, o.told, o.erased, o.held"
);

const SIZE: &str = found!("SELECT coalesce(sum(octet_length(o.timeline)), 0)");

/// How many bytes of orders the calls of one commit may be about. More than one call is then taken by itself.
const MOST_LOADED: i64 = 16 * 1024 * 1024;

const ANNOUNCED: &str = "
    SELECT a.order_key, a.phase, a.fingerprint, a.event_id
    FROM json_each($1) k CROSS JOIN announcement a ON a.order_key = k.value";

const DELIVERIES: &str = "
    SELECT d.order_key, d.id, d.sink, d.event_id, d.event_type, d.purpose, d.status, d.attempts, d.skipped_because,
           d.without_invoice
    FROM json_each($1) k CROSS JOIN delivery d ON d.order_key = k.value
    WHERE d.purpose <> 'alert' ORDER BY d.seq";

const INVOICES: &str = "
    SELECT i.order_key, i.status, i.url, i.first_seen_at, i.wait_until, i.stored_at IS NOT NULL
    FROM json_each($1) k CROSS JOIN invoice i ON i.order_key = k.value";

const NOTICES: &str = "
    SELECT n.shop, n.kind, n.digest, n.event_id, n.at
    FROM json_each($1) k CROSS JOIN notice n
    ON n.shop = k.value ->> 0 AND n.kind = k.value ->> 1 AND n.digest = unhex(k.value ->> 2)";

impl View {
    /// Reads what the keys ask for: one statement where everything is new, four more where orders are known. An order of which
    /// something cannot be read is not known, but [`View::unreadable`], and nothing to the others.
    pub(super) async fn load(conn: &mut SqliteConnection, keys: &[Keys]) -> Result<Self, StoreError> {
        let mut view = Self::default();
        let numbered = keys.iter().filter_map(|keys| keys.numbered.as_ref());
        let numbered: Vec<_> = numbered
            .map(|Numbered { shop, test, internal_id, order_id }| {
                json!([shop, i32::from(*test), internal_id, order_id])
            })
            .collect();
        let named: HashSet<String> = keys.iter().filter_map(|keys| keys.order).map(|key| key.to_string()).collect();
        if !numbered.is_empty() || !named.is_empty() {
            let (numbered, named) = (json!(numbered).to_string(), json!(named).to_string());
            if keys.len() > 1 {
                let size: i64 = sqlx::query_scalar(SIZE).bind(&numbered).bind(&named).fetch_one(&mut *conn).await?;
                if size > MOST_LOADED {
                    return Err(StoreError::TooMuch);
                }
            }
            let rows = sqlx::query(ORDERS).bind(numbered).bind(named);
            for row in rows.fetch_all(&mut *conn).await? {
                match known_order(&row) {
                    Ok((order, held)) => {
                        view.changes.held.extend(held.then_some(order.key));
                        view.index(&order);
                        view.orders.insert(order.key, order);
                    }
                    Err(error) => view.unread.add(UnreadOrder::from_row(&row, corrupt_only(error)?)),
                }
            }
        }
        view.load_rest(conn).await?;
        view.load_notices(conn, keys).await?;
        Ok(view)
    }

    async fn load_rest(&mut self, conn: &mut SqliteConnection) -> Result<(), StoreError> {
        if self.orders.is_empty() {
            return Ok(());
        }
        let keys: Vec<String> = self.orders.keys().map(ToString::to_string).collect();
        let keys = json!(keys).to_string();
        for row in sqlx::query(ANNOUNCED).bind(&keys).fetch_all(&mut *conn).await? {
            let order = parse(row.try_get(0)?)?;
            if let Some((said, event)) = self.readable(order, "announcement", said(&row))? {
                self.announced.insert((order, said.0, said.1), event);
            }
        }
        for row in sqlx::query(DELIVERIES).bind(&keys).fetch_all(&mut *conn).await? {
            let order = parse(row.try_get(0)?)?;
            if let Some(delivery) = self.readable(order, "delivery", known_delivery(&row))? {
                self.deliveries.entry(order).or_default().push(delivery);
            }
        }
        for row in sqlx::query(INVOICES).bind(&keys).fetch_all(&mut *conn).await? {
            let order = parse(row.try_get(0)?)?;
            if let Some(invoice) = self.readable(order, "invoice", known_invoice(&row))? {
                self.invoices.insert(order, invoice);
            }
        }
        Ok(())
    }

    /// What was read of an order. Where it cannot be, nothing of the order is known any more.
    fn readable<T>(
        &mut self,
        order: OrderKey,
        what: &str,
        read: Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error) => {
                let reason = format!("{what}: {}", corrupt_only(error)?);
                if let Some(known) = self.orders.remove(&order) {
                    self.unread.add(UnreadOrder::of(&known, reason));
                }
                Ok(None)
            }
        }
    }

    async fn load_notices(&mut self, conn: &mut SqliteConnection, keys: &[Keys]) -> Result<(), StoreError> {
        let wanted = keys.iter().filter_map(|keys| keys.notice.as_ref());
        let wanted: Vec<_> = wanted.map(|(shop, kind, digest)| json!([shop, kind, hex(digest)])).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        for row in sqlx::query(NOTICES).bind(json!(wanted).to_string()).fetch_all(conn).await? {
            let key = (parse(row.try_get(0)?)?, row.try_get(1)?, digest(row.try_get(2)?)?);
            match notice(&row) {
                Ok(known) => drop(self.notices.insert(key, known)),
                Err(error) => self.unread.add_notice(key, corrupt_only(error)?),
            }
        }
        Ok(())
    }
}

/// What cannot be read; an error of the database stays one.
fn corrupt_only(error: StoreError) -> Result<String, StoreError> {
    match error {
        StoreError::Corrupt(reason) => Ok(reason),
        other => Err(other),
    }
}

fn said(row: &SqliteRow) -> Result<((Phase, Fingerprint), EventId), StoreError> {
    Ok(((phase(row.try_get(1)?)?, Fingerprint(digest(row.try_get(2)?)?)), parse(row.try_get(3)?)?))
}

fn notice(row: &SqliteRow) -> Result<(EventId, Timestamp), StoreError> {
    Ok((parse(row.try_get(3)?)?, timestamp(row.try_get(4)?)?))
}

fn known_invoice(row: &SqliteRow) -> Result<KnownInvoice, StoreError> {
    Ok(KnownInvoice {
        status: invoice_status(row.try_get(1)?)?,
        url: row.try_get(2)?,
        first_seen_at: timestamp(row.try_get(3)?)?,
        wait_until: timestamp(row.try_get(4)?)?,
        was_stored: row.try_get(5)?,
    })
}

/// An order, and whether its messages wait.
fn known_order(row: &SqliteRow) -> Result<(KnownOrder, bool), StoreError> {
    let order = KnownOrder {
        key: parse(row.try_get(0)?)?,
        shop: parse(row.try_get(1)?)?,
        test: row.try_get(2)?,
        internal_id: row.try_get(3)?,
        order_id: row.try_get(4)?,
        timeline: Arc::new(from_json(row.try_get(5)?)?),
        received_at: timestamp(row.try_get(6)?)?,
        told: row.try_get::<Option<&str>, _>(7)?.map(from_json).transpose()?.unwrap_or_default(),
        erased: row.try_get::<i64, _>(8)? > 0,
    };
    Ok((order, row.try_get(9)?))
}

fn known_delivery(row: &SqliteRow) -> Result<KnownDelivery, StoreError> {
    Ok(KnownDelivery {
        id: parse(row.try_get(1)?)?,
        sink: parse(row.try_get(2)?)?,
        event: parse(row.try_get(3)?)?,
        event_type: row.try_get(4)?,
        purpose: purpose(row.try_get(5)?)?,
        status: row.try_get(6)?,
        attempts: row.try_get(7)?,
        skipped_because: row.try_get(8)?,
        without_invoice: row.try_get(9)?,
    })
}

pub(super) fn purpose(text: &str) -> Result<Purpose, StoreError> {
    let all = [Purpose::First, Purpose::Change, Purpose::LateInvoice, Purpose::Alert];
    all.into_iter().find(|one| one.as_str() == text).ok_or_else(|| no_such("purpose"))
}

pub(super) fn invoice_status(text: &str) -> Result<InvoiceStatus, StoreError> {
    let all = [InvoiceStatus::Pending, InvoiceStatus::Stored, InvoiceStatus::Missing];
    all.into_iter().find(|one| one.as_str() == text).ok_or_else(|| no_such("status"))
}

pub(super) fn phase(text: &str) -> Result<Phase, StoreError> {
    [Phase::Validated, Phase::Terminated].into_iter().find(|one| one.as_str() == text).ok_or_else(|| no_such("phase"))
}

fn no_such(what: &str) -> StoreError {
    StoreError::Corrupt(format!("a {what} that there is none of"))
}

fn digest(bytes: Vec<u8>) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt("a digest of other than 32 bytes".to_owned()))
}

//! What a group of calls adds to the database: one statement a table, whatever the size of the group.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;
use jiff::{Timestamp, civil::Date};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::{FoundOrder, GivenUp, KnownInvoice, KnownOrder, NewVerification, StoredFile, micros};
use crate::{
    decode::Input,
    order::{DeliveryId, EventId, EventType, Fingerprint, OrderKey, Phase, ReceiptId, ShopId, SinkName},
    sink::Purpose,
};

/// How many rows a statement inserts. A few fixed numbers, because each makes another text that has to be prepared and is
/// then kept; the largest stays far below the 32,766 values that SQLite allows.
const ROWS: [usize; 5] = [128, 32, 8, 2, 1];

/// Everything that one commit writes.
#[derive(Default)]
pub struct Changes {
    pub(super) receipts: Vec<NewReceipt>,
    pub(super) resolved: Vec<(ReceiptId, &'static str, Timestamp)>,
    pub(super) orders: HashMap<OrderKey, SavedOrder>,
    pub(super) announcements: Vec<(OrderKey, Phase, Fingerprint, EventId)>,
    pub(super) notices: Vec<(ShopId, String, [u8; 32], EventId, Timestamp)>,
    pub(super) events: Vec<NewEvent>,
    pub(super) deliveries: Vec<NewDelivery>,
    /// The orders of which nothing is sent for now; so is none of these deliveries.
    pub(super) held: HashSet<OrderKey>,
    pub(super) merges: Vec<DeliveryMerge>,
    pub(super) invoices: HashMap<OrderKey, (ShopId, KnownInvoice)>,
    pub(super) arrived: Vec<(OrderKey, StoredFile, Timestamp)>,
    pub(super) given_up: Vec<GivenUp>,
    pub(super) told: Vec<(SinkName, Option<Timestamp>)>,
    pub(super) found: Vec<FoundOrder>,
    pub(super) verifications: Vec<NewVerification>,
    pub(super) other_urls: Vec<(EventId, String, Timestamp)>,
}

/// A call's bytes, as they came.
#[derive(Clone, Debug)]
pub struct Raw {
    /// `POST` or `GET`.
    pub method: String,
    /// The declared content type.
    pub content_type: Option<String>,
    /// The query, undecoded.
    pub query: Option<String>,
    /// The body, byte for byte; personal data.
    pub body: Bytes,
    /// How many bytes of body were announced, where that is not how many came.
    pub announced: Option<u64>,
}

impl Raw {
    /// What it is decoded from.
    pub fn input(&self) -> Input<'_> {
        Input {
            content_type: self.content_type.as_deref(),
            query: self.query.as_deref(),
            body: &self.body,
            announced: self.announced,
        }
    }
}

/// A call of the till, as it came.
#[derive(Clone, Debug)]
pub struct NewReceipt {
    /// Its id.
    pub id: ReceiptId,
    /// Whose token it carried.
    pub shop: ShopId,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Its bytes.
    pub raw: Raw,
    /// Whether its query and body are kept: not where its customer was erased.
    pub keeps_content: bool,
    /// `stored`, `duplicate` or `quarantined`.
    pub outcome: &'static str,
    /// The event that it made, or repeats.
    pub event: Option<EventId>,
    /// Why it is quarantined.
    pub reason: Option<String>,
}

/// An order as it now stands.
#[derive(Clone, Debug)]
pub struct SavedOrder {
    /// The order.
    pub order: KnownOrder,
    /// Both phases, as JSON.
    pub timeline: Arc<str>,
    /// The event whose data is its snapshot of now.
    pub last_event: EventId,
    /// When it changed.
    pub updated_at: Timestamp,
    /// The day that it counts for in the books, on the shop's wall.
    pub booked_on: Date,
}

/// An event to record.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Its id.
    pub id: EventId,
    /// Its type.
    pub kind: EventType,
    /// The shop and its name, unless it concerns the service as a whole.
    pub shop: Option<(ShopId, String)>,
    /// The order, where it is about one.
    pub order: Option<OrderKey>,
    /// When.
    pub at: Timestamp,
    /// Whether it is a test.
    pub test: bool,
    /// The `data` of contract §6, in full, as JSON.
    pub data: Arc<str>,
}

/// A row for the outbox.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// Where it goes.
    pub sink: SinkName,
    /// What it tells.
    pub event: EventId,
    /// That event's type.
    pub event_type: String,
    /// The shop, unless it concerns the service as a whole.
    pub shop: Option<ShopId>,
    /// The order, where it is about one.
    pub order: Option<OrderKey>,
    /// What it must not overtake.
    pub lane: String,
    /// Why the sink is told.
    pub purpose: Purpose,
    /// The first message, which this one continues.
    pub thread_of: Option<DeliveryId>,
    /// Not before then: the second announcement may still come.
    pub settle_until: Timestamp,
    /// Not before then, unless the invoice arrives sooner.
    pub invoice_until: Timestamp,
    /// When.
    pub at: Timestamp,
    /// The rule that keeps it from being sent at all.
    pub skipped_because: Option<&'static str>,
}

/// A delivery that was not attempted yet tells a later event, or goes sooner.
#[derive(Clone, Debug)]
pub struct DeliveryMerge {
    /// Which delivery.
    pub id: DeliveryId,
    /// What it tells from now on.
    pub event: EventId,
    /// That event's type.
    pub event_type: String,
    /// No longer waiting for the second announcement.
    pub settled_at: Option<Timestamp>,
    /// Waits for an invoice whose link came only now.
    pub invoice_until: Option<Timestamp>,
}

impl DeliveryMerge {
    pub(super) fn apply_to(&self, delivery: &mut NewDelivery) {
        delivery.event = self.event;
        delivery.event_type.clone_from(&self.event_type);
        delivery.settle_until = self.settled_at.unwrap_or(delivery.settle_until);
        delivery.invoice_until = self.invoice_until.unwrap_or(delivery.invoice_until);
    }
}

impl NewDelivery {
    fn due_at(&self) -> Timestamp {
        self.settle_until.max(self.invoice_until)
    }
}

/// Writes everything, inside the caller's transaction.
pub(super) async fn apply(conn: &mut SqliteConnection, changes: Changes) -> Result<(), sqlx::Error> {
    insert(conn, RECEIPTS, &changes.receipts, |row, receipt| {
        row.push_bind(receipt.id.to_string())
            .push_bind(receipt.shop.as_str().to_owned())
            .push_bind(micros(receipt.received_at))
            .push_bind(receipt.raw.method.clone())
            .push_bind(receipt.raw.content_type.clone())
            .push_bind(receipt.raw.query.clone().filter(|_| receipt.keeps_content))
            .push_bind(receipt.keeps_content.then(|| receipt.raw.body.to_vec()))
            .push_bind(receipt.outcome)
            .push_bind(receipt.event.map(|id| id.to_string()))
            .push_bind(receipt.reason.clone())
            .push_bind(receipt.raw.announced.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)));
    })
    .await?;
    let orders: Vec<&SavedOrder> = changes.orders.values().collect();
    save_orders(conn, &orders).await?;
    insert(conn, ANNOUNCEMENTS, &changes.announcements, |row, (key, phase, content, event)| {
        row.push_bind(key.to_string())
            .push_bind(phase.as_str())
            .push_bind(content.0.to_vec())
            .push_bind(event.to_string());
    })
    .await?;
    insert(conn, EVENTS, &changes.events, |row, event| {
        row.push_bind(event.id.to_string())
            .push_bind(event.kind.as_str())
            .push_bind(event.shop.as_ref().map(|(id, _)| id.to_string()))
            .push_bind(event.shop.as_ref().map(|(_, name)| name.clone()))
            .push_bind(event.order.map(|key| key.to_string()))
            .push_bind(micros(event.at))
            .push_bind(event.test)
            .push_bind(event.data.clone());
    })
    .await?;
    insert(conn, DELIVERIES, &changes.deliveries, |row, delivery| {
        let held = delivery.order.is_some_and(|order| changes.held.contains(&order));
        delivery_row(row, delivery, held);
    })
    .await?;
    apply_rare(conn, &changes).await
}

const RECEIPTS: &str = "INSERT INTO receipt (id, shop, received_at, method, content_type, query, body, outcome, event_id, reason, announced) ";
const ANNOUNCEMENTS: &str = "INSERT INTO announcement (order_key, phase, fingerprint, event_id) ";
const EVENTS: &str = "INSERT INTO event (id, type, shop, shop_name, order_key, at, test, data) ";
const DELIVERIES: &str =
    "INSERT INTO delivery (id, sink, event_id, event_type, shop, order_key, lane, purpose, thread_of,
    status, open, settle_until, invoice_until, due_at, created_at, skipped_because, held) ";
const ORDERS: &str = "INSERT INTO customer_order
    (key, shop, test, internal_id, order_id, state, timeline, last_event, received_at, updated_at, booked_on) ";

/// An order that is known is overwritten with what it is now.
const ORDER_IS_KNOWN: &str = " ON CONFLICT (key) DO UPDATE SET internal_id = excluded.internal_id,
    order_id = excluded.order_id, state = excluded.state, timeline = excluded.timeline,
    last_event = excluded.last_event, updated_at = excluded.updated_at, booked_on = excluded.booked_on";

type Tuple<'a> = sqlx::query_builder::Separated<'a, Sqlite, &'static str>;

async fn insert<T>(
    conn: &mut SqliteConnection,
    into: &'static str,
    rows: &[T],
    bind: impl Fn(&mut Tuple<'_>, &T),
) -> Result<(), sqlx::Error> {
    for rows in pieces(rows) {
        let mut query = QueryBuilder::<Sqlite>::new(into);
        query.push_values(rows, |mut tuple, row| bind(&mut tuple, row));
        query.build().execute(&mut *conn).await?;
    }
    Ok(())
}

/// Cuts rows into pieces of the lengths in [`ROWS`].
fn pieces<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = ROWS.into_iter().find(|length| *length <= rows.len())?;
        let (piece, rest) = rows.split_at(length);
        rows = rest;
        Some(piece)
    })
}

async fn save_orders(conn: &mut SqliteConnection, orders: &[&SavedOrder]) -> Result<(), sqlx::Error> {
    for orders in pieces(orders) {
        let mut query = QueryBuilder::<Sqlite>::new(ORDERS);
        query.push_values(orders, |mut tuple, saved| {
            let order = &saved.order;
            tuple
                .push_bind(order.key.to_string())
                .push_bind(order.shop.as_str().to_owned())
                .push_bind(order.test)
                .push_bind(order.internal_id.clone())
                .push_bind(order.order_id.clone())
                .push_bind(order.timeline.state().as_str())
                .push_bind(saved.timeline.clone())
                .push_bind(saved.last_event.to_string())
                .push_bind(micros(order.received_at))
                .push_bind(micros(saved.updated_at))
                .push_bind(saved.booked_on.to_string());
        });
        query.push(ORDER_IS_KNOWN);
        query.build().execute(&mut *conn).await?;
    }
    Ok(())
}

fn delivery_row(row: &mut Tuple<'_>, delivery: &NewDelivery, held: bool) {
    let skipped = delivery.skipped_because.is_some();
    row.push_bind(delivery.id.to_string())
        .push_bind(delivery.sink.as_str().to_owned())
        .push_bind(delivery.event.to_string())
        .push_bind(delivery.event_type.clone())
        .push_bind(delivery.shop.as_ref().map(|shop| shop.as_str().to_owned()))
        .push_bind(delivery.order.map(|key| key.to_string()))
        .push_bind(delivery.lane.clone())
        .push_bind(delivery.purpose.as_str())
        .push_bind(delivery.thread_of.map(|id| id.to_string()))
        .push_bind(if skipped { "skipped" } else { "pending" })
        .push_bind(!skipped)
        .push_bind(micros(delivery.settle_until))
        .push_bind(micros(delivery.invoice_until))
        .push_bind(micros(delivery.due_at()))
        .push_bind(micros(delivery.at))
        .push_bind(delivery.skipped_because)
        .push_bind(held);
}

/// What most commits do not have.
async fn apply_rare(conn: &mut SqliteConnection, changes: &Changes) -> Result<(), sqlx::Error> {
    for (shop, kind, digest, event, at) in &changes.notices {
        sqlx::query("INSERT OR REPLACE INTO notice (shop, kind, digest, event_id, at) VALUES ($1, $2, $3, $4, $5)")
            .bind(shop.as_str())
            .bind(kind)
            .bind(digest.to_vec())
            .bind(event.to_string())
            .bind(micros(*at))
            .execute(&mut *conn)
            .await?;
    }
    for merge in &changes.merges {
        sqlx::query(
            "UPDATE delivery SET event_id = $2, event_type = $3, settle_until = coalesce($4, settle_until),
                 invoice_until = coalesce($5, invoice_until),
                 due_at = max(coalesce($4, settle_until), coalesce($5, invoice_until)), version = version + 1
             WHERE id = $1 AND status = 'pending'",
        )
        .bind(merge.id.to_string())
        .bind(merge.event.to_string())
        .bind(&merge.event_type)
        .bind(merge.settled_at.map(micros))
        .bind(merge.invoice_until.map(micros))
        .execute(&mut *conn)
        .await?;
    }
    for (key, (shop, invoice)) in &changes.invoices {
        sqlx::query(
            "INSERT INTO invoice (order_key, shop, url, status, first_seen_at, wait_until, next_attempt_at)
             VALUES ($1, $2, $3, $4, $5, $6, $5)
             ON CONFLICT (order_key) DO UPDATE SET url = excluded.url, status = excluded.status,
                 next_attempt_at = excluded.next_attempt_at,
                 cut_off = iif(url IS excluded.url, cut_off, 0)",
        )
        .bind(key.to_string())
        .bind(shop.as_str())
        .bind(&invoice.url)
        .bind(invoice.status.as_str())
        .bind(micros(invoice.first_seen_at))
        .bind(micros(invoice.wait_until))
        .execute(&mut *conn)
        .await?;
    }
    super::invoices::apply_ends(conn, changes).await?;
    super::reconciliation::keep_found(conn, &changes.found).await?;
    super::verifications::apply(conn, changes).await?;
    for (sink, at) in &changes.told {
        sqlx::query("UPDATE sink_state SET told_at = $2 WHERE sink = $1")
            .bind(sink.as_str())
            .bind(at.map(micros))
            .execute(&mut *conn)
            .await?;
    }
    for (receipt, resolution, at) in &changes.resolved {
        sqlx::query(
            "UPDATE receipt SET resolution = $2, resolved_at = $3
             WHERE id = $1 AND outcome = 'quarantined' AND resolution IS NULL",
        )
        .bind(receipt.to_string())
        .bind(*resolution)
        .bind(micros(*at))
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

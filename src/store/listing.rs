//! What people list: orders, deliveries, invoices, sinks, newest first. The shapes are those of contract §2.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sqlx::{QueryBuilder, Row, Sqlite, sqlite::SqliteRow};

use super::{
    RecipientRow, Rows, Store, StoreError, from_json, parse,
    rows::{Name, bytes, lossy},
    timestamp,
};
use crate::order::{DeliveryId, EventId, Order, OrderKey, SinkName, Verification};

/// Which orders to list.
#[derive(Clone, Debug, Default)]
pub struct OrderFilter {
    /// Of this shop alone.
    pub shop: Option<String>,
    /// At the most so many.
    pub limit: u32,
}

/// Which deliveries to list.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// This one alone.
    pub id: Option<String>,
    /// To this sink alone.
    pub sink: Option<String>,
    /// With this status (a word of contract §2) alone.
    pub status: Option<String>,
    /// Of this order (an [`crate::order::OrderKey`]) alone.
    pub order: Option<String>,
    /// At the most so many.
    pub limit: u32,
}

/// An order in a list.
#[derive(Clone, Debug, Serialize)]
pub struct OrderLine {
    /// Its shop.
    pub shop: String,
    /// The accounting number.
    pub order_id: Option<String>,
    /// The internal one.
    pub internal_id: Option<String>,
    /// `invoiced` or `paid`.
    pub state: String,
    /// With VAT.
    pub total: Option<String>,
    /// Whether money went back.
    pub is_refund: Option<bool>,
    /// Whether money went back, by its flag or by its amounts.
    #[serde(skip)]
    pub refund: bool,
    /// When it was first heard of.
    pub received_at: Timestamp,
    /// What does not add up.
    pub warnings: Value,
    /// Whether it is a test.
    pub test: bool,
    /// Whether the till confirms its calls, where it is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// Whether its messages wait for that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
}

/// A delivery in a list.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryLine {
    /// Its id.
    pub id: DeliveryId,
    /// Where it goes.
    pub sink: SinkName,
    /// The event.
    pub event_id: EventId,
    /// Its type.
    pub event_type: String,
    /// The shop.
    pub shop: Option<String>,
    /// The order's accounting number.
    pub order_id: Option<String>,
    /// The order's internal number.
    pub internal_id: Option<String>,
    /// `waiting`, `due`, `sending`, `retrying`, `paused`, `delivered`, `skipped` or `dead`.
    pub status: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it will be tried next; `None` also while it waits behind another one.
    pub next_attempt_at: Option<Timestamp>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Which rule skipped it.
    pub skipped_because: Option<String>,
    /// When it was last delivered, also where it is to be sent again.
    pub delivered_at: Option<Timestamp>,
    /// Why it waits, where the till is still to confirm the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_because: Option<String>,
    /// How those stand that it goes to, where they did not fare alike.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<RecipientRow>,
    /// The delivery of the same order (or lane) that has to end before this one is tried.
    pub behind: Option<DeliveryId>,
}

/// An invoice in a list.
#[derive(Clone, Debug, Serialize)]
pub struct InvoiceLine {
    /// The shop.
    pub shop: String,
    /// The order's accounting number.
    pub order_id: Option<String>,
    /// The order's internal number.
    pub internal_id: Option<String>,
    /// `pending`, `stored` or `missing`.
    pub status: String,
    /// SHA-256 of the PDF.
    pub sha256: Option<String>,
    /// Its size.
    pub bytes: Option<i64>,
    /// The name people see.
    pub filename: Option<String>,
    /// Where it is, relative to the data directory.
    pub path: Option<String>,
    /// Why it is not here, where it is not.
    #[serde(skip)]
    pub last_error: Option<String>,
}

/// A sink in a list, as far as the database knows it.
#[derive(Clone, Debug, Serialize)]
pub struct SinkLine {
    /// Its name.
    pub name: SinkName,
    /// `ok`, `failing` or `paused`.
    pub status: String,
    /// Deliveries that are not over.
    pub waiting: u64,
    /// Deliveries that were given up.
    pub dead: u64,
    /// Why it is paused, or what failed last.
    pub reason: Option<String>,
}

/// A quarantined body in a list.
#[derive(Clone, Debug, Serialize)]
pub struct QuarantineLine {
    /// Its receipt.
    pub id: String,
    /// The shop.
    pub shop: String,
    /// When it came.
    pub received_at: Timestamp,
    /// Why it could not be read.
    pub reason: String,
}

/// How many calls ended how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptOutcome {
    /// `stored`, `duplicate` or `quarantined`.
    pub outcome: String,
    /// How many.
    pub count: u64,
}

/// The status of contract §2, from the row, its sink and the time `$now`.
const STATUS: &str = "CASE WHEN d.open = 1 AND d.status <> 'sending' AND s.paused_at IS NOT NULL THEN 'paused'
    WHEN d.open = 1 AND d.status <> 'sending' AND d.held = 1 THEN 'waiting'
    WHEN d.status = 'pending' AND d.due_at > ";
const STATUS_ELSE: &str = " THEN 'waiting' WHEN d.status = 'pending' THEN 'due' ELSE d.status END";

impl Store {
    /// Orders, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list_orders(&self, filter: &OrderFilter) -> Result<Rows<OrderLine>, StoreError> {
        let rows = sqlx::query(
            "SELECT o.shop, o.received_at, e.data, o.test, o.verification, o.held, o.order_id, o.internal_id, o.key
             FROM customer_order o LEFT JOIN event e ON e.id = o.last_event
             WHERE ($1 IS NULL OR o.shop = $1) AND (e.id IS NOT NULL OR o.told IS NULL) ORDER BY o.seq DESC LIMIT $2",
        );
        let rows = rows.bind(&filter.shop).bind(filter.limit).fetch_all(self.readers()).await?;
        Rows::read(&rows, order_line, |row| Name::of_order("order", row, [6, 7, 8], 0))
    }

    /// Deliveries, newest first, with their status at `now`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list_deliveries(
        &self,
        filter: &DeliveryFilter,
        now: Timestamp,
    ) -> Result<Rows<DeliveryLine>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT * FROM (SELECT d.seq, d.id, d.sink, d.event_id, d.event_type,
            d.shop, o.order_id, o.internal_id, d.attempts, d.open, d.due_at, d.last_error, d.skipped_because,
            d.delivered_at, d.recipients, CASE WHEN d.open = 1 THEN
                (SELECT p.id FROM delivery p WHERE p.lane = d.lane AND p.open = 1 AND p.seq < d.seq ORDER BY p.seq LIMIT 1)
            END AS behind, d.open = 1 AND d.held = 1 AND d.status <> 'sending' AS held,
            (SELECT json_array(v.status, v.last_error) FROM verification v
             WHERE d.held = 1 AND v.order_key = d.order_key AND v.holds = 1 LIMIT 1) AS why_held, ",
        );
        query.push(STATUS).push_bind(super::micros(now)).push(STATUS_ELSE);
        query.push(
            " AS shown FROM delivery d LEFT JOIN sink_state s ON s.sink = d.sink
            LEFT JOIN customer_order o ON o.key = d.order_key WHERE 1 = 1",
        );
        for (column, value) in
            [(" AND d.id = ", &filter.id), (" AND d.sink = ", &filter.sink), (" AND d.order_key = ", &filter.order)]
        {
            if let Some(value) = value {
                query.push(column).push_bind(value.clone());
            }
        }
        query.push(")");
        if let Some(status) = &filter.status {
            query.push(" WHERE shown = ").push_bind(status.clone());
        }
        query.push(" ORDER BY seq DESC LIMIT ").push_bind(filter.limit);
        let rows = query.build().fetch_all(self.readers()).await?;
        Rows::read(&rows, delivery_line, |row| Name::placed("delivery", row, "id", "seq"))
    }

    /// Invoices, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list_invoices(&self, limit: u32) -> Result<Rows<InvoiceLine>, StoreError> {
        let rows = sqlx::query(
            "SELECT i.shop, o.order_id, o.internal_id, i.status, i.sha256, i.bytes, i.filename, i.path, i.last_error,
                    i.order_key
             FROM invoice i LEFT JOIN customer_order o ON o.key = i.order_key ORDER BY o.seq DESC LIMIT $1",
        );
        let rows = rows.bind(limit).fetch_all(self.readers()).await?;
        Rows::read(&rows, invoice_line, unread_invoice)
    }

    /// The invoices in the archive, a page at a time: those whose key is after `after`, which need not be a text. Returns also
    /// the last one's. Their places in the file may be others' once it was rewritten.
    ///
    /// # Errors
    /// What the database says.
    pub async fn stored_invoices(
        &self,
        after: Option<Vec<u8>>,
        limit: u32,
    ) -> Result<(Rows<InvoiceLine>, Option<Vec<u8>>), StoreError> {
        let rows = sqlx::query(
            "SELECT i.shop, o.order_id, o.internal_id, i.status, i.sha256, i.bytes, i.filename, i.path, i.last_error,
                    i.order_key
             FROM invoice i LEFT JOIN customer_order o ON o.key = i.order_key
             WHERE i.status = 'stored' AND i.order_key >= CAST(coalesce($1, x'') AS TEXT)
               AND i.order_key IS NOT CAST($1 AS TEXT)
             ORDER BY i.order_key LIMIT $2",
        );
        let rows = rows.bind(after).bind(limit).fetch_all(self.readers()).await?;
        let last = rows.last().and_then(|row| bytes(row, 9));
        Ok((Rows::read(&rows, invoice_line, unread_invoice)?, last))
    }

    /// Every sink that ever ran here.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list_sinks(&self) -> Result<Rows<SinkLine>, StoreError> {
        let rows = sqlx::query(
            "SELECT s.sink, CASE WHEN s.paused_at IS NOT NULL THEN 'paused' WHEN s.failures > 0 THEN 'failing' ELSE 'ok' END,
                    (SELECT count(*) FROM delivery d WHERE d.sink = s.sink AND d.open = 1),
                    (SELECT count(*) FROM delivery d WHERE d.sink = s.sink AND d.status = 'dead'),
                    coalesce(s.paused_because, s.last_error)
             FROM sink_state s ORDER BY s.sink",
        );
        let rows = rows.fetch_all(self.readers()).await?;
        let line = |row: &SqliteRow| {
            Ok(SinkLine {
                name: parse(row.try_get(0)?)?,
                status: row.try_get(1)?,
                waiting: row.try_get::<i64, _>(2)?.unsigned_abs(),
                dead: row.try_get::<i64, _>(3)?.unsigned_abs(),
                reason: row.try_get(4)?,
            })
        };
        Rows::read(&rows, line, |row| Name::of("sink", row, 0))
    }

    /// How many deliveries have which status at `now`, by sink.
    ///
    /// # Errors
    /// What the database says.
    pub async fn count_deliveries(&self, now: Timestamp) -> Result<Rows<(SinkName, String, u64)>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT sink, shown, count(*) FROM (SELECT d.sink, ");
        query.push(STATUS).push_bind(super::micros(now)).push(STATUS_ELSE);
        query.push(" AS shown FROM delivery d LEFT JOIN sink_state s ON s.sink = d.sink) GROUP BY 1, 2 ORDER BY 1, 2");
        let rows = query.build().fetch_all(self.readers()).await?;
        let count =
            |row: &SqliteRow| Ok((parse(row.try_get(0)?)?, row.try_get(1)?, row.try_get::<i64, _>(2)?.unsigned_abs()));
        Rows::read(&rows, count, |row| Name::of("deliveries to", row, 0))
    }

    /// How many calls ended how.
    ///
    /// # Errors
    /// What the database says.
    pub async fn count_receipts(&self) -> Result<Rows<ReceiptOutcome>, StoreError> {
        let rows = sqlx::query("SELECT outcome, count(*) FROM receipt GROUP BY outcome ORDER BY outcome");
        let rows = rows.fetch_all(self.readers()).await?;
        let count = |row: &SqliteRow| {
            Ok(ReceiptOutcome { outcome: row.try_get(0)?, count: row.try_get::<i64, _>(1)?.unsigned_abs() })
        };
        Rows::read(&rows, count, |row| Name::of("calls", row, 0))
    }
}

/// The name of an invoice whose columns are those of [`invoice_line`], and then its order's key.
fn unread_invoice(row: &SqliteRow) -> Name {
    Name::of_order("invoice of order", row, [1, 2, 9], 0)
}

fn order_line(row: &SqliteRow) -> Result<OrderLine, StoreError> {
    let order: Order = from_json(row.try_get(2)?)?;
    Ok(OrderLine {
        shop: row.try_get(0)?,
        received_at: timestamp(row.try_get(1)?)?,
        state: order.state.as_str().to_owned(),
        total: order.total.map(|total| total.to_string()),
        is_refund: order.is_refund,
        refund: order.refund(),
        warnings: serde_json::json!(order.warnings),
        order_id: order.order_id,
        internal_id: order.internal_id,
        test: row.try_get(3)?,
        verification: row.try_get::<Option<&str>, _>(4)?.and_then(Verification::from_word),
        held: row.try_get(5)?,
    })
}

fn invoice_line(row: &SqliteRow) -> Result<InvoiceLine, StoreError> {
    // Nobody is told of an invoice whose order cannot be found.
    let _: OrderKey = parse(row.try_get(9)?)?;
    Ok(InvoiceLine {
        shop: row.try_get(0)?,
        order_id: row.try_get(1)?,
        internal_id: row.try_get(2)?,
        status: row.try_get(3)?,
        sha256: row.try_get(4)?,
        bytes: row.try_get(5)?,
        filename: row.try_get(6)?,
        path: row.try_get(7)?,
        last_error: row.try_get(8)?,
    })
}

fn delivery_line(row: &SqliteRow) -> Result<DeliveryLine, StoreError> {
    let open: bool = row.try_get("open")?;
    let due_at = timestamp(row.try_get("due_at")?)?;
    let behind: Option<&str> = row.try_get("behind")?;
    let held: bool = row.try_get("held")?;
    let why_held = lossy(row, "why_held").filter(|_| held);
    let why_held: Option<(String, Option<String>)> = why_held.as_deref().map(from_json).transpose()?;
    Ok(DeliveryLine {
        id: parse(row.try_get("id")?)?,
        sink: parse(row.try_get("sink")?)?,
        event_id: parse(row.try_get("event_id")?)?,
        event_type: row.try_get("event_type")?,
        shop: row.try_get("shop")?,
        order_id: row.try_get("order_id")?,
        internal_id: row.try_get("internal_id")?,
        status: row.try_get("shown")?,
        attempts: row.try_get("attempts")?,
        next_attempt_at: (open && !held && behind.is_none()).then_some(due_at),
        last_error: lossy(row, "last_error"),
        skipped_because: lossy(row, "skipped_because"),
        delivered_at: row.try_get::<Option<i64>, _>("delivered_at")?.map(timestamp).transpose()?,
        held_because: why_held.map(|(status, error)| super::holds::why_held(&status, error.as_deref())),
        recipients: lossy(row, "recipients").and_then(|json| from_json(&json).ok()).unwrap_or_default(),
        behind: behind.map(parse).transpose()?,
    })
}

//! Taking a person out of what is stored: who is in which order, and which rows lose what.
//!
//! Reading goes by pages and writing in commits of its own, so that the till is not held up. Nothing here decides who is
//! meant; that is `upkeep/erasure.rs`.
//!
//! **Invariant:** an order whose customer is erased has no receipt with a body, and never gets one again
//! (`record/announce.rs`).

use std::sync::Arc;

use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    Rows, Store, StoreError, from_json, parse,
    rows::{Name, id_of, lossy},
};
use crate::order::{Customer, Order, OrderKey, ShopId, Timeline, Traces};

/// Rows of a page.
pub(super) const PAGE: u32 = 500;

/// How many bytes of rows a page reads; the last one may go beyond.
pub(super) const PAGE_BYTES: i64 = 2 << 20;

/// The largest text of an order, an event or an alert that a copy may hold which somebody is to be taken out of, in bytes:
/// larger than any call that is taken by default.
const LARGEST_TEXT: i64 = 2 << 20;

/// The same for the bytes of a call.
const LARGEST_BODY: i64 = 8 << 20;

/// What an order says of its customer, once for each event and each phase.
#[derive(Clone, Debug)]
pub struct CustomerLine {
    /// Ask for what is after this.
    pub seq: i64,
    /// The order.
    pub order: OrderKey,
    /// Its shop.
    pub shop: ShopId,
    /// What it says.
    pub customers: Vec<Customer>,
}

/// A call whose bytes are still here.
#[derive(Clone, Debug)]
pub struct KeptBody {
    /// Ask for what is after this.
    pub seq: i64,
    /// Its id, as it stands there.
    pub id: String,
    /// The shop.
    pub shop: ShopId,
    /// Whether it waits in quarantine.
    pub quarantined: bool,
    /// The order that it is about; the bytes are not read then.
    pub order: Option<OrderKey>,
    /// Whether that order's customer is erased.
    pub erased: bool,
    /// Query and body, of a call that is about no order we know.
    pub bytes: Vec<u8>,
}

/// How many rows hold something of a person, by table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErasedRows {
    /// Orders.
    pub orders: u64,
    /// Events, also alerts that quote what a far side answered.
    pub events: u64,
    /// Deliveries with a message or an error.
    pub deliveries: u64,
    /// Of these, messages that are being sent just now.
    pub sending: u64,
    /// Attempts with an answer.
    pub attempts: u64,
    /// Invoices.
    pub invoices: u64,
    /// Calls with a body or a query.
    pub receipts: u64,
}

impl Store {
    /// What the next events about orders say of customers.
    ///
    /// # Errors
    /// What the database says.
    pub async fn customers_of_events(&self, after: i64) -> Result<Rows<CustomerLine>, StoreError> {
        let rows = sqlx::query(
            "SELECT e.seq, e.order_key, e.shop, iif(json_valid(e.data), e.data -> '$.customer', '') FROM (
                 SELECT seq, sum(size) OVER (ORDER BY seq) - size AS before FROM (
                     SELECT seq, octet_length(data) AS size FROM event
                     WHERE seq > $1 AND order_key IS NOT NULL ORDER BY seq LIMIT $2)) p
             CROSS JOIN event e ON e.seq = p.seq WHERE p.before < $3 ORDER BY e.seq",
        );
        let rows = rows.bind(after).bind(PAGE).bind(PAGE_BYTES);
        let rows = rows.fetch_all(self.readers()).await?;
        Rows::page(&rows, 0, customer_line, |row| Name::of("event of order", row, 1))
    }

    /// What both phases of the next orders say of customers.
    ///
    /// # Errors
    /// What the database says.
    pub async fn customers_of_orders(&self, after: i64) -> Result<Rows<CustomerLine>, StoreError> {
        let rows = sqlx::query(
            "SELECT o.seq, o.key, o.shop, iif(json_valid(o.timeline), o.timeline -> '$.validated.customer', ''),
                    iif(json_valid(o.timeline), o.timeline -> '$.terminated.customer', '') FROM (
                 SELECT seq, sum(size) OVER (ORDER BY seq) - size AS before FROM (
                     SELECT seq, octet_length(timeline) AS size FROM customer_order
                     WHERE seq > $1 ORDER BY seq LIMIT $2)) p
             CROSS JOIN customer_order o ON o.seq = p.seq WHERE p.before < $3 ORDER BY o.seq",
        );
        let rows = rows.bind(after).bind(PAGE).bind(PAGE_BYTES);
        let rows = rows.fetch_all(self.readers()).await?;
        Rows::page(&rows, 0, customer_line, |row| Name::of("order", row, 1))
    }

    /// The next calls whose bytes are still here.
    ///
    /// # Errors
    /// What the database says.
    pub async fn kept_bodies(&self, after: i64) -> Result<Rows<KeptBody>, StoreError> {
        let rows = sqlx::query(
            "SELECT r.seq, r.id, r.shop, r.outcome = 'quarantined' AND r.resolution IS NULL, o.key, coalesce(o.erased, 0),
                    iif(o.key IS NULL, coalesce(r.query, ''), ''), iif(o.key IS NULL, r.body, NULL)
             FROM (SELECT seq, sum(size) OVER (ORDER BY seq) - size AS before FROM (
                       SELECT seq, octet_length(body) + coalesce(octet_length(query), 0) AS size FROM receipt
                       WHERE seq > $1 AND body IS NOT NULL ORDER BY seq LIMIT $2)) p
             CROSS JOIN receipt r ON r.seq = p.seq
             LEFT JOIN event e ON e.id = r.event_id LEFT JOIN customer_order o ON o.key = e.order_key
             WHERE p.before < $3 ORDER BY r.seq",
        );
        let rows = rows.bind(after).bind(PAGE).bind(PAGE_BYTES);
        let rows = rows.fetch_all(self.readers()).await?;
        Rows::page(&rows, 0, kept_body, |row| Name::placed("call", row, 1, 0))
    }

    /// The next alerts and other events about no order, with what they say. Summaries and the closings of tills name nobody.
    ///
    /// # Errors
    /// What the database says.
    pub async fn plain_events(&self, after: i64) -> Result<Vec<(i64, String)>, StoreError> {
        let rows = sqlx::query(
            "SELECT e.seq, e.data FROM (
                 SELECT seq, sum(size) OVER (ORDER BY seq) - size AS before FROM (
                     SELECT seq, octet_length(data) AS size FROM event WHERE seq > $1 AND order_key IS NULL
                     AND type NOT IN ('digest.made', 'cashbox.opened', 'cashbox.closed') ORDER BY seq LIMIT $2)) p
             CROSS JOIN event e ON e.seq = p.seq WHERE p.before < $3 ORDER BY e.seq",
        );
        let rows = rows.bind(after).bind(PAGE).bind(PAGE_BYTES).fetch_all(self.readers()).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, lossy(row, 1).unwrap_or_default()))).collect()
    }

    /// Whether a row is too large to be read as a whole where memory is short. No row of ours is, unless calls of many
    /// megabytes are taken.
    ///
    /// # Errors
    /// What the database says.
    pub async fn has_huge_rows(&self) -> Result<bool, StoreError> {
        const HUGE: &str = "SELECT EXISTS (SELECT 1 FROM event WHERE octet_length(data) > $1)
            OR EXISTS (SELECT 1 FROM customer_order WHERE octet_length(timeline) > $1)
            OR EXISTS (SELECT 1 FROM receipt WHERE octet_length(body) > $2 OR octet_length(query) > $1)";
        Ok(sqlx::query_scalar(HUGE).bind(LARGEST_TEXT).bind(LARGEST_BODY).fetch_one(self.readers()).await?)
    }

    /// What there is of the person in these orders' rows.
    ///
    /// # Errors
    /// What the database says.
    pub async fn count_to_erase(&self, orders: &[OrderKey]) -> Result<ErasedRows, StoreError> {
        let row = sqlx::query(
            "WITH k AS (SELECT value AS key FROM json_each($1)),
                  d AS (SELECT d.id, d.status, d.payload IS NOT NULL OR d.last_error IS NOT NULL AS says
                        FROM k CROSS JOIN delivery d ON d.order_key = k.key)
             SELECT (SELECT count(*) FROM k CROSS JOIN event e ON e.order_key = k.key),
                    (SELECT count(*) FROM d WHERE says), (SELECT count(*) FROM d WHERE status = 'sending'),
                    (SELECT count(*) FROM d CROSS JOIN attempt a ON a.delivery_id = d.id
                     WHERE a.excerpt IS NOT NULL OR a.status IS NOT NULL),
                    (SELECT count(*) FROM k CROSS JOIN invoice i ON i.order_key = k.key WHERE i.filename IS NOT NULL)",
        );
        let row = row.bind(serde_json::json!(orders).to_string()).fetch_one(self.readers()).await?;
        let count = |column: usize| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
        Ok(ErasedRows {
            orders: orders.len() as u64,
            events: count(0)?,
            deliveries: count(1)?,
            sending: count(2)?,
            attempts: count(3)?,
            invoices: count(4)?,
            receipts: 0,
        })
    }

    /// Takes the customer out of these orders, their events, their messages and what far sides answered, and gives their
    /// invoices these names. Messages that wait are made anew. What of an order cannot be read stays as it is. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn erase_orders(
        &self,
        orders: Vec<(OrderKey, Option<String>)>,
        traces: Arc<Traces>,
    ) -> Result<(), StoreError> {
        let orders = Arc::new(orders);
        self.write_alone(move |conn| {
            let (orders, traces) = (orders.clone(), traces.clone());
            Box::pin(async move {
                begin(conn).await?;
                for (order, filename) in orders.iter() {
                    erase_order(conn, *order, filename.as_deref(), &traces).await?;
                }
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Drops the bodies and queries of these calls; one that waits in quarantine is dismissed with it. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn erase_bodies(&self, receipts: &[i64], now: jiff::Timestamp) -> Result<(), StoreError> {
        const ERASE: &str = "UPDATE receipt SET body = NULL, query = NULL,
                resolved_at = iif(outcome = 'quarantined', coalesce(resolved_at, $2), NULL),
                resolution = iif(outcome = 'quarantined', coalesce(resolution, 'dismissed'), NULL)
            WHERE seq IN (SELECT value FROM json_each($1))";
        let receipts = serde_json::json!(receipts).to_string();
        self.write_alone(move |conn| {
            let receipts = receipts.clone();
            Box::pin(async move {
                begin(conn).await?;
                sqlx::query(ERASE).bind(receipts).bind(super::micros(now)).execute(conn).await.map(drop)
            })
        })
        .await
    }

    /// Writes these events' data, and drops the messages about them with what far sides answered. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn erase_plain_events(&self, events: Vec<(i64, String)>) -> Result<(), StoreError> {
        let events = Arc::new(events);
        self.write_alone(move |conn| {
            let events = events.clone();
            Box::pin(async move {
                begin(conn).await?;
                for (seq, data) in events.iter() {
                    for change in [
                        "UPDATE event SET data = $2 WHERE seq = $1",
                        "UPDATE attempt SET status = NULL, excerpt = NULL WHERE $2 IS NOT NULL AND delivery_id IN
                            (SELECT d.id FROM event e CROSS JOIN delivery d ON d.event_id = e.id AND d.order_key IS NULL
                             WHERE e.seq = $1)",
                        "UPDATE delivery SET payload = NULL, last_error = NULL, version = version + 1
                         WHERE $2 IS NOT NULL AND order_key IS NULL AND event_id = (SELECT id FROM event WHERE seq = $1)",
                    ] {
                        sqlx::query(change).bind(seq).bind(data).execute(&mut *conn).await?;
                    }
                }
                Ok::<_, sqlx::Error>(())
            })
        })
        .await
    }

    /// Drops the till's own reports of these shops: whom they name cannot be seen. A mail that is still to take one says so.
    /// Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn erase_reports(&self, shops: &[ShopId]) -> Result<(), StoreError> {
        const ERASE: &str = "DELETE FROM digest_report WHERE digest IN
            (SELECT id FROM digest WHERE shop IN (SELECT value FROM json_each($1)))";
        let shops = serde_json::json!(shops).to_string();
        self.write_alone(move |conn| {
            let shops = shops.clone();
            Box::pin(async move {
                begin(conn).await?;
                sqlx::query(ERASE).bind(shops).execute(conn).await.map(drop)
            })
        })
        .await
    }

    /// Forgets what a sink's far side answered last, where that names the person. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn erase_sink_errors(
        &self,
        names: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Result<(), StoreError> {
        let names = Arc::new(names);
        self.write_alone(move |conn| {
            let names = names.clone();
            Box::pin(async move {
                let states = sqlx::query(
                    "SELECT sink, coalesce(last_error, '') || ' ' || coalesce(paused_because, '') FROM sink_state",
                );
                let states = states.fetch_all(&mut *conn).await?;
                let said = |row: &SqliteRow| (lossy(row, 0).unwrap_or_default(), lossy(row, 1).unwrap_or_default());
                for (sink, _) in states.iter().map(said).filter(|(_, said)| names(said)) {
                    sqlx::query(
                        "UPDATE sink_state SET last_error = NULL,
                             paused_because = iif(paused_because IS NULL, NULL, 'it failed') WHERE sink = $1",
                    )
                    .bind(sink)
                    .execute(&mut *conn)
                    .await?;
                }
                Ok::<_, sqlx::Error>(())
            })
        })
        .await
    }

    /// Whether rows were erased and the file was not rewritten since.
    ///
    /// # Errors
    /// What the database says.
    pub async fn erasure_is_unfinished(&self) -> Result<bool, StoreError> {
        let unfinished: i64 =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM erasure_under_way)").fetch_one(self.readers()).await?;
        Ok(unfinished == 1)
    }

    /// Notes that the file was rewritten. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn erasure_finished(&self) -> Result<(), StoreError> {
        self.write_alone(|conn| {
            Box::pin(async move {
                sqlx::query("UPDATE customer_order SET erased = 2 WHERE erased = 1").execute(&mut *conn).await?;
                sqlx::query("DELETE FROM erasure_under_way").execute(conn).await.map(drop)
            })
        })
        .await
    }
}

/// Remembers that the file has to be rewritten.
async fn begin(conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT OR IGNORE INTO erasure_under_way VALUES (1)").execute(conn).await.map(drop)
}

async fn erase_order(
    conn: &mut SqliteConnection,
    order: OrderKey,
    filename: Option<&str>,
    traces: &Traces,
) -> Result<(), StoreError> {
    let key = order.to_string();
    let timeline = sqlx::query("SELECT timeline FROM customer_order WHERE key = $1").bind(&key);
    // Its events name the customer also where they lead to no order any more.
    let timeline = match timeline.fetch_optional(&mut *conn).await? {
        Some(row) => readable(row.try_get(0).map_err(StoreError::from).and_then(from_json::<Timeline>))?,
        None => None,
    };
    let timeline = timeline.map(|mut timeline| {
        timeline.forget_customer(traces);
        timeline.to_text()
    });
    sqlx::query("UPDATE customer_order SET timeline = coalesce($2, timeline), erased = 1 WHERE key = $1")
        .bind(&key)
        .bind(timeline)
        .execute(&mut *conn)
        .await?;
    let events = sqlx::query("SELECT seq, data FROM event WHERE order_key = $1").bind(&key);
    for row in events.fetch_all(&mut *conn).await? {
        let told = row.try_get(1).map_err(StoreError::from).and_then(from_json::<Order>);
        let Some(mut told) = readable(told)? else { continue };
        told.forget_customer(traces);
        sqlx::query("UPDATE event SET data = $2 WHERE seq = $1")
            .bind(row.try_get::<i64, _>(0)?)
            .bind(serde_json::to_string(&told).unwrap_or_default())
            .execute(&mut *conn)
            .await?;
    }
    for change in [
        "UPDATE attempt SET status = NULL, excerpt = NULL
         WHERE delivery_id IN (SELECT id FROM delivery WHERE order_key = $1)",
        // Whoever has read the row and is about to send its message has to look again. Made anew, it is as good as never
        // attempted, and waits where the till is still to confirm the order.
        "UPDATE delivery SET payload = NULL, last_error = NULL, version = version + 1,
             held = coalesce((SELECT o.held FROM customer_order o WHERE o.key = $1), 0)
         WHERE order_key = $1",
    ] {
        sqlx::query(change).bind(&key).execute(&mut *conn).await?;
    }
    sqlx::query("UPDATE invoice SET filename = $2 WHERE order_key = $1 AND filename IS NOT NULL AND $2 IS NOT NULL")
        .bind(&key)
        .bind(filename)
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// What can be read; an error of the database stays one.
fn readable<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Err(StoreError::Corrupt(_)) => Ok(None),
        read => read.map(Some),
    }
}

/// A row whose fourth column, and every one after it, is a customer as JSON, or nothing.
fn customer_line(row: &SqliteRow) -> Result<CustomerLine, StoreError> {
    let mut customers = Vec::new();
    for column in 3..row.len() {
        if let Some(customer) = row.try_get::<Option<String>, _>(column)? {
            customers.extend(from_json::<Option<Customer>>(&customer)?);
        }
    }
    Ok(CustomerLine { seq: row.try_get(0)?, order: parse(row.try_get(1)?)?, shop: parse(row.try_get(2)?)?, customers })
}

fn kept_body(row: &SqliteRow) -> Result<KeptBody, StoreError> {
    let order: Option<String> = row.try_get(4)?;
    let query = lossy(row, 6).unwrap_or_default();
    let body: Option<Vec<u8>> = row.try_get(7)?;
    Ok(KeptBody {
        seq: row.try_get(0)?,
        id: id_of(row, 1).unwrap_or_default(),
        shop: parse(row.try_get(2)?)?,
        quarantined: row.try_get(3)?,
        order: order.as_deref().map(parse).transpose()?,
        erased: row.try_get::<i64, _>(5)? > 0,
        bytes: [query.into_bytes(), vec![b'\n'], body.unwrap_or_default()].concat(),
    })
}

//! Taking a person out of what is stored: which rows lose what.
//!
//! It goes in commits of its own, so that the till is not held up. Nothing here decides who is meant; that is
//! `upkeep/erasure.rs`, which finds them by `customers.rs` and `opaque.rs`.
//!
//! **Invariant:** an order whose customer is erased has no receipt with a body, and never gets one again
//! (`record/announce.rs`).

use std::sync::Arc;

use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{Store, StoreError, from_json, rows::lossy};
use crate::order::{Order, OrderKey, ShopId, Timeline, Traces};

/// How the recipients of a message stand, without what the far side said of them.
macro_rules! without_answers {
    () => {
        "recipients = iif(json_valid(recipients),
             (SELECT json_group_array(json_remove(value, '$.error')) FROM json_each(delivery.recipients)), NULL)"
    };
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
                        concat!(
                            "UPDATE delivery SET payload = NULL, last_error = NULL, version = version + 1, ",
                            without_answers!(),
                            " WHERE $2 IS NOT NULL AND order_key IS NULL AND event_id = (SELECT id FROM event WHERE seq = $1)"
                        ),
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
        Some(row) => StoreError::readable(row.try_get(0).map_err(StoreError::from).and_then(from_json::<Timeline>))?,
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
    let events = sqlx::query_scalar("SELECT seq FROM event WHERE order_key = $1").bind(&key);
    let events: Vec<i64> = events.fetch_all(&mut *conn).await?;
    // One at a time: each may be as large as an order.
    for seq in events {
        let row = sqlx::query("SELECT data FROM event WHERE seq = $1").bind(seq).fetch_one(&mut *conn).await?;
        let told = row.try_get(0).map_err(StoreError::from).and_then(from_json::<Order>);
        let Some(mut told) = StoreError::readable(told)? else { continue };
        told.forget_customer(traces);
        sqlx::query("UPDATE event SET data = $2 WHERE seq = $1")
            .bind(seq)
            .bind(serde_json::to_string(&told).unwrap_or_default())
            .execute(&mut *conn)
            .await?;
    }
    for change in [
        "UPDATE attempt SET status = NULL, excerpt = NULL
         WHERE delivery_id IN (SELECT id FROM delivery WHERE order_key = $1)",
        // Whoever has read the row and is about to send its message has to look again. Made anew, it is as good as never
        // attempted, and waits where the till is still to confirm the order.
        concat!(
            "UPDATE delivery SET payload = NULL, last_error = NULL, version = version + 1, ",
            without_answers!(),
            ", held = coalesce((SELECT o.held FROM customer_order o WHERE o.key = $1), 0) WHERE order_key = $1"
        ),
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

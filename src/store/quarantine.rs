//! Quarantine, and what a person does to deliveries by hand.

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Row, sqlite::SqliteRow};

use super::{
    QuarantineLine, Raw, Rows, Store, StoreError, micros, parse,
    rows::{Name, lossy},
    timestamp,
};
use crate::order::{DeliveryId, ReceiptId, ShopId, SinkName};

/// A call that could not be read.
#[derive(Clone)]
pub struct QuarantinedBody {
    /// Its receipt.
    pub id: ReceiptId,
    /// The shop.
    pub shop: ShopId,
    /// When it came.
    pub received_at: Timestamp,
    /// Its bytes.
    pub raw: Raw,
    /// Why it could not be read.
    pub reason: String,
    /// `reprocessed` or `dismissed`, once it is out.
    pub resolution: Option<String>,
}

impl Store {
    /// What is in quarantine, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list_quarantine(&self, limit: u32) -> Result<Rows<QuarantineLine>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, shop, received_at, reason, seq FROM receipt
             WHERE outcome = 'quarantined' AND resolution IS NULL ORDER BY seq LIMIT $1",
        );
        let rows = rows.bind(limit).fetch_all(self.readers()).await?;
        let line = |row: &SqliteRow| {
            let id: ReceiptId = parse(row.try_get(0)?)?;
            Ok(QuarantineLine {
                id: id.to_string(),
                shop: row.try_get(1)?,
                received_at: timestamp(row.try_get(2)?)?,
                reason: lossy(row, 3).unwrap_or_default(),
            })
        };
        Rows::read(&rows, line, |row| Name::placed("call", row, 0, 4))
    }

    /// A quarantined body, also one that is out already.
    ///
    /// # Errors
    /// What the database says.
    pub async fn quarantined(&self, id: ReceiptId) -> Result<Option<QuarantinedBody>, StoreError> {
        let row = sqlx::query(
            "SELECT id, shop, received_at, method, content_type, query, body, reason, resolution, announced
             FROM receipt
             WHERE id = $1 AND outcome = 'quarantined'",
        );
        let row = row.bind(id.to_string()).fetch_optional(self.readers()).await?;
        let body = |row: SqliteRow| {
            Ok(QuarantinedBody {
                id: parse(row.try_get(0)?)?,
                shop: parse(row.try_get(1)?)?,
                received_at: timestamp(row.try_get(2)?)?,
                raw: Raw {
                    method: row.try_get(3)?,
                    content_type: row.try_get(4)?,
                    query: row.try_get(5)?,
                    body: row.try_get::<Option<Vec<u8>>, _>(6)?.unwrap_or_default().into(),
                    announced: row.try_get::<Option<i64>, _>(9)?.map(i64::unsigned_abs),
                },
                reason: lossy(&row, 7).unwrap_or_default(),
                resolution: lossy(&row, 8),
            })
        };
        row.map(body).transpose()
    }

    /// Takes a body out of quarantine without reading it. Returns whether it was in. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn dismiss(&self, id: ReceiptId, now: Timestamp) -> Result<bool, StoreError> {
        self.write(move |conn| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE receipt SET resolution = 'dismissed', resolved_at = $2
                     WHERE id = $1 AND outcome = 'quarantined' AND resolution IS NULL",
                )
                .bind(id.to_string())
                .bind(micros(now))
                .execute(conn)
                .await
                .map(|done| done.rows_affected() > 0)
            })
        })
        .await
    }

    /// Whether a later delivery of the same lane was delivered already.
    ///
    /// # Errors
    /// What the database says.
    pub async fn is_overtaken(&self, id: DeliveryId) -> Result<bool, StoreError> {
        let overtaken: i64 = sqlx::query_scalar(
            // Two halves, because each has an index of its own.
            "SELECT EXISTS (SELECT 1 FROM delivery d JOIN delivery later
                            ON later.order_key = d.order_key AND later.lane = d.lane
                            WHERE d.id = $1 AND later.seq > d.seq AND later.status IN ('sending', 'delivered'))
                 OR EXISTS (SELECT 1 FROM delivery d JOIN delivery later
                            ON later.order_key IS NULL AND later.lane = d.lane
                            WHERE d.id = $1 AND d.order_key IS NULL AND later.seq > d.seq
                              AND later.status IN ('sending', 'delivered'))",
        )
        .bind(id.to_string())
        .fetch_one(self.readers())
        .await?;
        Ok(overtaken == 1)
    }

    /// Makes a delivery that is not delivered and not being sent due at once, with a fresh schedule, and one that was, for
    /// the addresses alone that it was given up for. One that is sent again keeps the time at which it was delivered; to
    /// everybody, where that is wanted (`also_delivered`) although nobody was given up. Returns whether it was made due.
    /// Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn retry_delivery(
        &self,
        id: DeliveryId,
        now: Timestamp,
        also_delivered: bool,
    ) -> Result<bool, StoreError> {
        self.write(move |conn| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE delivery SET status = CASE WHEN attempts = 0 THEN 'pending' ELSE 'retrying' END, open = 1,
                         version = version + 1, retries = 0, first_attempt_at = NULL, due_at = $2, settle_until = $2,
                         invoice_until = min(invoice_until, $2), skipped_because = NULL, given_up = 0,
                         recipients = CASE WHEN $3 AND status = 'delivered' AND given_up = 0 THEN NULL
                                           ELSE replace(recipients, '\"given_up\"', '\"refused\"') END
                     WHERE id = $1 AND status <> 'sending' AND (status <> 'delivered' OR given_up > 0 OR $3)",
                )
                .bind(id.to_string())
                .bind(micros(now))
                .bind(also_delivered)
                .execute(conn)
                .await
                .map(|done| done.rows_affected() > 0)
            })
        })
        .await
    }

    /// Makes every dead delivery of a sink due at once that no later one has overtaken, or every one; and those that were
    /// given up for some addresses, for these alone. Returns how many. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn retry_dead(&self, sink: &SinkName, now: Timestamp, also_overtaken: bool) -> Result<u64, StoreError> {
        let sink = sink.to_string();
        self.write(move |conn| {
            let sink = sink.clone();
            Box::pin(async move {
                let dead = sqlx::query(
                    "UPDATE delivery SET status = 'retrying', open = 1, version = version + 1, retries = 0,
                         first_attempt_at = NULL, due_at = $2
                     WHERE sink = $1 AND status = 'dead'
                       AND ($3 OR NOT (EXISTS (SELECT 1 FROM delivery later
                               WHERE later.order_key = delivery.order_key AND later.lane = delivery.lane
                                 AND later.seq > delivery.seq AND later.status IN ('sending', 'delivered'))
                           OR EXISTS (SELECT 1 FROM delivery later
                               WHERE delivery.order_key IS NULL AND later.order_key IS NULL
                                 AND later.lane = delivery.lane AND later.seq > delivery.seq
                                 AND later.status IN ('sending', 'delivered'))))",
                )
                .bind(&sink)
                .bind(micros(now))
                .bind(also_overtaken)
                .execute(&mut *conn)
                .await?
                .rows_affected();
                let partly = sqlx::query(
                    "UPDATE delivery SET status = 'retrying', open = 1, version = version + 1, retries = 0,
                         first_attempt_at = NULL, due_at = $2, given_up = 0,
                         recipients = replace(recipients, '\"given_up\"', '\"refused\"')
                     WHERE sink = $1 AND given_up > 0 AND status = 'delivered'",
                );
                let partly = partly.bind(&sink).bind(micros(now)).execute(conn).await?.rows_affected();
                Ok::<_, sqlx::Error>(dead + partly)
            })
        })
        .await
    }

    /// Ends a delivery that is not being sent and is not over, or dead. One that was delivered before, and was only to be
    /// sent again, goes back to `delivered`: the far side has it. Returns whether it did. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn skip_delivery(&self, id: DeliveryId) -> Result<bool, StoreError> {
        let which = "id = $1 AND status IN ('pending', 'retrying', 'dead')";
        Ok(self.skip(which, id.to_string()).await? > 0)
    }

    /// The same with every delivery that waits for a sink. Returns how many these are. Atomic.
    ///
    /// # Errors
    /// When nothing of it is on disk.
    pub async fn skip_open(&self, sink: &SinkName) -> Result<u64, StoreError> {
        self.skip("sink = $1 AND open = 1 AND status IN ('pending', 'retrying')", sink.to_string()).await
    }

    async fn skip(&self, which: &'static str, value: String) -> Result<u64, StoreError> {
        self.write_alone(move |conn| {
            let value = value.clone();
            Box::pin(async move {
                let skip = format!(
                    "UPDATE delivery SET open = 0, version = version + 1,
                         status = CASE WHEN delivered_at IS NULL THEN 'skipped' ELSE 'delivered' END,
                         skipped_because = CASE WHEN delivered_at IS NULL THEN 'by hand' END,
                         last_error = CASE WHEN delivered_at IS NULL THEN last_error END
                     WHERE {which}"
                );
                let skipped = sqlx::query(AssertSqlSafe(skip)).bind(value).execute(conn).await?;
                Ok::<_, sqlx::Error>(skipped.rows_affected())
            })
        })
        .await
    }
}

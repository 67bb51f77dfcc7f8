//! The limit of a sink: while it has had as many messages as it is to have, what it is not told, and what a summary tells
//! of that.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{
    Changes, NewDigest, Store, StoreError, changes, micros, parse,
    rows::{nearest, texts},
};
use crate::order::{OrderKey, SinkName};

const A_DAY: Duration = Duration::from_hours(24);

/// Why a delivery was skipped: its sink has had as many messages as it is to have.
pub const LIMIT: &str = "limit";

/// The same, once a summary told of it.
const TOLD_IN_SUMMARY: &str = "limit, told in a summary";

impl Store {
    /// From when until when a sink gets no single messages.
    ///
    /// # Errors
    /// What the database says.
    pub async fn limited(&self, sink: &SinkName) -> Result<Option<(Timestamp, Timestamp)>, StoreError> {
        let row: Option<(Option<i64>, Option<i64>)> =
            sqlx::query_as("SELECT limited_since, limited_until FROM sink_state WHERE sink = $1")
                .bind(sink.as_str())
                .fetch_optional(self.readers())
                .await?;
        let both = row.and_then(|(since, until)| since.zip(until));
        Ok(both.map(|(since, until)| (nearest(since), nearest(until))))
    }

    /// Lets a sink have no single messages from one time until another, and tells of it. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn limit_sink(
        &self,
        sink: &SinkName,
        (since, until): (Timestamp, Timestamp),
        alert: impl Fn() -> Changes + Send + Sync + 'static,
    ) -> Result<(), StoreError> {
        const LIMIT: &str = "UPDATE sink_state SET limited_since = $2, limited_until = $3 WHERE sink = $1";
        let (sink, alert) = (sink.to_string(), Arc::new(alert));
        self.write(move |conn| {
            let (sink, alert) = (sink.clone(), alert.clone());
            Box::pin(async move {
                let limit = sqlx::query(LIMIT).bind(sink).bind(micros(since)).bind(micros(until));
                limit.execute(&mut *conn).await?;
                changes::apply(conn, alert()).await
            })
        })
        .await
    }

    /// Lets a sink have single messages again, unless another limit was begun since. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn end_limit(&self, sink: &SinkName, until: Timestamp) -> Result<(), StoreError> {
        const END: &str = "UPDATE sink_state SET limited_since = NULL, limited_until = NULL
            WHERE sink = $1 AND limited_until = $2";
        let sink = sink.to_string();
        self.write(move |conn| {
            let sink = sink.clone();
            Box::pin(async move { sqlx::query(END).bind(sink).bind(micros(until)).execute(conn).await.map(drop) })
        })
        .await
    }

    /// How many messages about orders a sink was sent since a time, of those enqueued in the week before it or later.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sent_since(&self, sink: &SinkName, since: Timestamp) -> Result<u32, StoreError> {
        let sent = sqlx::query_scalar(
            "SELECT count(*) FROM delivery
             WHERE id >= $2 AND sink = $1 AND first_attempt_at >= $3 AND order_key IS NOT NULL AND purpose <> 'alert'",
        );
        // An id begins with the millisecond in which the delivery was enqueued; what waited for longer is not counted.
        let earliest = format!("dlv_{:012x}", (since - 8 * A_DAY).as_millisecond().max(0));
        Ok(sent.bind(sink.as_str()).bind(earliest).bind(micros(since)).fetch_one(self.readers()).await?)
    }

    /// The orders of which a sink was told in no message, because of its limit.
    ///
    /// # Errors
    /// What the database says.
    pub async fn untold(&self, sink: &SinkName) -> Result<Vec<OrderKey>, StoreError> {
        let untold = sqlx::query(
            "SELECT DISTINCT d.order_key FROM delivery d
             WHERE d.sink = $1 AND d.skipped_because = 'limit' AND d.order_key IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM delivery t
                               WHERE t.order_key = d.order_key AND t.sink = d.sink 
                                 AND (t.status = 'delivered' OR t.recipients IS NOT NULL))",
        );
        let keys = texts(&untold.bind(sink.as_str()).fetch_all(self.readers()).await?, 0);
        // A key that is none leads to no order.
        Ok(keys.iter().filter_map(|key| parse(key).ok()).collect())
    }
}

/// Marks what a summary tells of as told, inside its transaction.
pub(super) async fn told(conn: &mut SqliteConnection, new: &NewDigest) -> Result<(), sqlx::Error> {
    let orders: Vec<_> = new.lines.iter().map(|booking| booking.order).collect();
    sqlx::query(
        "UPDATE delivery SET skipped_because = $3, version = version + 1
         WHERE order_key IN (SELECT value FROM json_each($2)) AND sink = $1 AND skipped_because = $4",
    )
    .bind(new.sink.as_str())
    .bind(serde_json::json!(orders).to_string())
    .bind(TOLD_IN_SUMMARY)
    .bind(LIMIT)
    .execute(conn)
    .await
    .map(drop)
}

//! Orders that are here and that the till's own list does not have.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    Rows, Store, StoreError, micros, parse,
    rows::{Name, lossy, nearest},
    timestamp,
};
use crate::order::{Fingerprint, OrderKey, ShopId};

/// An order that the till does not know, or says that it cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnlistedOrder {
    /// Whose it is.
    pub shop: ShopId,
    /// The order.
    #[serde(skip_serializing)]
    pub order: OrderKey,
    /// Its number.
    pub number: String,
    /// Whether the list has it, and says that it is cancelled.
    pub cancelled: bool,
    /// When that was noticed.
    pub since: Timestamp,
}

/// An order that the till announced, as its list should have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The order.
    pub order: OrderKey,
    /// `orderInternalID`
    pub internal_id: Option<String>,
    /// `orderID`
    pub order_id: Option<String>,
    /// When it was sold: its validation, else its arrival.
    pub sold_at: Timestamp,
}

/// For how long an order stays listed, in microseconds: as long as summaries are corrected.
const KEPT: i64 = 62 * 24 * 3_600 * 1_000_000;

/// The newest of a shop's orders, as many as are looked at together.
const NEWEST: i64 = 20_000;

impl Store {
    /// The orders that came to a shop between two times, both included, but for those of which `found` is among what a phase
    /// said: these were taken from the list itself. Tests are none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn announced_between(
        &self,
        shop: &ShopId,
        from: Timestamp,
        to: Timestamp,
        found: Fingerprint,
    ) -> Result<Vec<Announced>, StoreError> {
        let rows = sqlx::query(
            "SELECT o.key, o.internal_id, o.order_id, o.received_at,
                    CASE WHEN octet_length(l.data) <= 65536 AND json_valid(l.data) THEN l.data ->> '$.dates.validated' END
             FROM (SELECT DISTINCT order_key FROM event
                   WHERE id >= $6 AND id < $7 AND +shop = $1 AND order_key IS NOT NULL) e
             CROSS JOIN customer_order o ON o.key = e.order_key LEFT JOIN event l ON l.id = o.last_event
             WHERE o.test = 0 AND o.received_at BETWEEN $2 AND $3
               AND NOT EXISTS (SELECT 1 FROM announcement a WHERE a.order_key = o.key AND a.fingerprint = $4)
             ORDER BY o.seq DESC LIMIT $5",
        );
        // An id begins with its millisecond.
        let id = |at: Timestamp, more: i64| format!("evt_{:012x}", at.as_millisecond().max(0) + more);
        let rows = rows.bind(shop.as_str()).bind(micros(from)).bind(micros(to)).bind(found.0.to_vec()).bind(NEWEST);
        let rows = rows.bind(id(from, 0)).bind(id(to, 1));
        let announced = |row: &SqliteRow| {
            let sold_at: Option<Timestamp> = lossy(row, 4).and_then(|at| at.parse().ok());
            Some(Announced {
                order: parse(&lossy(row, 0)?).ok()?,
                internal_id: lossy(row, 1),
                order_id: lossy(row, 2),
                sold_at: sold_at.unwrap_or(nearest(row.try_get(3).ok()?)),
            })
        };
        // What cannot be read of an order is named elsewhere.
        Ok(rows.fetch_all(self.readers()).await?.iter().filter_map(announced).collect())
    }

    /// Remembers what a comparison said of these orders: those of `listed` are in the till's list, the others are not, or are
    /// cancelled there. Returns how many are new. Atomic; writes nothing where nothing changes.
    ///
    /// # Errors
    /// When nothing of it is on disk.
    pub async fn note_unlisted(
        &self,
        shop: &ShopId,
        listed: &[OrderKey],
        unlisted: &[(OrderKey, bool)],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        const IS_ANY: &str = "SELECT EXISTS (SELECT 1 FROM unlisted_order WHERE shop = $1)";
        let is_any: bool = sqlx::query_scalar(IS_ANY).bind(shop.as_str()).fetch_one(self.readers()).await?;
        if unlisted.is_empty() && !is_any {
            return Ok(0);
        }
        let unlisted: Vec<_> =
            unlisted.iter().map(|(order, cancelled)| json!([order, i32::from(*cancelled)])).collect();
        let work = Arc::new((shop.to_string(), json!(listed).to_string(), json!(unlisted).to_string(), micros(now)));
        self.write(move |conn| {
            let work = work.clone();
            Box::pin(async move { note(conn, &work.0, &work.1, &work.2, work.3).await })
        })
        .await
    }

    /// The orders that the till's own list does not have, by shop and number; of one shop, or of all.
    ///
    /// # Errors
    /// What the database says.
    pub async fn unlisted_orders(&self, shop: Option<&ShopId>) -> Result<Rows<UnlistedOrder>, StoreError> {
        let rows = sqlx::query(
            "SELECT u.shop, u.order_key, coalesce(o.order_id, o.internal_id, '?'), u.cancelled, u.since
             FROM unlisted_order u JOIN customer_order o ON o.key = u.order_key
             WHERE $1 IS NULL OR u.shop = $1 ORDER BY u.shop, length(o.order_id), o.order_id, o.seq",
        );
        let found = rows.bind(shop.map(ShopId::as_str)).fetch_all(self.readers()).await?;
        Ok(self.log(Rows::read(&found, unlisted, |row| Name::of_order("order that is not listed", row, [2, 2, 1], 0))?))
    }
}

async fn note(
    conn: &mut SqliteConnection,
    shop: &str,
    listed: &str,
    unlisted: &str,
    now: i64,
) -> Result<u64, sqlx::Error> {
    let forget = sqlx::query(
        "DELETE FROM unlisted_order
         WHERE shop = $1 AND (since < $3 OR order_key IN (SELECT value FROM json_each($2)))",
    );
    forget.bind(shop).bind(listed).bind(now - KEPT).execute(&mut *conn).await?;
    let notice = sqlx::query(
        "INSERT INTO unlisted_order (shop, order_key, cancelled, since)
         SELECT $1, value ->> 0, value ->> 1, $3 FROM json_each($2) WHERE true ON CONFLICT (shop, order_key) DO NOTHING",
    );
    Ok(notice.bind(shop).bind(unlisted).bind(now).execute(conn).await?.rows_affected())
}

fn unlisted(row: &SqliteRow) -> Result<UnlistedOrder, StoreError> {
    Ok(UnlistedOrder {
        shop: parse(row.try_get(0)?)?,
        order: parse(row.try_get(1)?)?,
        number: row.try_get(2)?,
        cancelled: row.try_get(3)?,
        since: timestamp(row.try_get(4)?)?,
    })
}

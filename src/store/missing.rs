//! Orders that are not with us: how far the numbers of a shop were looked at, and which of them are missing.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    Changes, Rows, Store, StoreError, changes, from_json, micros, parse,
    rows::{Name, nearest},
    timestamp,
};
use crate::order::{NumberRange, ShopId};

/// How far the numbers of a shop were looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberWatch {
    /// The newest event that was looked at.
    pub seen: i64,
    /// The sequences that were seen.
    pub sequences: Vec<NumberRange>,
}

/// An order that is not with us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingOrder {
    /// Whose it is.
    pub shop: ShopId,
    /// Its number.
    pub number: String,
    /// What betrayed it: `numbers`, `reconciliation`.
    pub source: String,
    /// When it was noticed.
    pub since: Timestamp,
    /// When somebody was told.
    pub told_at: Option<Timestamp>,
}

/// What a look at the numbers of a shop's new orders found.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Whose they are.
    pub shop: ShopId,
    /// How far they were looked at now.
    pub watch: NumberWatch,
    /// Numbers that they leave open, and since when.
    pub open: Vec<(String, Timestamp)>,
    /// Numbers that arrived.
    pub arrived: Vec<String>,
}

/// An event about an order, as the numbers see it.
#[derive(Clone, Debug)]
pub struct NumberedEvent {
    /// Its place.
    pub seq: i64,
    /// When it was recorded.
    pub at: Timestamp,
    /// The order's number, where it has one.
    pub number: Option<String>,
}

impl Store {
    /// How far the numbers of a shop were looked at; `None` where they never were, or where that cannot be read: then they
    /// are looked at as at the first start.
    ///
    /// # Errors
    /// What the database says.
    pub async fn number_watch(&self, shop: &ShopId) -> Result<Option<NumberWatch>, StoreError> {
        let row = sqlx::query("SELECT seen, sequences FROM number_watch WHERE shop = $1").bind(shop.as_str());
        let row = row.fetch_optional(self.readers()).await?;
        let watch = |row: SqliteRow| Ok(NumberWatch { seen: row.try_get(0)?, sequences: from_json(row.try_get(1)?)? });
        self.or_none(row.map(watch).transpose(), "numbers of", shop.as_str())
    }

    /// A shop's events about orders after one, oldest first; tests are none. At most `most`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn numbers_after(&self, shop: &ShopId, after: i64, most: u32) -> Result<Vec<NumberedEvent>, StoreError> {
        let rows = sqlx::query(
            "SELECT e.seq, e.at, o.order_id FROM event e CROSS JOIN customer_order o ON o.key = e.order_key
             WHERE e.seq > $2 AND e.shop = $1 AND o.test = 0 ORDER BY e.seq LIMIT $3",
        );
        let event = |row: &SqliteRow| {
            // A number that is none follows no other.
            let number = row.try_get(2).unwrap_or_default();
            Ok(NumberedEvent { seq: row.try_get(0)?, at: nearest(row.try_get(1)?), number })
        };
        let rows = rows.bind(shop.as_str()).bind(after).bind(most).fetch_all(self.readers()).await?;
        rows.iter().map(event).collect()
    }

    /// Remembers what a look at a shop's numbers found: what is open and not with us is missing, what arrived is not. Atomic.
    ///
    /// # Errors
    /// When nothing of it is on disk.
    pub async fn hear_numbers(&self, heard: Heard) -> Result<(), StoreError> {
        let heard = Arc::new(heard);
        self.write(move |conn| {
            let heard = heard.clone();
            Box::pin(async move { hear(conn, &heard).await })
        })
        .await
    }

    /// The orders that are not with us, by shop and number; of one shop, or of all.
    ///
    /// # Errors
    /// What the database says.
    pub async fn missing_orders(&self, shop: Option<&ShopId>) -> Result<Rows<MissingOrder>, StoreError> {
        let rows = sqlx::query(
            "SELECT shop, number, source, since, told_at FROM missing_order
             WHERE ($1 IS NULL OR shop = $1)
               AND NOT EXISTS (SELECT 1 FROM customer_order o
                               WHERE o.shop = missing_order.shop AND o.order_id = missing_order.number AND o.test = 0)
             ORDER BY shop, length(number), number",
        );
        let found = rows.bind(shop.map(ShopId::as_str)).fetch_all(self.readers()).await?;
        Ok(self.log(Rows::read(&found, missing, |row| Name::of_order("missing order", row, [1, 1, 1], 0))?))
    }

    /// Lists no longer what a shop was told of before a time. Writes nothing where there is none.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn forget_missing(&self, shop: &ShopId, before: Timestamp) -> Result<(), StoreError> {
        const IS_ANY: &str = "SELECT EXISTS (SELECT 1 FROM missing_order WHERE shop = $1 AND told_at < $2)";
        const FORGET: &str = "DELETE FROM missing_order WHERE shop = $1 AND told_at < $2";
        let (shop, before) = (shop.to_string(), micros(before));
        if !sqlx::query_scalar(IS_ANY).bind(&shop).bind(before).fetch_one(self.readers()).await? {
            return Ok(());
        }
        self.write(move |conn| {
            let shop = shop.clone();
            Box::pin(async move { sqlx::query(FORGET).bind(shop).bind(before).execute(conn).await.map(drop) })
        })
        .await
    }

    /// Tells of missing orders with what `alert` makes of those that are missing still and were not told, in one commit.
    /// Returns how many these are.
    ///
    /// # Errors
    /// When nothing of it is on disk.
    pub async fn tell_of_missing(
        &self,
        untold: &[MissingOrder],
        now: Timestamp,
        alert: impl Fn(&[MissingOrder]) -> Changes + Send + Sync + 'static,
    ) -> Result<usize, StoreError> {
        let (untold, alert) = (Arc::new(untold.to_vec()), Arc::new(alert));
        self.write(move |conn| {
            let (untold, alert) = (untold.clone(), alert.clone());
            Box::pin(async move {
                let mut told = Vec::new();
                for order in untold.iter() {
                    if mark_told(conn, order, now).await? {
                        told.push(order.clone());
                    }
                }
                if !told.is_empty() {
                    changes::apply(conn, alert(&told)).await?;
                }
                Ok::<_, sqlx::Error>(told.len())
            })
        })
        .await
    }
}

async fn hear(conn: &mut SqliteConnection, heard: &Heard) -> Result<(), StoreError> {
    let open: Vec<(&str, i64)> = heard.open.iter().map(|(number, since)| (number.as_str(), micros(*since))).collect();
    let sequences = serde_json::to_string(&heard.watch.sequences).map_err(|error| super::corrupt(&error))?;
    sqlx::query("INSERT OR REPLACE INTO number_watch (shop, seen, sequences) VALUES ($1, $2, $3)")
        .bind(heard.shop.as_str())
        .bind(heard.watch.seen)
        .bind(sequences)
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "INSERT OR IGNORE INTO missing_order (shop, number, source, since)
         SELECT $1, n.value ->> 0, 'numbers', n.value ->> 1 FROM json_each($2) n
         WHERE NOT EXISTS (SELECT 1 FROM customer_order o
                           WHERE o.shop = $1 AND o.order_id = n.value ->> 0 AND o.test = 0)",
    )
    .bind(heard.shop.as_str())
    .bind(serde_json::json!(open).to_string())
    .execute(&mut *conn)
    .await?;
    sqlx::query("DELETE FROM missing_order WHERE shop = $1 AND number IN (SELECT value FROM json_each($2))")
        .bind(heard.shop.as_str())
        .bind(serde_json::json!(heard.arrived).to_string())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// Whether it is missing still, and was not told before.
async fn mark_told(conn: &mut SqliteConnection, order: &MissingOrder, now: Timestamp) -> Result<bool, sqlx::Error> {
    let mark = sqlx::query(
        "UPDATE missing_order SET told_at = $3 WHERE shop = $1 AND number = $2 AND told_at IS NULL
         AND NOT EXISTS (SELECT 1 FROM customer_order o WHERE o.shop = $1 AND o.order_id = $2 AND o.test = 0)",
    );
    let marked = mark.bind(order.shop.as_str()).bind(&order.number).bind(micros(now)).execute(conn).await?;
    Ok(marked.rows_affected() == 1)
}

fn missing(row: &SqliteRow) -> Result<MissingOrder, StoreError> {
    Ok(MissingOrder {
        shop: parse(row.try_get(0)?)?,
        number: row.try_get(1)?,
        source: row.try_get(2)?,
        since: timestamp(row.try_get(3)?)?,
        told_at: row.try_get::<Option<i64>, _>(4)?.map(timestamp).transpose()?,
    })
}

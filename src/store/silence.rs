//! When a till last said something, and when a shop usually sells.

use std::sync::Arc;

use jiff::{Timestamp, civil::Date};
use sqlx::{Row, sqlite::SqliteRow};

use super::{Changes, Store, StoreError, changes, micros, rows::nearest, timestamp};
use crate::order::ShopId;

/// When a shop's till last said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TillWord {
    /// The newest event that was looked at.
    pub seen: i64,
    /// When the last word came.
    pub said_at: Timestamp,
    /// When somebody was told that nothing came since.
    pub told_at: Option<Timestamp>,
}

impl Store {
    /// When a till last said something, as far as it was looked at. What of that cannot be read is looked at again.
    ///
    /// # Errors
    /// What the database says.
    pub async fn till_word(&self, shop: &ShopId) -> Result<Option<TillWord>, StoreError> {
        let row = sqlx::query("SELECT seen, said_at, told_at FROM till_word WHERE shop = $1").bind(shop.as_str());
        let row = row.fetch_optional(self.readers()).await?;
        let word = |row: SqliteRow| {
            let told_at: Option<i64> = row.try_get(2)?;
            Ok(TillWord {
                seen: row.try_get(0)?,
                said_at: timestamp(row.try_get(1)?)?,
                told_at: told_at.map(timestamp).transpose()?,
            })
        };
        self.or_none(row.map(word).transpose(), "last word of the till of", shop.as_str())
    }

    /// The newest event after one that a call of a shop's till made, and when; tests are none of the till's, nor is what we found in its list.
    ///
    /// # Errors
    /// What the database says.
    pub async fn newest_word(&self, shop: &ShopId, after: i64) -> Result<Option<(i64, Timestamp)>, StoreError> {
        let newest: Option<(i64, i64)> = sqlx::query_as(
            "SELECT seq, at FROM event WHERE seq > $2 AND shop = $1 AND test = 0 AND iif(json_valid(data), data ->> 'source', NULL) IS NULL
             AND (type GLOB 'order.*' OR type GLOB 'cashbox.*' OR type = 'till.unknown') ORDER BY seq DESC LIMIT 1",
        )
        .bind(shop.as_str())
        .bind(after)
        .fetch_optional(self.readers())
        .await?;
        Ok(newest.map(|(seq, at)| (seq, nearest(at))))
    }

    /// Remembers the last word of a till, and tells of the silence after it where there is something to tell and it was not
    /// told before. Atomic.
    ///
    /// # Errors
    /// When nothing of it is on disk.
    pub async fn note_till_word(
        &self,
        shop: &ShopId,
        word: TillWord,
        told: impl Fn() -> Changes + Send + Sync + 'static,
    ) -> Result<(), StoreError> {
        const NOTE: &str = "INSERT INTO till_word (shop, seen, said_at, told_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (shop) DO UPDATE SET seen = $2, said_at = $3, told_at = $4 WHERE seen < $2 OR told_at IS NULL";
        let (shop, told) = (shop.to_string(), Arc::new(told));
        self.write(move |conn| {
            let (shop, told) = (shop.clone(), told.clone());
            Box::pin(async move {
                let note = sqlx::query(NOTE).bind(shop).bind(word.seen).bind(micros(word.said_at));
                let noted = note.bind(word.told_at.map(micros)).execute(&mut *conn).await?;
                if noted.rows_affected() == 0 {
                    return Ok(());
                }
                changes::apply(conn, told()).await
            })
        })
        .await
    }

    /// When the orders of a shop's day came that are no tests.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sold_at(&self, shop: &ShopId, day: Date) -> Result<Vec<Timestamp>, StoreError> {
        let times = sqlx::query_scalar(
            "SELECT received_at FROM customer_order WHERE shop = $1 AND booked_on = $2 AND test = 0",
        );
        let times: Vec<i64> = times.bind(shop.as_str()).bind(day.to_string()).fetch_all(self.readers()).await?;
        Ok(times.into_iter().map(nearest).collect())
    }
}

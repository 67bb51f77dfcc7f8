//! What somebody may mean: an order by one of its numbers, a delivery or a call by the beginning of its id.

use std::{fmt::Display, str::FromStr};

use sqlx::Row as _;

use super::{Rows, Store, StoreError, StoredOrder, parse, reading, rows::texts};
use crate::order::{DeliveryId, OrderKey, ReceiptId};

/// What somebody may mean who gives the beginning of an id.
#[derive(Clone, Debug)]
pub struct Called<T> {
    /// The ids, the oldest first, as many as were asked for.
    pub first: Vec<T>,
    /// How many there are in all.
    pub all: u64,
}

impl Store {
    /// The orders that somebody may mean by `name`: the one with this key, else those with this internal id, else those with
    /// this number.
    ///
    /// # Errors
    /// What the database says.
    pub async fn orders_called(&self, name: &str) -> Result<Rows<StoredOrder>, StoreError> {
        if let Ok(key) = name.parse::<OrderKey>()
            && let Some(order) = self.order(key).await?
        {
            return Ok(Rows::of([order]));
        }
        let by_internal_id = sqlx::query(
            "SELECT o.key, o.shop, o.test, o.received_at, o.last_event, e.data, o.verification, o.held,
                    o.order_id, o.internal_id
             FROM customer_order o LEFT JOIN event e ON e.id = o.last_event
             WHERE o.internal_id = $1 AND (e.id IS NOT NULL OR o.told IS NULL) ORDER BY o.seq",
        );
        let rows = by_internal_id.bind(name).fetch_all(self.readers()).await?;
        if !rows.is_empty() {
            return Rows::read(&rows, reading::order, reading::unread_order);
        }
        let by_number = sqlx::query(
            "SELECT o.key, o.shop, o.test, o.received_at, o.last_event, e.data, o.verification, o.held,
                    o.order_id, o.internal_id
             FROM customer_order o LEFT JOIN event e ON e.id = o.last_event
             WHERE o.order_id = $1 AND (e.id IS NOT NULL OR o.told IS NULL) ORDER BY o.seq",
        );
        let rows = by_number.bind(name).fetch_all(self.readers()).await?;
        Rows::read(&rows, reading::order, reading::unread_order)
    }

    /// The deliveries whose ids begin with `text`, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn deliveries_called(&self, text: &str, limit: usize) -> Result<Called<DeliveryId>, StoreError> {
        // Ids end in hexadecimal digits, which are all before `g`.
        self.called(
            "SELECT id, count(*) OVER () FROM delivery WHERE id >= $1 AND id < $1 || 'g' ORDER BY id LIMIT $2",
            text,
            limit,
        )
        .await
    }

    /// The quarantined calls whose ids begin with `text`, oldest first, also those that are out already.
    ///
    /// # Errors
    /// What the database says.
    pub async fn quarantined_called(&self, text: &str, limit: usize) -> Result<Called<ReceiptId>, StoreError> {
        // Ids end in hexadecimal digits, which are all before `g`.
        let query = "SELECT id, count(*) OVER () FROM receipt
                     WHERE id >= $1 AND id < $1 || 'g' AND outcome = 'quarantined' ORDER BY id LIMIT $2";
        self.called(query, text, limit).await
    }

    /// The ids that `query` finds for the beginning `text`, each with the number of all of them.
    async fn called<T: FromStr<Err: Display>>(
        &self,
        query: &'static str,
        text: &str,
        limit: usize,
    ) -> Result<Called<T>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = sqlx::query(query).bind(text).bind(limit).fetch_all(self.readers()).await?;
        let all = rows.first().map_or(Ok(0), |row| row.try_get::<i64, _>(1))?.unsigned_abs();
        // What begins like an id and is none is nothing that can be asked for.
        Ok(Called { first: texts(&rows, 0).iter().filter_map(|id| parse(id).ok()).collect(), all })
    }
}

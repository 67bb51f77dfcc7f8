//! How far the till's own list of orders was compared with ours, and what was found there.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jiff::{Timestamp, civil::Date};
use serde_json::json;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    Changes, Store, StoreError, changes, micros, parse,
    rows::{lossy, nearest},
    timestamp,
    view::phase,
};
use crate::order::{Fingerprint, Period, Phase, ShopId};

/// How far a shop's orders were compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciliation {
    /// Whose they are.
    pub shop: ShopId,
    /// Nothing before is looked for.
    pub since: Timestamp,
    /// Up to when every order was looked for.
    pub done_until: Timestamp,
    /// As whom the till was asked, and where.
    pub till: String,
    /// Whether the till's list ever named an order that it had announced.
    pub recognised: bool,
    /// When the last comparison came to its end.
    pub ended_at: Option<Timestamp>,
    /// How many orders in it could not be read.
    pub unread: u32,
    /// Why the last one did not come to its end.
    pub trouble: Option<NotCompared>,
}

/// Why a comparison did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotCompared {
    /// What stood in the way the last time.
    pub reason: String,
    /// Since when none came to its end.
    pub since: Timestamp,
    /// When somebody was told.
    pub told_at: Option<Timestamp>,
}

/// An order that was found in the till's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundOrder {
    /// Whose it is.
    pub shop: ShopId,
    /// The number that people know it by.
    pub number: String,
    /// Whether nothing of it was with us; else one of its announcements was.
    pub whole: bool,
    /// When the till made it, else when it was found.
    pub at: Timestamp,
}

/// The till's numbers of an order in its list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListedNumbers {
    /// `orderInternalID`
    pub internal_id: String,
    /// `orderID`
    pub order_id: String,
}

/// By the rules of contract §5, Identity: the internal id, else an order that was founded without one.
const PHASES: &str = "
    WITH wanted AS (SELECT key AS place, value ->> 0 AS internal_id, value ->> 1 AS order_id FROM json_each($2))
    SELECT w.place, a.phase FROM wanted w
    CROSS JOIN customer_order o ON o.shop = $1 AND o.internal_id = w.internal_id AND o.test = 0
    JOIN announcement a ON a.order_key = o.key GROUP BY w.place, a.phase
    UNION
    SELECT w.place, a.phase FROM wanted w
    CROSS JOIN customer_order o ON o.shop = $1 AND o.order_id = w.order_id AND o.test = 0 AND o.internal_id IS NULL
    JOIN announcement a ON a.order_key = o.key GROUP BY w.place, a.phase";

/// For how long it is remembered since when an order is listed as paid: longer than one is looked for. Microseconds.
const PAYMENTS_KEPT: i64 = 62 * 24 * 3_600 * 1_000_000;

impl Store {
    /// How far the orders of a shop were compared; `None` where they never were.
    ///
    /// # Errors
    /// What the database says.
    pub async fn reconciliation(&self, shop: &ShopId) -> Result<Option<Reconciliation>, StoreError> {
        let row = sqlx::query(
            "SELECT shop, since, done_until, recognised, ended_at, unread, till, trouble, troubled_since, told_at
             FROM reconciliation WHERE shop = $1",
        );
        let row = row.bind(shop.as_str()).fetch_optional(self.readers()).await?;
        self.or_none(row.as_ref().map(reconciliation).transpose(), "comparison with the till of", shop.as_str())
    }

    /// Remembers how far the orders of a shop were compared. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn save_reconciliation(&self, state: &Reconciliation) -> Result<(), StoreError> {
        let state = Arc::new(state.clone());
        self.write(move |conn| {
            let state = state.clone();
            Box::pin(async move { save(conn, &state).await })
        })
        .await
    }

    /// The same, and tells somebody in the same commit, unless somebody was told of this trouble before.
    ///
    /// # Errors
    /// When nothing of it is on disk.
    pub async fn save_reconciliation_and_tell(
        &self,
        state: &Reconciliation,
        told: impl Fn() -> Changes + Send + Sync + 'static,
    ) -> Result<(), StoreError> {
        let (state, told) = (Arc::new(state.clone()), Arc::new(told));
        self.write(move |conn| {
            let (state, told) = (state.clone(), told.clone());
            Box::pin(async move {
                let was_told = sqlx::query_scalar(
                    "SELECT EXISTS (SELECT 1 FROM reconciliation WHERE shop = $1 AND told_at IS NOT NULL)",
                );
                let was_told: bool = was_told.bind(state.shop.as_str()).fetch_one(&mut *conn).await?;
                save(conn, &state).await?;
                if was_told { Ok(()) } else { changes::apply(conn, told()).await }
            })
        })
        .await
    }

    /// When the first event about an order of a shop came that is known still; tests are none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn first_order_at(&self, shop: &ShopId) -> Result<Option<Timestamp>, StoreError> {
        let first = sqlx::query_scalar(
            "SELECT at FROM event WHERE shop = $1 AND test = 0 AND order_key IS NOT NULL ORDER BY seq LIMIT 1",
        );
        let first: Option<i64> = first.bind(shop.as_str()).fetch_optional(self.readers()).await?;
        Ok(first.map(nearest))
    }

    /// The orders of these days that the till announced with both of their numbers, but for those of which `found` is among
    /// what a phase said; tests are none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn announced_orders(
        &self,
        shop: &ShopId,
        days: Period,
        found: Fingerprint,
    ) -> Result<HashSet<ListedNumbers>, StoreError> {
        let rows = sqlx::query(
            "SELECT o.internal_id, o.order_id FROM customer_order o
             WHERE o.shop = $1 AND o.booked_on BETWEEN $2 AND $3 AND o.test = 0
               AND o.internal_id IS NOT NULL AND o.order_id IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM announcement a WHERE a.order_key = o.key AND a.fingerprint = $4)",
        );
        let rows = rows.bind(shop.as_str()).bind(days.first.to_string()).bind(days.last.to_string());
        let numbers = |row: &SqliteRow| {
            Ok::<_, StoreError>(ListedNumbers { internal_id: row.try_get(0)?, order_id: row.try_get(1)? })
        };
        let found = rows.bind(found.0.to_vec()).fetch_all(self.readers()).await?;
        // Numbers that are none are in no list.
        Ok(found.iter().filter_map(|row| numbers(row).ok()).collect())
    }

    /// The newest order, by its day, that the till announced with both of its numbers, and that day; as above.
    ///
    /// # Errors
    /// What the database says.
    pub async fn last_announced(
        &self,
        shop: &ShopId,
        found: Fingerprint,
    ) -> Result<Option<(ListedNumbers, Date)>, StoreError> {
        let row = sqlx::query(
            "SELECT o.internal_id, o.order_id, o.booked_on FROM customer_order o
             WHERE o.shop = $1 AND o.booked_on IS NOT NULL AND o.test = 0
               AND o.internal_id IS NOT NULL AND o.order_id IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM announcement a WHERE a.order_key = o.key AND a.fingerprint = $2)
             ORDER BY o.booked_on DESC LIMIT 1",
        );
        let row = row.bind(shop.as_str()).bind(found.0.to_vec()).fetch_optional(self.readers()).await?;
        let order = |row: SqliteRow| {
            Ok((ListedNumbers { internal_id: row.try_get(0)?, order_id: row.try_get(1)? }, parse(row.try_get(2)?)?))
        };
        self.or_none(row.map(order).transpose(), "last order announced of", shop.as_str())
    }

    /// Which phases were heard of each of these orders, in their order; none of an order that is not with us.
    ///
    /// # Errors
    /// What the database says.
    pub async fn heard_phases(&self, shop: &ShopId, orders: &[ListedNumbers]) -> Result<Vec<Vec<Phase>>, StoreError> {
        let wanted: Vec<_> = orders.iter().map(|order| json!([order.internal_id, order.order_id])).collect();
        let rows = sqlx::query(PHASES).bind(shop.as_str()).bind(json!(wanted).to_string());
        let mut phases = vec![Vec::new(); orders.len()];
        for row in rows.fetch_all(self.readers()).await? {
            let place = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX);
            // A phase that is none was not heard of: its order is quarantined once it is taken over.
            let Ok(phase) = phase(row.try_get(1).unwrap_or_default()) else { continue };
            phases.get_mut(place).into_iter().for_each(|heard: &mut Vec<Phase>| heard.push(phase));
        }
        Ok(phases)
    }

    /// Since when the till's list has called these orders of a shop (internal ids) paid: from now on where it is seen for
    /// the first time. A clock that was set back begins anew. Atomic; writes nothing where there is none.
    ///
    /// # Errors
    /// When nothing of it is on disk.
    pub async fn listed_as_paid(
        &self,
        shop: &ShopId,
        orders: Vec<String>,
        now: Timestamp,
    ) -> Result<HashMap<String, Timestamp>, StoreError> {
        if orders.is_empty() {
            return Ok(HashMap::new());
        }
        let (shop, orders, now) = (shop.to_string(), json!(orders).to_string(), micros(now));
        let seen: Vec<(String, i64)> = self
            .write(move |conn| {
                let (shop, orders) = (shop.clone(), orders.clone());
                Box::pin(async move { see_payments(conn, &shop, &orders, now).await })
            })
            .await?;
        Ok(seen.into_iter().map(|(order, since)| (order, nearest(since))).collect())
    }

    /// Tells, with what `alert` makes of them, of the orders of a shop that were found and of which nobody was told, in one
    /// commit. Returns how many these are. Writes nothing where there is none.
    ///
    /// # Errors
    /// When nothing of it is on disk.
    pub async fn tell_of_found(
        &self,
        shop: &ShopId,
        alert: impl Fn(&[FoundOrder]) -> Changes + Send + Sync + 'static,
    ) -> Result<usize, StoreError> {
        const IS_ANY: &str = "SELECT EXISTS (SELECT 1 FROM found_order WHERE shop = $1)";
        if !sqlx::query_scalar(IS_ANY).bind(shop.as_str()).fetch_one(self.readers()).await? {
            return Ok(0);
        }
        let (shop, alert) = (shop.clone(), Arc::new(alert));
        self.write(move |conn| {
            let (shop, alert) = (shop.clone(), alert.clone());
            Box::pin(async move {
                let found = take_found(conn, &shop).await?;
                if !found.is_empty() {
                    changes::apply(conn, alert(&found)).await?;
                }
                Ok::<_, StoreError>(found.len())
            })
        })
        .await
    }
}

async fn save(conn: &mut SqliteConnection, state: &Reconciliation) -> Result<(), sqlx::Error> {
    let trouble = state.trouble.as_ref();
    sqlx::query(
        "INSERT OR REPLACE INTO reconciliation
             (shop, since, done_until, recognised, ended_at, unread, till, trouble, troubled_since, told_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(state.shop.as_str())
    .bind(micros(state.since))
    .bind(micros(state.done_until))
    .bind(state.recognised)
    .bind(state.ended_at.map(micros))
    .bind(state.unread)
    .bind(&state.till)
    .bind(trouble.map(|trouble| trouble.reason.as_str()))
    .bind(trouble.map(|trouble| micros(trouble.since)))
    .bind(trouble.and_then(|trouble| trouble.told_at).map(micros))
    .execute(conn)
    .await
    .map(drop)
}

async fn see_payments(
    conn: &mut SqliteConnection,
    shop: &str,
    orders: &str,
    now: i64,
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let forget = sqlx::query("DELETE FROM listed_payment WHERE shop = $1 AND since < $2");
    forget.bind(shop).bind(now - PAYMENTS_KEPT).execute(&mut *conn).await?;
    sqlx::query_as(
        "INSERT INTO listed_payment (shop, internal_id, since) SELECT $1, value, $3 FROM json_each($2) WHERE true
         ON CONFLICT (shop, internal_id) DO UPDATE SET since = min(since, excluded.since)
         RETURNING internal_id, since",
    )
    .bind(shop)
    .bind(orders)
    .bind(now)
    .fetch_all(conn)
    .await
}

async fn take_found(conn: &mut SqliteConnection, shop: &ShopId) -> Result<Vec<FoundOrder>, StoreError> {
    let rows = sqlx::query("SELECT number, whole, at FROM found_order WHERE shop = $1 ORDER BY length(number), number");
    let rows = rows.bind(shop.as_str()).fetch_all(&mut *conn).await?;
    sqlx::query("DELETE FROM found_order WHERE shop = $1").bind(shop.as_str()).execute(conn).await?;
    let found = |row: &SqliteRow| {
        let (number, whole) = (lossy(row, 0).unwrap_or_default(), row.try_get(1)?);
        Ok(FoundOrder { shop: shop.clone(), number, whole, at: nearest(row.try_get(2)?) })
    };
    rows.iter().map(found).collect()
}

/// Writes orders that were found, in the commit that records them.
pub(super) async fn keep_found(conn: &mut SqliteConnection, found: &[FoundOrder]) -> Result<(), sqlx::Error> {
    for order in found {
        sqlx::query(
            "INSERT INTO found_order (shop, number, whole, at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (shop, number) DO UPDATE SET whole = max(whole, excluded.whole)",
        )
        .bind(order.shop.as_str())
        .bind(&order.number)
        .bind(order.whole)
        .bind(micros(order.at))
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

fn reconciliation(row: &SqliteRow) -> Result<Reconciliation, StoreError> {
    let time = |column: usize| row.try_get::<Option<i64>, _>(column)?.map(timestamp).transpose();
    let ended_at: Option<Timestamp> = time(4)?;
    let trouble = match row.try_get::<Option<String>, _>(7)? {
        // Before it was noted since when, it was noted why.
        Some(reason) => {
            let since = time(8)?.or(ended_at).unwrap_or(timestamp(row.try_get(1)?)?);
            Some(NotCompared { reason, since, told_at: time(9)? })
        }
        None => None,
    };
    Ok(Reconciliation {
        shop: parse(row.try_get(0)?)?,
        since: timestamp(row.try_get(1)?)?,
        done_until: timestamp(row.try_get(2)?)?,
        recognised: row.try_get(3)?,
        ended_at,
        unread: row.try_get(5)?,
        till: row.try_get(6)?,
        trouble,
    })
}

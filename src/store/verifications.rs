//! Whether the till confirms its calls: what is to be asked, what it said, and which orders' messages wait for that.
//!
//! **Invariant:** what `customer_order` says of it (`verification`, `held`) is written with the rows of `verification`, in
//! the same transaction, by [`settle`] alone.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::json;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{Changes, Store, StoreError, changes, micros, parse, timestamp};
use crate::order::{EventId, OrderKey, ShopId, Verification};

/// A call that is to be confirmed.
#[derive(Clone, Debug)]
pub struct NewVerification {
    /// The event that it made.
    pub event: EventId,
    /// The order, where it is about one.
    pub order: Option<OrderKey>,
    /// Its shop.
    pub shop: ShopId,
    /// Where to ask; `None` where none came.
    pub url: Option<String>,
    /// Whether the order's messages wait until it is confirmed.
    pub holds: bool,
    /// When.
    pub at: Timestamp,
}

/// A call whose confirmation is to be asked for now.
#[derive(Clone, Debug)]
pub struct DueVerification {
    /// The event that it made.
    pub event: EventId,
    /// Its shop.
    pub shop: ShopId,
    /// Where to ask.
    pub url: String,
    /// How often it was asked.
    pub attempts: u32,
    /// When the call came.
    pub first_seen_at: Timestamp,
}

/// What asking came to.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The event.
    pub event: EventId,
    /// Where it was asked; another URL may have come meanwhile.
    pub url: String,
    /// What is known now.
    pub status: Verification,
    /// What went wrong, for people.
    pub reason: Option<String>,
    /// When to ask again.
    pub again_at: Option<Timestamp>,
}

/// A call that holds an order back, and of which nobody was told.
#[derive(Clone, Debug)]
pub struct Holding {
    /// The event that it made.
    pub event: EventId,
    /// The order's number.
    pub number: String,
    /// When the call came.
    pub since: Timestamp,
    /// Why it is not confirmed, as `why_held` says it.
    pub reason: String,
}

/// An order's messages wait: why, in words for people. `status` is the word of the row, `error` what went wrong last.
pub(super) fn why_held(status: &str, error: Option<&str>) -> String {
    let why = match Verification::from_word(status) {
        None => "the call brought no `signatureVerificationURL`",
        Some(Verification::Pending) => "the till is still to confirm that it made the call",
        Some(Verification::Verified) => "another call about the order is confirmed, this one is not",
        Some(Verification::Refused) => "the till does not confirm that it made the call",
        Some(Verification::Unknown) => {
            "the till answered neither with yes nor with no when asked whether it made the call"
        }
        Some(Verification::Unreachable) => "the till did not answer for a day when asked whether it made the call",
    };
    error.map_or_else(|| why.to_owned(), |error| format!("{why} ({error})"))
}

impl Store {
    /// The calls to ask about at `now`: those that were never asked about first, then the longest due. One that came in the
    /// future came when the clock was ahead.
    ///
    /// # Errors
    /// What the database says.
    pub async fn due_verifications(&self, now: Timestamp, limit: u32) -> Result<Vec<DueVerification>, StoreError> {
        let rows = sqlx::query(
            "SELECT event_id, shop, url, attempts, first_seen_at FROM verification
             WHERE status = 'pending' AND (next_attempt_at <= $1 OR first_seen_at > $1) AND url IS NOT NULL
             ORDER BY attempts, next_attempt_at LIMIT $2",
        );
        let due = |row: &SqliteRow| {
            Ok(DueVerification {
                event: parse(row.try_get(0)?)?,
                shop: parse(row.try_get(1)?)?,
                url: row.try_get(2)?,
                attempts: row.try_get(3)?,
                first_seen_at: timestamp(row.try_get(4)?)?,
            })
        };
        rows.bind(micros(now)).bind(limit).fetch_all(self.readers()).await?.iter().map(due).collect()
    }

    /// When the next call is to be asked about.
    ///
    /// # Errors
    /// What the database says.
    pub async fn next_verification_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let next: Option<i64> =
            sqlx::query_scalar("SELECT min(next_attempt_at) FROM verification WHERE status = 'pending'")
                .fetch_one(self.readers())
                .await?;
        next.map(timestamp).transpose()
    }

    /// Writes what asking came to, and lets the order's messages go where the till confirmed the call. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn asked(&self, asked: Asked) -> Result<(), StoreError> {
        self.write(move |conn| {
            let asked = asked.clone();
            Box::pin(async move {
                sqlx::query(
                    "UPDATE verification SET status = $3, last_error = $4, next_attempt_at = $5, attempts = attempts + 1,
                         holds = iif($3 = 'verified', 0, holds), url = iif($3 = 'verified', NULL, url)
                     WHERE event_id = $1 AND url IS $2 AND status = 'pending'",
                )
                .bind(asked.event.to_string())
                .bind(asked.url)
                .bind(asked.status.as_str())
                .bind(asked.reason)
                .bind(asked.again_at.map(micros))
                .execute(&mut *conn)
                .await?;
                settle_order_of(conn, asked.event).await
            })
        })
        .await
    }

    /// Has the till asked again, at `now`, about every call of an order that it did not confirm. Returns how many that are,
    /// and how many more brought no URL to ask at. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn verify_again(&self, order: OrderKey, now: Timestamp) -> Result<(u64, u64), StoreError> {
        self.write(move |conn| {
            Box::pin(async move {
                let key = order.to_string();
                let asked = sqlx::query(
                    "UPDATE verification SET status = 'pending', next_attempt_at = $2, first_seen_at = $2
                     WHERE order_key = $1 AND status <> 'verified' AND url IS NOT NULL",
                )
                .bind(&key)
                .bind(micros(now))
                .execute(&mut *conn)
                .await?
                .rows_affected();
                settle(conn, &json!([key]).to_string()).await?;
                let mute: i64 = sqlx::query_scalar(
                    "SELECT count(*) FROM verification WHERE order_key = $1 AND status <> 'verified' AND url IS NULL",
                )
                .bind(&key)
                .fetch_one(conn)
                .await?;
                Ok::<_, sqlx::Error>((asked, mute.unsigned_abs()))
            })
        })
        .await
    }

    /// Lets an order's messages go although the till did not confirm every call. Returns whether they waited. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn release_order(&self, order: OrderKey) -> Result<bool, StoreError> {
        self.write(move |conn| {
            Box::pin(async move {
                let key = order.to_string();
                let released = sqlx::query("UPDATE verification SET holds = 0 WHERE order_key = $1 AND holds = 1");
                let released = released.bind(&key).execute(&mut *conn).await?.rows_affected();
                settle(conn, &json!([key]).to_string()).await?;
                Ok::<_, sqlx::Error>(released > 0)
            })
        })
        .await
    }

    /// Lets the orders go of every shop but these, because no other shop requires that its till confirms a call. Returns
    /// how many orders that are. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn release_all_but(&self, shops: &[ShopId]) -> Result<u64, StoreError> {
        const OTHERS: &str = "SELECT json_group_array(DISTINCT order_key) FROM verification
            WHERE holds = 1 AND shop NOT IN (SELECT value FROM json_each($1))";
        let shops = json!(shops).to_string();
        let others: String = sqlx::query_scalar(OTHERS).bind(&shops).fetch_one(self.readers()).await?;
        if others == "[]" {
            return Ok(0);
        }
        self.write_alone(move |conn| {
            let shops = shops.clone();
            Box::pin(async move {
                let others: String = sqlx::query_scalar(OTHERS).bind(&shops).fetch_one(&mut *conn).await?;
                let release = sqlx::query(
                    "UPDATE verification SET holds = 0
                     WHERE holds = 1 AND order_key IN (SELECT value FROM json_each($1))",
                );
                release.bind(&others).execute(&mut *conn).await?;
                settle(conn, &others).await
            })
        })
        .await
    }

    /// Calls of a shop that have held an order back for the first of these times at `now` and of which nobody was told, the
    /// oldest first; none where somebody was told of others within the second. A time in the future is that of a clock that
    /// was ahead.
    ///
    /// # Errors
    /// What the database says.
    pub async fn untold_holds(
        &self,
        shop: &ShopId,
        now: Timestamp,
        (held_for, quiet_for): (Duration, Duration),
        limit: u32,
    ) -> Result<Vec<Holding>, StoreError> {
        let rows = sqlx::query(
            "SELECT v.event_id, coalesce(o.order_id, o.internal_id, '?'), v.first_seen_at, v.status, v.last_error
             FROM verification v JOIN customer_order o ON o.key = v.order_key
             WHERE v.holds = 1 AND v.shop = $1 AND (v.first_seen_at <= $2 OR v.first_seen_at > $5) AND v.told_at IS NULL
               AND NOT EXISTS (SELECT 1 FROM verification t WHERE t.shop = $1 AND t.told_at > $3 AND t.told_at <= $5)
             ORDER BY v.first_seen_at, o.seq LIMIT $4",
        );
        let rows = rows.bind(shop.as_str()).bind(micros(now - held_for)).bind(micros(now - quiet_for));
        let rows = rows.bind(limit).bind(micros(now));
        let holding = |row: &SqliteRow| {
            Ok(Holding {
                event: parse(row.try_get(0)?)?,
                number: row.try_get(1)?,
                since: timestamp(row.try_get(2)?)?,
                reason: why_held(row.try_get(3)?, row.try_get(4)?),
            })
        };
        rows.fetch_all(self.readers()).await?.iter().map(holding).collect()
    }

    /// Remembers that somebody is told of these calls, and tells it. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn tell_holds(
        &self,
        events: &[EventId],
        now: Timestamp,
        alert: impl Fn() -> Changes + Send + Sync + 'static,
    ) -> Result<(), StoreError> {
        let (events, alert) = (json!(events).to_string(), Arc::new(alert));
        self.write(move |conn| {
            let (events, alert) = (events.clone(), alert.clone());
            Box::pin(async move {
                let told = sqlx::query(
                    "UPDATE verification SET told_at = $2 WHERE event_id IN (SELECT value FROM json_each($1))",
                );
                told.bind(events).bind(micros(now)).execute(&mut *conn).await?;
                changes::apply(conn, alert()).await
            })
        })
        .await
    }
}

/// The same for the order that an event is about, where it is about one.
async fn settle_order_of(conn: &mut SqliteConnection, event: EventId) -> Result<(), sqlx::Error> {
    const ORDER: &str =
        "SELECT json_group_array(order_key) FROM verification WHERE event_id = $1 AND order_key IS NOT NULL";
    let orders: String = sqlx::query_scalar(ORDER).bind(event.to_string()).fetch_one(&mut *conn).await?;
    settle(conn, &orders).await.map(drop)
}

/// Writes which calls are to be confirmed, inside the caller's transaction.
pub(super) async fn apply(conn: &mut SqliteConnection, changes: &Changes) -> Result<(), sqlx::Error> {
    if !changes.verifications.is_empty() {
        begin(conn, &changes.verifications).await?;
    }
    for (event, url, at) in &changes.other_urls {
        sqlx::query(
            "UPDATE verification SET url = $2, status = 'pending', next_attempt_at = $3, first_seen_at = $3, attempts = 0,
                 last_error = NULL
             WHERE event_id = $1 AND (status NOT IN ('pending', 'verified') OR (status = 'pending' AND attempts > 0))
               AND url IS NOT $2",
        )
        .bind(event.to_string())
        .bind(url)
        .bind(micros(*at))
        .execute(&mut *conn)
        .await?;
        settle_order_of(conn, *event).await?;
    }
    Ok(())
}

/// Two statements, however many calls share the commit.
async fn begin(conn: &mut SqliteConnection, fresh: &[NewVerification]) -> Result<(), sqlx::Error> {
    let rows: Vec<_> = fresh
        .iter()
        .map(|new| json!([new.event, new.order, new.shop, new.url, i32::from(new.holds), micros(new.at)]))
        .collect();
    sqlx::query(
        "INSERT OR IGNORE INTO verification (event_id, order_key, shop, url, status, holds, first_seen_at, next_attempt_at)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, iif(value ->> 3 IS NULL, 'absent', 'pending'),
                value ->> 4, value ->> 5, iif(value ->> 3 IS NULL, NULL, value ->> 5)
         FROM json_each($1)",
    )
    .bind(json!(rows).to_string())
    .execute(&mut *conn)
    .await?;
    let orders: Vec<OrderKey> = fresh.iter().filter_map(|new| new.order).collect();
    settle(conn, &json!(orders).to_string()).await.map(drop)
}

/// Brings these orders (a JSON list of keys) in line with their calls. Returns how many there are.
async fn settle(conn: &mut SqliteConnection, orders: &str) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE customer_order SET
             verification = (SELECT v.status FROM verification v WHERE v.order_key = customer_order.key
                 ORDER BY CASE v.status WHEN 'refused' THEN 0 WHEN 'unknown' THEN 1 WHEN 'unreachable' THEN 2
                                        WHEN 'absent' THEN 3 WHEN 'pending' THEN 4 ELSE 5 END LIMIT 1),
             held = EXISTS (SELECT 1 FROM verification v WHERE v.order_key = customer_order.key AND v.holds = 1)
         WHERE key IN (SELECT value FROM json_each($1))",
    );
    Ok(done.bind(orders).execute(conn).await?.rows_affected())
}

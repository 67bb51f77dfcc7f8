//! Whether the till confirms its calls: what is to be asked, and what it said. What waits for that is in `holds.rs`.
//!
//! **Invariant:** the URL at which a call is confirmed is the first order's that brought it, or the closing's; it is claimed
//! in the transaction that stores the call, and for ever. So is the one to which redirects led, before a yes is believed.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    CallId, Changes, Store, StoreError,
    holds::{UNREADABLE, settle},
    micros, parse,
    rows::{Name, lossy, nearest},
    timestamp,
};
use crate::order::{EventId, OrderKey, ShopId, Verification, hex, url_digest};

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
    /// Where to ask.
    pub url: String,
    /// How often it was asked.
    pub attempts: u32,
    /// When the call came, else when it was last to be asked about anew: it is given up some time after that.
    pub asked_since: Timestamp,
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

/// First what was never asked about: that is due whenever it came, also where the clock was ahead. Then the longest due, and
/// what a clock that was ahead put off for longer than anything is put off.
pub(super) const DUE: &str = "
    SELECT event_id, url, attempts, coalesce(asked_anew_at, first_seen_at) FROM (
        SELECT * FROM (SELECT * FROM verification WHERE shop = $1 AND status = 'pending' AND attempts = 0
                       ORDER BY first_seen_at LIMIT $4)
        UNION ALL
        SELECT * FROM (SELECT * FROM verification WHERE shop = $1 AND status = 'pending' AND attempts > 0
                       AND next_attempt_at <= $2 ORDER BY next_attempt_at LIMIT $4)
        UNION ALL
        SELECT * FROM (SELECT * FROM verification WHERE shop = $1 AND status = 'pending' AND attempts > 0
                       AND next_attempt_at > $3 ORDER BY next_attempt_at LIMIT $4))
    LIMIT $4";

pub(super) const NEXT: &str = "SELECT min(next_attempt_at) FROM verification
    WHERE shop = $1 AND status = 'pending' AND attempts > 0 AND next_attempt_at > $2";

pub(super) const OF_ANOTHER: &str = "SELECT EXISTS (SELECT 1 FROM verification_url u CROSS JOIN verification v
    ON v.event_id = $2 WHERE u.digest = $1 AND u.subject <> coalesce(v.order_key, v.event_id))";

impl Store {
    /// The calls of a shop to ask about at `now`. None is ever put off for longer than until `latest`. One that cannot be
    /// read is given up: it would be found again and again, before all others.
    ///
    /// # Errors
    /// What the database says.
    pub async fn due_verifications(
        &self,
        shop: &ShopId,
        now: Timestamp,
        latest: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueVerification>, StoreError> {
        let rows = sqlx::query(DUE).bind(shop.as_str()).bind(micros(now)).bind(micros(latest));
        let rows = rows.bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let due = |row: &SqliteRow| -> Result<_, StoreError> {
            Ok(DueVerification {
                event: parse(row.try_get(0)?)?,
                url: row.try_get(1)?,
                attempts: row.try_get(2)?,
                asked_since: timestamp(row.try_get(3)?)?,
            })
        };
        let (mut readable, mut unreadable) = (Vec::new(), Vec::new());
        for row in &rows.fetch_all(self.readers()).await? {
            match due(row) {
                Ok(due) => readable.push(due),
                Err(StoreError::Corrupt(reason)) => {
                    self.log_row(&Name::of("verification", row, 0).because(reason.clone()));
                    unreadable.push((CallId::of(row, 0), reason));
                }
                Err(other) => return Err(other),
            }
        }
        if !unreadable.is_empty() {
            self.give_up_verifications(unreadable).await?;
        }
        Ok(readable)
    }

    /// Asks about these calls no more. An order that waits for one goes on waiting, and says why: a person decides.
    async fn give_up_verifications(&self, calls: Vec<(CallId, String)>) -> Result<(), StoreError> {
        const GIVE_UP: &str = "UPDATE verification SET status = 'unknown', next_attempt_at = NULL, last_error = $2
            WHERE event_id = CAST($1 AS TEXT) AND status = 'pending'";
        const ORDERS: &str = "SELECT json_group_array(order_key) FROM verification
            WHERE event_id = CAST($1 AS TEXT) AND order_key IS NOT NULL";
        let calls = Arc::new(calls);
        self.write(move |conn| {
            let calls = calls.clone();
            Box::pin(async move {
                for (call, reason) in &*calls {
                    let reason = format!("{UNREADABLE}: {reason}");
                    sqlx::query(GIVE_UP).bind(&call.0).bind(reason).execute(&mut *conn).await?;
                    let orders = sqlx::query(ORDERS).bind(&call.0).fetch_one(&mut *conn).await?;
                    settle(conn, &lossy(&orders, 0).unwrap_or_else(|| "[]".to_owned())).await?;
                }
                Ok::<_, sqlx::Error>(())
            })
        })
        .await
    }

    /// When the next call of a shop is to be asked about again that is not due at `now`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn next_verification_at(&self, shop: &ShopId, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let next = sqlx::query_scalar(NEXT).bind(shop.as_str()).bind(micros(now));
        let next: Option<i64> = next.fetch_one(self.readers()).await?;
        Ok(next.map(nearest))
    }

    /// Whether another order, or the closing of a till, brought the URL of this digest before the call that made `event`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn is_url_of_another(&self, event: EventId, digest: [u8; 16]) -> Result<bool, StoreError> {
        let other = sqlx::query_scalar(OF_ANOTHER).bind(digest.as_slice()).bind(event.to_string());
        Ok(other.fetch_one(self.readers()).await?)
    }

    /// Whether none of these URLs, at which a call was asked about after the one that it brought, is another order's or
    /// closing's. The last, which answered, is then that of the call's own. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn reach(&self, event: EventId, urls: Vec<String>) -> Result<bool, StoreError> {
        self.write(move |conn| {
            let urls = urls.clone();
            Box::pin(async move {
                for digest in urls.iter().filter_map(|url| url_digest(url)) {
                    let other = sqlx::query_scalar(OF_ANOTHER).bind(digest.to_vec()).bind(event.to_string());
                    if other.fetch_one(&mut *conn).await? {
                        return Ok(false);
                    }
                }
                let subject = subject_of(conn, event).await?;
                claim(conn, urls.last().and_then(|url| Some((url.as_str(), subject?))).into_iter()).await?;
                Ok::<_, sqlx::Error>(true)
            })
        })
        .await
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
                         holds = iif($3 = 'verified', 0, holds), accepted = iif($3 = 'verified', 0, accepted),
                         url = iif($3 = 'verified', NULL, url)
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

    /// Has the till asked again, at `now`, about every call of an order that it did not confirm, also where somebody answered
    /// for it: what the till says counts again. Returns how many that are, and for how many more, which brought no URL to ask
    /// at, nobody answered. Since when the order waits stays as it is, so that nobody is told later for it. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn verify_again(&self, order: OrderKey, now: Timestamp) -> Result<(u64, u64), StoreError> {
        self.write(move |conn| {
            Box::pin(async move {
                let key = order.to_string();
                let asked = sqlx::query(
                    "UPDATE verification SET status = 'pending', next_attempt_at = $2, asked_anew_at = $2, accepted = 0
                     WHERE order_key = $1 AND status <> 'verified' AND url IS NOT NULL",
                )
                .bind(&key)
                .bind(micros(now))
                .execute(&mut *conn)
                .await?
                .rows_affected();
                settle(conn, &json!([key]).to_string()).await?;
                let mute: i64 = sqlx::query_scalar(
                    "SELECT count(*) FROM verification
                     WHERE order_key = $1 AND status <> 'verified' AND url IS NULL AND accepted = 0",
                )
                .bind(&key)
                .fetch_one(conn)
                .await?;
                Ok::<_, sqlx::Error>((asked, mute.unsigned_abs()))
            })
        })
        .await
    }
}

/// Brings the order that an event is about, where it is about one, in line with its calls.
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
        let subject = subject_of(conn, *event).await?;
        claim(conn, subject.into_iter().map(|subject| (url.as_str(), subject))).await?;
        sqlx::query(
            "UPDATE verification SET url = $2, status = 'pending', next_attempt_at = $3, asked_anew_at = $3, attempts = 0,
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

/// Three statements, however many calls share the commit.
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
    let subject = |new: &NewVerification| new.order.map_or_else(|| new.event.to_string(), |order| order.to_string());
    claim(conn, fresh.iter().filter_map(|new| Some((new.url.as_deref()?, subject(new))))).await?;
    let orders: Vec<OrderKey> = fresh.iter().filter_map(|new| new.order).collect();
    settle(conn, &json!(orders).to_string()).await.map(drop)
}

/// Whose the URLs of a call are: the order's that it is about, or its own.
async fn subject_of(conn: &mut SqliteConnection, event: EventId) -> Result<Option<String>, sqlx::Error> {
    const SUBJECT: &str = "SELECT coalesce(order_key, event_id) FROM verification WHERE event_id = $1";
    sqlx::query_scalar(SUBJECT).bind(event.to_string()).fetch_optional(conn).await
}

/// Writes whose these URLs are, where they are nobody's yet: of several in a commit the first has it.
async fn claim<'a>(
    conn: &mut SqliteConnection,
    urls: impl Iterator<Item = (&'a str, String)>,
) -> Result<(), sqlx::Error> {
    const CLAIM: &str = "INSERT OR IGNORE INTO verification_url (digest, subject)
        SELECT unhex(value ->> 0), value ->> 1 FROM json_each($1) WHERE true";
    let rows: Vec<_> = urls.filter_map(|(url, subject)| Some(json!([hex(url_digest(url)?), subject]))).collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(CLAIM).bind(json!(rows).to_string()).execute(conn).await.map(drop)
}

//! Which orders' messages wait until the till confirms its calls, who lets them go, and who is told.
//!
//! **Invariant:** what `customer_order` says of it (`verification`, `held`), and `delivery.held`, are written with the rows of
//! `verification`, in the same transaction, by [`settle`]. Whoever writes a delivery of an order that is known to be held, or
//! empties its message, writes `held` too.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::json;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    Changes, Store, StoreError, changes, micros,
    rows::{bytes, lossy, nearest},
};
use crate::order::{OrderKey, ShopId, Verification, hex};

/// Which row of `verification` it is: the id of the event that the call made, as it is stored, readable or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallId(pub(super) Vec<u8>);

impl CallId {
    /// The one in this column.
    pub(super) fn of(row: &SqliteRow, column: usize) -> Self {
        Self(bytes(row, column).unwrap_or_default())
    }
}

/// A call that holds an order back, and of which nobody was told.
#[derive(Clone, Debug)]
pub struct Holding {
    /// Which it is.
    pub call: CallId,
    /// The order's number.
    pub number: String,
    /// When the call came.
    pub since: Timestamp,
    /// Why it is not confirmed, as `why_held` says it.
    pub reason: String,
}

/// What a person's word changed about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Its messages waited, and go.
    LetGo,
    /// Nothing waited; the order now says that somebody answered for it.
    Noted,
    /// The till confirmed every call, or somebody answered for it before.
    Nothing,
}

/// What went wrong with a call of which not even the question can be read.
pub(super) const UNREADABLE: &str = "what is stored of it cannot be read";

/// An order's messages wait: why, in words for people. `status` is the word of the row, `error` what went wrong last.
pub(super) fn why_held(status: &str, error: Option<&str>) -> String {
    let why = match Verification::from_word(status) {
        None => "the call brought no `signatureVerificationURL`",
        Some(Verification::Pending) => "the till is still to confirm that it made the call",
        Some(Verification::Verified | Verification::Accepted) => {
            "another call about the order is confirmed, this one is not"
        }
        Some(Verification::Refused) => "the till does not confirm that it made the call",
        Some(Verification::Unknown) if error.is_some_and(|error| error.starts_with(UNREADABLE)) => {
            "the till cannot be asked whether it made the call"
        }
        Some(Verification::Unknown) => {
            "the till answered neither with yes nor with no when asked whether it made the call"
        }
        Some(Verification::Unreachable) => "the till did not answer for a day when asked whether it made the call",
    };
    error.map_or_else(|| why.to_owned(), |error| format!("{why} ({error})"))
}

/// The same of a row: its status stands in this column, what went wrong in the next one.
fn why(row: &SqliteRow, status: usize) -> String {
    why_held(&lossy(row, status).unwrap_or_default(), lossy(row, status + 1).as_deref())
}

pub(super) const HELD_OF_OTHERS: &str = "SELECT json_group_array(key) FROM customer_order
    WHERE held = 1 AND shop NOT IN (SELECT value FROM json_each($1))";

pub(super) const UNTOLD: &str = "
    SELECT v.event_id, coalesce(o.order_id, o.internal_id, '?'), v.first_seen_at, v.status, v.last_error
    FROM verification v JOIN customer_order o ON o.key = v.order_key
    WHERE v.holds = 1 AND v.told_at IS NULL AND v.shop = $1 AND (v.first_seen_at <= $2 OR v.first_seen_at > $6)
      AND NOT EXISTS (SELECT 1 FROM verification t WHERE t.shop = $1 AND t.told_at > $3 AND t.told_at <= $5)
    ORDER BY v.first_seen_at, o.seq LIMIT $4";

impl Store {
    /// A person answers for an order that the till did not confirm: its messages go, and it says so at once. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn accept_order(&self, order: OrderKey) -> Result<Accepted, StoreError> {
        const HELD: &str = "SELECT held FROM customer_order WHERE key = $1";
        const ACCEPT: &str = "UPDATE verification SET holds = 0, accepted = 1
            WHERE order_key = $1 AND status <> 'verified' AND (accepted = 0 OR holds = 1)";
        self.write(move |conn| {
            Box::pin(async move {
                let key = order.to_string();
                let held: Option<bool> = sqlx::query_scalar(HELD).bind(&key).fetch_optional(&mut *conn).await?;
                let calls = sqlx::query(ACCEPT).bind(&key).execute(&mut *conn).await?.rows_affected();
                settle(conn, &json!([key]).to_string()).await?;
                Ok::<_, sqlx::Error>(match (held, calls) {
                    (Some(true), _) => Accepted::LetGo,
                    (_, 0) => Accepted::Nothing,
                    _ => Accepted::Noted,
                })
            })
        })
        .await
    }

    /// Why the till did not confirm calls about an order, each reason once: for people, whether or not it is held back for that.
    ///
    /// # Errors
    /// What the database says.
    pub async fn why_unconfirmed(&self, order: OrderKey) -> Result<Vec<String>, StoreError> {
        const UNCONFIRMED: &str = "SELECT DISTINCT status, last_error FROM verification
            WHERE order_key = $1 AND status NOT IN ('verified', 'absent') ORDER BY status, last_error";
        let rows = sqlx::query(UNCONFIRMED).bind(order.to_string()).fetch_all(self.readers()).await?;
        Ok(rows.iter().map(|row| why(row, 0)).collect())
    }

    /// Lets the orders go of every shop but these, because no other shop requires that its till confirms a call. Returns
    /// how many orders that are. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn release_all_but(&self, shops: &[ShopId]) -> Result<u64, StoreError> {
        let shops = json!(shops).to_string();
        let others: String = sqlx::query_scalar(HELD_OF_OTHERS).bind(&shops).fetch_one(self.readers()).await?;
        if others == "[]" {
            return Ok(0);
        }
        self.write_alone(move |conn| {
            let shops = shops.clone();
            Box::pin(async move {
                let others: String = sqlx::query_scalar(HELD_OF_OTHERS).bind(&shops).fetch_one(&mut *conn).await?;
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
    /// oldest first; none where somebody was told of others within the second. A time that is further in the future than the
    /// first is that of a clock that was ahead; what is not may have come since `now`.
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
        let rows = sqlx::query(UNTOLD).bind(shop.as_str()).bind(micros(now - held_for)).bind(micros(now - quiet_for));
        let rows = rows.bind(limit).bind(micros(now)).bind(micros(now + held_for));
        // Every row is read as far as it can be: one that was left out would be found again and again, before all others.
        let holding = |row: &SqliteRow| {
            Ok(Holding {
                call: CallId::of(row, 0),
                number: lossy(row, 1).unwrap_or_default(),
                since: nearest(row.try_get(2)?),
                reason: why(row, 3),
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
        calls: &[CallId],
        now: Timestamp,
        alert: impl Fn() -> Changes + Send + Sync + 'static,
    ) -> Result<(), StoreError> {
        let calls: Vec<String> = calls.iter().map(|call| hex(&call.0)).collect();
        let work = Arc::new((json!(calls).to_string(), alert));
        self.write(move |conn| {
            let work = work.clone();
            Box::pin(async move {
                let (calls, alert) = &*work;
                let told = sqlx::query(
                    "UPDATE verification SET told_at = $2
                     WHERE event_id IN (SELECT CAST(unhex(value) AS TEXT) FROM json_each($1))",
                );
                told.bind(calls).bind(micros(now)).execute(&mut *conn).await?;
                changes::apply(conn, alert()).await
            })
        })
        .await
    }
}

/// Brings these orders (a JSON list of keys), and their messages, in line with their calls. Returns how many orders there are.
pub(super) async fn settle(conn: &mut SqliteConnection, orders: &str) -> Result<u64, sqlx::Error> {
    const ORDERS: &str = "
        UPDATE customer_order SET
            verification = (SELECT word FROM (SELECT iif(v.accepted = 1, 'accepted', v.status) AS word
                                              FROM verification v WHERE v.order_key = customer_order.key)
                ORDER BY CASE word WHEN 'refused' THEN 0 WHEN 'unknown' THEN 1 WHEN 'unreachable' THEN 2
                                   WHEN 'absent' THEN 3 WHEN 'pending' THEN 4 WHEN 'accepted' THEN 5 ELSE 6 END LIMIT 1),
            held = EXISTS (SELECT 1 FROM verification v WHERE v.order_key = customer_order.key AND v.holds = 1)
        WHERE key IN (SELECT value FROM json_each($1))";
    // A message is frozen at its first attempt, and goes on.
    const DELIVERIES: &str = "
        UPDATE delivery SET held = NOT held
        WHERE order_key IN (SELECT value FROM json_each($1))
          AND held <> (payload IS NULL
                       AND EXISTS (SELECT 1 FROM customer_order o WHERE o.key = delivery.order_key AND o.held = 1))";
    let settled = sqlx::query(ORDERS).bind(orders).execute(&mut *conn).await?.rows_affected();
    sqlx::query(DELIVERIES).bind(orders).execute(conn).await?;
    Ok(settled)
}

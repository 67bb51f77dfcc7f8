//! What goes when it is old: bodies, attempts, events with their orders and deliveries, receipts, invoices.
//!
//! Every function here looks at a bounded number of rows and writes in a commit of its own. What is not over stays,
//! however old: deliveries that are open with their order, their event and their attempts, invoices that are still
//! fetched, and calls in quarantine.
//!
//! **Invariant:** what recognises a repeat is never pruned: an order's identities and fingerprints, closings of the till,
//! which sinks were told of an order, of which days a summary was made, and that an invoice was fetched.

use jiff::Timestamp;
use sqlx::{Row, SqliteConnection};

use super::{
    Rows, Store, StoreError, micros, parse,
    rows::{Name, lossy},
};
use crate::order::OrderKey;

/// How many rows a transaction looks at: the till waits for one transaction at the most.
const ROWS: u32 = 500;

/// The same for events, each of which may take an order, its deliveries and their attempts with it.
const EVENTS: u32 = 100;

/// What one transaction pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrunedRows {
    /// The last row that it looked at; ask for what is after it.
    pub last: i64,
    /// How many rows it emptied or deleted, of the table that it is named after.
    pub rows: u64,
}

/// An invoice whose time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldInvoice {
    /// The order.
    pub order: OrderKey,
    /// The file, relative to the data directory.
    pub path: String,
    /// Whether another row refers to the file whose time is not over.
    pub shared: bool,
}

impl Store {
    /// Empties the next bodies and queries that arrived before `before`. `None` where there are no more. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn prune_bodies(&self, after: i64, before: Timestamp) -> Result<Option<PrunedRows>, StoreError> {
        const OLD: &str =
            "SELECT seq, received_at FROM receipt WHERE seq > $1 AND body IS NOT NULL ORDER BY seq LIMIT $2";
        const EMPTY: &str = "UPDATE receipt SET body = NULL, query = NULL
            WHERE seq > $1 AND seq <= $2 AND received_at < $3 AND body IS NOT NULL
              AND (outcome <> 'quarantined' OR resolution IS NOT NULL)";
        self.prune(OLD, EMPTY, (after, before)).await
    }

    /// Empties bodies that arrived before `before` and left quarantine since, a few hundred at the most. Returns how many.
    /// Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn prune_resolved_bodies(&self, before: Timestamp) -> Result<u64, StoreError> {
        const OLD: &str = "SELECT seq FROM receipt WHERE outcome = 'quarantined' AND resolution IS NOT NULL
            AND body IS NOT NULL AND received_at < $1 LIMIT $2";
        let old: Vec<i64> = sqlx::query_scalar(OLD).bind(micros(before)).bind(ROWS).fetch_all(self.readers()).await?;
        if old.is_empty() {
            return Ok(0);
        }
        const EMPTY: &str =
            "UPDATE receipt SET body = NULL, query = NULL WHERE seq IN (SELECT value FROM json_each($1))";
        let old = serde_json::json!(old).to_string();
        self.write_alone(move |conn| {
            let old = old.clone();
            Box::pin(async move { rows(sqlx::query(EMPTY).bind(old).execute(conn).await) })
        })
        .await
    }

    /// Deletes the next attempts that began before `before`, of deliveries that are over. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn prune_attempts(&self, after: i64, before: Timestamp) -> Result<Option<PrunedRows>, StoreError> {
        const OLD: &str = "SELECT seq, at FROM attempt WHERE seq > $1 ORDER BY seq LIMIT $2";
        const DELETE: &str = "DELETE FROM attempt WHERE seq > $1 AND seq <= $2 AND at < $3
              AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.id = attempt.delivery_id AND d.open = 1)";
        self.prune(OLD, DELETE, (after, before)).await
    }

    /// Deletes the next receipts that arrived before `before` and hold no body any more. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn prune_receipts(&self, after: i64, before: Timestamp) -> Result<Option<PrunedRows>, StoreError> {
        const OLD: &str = "SELECT seq, received_at FROM receipt WHERE seq > $1 AND body IS NULL ORDER BY seq LIMIT $2";
        const DELETE: &str = "DELETE FROM receipt WHERE seq > $1 AND seq <= $2 AND received_at < $3 AND body IS NULL";
        self.prune(OLD, DELETE, (after, before)).await
    }

    /// Deletes the next events that were recorded before `before`, with their deliveries and attempts. An order goes as a
    /// whole, once its last event is that old. Of it stays what recognises a repeat. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn prune_events(&self, after: i64, before: Timestamp) -> Result<Option<PrunedRows>, StoreError> {
        const OLD: &str = "SELECT seq, at FROM event WHERE seq > $1 ORDER BY seq LIMIT $2";
        let Some(last) = self.last_old(OLD, after, before, EVENTS).await? else { return Ok(None) };
        let rows = self
            .write_alone(move |conn| {
                Box::pin(async move {
                    let window = Window { after, last, before: micros(before) };
                    let of_orders = prune_orders(conn, window).await?;
                    Ok::<_, sqlx::Error>(of_orders + prune_plain_events(conn, window).await?)
                })
            })
            .await?;
        Ok(Some(PrunedRows { last, rows }))
    }

    /// Deletes what recognised a repeat within a minute, and is older than `before`, a few hundred at the most. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn prune_notices(&self, before: Timestamp) -> Result<(), StoreError> {
        const OLD: &str = "SELECT EXISTS (SELECT 1 FROM notice WHERE kind <> 'cashbox.closed' AND at < $1)";
        const DELETE: &str = "DELETE FROM notice WHERE (shop, kind, digest) IN
            (SELECT shop, kind, digest FROM notice WHERE kind <> 'cashbox.closed' AND at < $1 LIMIT $2)";
        // Nothing is written where nothing is old: whoever writes may have to wait, and calls wait behind it.
        let old: i64 = sqlx::query_scalar(OLD).bind(micros(before)).fetch_one(self.readers()).await?;
        if old == 0 {
            return Ok(());
        }
        self.write_alone(move |conn| {
            Box::pin(async move { sqlx::query(DELETE).bind(micros(before)).bind(ROWS).execute(conn).await.map(drop) })
        })
        .await
    }

    /// The next invoices that were stored before `before` and that nothing waits for, in the order of their keys.
    ///
    /// # Errors
    /// What the database says.
    pub async fn old_invoices(
        &self,
        after: Option<OrderKey>,
        before: Timestamp,
    ) -> Result<Vec<OldInvoice>, StoreError> {
        // A key begins with its millisecond, and an invoice is stored after its order is known.
        let newest = format!("ord_{:012x}", before.as_millisecond().max(0) + 1);
        let query = sqlx::query(
            "SELECT i.order_key, i.path, EXISTS (SELECT 1 FROM invoice o
                        WHERE o.sha256 = i.sha256 AND o.path = i.path AND (o.stored_at >= $3
                            OR EXISTS (SELECT 1 FROM delivery d WHERE d.order_key = o.order_key AND d.open = 1)))
             FROM invoice i WHERE i.order_key > $1 AND i.order_key < $2 AND i.sha256 IS NOT NULL AND i.stored_at < $3
               AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.order_key = i.order_key AND d.open = 1)
             ORDER BY i.order_key LIMIT $4",
        );
        let after = after.map(|key| key.to_string()).unwrap_or_default();
        let found = query.bind(after).bind(newest).bind(micros(before)).bind(ROWS).fetch_all(self.readers()).await?;
        let old = |row: &sqlx::sqlite::SqliteRow| {
            Ok(OldInvoice { order: parse(row.try_get(0)?)?, path: row.try_get(1)?, shared: row.try_get(2)? })
        };
        Ok(self.log(Rows::read(&found, old, |row| Name::of("invoice of order", row, 0))?).into_parts().0)
    }

    /// Forgets the files of invoices that were stored before `before`; that they were fetched stays. Returns how many.
    /// Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn forget_invoices(&self, orders: &[OrderKey], before: Timestamp) -> Result<u64, StoreError> {
        const FORGET: &str = "UPDATE invoice SET status = 'missing', url = NULL, sha256 = NULL, bytes = NULL,
                filename = NULL, path = NULL, capability = NULL, next_attempt_at = NULL, last_error = $3
            WHERE order_key IN (SELECT value FROM json_each($1)) AND stored_at < $2 AND sha256 IS NOT NULL";
        const WHY: &str = "removed: it is older than storage.keep_invoices";
        let orders = serde_json::json!(orders).to_string();
        self.write_alone(move |conn| {
            let orders = orders.clone();
            Box::pin(async move {
                rows(sqlx::query(FORGET).bind(orders).bind(micros(before)).bind(WHY).execute(conn).await)
            })
        })
        .await
    }

    /// Runs `change` (from a row, to a row, before a time) over the next window of a table.
    async fn prune(
        &self,
        look: &'static str,
        change: &'static str,
        (after, before): (i64, Timestamp),
    ) -> Result<Option<PrunedRows>, StoreError> {
        let Some(last) = self.last_old(look, after, before, ROWS).await? else { return Ok(None) };
        let rows = self
            .write_alone(move |conn| {
                Box::pin(async move {
                    rows(sqlx::query(change).bind(after).bind(last).bind(micros(before)).execute(conn).await)
                })
            })
            .await?;
        Ok(Some(PrunedRows { last, rows }))
    }

    /// The last row of the next window, which ends before the first row that is not old: rows are written in the order of
    /// time, so that no index of times is needed.
    async fn last_old(
        &self,
        look: &'static str,
        after: i64,
        before: Timestamp,
        limit: u32,
    ) -> Result<Option<i64>, StoreError> {
        let window: Vec<(i64, i64)> = sqlx::query_as(look).bind(after).bind(limit).fetch_all(self.readers()).await?;
        // A time that cannot be says nothing: the rows around it do.
        let is_old = |at: i64| at < micros(before) || at > micros(Timestamp::MAX);
        let old = window.into_iter().take_while(|(_, at)| is_old(*at));
        Ok(old.last().map(|(seq, _)| seq))
    }
}

fn rows(done: Result<sqlx::sqlite::SqliteQueryResult, sqlx::Error>) -> Result<u64, sqlx::Error> {
    done.map(|done| done.rows_affected())
}

/// The events that a transaction looks at: after a row, up to a row, recorded before a time.
#[derive(Clone, Copy)]
struct Window {
    after: i64,
    last: i64,
    before: i64,
}

/// Orders of the window of which nothing happened since, nothing is open and no invoice is fetched.
const ORDERS_THAT_ARE_OVER: &str = "SELECT json_group_array(DISTINCT e.order_key) FROM event e
    WHERE e.seq > $1 AND e.seq <= $2 AND e.order_key IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM event n WHERE n.order_key = e.order_key AND n.at >= $3)
      AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.order_key = e.order_key AND d.open = 1)
      AND NOT EXISTS (SELECT 1 FROM invoice i WHERE i.order_key = e.order_key AND i.status = 'pending')";

/// A phase that said nothing is still a phase that was heard of (`Timeline::is_hollow`). Whom an order was told to, and
/// whom a rule kept it from, is what `record/fan_out.rs` asks of deliveries that are still there. What the till said of its
/// calls goes with them. Where the timeline cannot be read, the fingerprints know what was heard of.
const HOLLOW_OUT: &str = r#"UPDATE customer_order SET
        timeline = json_object(
            'validated', iif(iif(json_valid(timeline), timeline -> '$.validated' <> 'null',
                EXISTS (SELECT 1 FROM announcement a WHERE a.order_key = key AND a.phase = 'validated')),
                json('{"dates":{}}'), NULL),
            'terminated', iif(iif(json_valid(timeline), timeline -> '$.terminated' <> 'null',
                EXISTS (SELECT 1 FROM announcement a WHERE a.order_key = key AND a.phase = 'terminated')),
                json('{"dates":{}}'), NULL)),
        told = (SELECT json_group_array(sink) FROM (
            SELECT sink FROM delivery d WHERE d.order_key = customer_order.key AND d.purpose IN ('first', 'change')
                AND NOT (d.status = 'skipped' AND (d.skipped_because = 'merged' OR d.skipped_because LIKE 'only.%'))
            UNION SELECT value FROM json_each(iif(json_valid(told), told, '[]')))),
        verification = NULL, held = 0
    WHERE key IN (SELECT value FROM json_each($1))"#;

async fn prune_orders(conn: &mut SqliteConnection, window: Window) -> Result<u64, sqlx::Error> {
    let over = sqlx::query(ORDERS_THAT_ARE_OVER).bind(window.after).bind(window.last).bind(window.before);
    let over = lossy(&over.fetch_one(&mut *conn).await?, 0).unwrap_or_default();
    let mut events = 0;
    for change in [
        HOLLOW_OUT,
        "UPDATE invoice SET url = NULL WHERE order_key IN (SELECT value FROM json_each($1))",
        "DELETE FROM verification WHERE order_key IN (SELECT value FROM json_each($1))",
        "DELETE FROM attempt WHERE delivery_id IN
            (SELECT d.id FROM json_each($1) k CROSS JOIN delivery d ON d.order_key = k.value)",
        "DELETE FROM delivery WHERE order_key IN (SELECT value FROM json_each($1))",
        "DELETE FROM event WHERE order_key IN (SELECT value FROM json_each($1))",
    ] {
        events = sqlx::query(change).bind(&over).execute(&mut *conn).await?.rows_affected();
    }
    Ok(events)
}

async fn prune_plain_events(conn: &mut SqliteConnection, window: Window) -> Result<u64, sqlx::Error> {
    const OVER: &str = "SELECT json_group_array(e.id) FROM event e
        WHERE e.seq > $1 AND e.seq <= $2 AND e.at < $3 AND e.order_key IS NULL
          AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.event_id = e.id AND d.order_key IS NULL AND d.open = 1)";
    let over = sqlx::query(OVER).bind(window.after).bind(window.last).bind(window.before);
    let over = lossy(&over.fetch_one(&mut *conn).await?, 0).unwrap_or_default();
    let mut events = 0;
    for change in [
        "DELETE FROM attempt WHERE delivery_id IN (SELECT d.id FROM json_each($1) k CROSS JOIN delivery d
            ON d.event_id = k.value AND d.order_key IS NULL)",
        "DELETE FROM delivery WHERE order_key IS NULL AND event_id IN (SELECT value FROM json_each($1))",
        "DELETE FROM verification WHERE event_id IN (SELECT value FROM json_each($1))",
        "DELETE FROM digest_report WHERE digest IN
            (SELECT g.id FROM digest g WHERE g.event_id IN (SELECT value FROM json_each($1)))",
        "DELETE FROM digest_line WHERE digest IN
            (SELECT g.id FROM digest g WHERE g.event_id IN (SELECT value FROM json_each($1)))",
        "DELETE FROM event WHERE id IN (SELECT value FROM json_each($1))",
    ] {
        events = sqlx::query(change).bind(&over).execute(&mut *conn).await?.rows_affected();
    }
    Ok(events)
}

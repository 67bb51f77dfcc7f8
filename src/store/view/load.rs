//! Reading what is known of the orders, and of the calls about no order, that a group of calls is about.
//!
//! **Invariant:** no more is read than the calls may be about, however many orders share a number; and an order of which
//! something cannot be read is not known, which stops no other.

use std::{collections::HashSet, sync::Arc};

use jiff::Timestamp;
use serde_json::json;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    super::{
        StoreError, from_json,
        intake::{Keys, Numbered},
        parse, timestamp,
        unread::UnreadOrder,
    },
    KnownDelivery, KnownInvoice, KnownOrder, View,
};
use crate::{
    order::{EventId, Fingerprint, InvoiceStatus, Order, OrderKey, Phase, hex},
    sink::Purpose,
};

/// The rows of the orders that calls may be about (contract §5, Identity): those of their internal ids; those of their
/// accounting numbers that have no internal id; for a call without one two of its number, which tell whether there is one
/// alone; and those asked for by key.
macro_rules! found {
    ($select:literal) => {
        concat!(
            "WITH wanted AS (SELECT value ->> 0 AS shop, value ->> 1 AS test, value ->> 2 AS internal_id,
                    value ->> 3 AS order_id FROM json_each($1)),
             found AS (
                 SELECT o.seq FROM wanted w CROSS JOIN customer_order o
                 ON o.shop = w.shop AND o.internal_id = w.internal_id AND o.test = w.test
                 UNION
                 SELECT o.seq FROM wanted w CROSS JOIN customer_order o
                 ON o.shop = w.shop AND o.order_id = w.order_id AND o.test = w.test AND o.internal_id IS NULL
                 UNION
                 SELECT o.seq FROM wanted w CROSS JOIN customer_order o
                 ON o.seq IN (SELECT n.seq FROM customer_order n
                              WHERE n.shop = w.shop AND n.order_id = w.order_id AND n.test = w.test LIMIT 2)
                 WHERE w.internal_id IS NULL AND w.order_id IS NOT NULL
                 UNION
                 SELECT o.seq FROM json_each($2) k CROSS JOIN customer_order o ON o.key = k.value) ",
            $select,
            " FROM found f CROSS JOIN customer_order o ON o.seq = f.seq"
        )
    };
}

const ORDERS: &str = found!(
    "SELECT o.key, o.shop, o.test, o.internal_id, o.order_id, o.timeline, o.received_at, o.told, o.erased, o.held"
);

const SIZE: &str = found!("SELECT coalesce(sum(octet_length(o.timeline)), 0)");

/// How many bytes of orders the calls of one commit may be about. More than one call is then taken by itself.
const MOST_LOADED: i64 = 16 * 1024 * 1024;

/// A list without anything in it.
const NONE: &str = "[]";

const ANNOUNCED: &str = "
    SELECT a.order_key, a.phase, a.fingerprint, a.event_id
    FROM json_each($1) k CROSS JOIN announcement a ON a.order_key = k.value";

const DELIVERIES: &str = "
    SELECT d.order_key, d.id, d.sink, d.event_id, d.event_type, d.purpose, d.status, d.attempts, d.skipped_because,
           d.without_invoice
    FROM json_each($1) k CROSS JOIN delivery d ON d.order_key = k.value
    WHERE d.purpose <> 'alert' ORDER BY d.seq";

const SNAPSHOTS: &str = "
    SELECT o.key, e.data FROM json_each($1) k CROSS JOIN customer_order o ON o.key = k.value
    CROSS JOIN event e ON e.id = o.last_event";

const INVOICES: &str = "
    SELECT i.order_key, i.status, i.url, i.first_seen_at, i.wait_until, i.stored_at IS NOT NULL
    FROM json_each($1) k CROSS JOIN invoice i ON i.order_key = k.value";

const NOTICES: &str = "
    SELECT n.shop, n.kind, n.digest, n.event_id, n.at
    FROM json_each($1) k CROSS JOIN notice n
    ON n.shop = k.value ->> 0 AND n.kind = k.value ->> 1 AND n.digest = unhex(k.value ->> 2)";

impl View {
    /// Reads what the keys ask for: one statement where everything is new, four more where orders are known. An order of which
    /// something cannot be read is not known, but [`View::unreadable`], and nothing to the others.
    pub(in crate::store) async fn load(conn: &mut SqliteConnection, keys: &[Keys]) -> Result<Self, StoreError> {
        let mut view = Self::default();
        let numbered = keys.iter().filter_map(|keys| keys.numbered.as_ref());
        let numbered: Vec<_> = numbered
            .map(|Numbered { shop, test, internal_id, order_id }| {
                json!([shop, i32::from(*test), internal_id, order_id])
            })
            .collect();
        let named: HashSet<String> = keys.iter().filter_map(|keys| keys.order).map(|key| key.to_string()).collect();
        if !numbered.is_empty() || !named.is_empty() {
            let (numbered, named) = (json!(numbered).to_string(), json!(named).to_string());
            if keys.len() > 1 {
                let size: i64 = sqlx::query_scalar(SIZE).bind(&numbered).bind(&named).fetch_one(&mut *conn).await?;
                if size > MOST_LOADED {
                    return Err(StoreError::TooMuch);
                }
            }
            view.load_snapshots(conn, &named).await?;
            let rows = sqlx::query(ORDERS).bind(numbered).bind(named);
            for row in rows.fetch_all(&mut *conn).await? {
                match known_order(&row) {
                    Ok((order, held)) => {
                        view.changes.held.extend(held.then_some(order.key));
                        view.index(&order);
                        view.orders.insert(order.key, order);
                    }
                    Err(error) => view.unread.add(UnreadOrder::from_row(&row, error.corrupt_only()?)),
                }
            }
        }
        view.load_rest(conn).await?;
        view.load_notices(conn, keys).await?;
        Ok(view)
    }

    /// Reads the newest event of orders, as a list of keys. One that cannot be read is left out.
    async fn load_snapshots(&mut self, conn: &mut SqliteConnection, named: &str) -> Result<(), StoreError> {
        if named == NONE {
            return Ok(());
        }
        for row in sqlx::query(SNAPSHOTS).bind(named).fetch_all(&mut *conn).await? {
            if let Ok(data) = row.try_get::<&str, _>(1)
                && from_json::<Order>(data).is_ok()
            {
                self.snapshots.insert(parse(row.try_get(0)?)?, data.into());
            }
        }
        Ok(())
    }

    async fn load_rest(&mut self, conn: &mut SqliteConnection) -> Result<(), StoreError> {
        if self.orders.is_empty() {
            return Ok(());
        }
        let keys: Vec<String> = self.orders.keys().map(ToString::to_string).collect();
        let keys = json!(keys).to_string();
        for row in sqlx::query(ANNOUNCED).bind(&keys).fetch_all(&mut *conn).await? {
            let order = parse(row.try_get(0)?)?;
            if let Some((said, event)) = self.readable(order, "announcement", said(&row))? {
                self.announced.insert((order, said.0, said.1), event);
            }
        }
        for row in sqlx::query(DELIVERIES).bind(&keys).fetch_all(&mut *conn).await? {
            let order = parse(row.try_get(0)?)?;
            if let Some(delivery) = self.readable(order, "delivery", known_delivery(&row))? {
                self.deliveries.entry(order).or_default().push(delivery);
            }
        }
        for row in sqlx::query(INVOICES).bind(&keys).fetch_all(&mut *conn).await? {
            let order = parse(row.try_get(0)?)?;
            if let Some(invoice) = self.readable(order, "invoice", known_invoice(&row))? {
                self.invoices.insert(order, invoice);
            }
        }
        Ok(())
    }

    /// What was read of an order. Where it cannot be, nothing of the order is known any more.
    fn readable<T>(
        &mut self,
        order: OrderKey,
        what: &str,
        read: Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error) => {
                let reason = format!("{what}: {}", error.corrupt_only()?);
                if let Some(known) = self.orders.remove(&order) {
                    self.unread.add(UnreadOrder::of(&known, reason));
                }
                Ok(None)
            }
        }
    }

    async fn load_notices(&mut self, conn: &mut SqliteConnection, keys: &[Keys]) -> Result<(), StoreError> {
        let wanted = keys.iter().filter_map(|keys| keys.notice.as_ref());
        let wanted: Vec<_> = wanted.map(|(shop, kind, digest)| json!([shop, kind, hex(digest)])).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        for row in sqlx::query(NOTICES).bind(json!(wanted).to_string()).fetch_all(conn).await? {
            let key = (parse(row.try_get(0)?)?, row.try_get(1)?, digest(row.try_get(2)?)?);
            match notice(&row) {
                Ok(known) => drop(self.notices.insert(key, known)),
                Err(error) => self.unread.add_notice(key, error.corrupt_only()?),
            }
        }
        Ok(())
    }
}

fn said(row: &SqliteRow) -> Result<((Phase, Fingerprint), EventId), StoreError> {
    Ok(((phase(row.try_get(1)?)?, Fingerprint(digest(row.try_get(2)?)?)), parse(row.try_get(3)?)?))
}

fn notice(row: &SqliteRow) -> Result<(EventId, Timestamp), StoreError> {
    Ok((parse(row.try_get(3)?)?, timestamp(row.try_get(4)?)?))
}

fn known_invoice(row: &SqliteRow) -> Result<KnownInvoice, StoreError> {
    Ok(KnownInvoice {
        status: invoice_status(row.try_get(1)?)?,
        url: row.try_get(2)?,
        first_seen_at: timestamp(row.try_get(3)?)?,
        wait_until: timestamp(row.try_get(4)?)?,
        was_stored: row.try_get(5)?,
    })
}

/// An order, and whether its messages wait.
fn known_order(row: &SqliteRow) -> Result<(KnownOrder, bool), StoreError> {
    let order = KnownOrder {
        key: parse(row.try_get(0)?)?,
        shop: parse(row.try_get(1)?)?,
        test: row.try_get(2)?,
        internal_id: row.try_get(3)?,
        order_id: row.try_get(4)?,
        timeline: Arc::new(from_json(row.try_get(5)?)?),
        received_at: timestamp(row.try_get(6)?)?,
        told: row.try_get::<Option<&str>, _>(7)?.map(from_json).transpose()?.unwrap_or_default(),
        erased: row.try_get::<i64, _>(8)? > 0,
    };
    Ok((order, row.try_get(9)?))
}

fn known_delivery(row: &SqliteRow) -> Result<KnownDelivery, StoreError> {
    Ok(KnownDelivery {
        id: parse(row.try_get(1)?)?,
        sink: parse(row.try_get(2)?)?,
        event: parse(row.try_get(3)?)?,
        event_type: row.try_get(4)?,
        purpose: purpose(row.try_get(5)?)?,
        status: row.try_get(6)?,
        attempts: row.try_get(7)?,
        skipped_because: row.try_get(8)?,
        without_invoice: row.try_get(9)?,
    })
}

pub(in crate::store) fn purpose(text: &str) -> Result<Purpose, StoreError> {
    let all = [Purpose::First, Purpose::Change, Purpose::LateInvoice, Purpose::Alert];
    all.into_iter().find(|one| one.as_str() == text).ok_or_else(|| no_such("purpose"))
}

pub(in crate::store) fn invoice_status(text: &str) -> Result<InvoiceStatus, StoreError> {
    let all = [InvoiceStatus::Pending, InvoiceStatus::Stored, InvoiceStatus::Missing];
    all.into_iter().find(|one| one.as_str() == text).ok_or_else(|| no_such("status"))
}

pub(in crate::store) fn phase(text: &str) -> Result<Phase, StoreError> {
    [Phase::Validated, Phase::Terminated].into_iter().find(|one| one.as_str() == text).ok_or_else(|| no_such("phase"))
}

fn no_such(what: &str) -> StoreError {
    StoreError::Corrupt(format!("a {what} that there is none of"))
}

fn digest(bytes: Vec<u8>) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt("a digest of other than 32 bytes".to_owned()))
}

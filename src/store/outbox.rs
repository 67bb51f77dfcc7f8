//! The outbox: what is due, and what is being attempted.
//!
//! A worker reads candidates without a lock, makes their messages, and then *starts* them: the row moves to `sending`
//! with its body frozen, but only where nothing changed it meanwhile. After the attempt it is *finished* (`attempts.rs`). A row that is
//! found `sending` when the service starts was in flight when the last one died.

use jiff::Timestamp;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    InvoiceRow, RecipientRow, Store, StoreError, StoredEvent, StoredFile, from_json, micros, parse,
    rows::{id_of, nearest},
    timestamp,
    view::{invoice_status, purpose},
};
use crate::{
    order::{DeliveryId, Order, OrderKey, SinkName, Verification},
    sink::{Payload, Purpose},
};

/// A delivery whose time has come, with all that its message is made of.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The delivery.
    pub id: DeliveryId,
    /// Its place.
    pub seq: i64,
    /// The row as it was read.
    pub version: i64,
    /// What it tells.
    pub event: StoredEvent,
    /// The order, where it is about one.
    pub order_key: Option<OrderKey>,
    /// Whether the till confirms what it said, where it is asked.
    pub verification: Option<Verification>,
    /// The order as it stands now, or why that cannot be read: not every message tells it.
    pub current: Result<Option<Box<Order>>, StoreError>,
    /// Its invoice.
    pub invoice: Option<InvoiceRow>,
    /// Why the sink is told.
    pub purpose: Purpose,
    /// The first message and how it fared, where this one continues it.
    pub thread: Option<ThreadRow>,
    /// The frozen message, from the first attempt on.
    pub payload: Option<Payload>,
    /// Attempts so far.
    pub attempts: u32,
    /// Retries of the schedule that are used up.
    pub retries: u32,
    /// When it was first attempted.
    pub first_attempt_at: Option<Timestamp>,
    /// How those stand that it goes to, where the far side has it for some of several; else empty.
    pub recipients: Vec<RecipientRow>,
}

/// What is due.
#[derive(Debug)]
pub enum Found {
    /// It can be attempted.
    Candidate(Box<Candidate>),
    /// So much belongs to it that it is read by itself ([`Store::large_candidate`]). Its place.
    Large(i64),
    /// It is to be given up ([`Store::bury`]): it would be found again and again.
    Unreadable(Unreadable),
}

impl Candidate {
    /// Lets go of what the message was made of, once it is made: it is kept for as long as the attempt takes.
    pub fn forget_texts(&mut self) {
        self.event.data = String::new();
        self.current = Ok(None);
        self.thread = None;
    }
}

/// From how many bytes of texts on a delivery is large. The largest order that is taken is a thousand times a usual one, and
/// its message takes up several times as much while it is made.
const LARGE: i64 = 256 * 1024;

/// A delivery whose row, or whose event, cannot be read.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// Its place: its id may be what cannot be read.
    pub seq: i64,
    /// Its id, as it stands there.
    pub id: String,
    /// Where it goes.
    pub sink: SinkName,
    /// What cannot be read. It does not quote it: that may be a customer.
    pub reason: String,
}

/// The first message of an order to a sink.
#[derive(Clone, Debug)]
pub struct ThreadRow {
    /// `delivered`, `dead`, …
    pub status: String,
    /// What the far side calls it.
    pub reference: Option<String>,
    /// The message, if one was made.
    pub payload: Option<Payload>,
}

/// What to do with a candidate.
#[derive(Clone, Debug)]
pub struct Started {
    /// The delivery.
    pub id: DeliveryId,
    /// The row as it was read.
    pub version: i64,
    /// Attempt it with this message (`None`: it could not be made, and the attempt fails), or skip it because of a rule.
    pub how: Result<Option<Payload>, String>,
    /// Whether the message lacks the invoice that it should carry.
    pub without_invoice: bool,
    /// When.
    pub at: Timestamp,
}

/// What is due, longest first, with the size of what it tells; up to a size ($5).
macro_rules! due {
    () => {
        "SELECT d.seq, d.due_at, coalesce(octet_length(e.data), 0) + coalesce(octet_length(latest.data), 0) AS size
         FROM delivery d LEFT JOIN event e ON e.id = d.event_id
         LEFT JOIN customer_order o ON o.key = d.order_key LEFT JOIN event latest ON latest.id = o.last_event
         WHERE d.sink = $1 AND d.open = 1 AND d.held = 0 AND d.due_at <= $2 AND d.status <> 'sending'
           AND NOT EXISTS (SELECT 1 FROM delivery p WHERE p.lane = d.lane AND p.open = 1
                           AND (p.seq < d.seq OR p.status = 'sending'))
           AND coalesce(octet_length(e.data), 0) + coalesce(octet_length(latest.data), 0) <= $5
         ORDER BY d.due_at, d.seq LIMIT $3"
    };
}

#[cfg(test)]
pub(super) const DUE: &str = due!();

/// With all that their messages are made of, of rows `due` (`seq`, `due_at`, `size`, `before`). Of a large one the texts are
/// left out, unless it is the one that is asked for.
macro_rules! candidates {
    ($which:literal) => {
        concat!(
            "SELECT d.id, d.version, d.order_key, d.purpose, iif(size <= $4, d.payload, NULL), d.attempts, d.retries,
                    d.first_attempt_at, e.seq, e.id, e.type, e.shop, e.shop_name, e.order_key, e.at, e.test,
                    iif(size <= $4, e.data, NULL), iif(size <= $4, latest.data, NULL),
                    i.status, i.sha256, i.bytes, i.filename, i.path, i.capability, i.last_error,
                    t.status, t.reference, iif(size <= $4, t.payload, NULL),
                    CASE WHEN d.order_key IS NULL
                         THEN (SELECT v.status FROM verification v WHERE v.event_id = d.event_id)
                         ELSE o.verification END, d.seq, size, d.recipients
             FROM (SELECT seq, due_at, size, sum(size) OVER (ORDER BY due_at, seq) - size AS before FROM (",
            due!(),
            ")) due
             CROSS JOIN delivery d ON d.seq = due.seq LEFT JOIN event e ON e.id = d.event_id
             LEFT JOIN customer_order o ON o.key = d.order_key LEFT JOIN event latest ON latest.id = o.last_event
             LEFT JOIN invoice i ON i.order_key = d.order_key LEFT JOIN delivery t ON t.id = d.thread_of ",
            $which,
            " ORDER BY due.due_at, due.seq"
        )
    };
}

const CANDIDATES: &str = candidates!("WHERE due.before < $4");

const LARGE_CANDIDATE: &str = candidates!("WHERE d.seq = $6");

pub(super) const NEXT_DUE: &str =
    "SELECT min(due_at) FROM delivery WHERE sink = $1 AND open = 1 AND held = 0 AND due_at > $2";

impl Store {
    /// The deliveries of a sink that may be attempted at `now`, at most one a lane, longest due first. Nothing of a lane
    /// may while something of it is being sent, also where a person had an earlier delivery sent again; nothing about an
    /// order is made while the till is still to confirm it and the shop requires that. Large ones are left out, for others to
    /// go before them, unless they are wanted.
    ///
    /// # Errors
    /// What the database says.
    pub async fn candidates(
        &self,
        sink: &SinkName,
        now: Timestamp,
        limit: u32,
        large: bool,
    ) -> Result<Vec<Found>, StoreError> {
        let most = if large { i64::MAX } else { LARGE };
        let rows = sqlx::query(CANDIDATES).bind(sink.as_str()).bind(micros(now)).bind(limit).bind(LARGE).bind(most);
        rows.fetch_all(self.readers()).await?.iter().map(|row| found(row, sink, LARGE)).collect()
    }

    /// One that [`Store::candidates`] found to be large, if it may still be attempted.
    ///
    /// # Errors
    /// What the database says.
    pub async fn large_candidate(
        &self,
        sink: &SinkName,
        now: Timestamp,
        limit: u32,
        seq: i64,
    ) -> Result<Option<Found>, StoreError> {
        let rows = sqlx::query(LARGE_CANDIDATE)
            .bind(sink.as_str())
            .bind(micros(now))
            .bind(limit)
            .bind(i64::MAX)
            .bind(i64::MAX)
            .bind(seq);
        let row = rows.fetch_optional(self.readers()).await?;
        row.map(|row| found(&row, sink, i64::MAX)).transpose()
    }

    /// When the next delivery of a sink is due that is not due at `now`; one that is held back is never due.
    ///
    /// # Errors
    /// What the database says.
    pub async fn next_due(&self, sink: &SinkName, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let next: Option<i64> =
            sqlx::query_scalar(NEXT_DUE).bind(sink.as_str()).bind(micros(now)).fetch_one(self.readers()).await?;
        Ok(next.map(nearest))
    }

    /// Moves candidates to `sending` with their bodies frozen, or to `skipped`. Returns those that may now be attempted:
    /// what changed since it was read, or is no longer the first of its lane, is left for another look, and so is everything
    /// where another attempt has paused or held the sink meanwhile. Atomic.
    ///
    /// # Errors
    /// When nothing of it is on disk.
    pub async fn start(&self, batch: Vec<Started>) -> Result<Vec<DeliveryId>, StoreError> {
        let batch = std::sync::Arc::new(batch);
        self.write(move |conn| {
            let batch = batch.clone();
            Box::pin(async move {
                let mut sending = Vec::new();
                for started in batch.iter() {
                    let changed = match &started.how {
                        Ok(payload) => start_one(conn, started, payload.as_ref()).await?,
                        Err(rule) => skip_one(conn, started, rule).await?,
                    };
                    if changed && started.how.is_ok() {
                        sending.push(started.id);
                    }
                }
                Ok::<_, sqlx::Error>(sending)
            })
        })
        .await
    }

    /// Whether nothing is due at `now`, nothing is in flight, and no link is to be followed; paused and held sinks, and
    /// orders that are held back, do not count. What a test waits for.
    ///
    /// # Errors
    /// What the database says.
    pub async fn is_settled(&self, now: Timestamp) -> Result<bool, StoreError> {
        let busy: i64 = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM delivery d LEFT JOIN sink_state s ON s.sink = d.sink
                            WHERE d.open = 1 AND (d.status = 'sending' OR (d.held = 0 AND d.due_at <= $1
                                  AND s.paused_at IS NULL
                                  AND coalesce(s.held_until, 0) <= $1
                                  AND NOT EXISTS (SELECT 1 FROM delivery p
                                                  WHERE p.lane = d.lane AND p.open = 1
                                                    AND (p.seq < d.seq OR p.status = 'sending')))))
                 OR EXISTS (SELECT 1 FROM invoice WHERE status = 'pending' AND next_attempt_at <= $1 AND url IS NOT NULL)
                 OR EXISTS (SELECT 1 FROM verification WHERE status = 'pending' AND next_attempt_at <= $1)",
        )
        .bind(micros(now))
        .fetch_one(self.readers())
        .await?;
        Ok(busy == 0)
    }
}

/// What a row of [`CANDIDATES`] says, of which the texts are there up to this size.
fn found(row: &SqliteRow, sink: &SinkName, size: i64) -> Result<Found, StoreError> {
    let seq = row.try_get(29)?;
    if row.try_get::<i64, _>(30)? > size {
        return Ok(Found::Large(seq));
    }
    match candidate(row) {
        Ok(candidate) => Ok(Found::Candidate(Box::new(candidate))),
        Err(error @ StoreError::Corrupt(_)) => {
            let (id, sink, reason) = (id_of(row, 0).unwrap_or_default(), sink.clone(), error.to_string());
            Ok(Found::Unreadable(Unreadable { seq, id, sink, reason }))
        }
        Err(error) => Err(error),
    }
}

fn candidate(row: &SqliteRow) -> Result<Candidate, StoreError> {
    let payload = |json: Option<String>| json.as_deref().map(from_json).transpose();
    let order_key: Option<String> = row.try_get(2)?;
    let order_key = order_key.as_deref().map(parse).transpose()?;
    let thread_status: Option<String> = row.try_get(25)?;
    Ok(Candidate {
        id: parse(row.try_get(0)?)?,
        seq: row.try_get(29)?,
        version: row.try_get(1)?,
        event: super::reading::event(row, 8)?,
        order_key,
        verification: row.try_get::<Option<&str>, _>(28)?.and_then(Verification::from_word),
        current: row
            .try_get::<Option<&str>, _>(17)
            .map_err(StoreError::from)
            .and_then(|json| json.map(from_json).transpose()),
        invoice: order_key.map(|key| invoice(row, key)).transpose()?.flatten(),
        purpose: purpose(row.try_get(3)?)?,
        thread: thread_status
            .map(|status| {
                Ok::<_, StoreError>(ThreadRow {
                    status,
                    reference: row.try_get(26)?,
                    // Without it a change goes out as a message of its own.
                    payload: row.try_get(27).ok().and_then(|json| payload(json).ok()).flatten(),
                })
            })
            .transpose()?,
        payload: payload(row.try_get(4)?)?,
        attempts: row.try_get(5)?,
        retries: row.try_get(6)?,
        first_attempt_at: row.try_get::<Option<i64>, _>(7)?.map(timestamp).transpose()?,
        recipients: recipients(row, 31)?,
    })
}

/// How those stand that a delivery goes to.
pub(super) fn recipients(row: &SqliteRow, column: usize) -> Result<Vec<RecipientRow>, StoreError> {
    let json: Option<&str> = row.try_get(column)?;
    Ok(json.map(from_json).transpose()?.unwrap_or_default())
}

fn invoice(row: &SqliteRow, order: OrderKey) -> Result<Option<InvoiceRow>, StoreError> {
    let Some(status) = row.try_get::<Option<String>, _>(18)? else { return Ok(None) };
    let sha256: Option<String> = row.try_get(19)?;
    let file = match sha256 {
        Some(sha256) if status == "stored" => Some(StoredFile {
            sha256,
            bytes: row.try_get::<i64, _>(20)?.unsigned_abs(),
            filename: row.try_get(21)?,
            path: row.try_get(22)?,
            capability: row.try_get(23)?,
        }),
        _ => None,
    };
    Ok(Some(InvoiceRow { order, status: invoice_status(&status)?, file, last_error: row.try_get(24)? }))
}

async fn start_one(
    conn: &mut SqliteConnection,
    started: &Started,
    payload: Option<&Payload>,
) -> Result<bool, sqlx::Error> {
    sqlx::query(
        "UPDATE delivery SET status = 'sending', attempts = attempts + 1, version = version + 1,
             first_attempt_at = coalesce(first_attempt_at, $3),
             without_invoice = CASE WHEN payload IS NULL AND $4 IS NOT NULL THEN $5 ELSE without_invoice END,
             payload = coalesce(payload, $4)
         WHERE id = $1 AND version = $2 AND open = 1 AND held = 0 AND status <> 'sending'
           AND NOT EXISTS (SELECT 1 FROM delivery p WHERE p.lane = delivery.lane AND p.open = 1
                           AND (p.seq < delivery.seq OR p.status = 'sending'))
           AND NOT EXISTS (SELECT 1 FROM sink_state s
                           WHERE s.sink = delivery.sink AND (s.paused_at IS NOT NULL
                                 OR (s.held_until > $3 AND s.held_until < $6)))",
    )
    .bind(started.id.to_string())
    .bind(started.version)
    .bind(micros(started.at))
    .bind(payload.and_then(|payload| serde_json::to_string(payload).ok()))
    .bind(started.without_invoice)
    // A time beyond all times is none that can be read.
    .bind(micros(Timestamp::MAX))
    .execute(conn)
    .await
    .map(|done| done.rows_affected() == 1)
}

async fn skip_one(conn: &mut SqliteConnection, started: &Started, rule: &str) -> Result<bool, sqlx::Error> {
    sqlx::query(
        "UPDATE delivery SET status = 'skipped', open = 0, skipped_because = $3, version = version + 1
         WHERE id = $1 AND version = $2 AND open = 1 AND status <> 'sending'",
    )
    .bind(started.id.to_string())
    .bind(started.version)
    .bind(rule)
    .execute(conn)
    .await
    .map(|done| done.rows_affected() == 1)
}

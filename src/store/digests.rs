//! Summaries that were made: of which days, for which sink, and how each order was counted.

use std::sync::Arc;

use bytes::Bytes;
use jiff::{Timestamp, civil::Date};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    BookedFile, Changes, NewDelivery, NewEvent, Rows, Store, StoreError, changes, from_json, micros, parse,
    rows::{Name, nearest},
    timestamp,
};
use crate::order::{Booking, DeliveryId, EventId, Period, ReportFile, ShopId, SinkName, Why};

/// Why a summary was not sent: there were no orders in it.
pub const NOTHING_TO_TELL: &str = "digest.empty";

/// A summary that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeDigest {
    /// Its id.
    pub id: String,
    /// Its days.
    pub period: Period,
    /// Why it was made.
    pub why: Why,
    /// The newest event when its orders were read.
    pub seen: i64,
    /// The event of its first part.
    pub event: EventId,
    /// When it was made.
    pub at: Timestamp,
    /// Whether the sink was told, or is about to be: it is not where there was nothing to tell, or the mail was given up.
    pub is_told: bool,
}

/// A summary to write down, with what tells the sink of it.
#[derive(Clone, Debug)]
pub struct NewDigest {
    /// Its id.
    pub id: String,
    /// Whom it is for.
    pub sink: SinkName,
    /// Whose orders they are.
    pub shop: ShopId,
    /// Its days.
    pub period: Period,
    /// Why it is made. One that is due is made once, whoever asks again.
    pub why: Why,
    /// The newest event when its orders were read.
    pub seen: i64,
    /// How each order was counted.
    pub lines: Vec<Booking>,
    /// The till's own reports, byte for byte.
    pub reports: Vec<(ReportFile, Bytes)>,
    /// An event for each part, the first part's first.
    pub events: Vec<NewEvent>,
    /// A delivery for each part.
    pub deliveries: Vec<NewDelivery>,
    /// When.
    pub at: Timestamp,
}

/// The summaries of a shop for a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestPlan {
    /// The sink.
    pub sink: SinkName,
    /// The shop.
    pub shop: ShopId,
    /// When they are made, in words that change when it does.
    pub cadence: String,
    /// Since when.
    pub since: Timestamp,
}

/// An order that something happened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedOrder {
    /// The event.
    pub seq: i64,
    /// The day that the order counts for.
    pub day: Date,
    /// The summaries that counted it.
    pub counted_in: Vec<String>,
}

/// An order as the files of a summary show it: as it was counted, with the names of today.
#[derive(Clone, Debug)]
pub struct DigestLine {
    /// What was counted.
    pub booking: Booking,
    /// The customer's name, where there is one and nobody asked to be forgotten.
    pub customer: Option<String>,
    /// The PDF, where it is in the archive.
    pub pdf: Option<BookedFile>,
}

impl Store {
    /// The summaries of a shop's days for a sink whose last day is this one or later: by period, and of a period the oldest
    /// first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn digests(&self, sink: &SinkName, shop: &ShopId, since: Date) -> Result<Vec<MadeDigest>, StoreError> {
        let rows = sqlx::query(
            "SELECT g.id, g.first_day, g.last_day, g.why, g.event_id, g.at, g.seen, d.status IS NULL OR d.status NOT IN ('skipped', 'dead')
             FROM digest g LEFT JOIN delivery d ON d.event_id = g.event_id AND d.order_key IS NULL AND d.sink = g.sink
             WHERE g.sink = $1 AND g.shop = $2 AND g.last_day >= $3
             ORDER BY g.first_day, g.last_day, g.seen, g.number",
        );
        let rows = rows.bind(sink.as_str()).bind(shop.as_str()).bind(since.to_string());
        let found = rows.fetch_all(self.readers()).await?;
        Ok(self.log(Rows::read(&found, made, |row| Name::of("summary", row, 0))?).into_parts().0)
    }

    /// Remembers since when each of these summaries is made, and forgets all others. One whose cadence changed, or that was
    /// begun when the clock was ahead, begins now. Returns those that were forgotten. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn begin_digests(&self, wanted: &[DigestPlan], now: Timestamp) -> Result<Vec<DigestPlan>, StoreError> {
        let known = self.digest_plans().await?;
        let is_same = |one: &DigestPlan, other: &DigestPlan| (&one.sink, &one.shop) == (&other.sink, &other.shop);
        let gone: Vec<DigestPlan> =
            known.iter().filter(|known| !wanted.iter().any(|one| is_same(one, known))).cloned().collect();
        let is_well = |one: &&DigestPlan| {
            known.iter().any(|known| is_same(one, known) && one.cadence == known.cadence && known.since <= now)
        };
        let fresh: Vec<DigestPlan> = wanted.iter().filter(|one| !is_well(one)).cloned().collect();
        if gone.is_empty() && fresh.is_empty() {
            return Ok(gone);
        }
        let changes = Arc::new((gone.clone(), fresh));
        self.write(move |conn| {
            let changes = changes.clone();
            Box::pin(async move { write_plans(conn, &changes.0, &changes.1, now).await })
        })
        .await?;
        Ok(gone)
    }

    /// The summaries that are made.
    ///
    /// # Errors
    /// What the database says.
    pub async fn digest_plans(&self) -> Result<Vec<DigestPlan>, StoreError> {
        let rows = sqlx::query("SELECT sink, shop, cadence, since FROM digest_plan ORDER BY sink, shop");
        let plan = |row: &SqliteRow| {
            Ok(DigestPlan {
                sink: parse(row.try_get(0)?)?,
                shop: parse(row.try_get(1)?)?,
                cadence: row.try_get(2)?,
                since: timestamp(row.try_get(3)?)?,
            })
        };
        let found = rows.fetch_all(self.readers()).await?;
        Ok(self.log(Rows::read(&found, plan, |row| Name::of("beginning of the summaries for", row, 0))?).into_parts().0)
    }

    /// The newest event there is.
    ///
    /// # Errors
    /// What the database says.
    pub async fn newest_event(&self) -> Result<i64, StoreError> {
        let newest = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM event");
        Ok(newest.fetch_one(self.readers()).await?)
    }

    /// How a summary counted each order, by day and in order of arrival.
    ///
    /// # Errors
    /// What the database says.
    pub async fn digest_lines(&self, digest: &str) -> Result<Rows<DigestLine>, StoreError> {
        let rows = sqlx::query(
            "SELECT l.booking, iif(json_valid(e.data), e.data ->> '$.customer.name', NULL), i.sha256, i.bytes, i.filename,
                    i.path, o.order_id, o.internal_id, l.order_key, o.shop
             FROM digest_line l LEFT JOIN customer_order o ON o.key = l.order_key LEFT JOIN event e ON e.id = o.last_event
             LEFT JOIN invoice i ON i.order_key = l.order_key AND i.status = 'stored'
             WHERE l.digest = $1 ORDER BY iif(json_valid(l.booking), l.booking ->> '$.date', NULL), o.seq",
        );
        let found = rows.bind(digest).fetch_all(self.readers()).await?;
        Ok(self.log(Rows::read(&found, line, |row| Name::of_order("summary's line of order", row, [6, 7, 8], 9))?))
    }

    /// What the events after one, up to another, are about: orders of a shop, and the summaries of a sink that counted them.
    ///
    /// # Errors
    /// What the database says.
    pub async fn changes_between(
        &self,
        sink: &SinkName,
        shop: &ShopId,
        after: i64,
        upto: i64,
    ) -> Result<Vec<ChangedOrder>, StoreError> {
        let rows = sqlx::query(
            "SELECT e.seq, o.booked_on,
                    (SELECT json_group_array(DISTINCT l.digest) FROM digest_line l CROSS JOIN digest g ON g.id = l.digest
                     WHERE l.order_key = e.order_key AND g.sink = $1)
             FROM event e CROSS JOIN customer_order o ON o.key = e.order_key
             WHERE e.seq > $3 AND e.seq <= $4 AND e.shop = $2 AND o.test = 0 AND o.booked_on IS NOT NULL ORDER BY e.seq",
        );
        let rows = rows.bind(sink.as_str()).bind(shop.as_str()).bind(after).bind(upto);
        let changed = |row: &SqliteRow| {
            Ok(ChangedOrder {
                seq: row.try_get(0)?,
                day: parse(row.try_get(1)?)?,
                counted_in: from_json(row.try_get(2)?)?,
            })
        };
        let found = rows.fetch_all(self.readers()).await?;
        Ok(self
            .log(Rows::read(&found, changed, |row| {
                Name::plain("order of event", row.try_get::<i64, _>(0).unwrap_or_default().to_string())
            })?)
            .into_parts()
            .0)
    }

    /// Until when the PDFs of these days are to be waited for; `None` where none is on its way.
    ///
    /// # Errors
    /// What the database says.
    pub async fn pdfs_awaited_until(&self, shop: &ShopId, period: Period) -> Result<Option<Timestamp>, StoreError> {
        let until: Option<i64> = sqlx::query_scalar(
            "SELECT max(i.wait_until) FROM customer_order o CROSS JOIN invoice i ON i.order_key = o.key
             WHERE o.shop = $1 AND o.booked_on BETWEEN $2 AND $3 AND o.test = 0 AND i.status = 'pending'",
        )
        .bind(shop.as_str())
        .bind(period.first.to_string())
        .bind(period.last.to_string())
        .fetch_one(self.readers())
        .await?;
        Ok(until.map(nearest))
    }

    /// The delivery that told a sink of this event about no order; none where it has an id that is none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn delivery_of(&self, sink: &SinkName, event: EventId) -> Result<Option<DeliveryId>, StoreError> {
        let id: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT CAST(id AS BLOB) FROM delivery WHERE event_id = $1 AND order_key IS NULL AND sink = $2",
        )
        .bind(event.to_string())
        .bind(sink.as_str())
        .fetch_optional(self.readers())
        .await?;
        Ok(id.and_then(|id| parse(&String::from_utf8_lossy(&id)).ok()))
    }

    /// A report of the till that goes with a summary.
    ///
    /// # Errors
    /// What the database says.
    pub async fn digest_report(&self, digest: &str, kind: ReportFile) -> Result<Option<Bytes>, StoreError> {
        let content = sqlx::query_scalar("SELECT content FROM digest_report WHERE digest = $1 AND kind = $2");
        let content: Option<Vec<u8>> = content.bind(digest).bind(kind.as_str()).fetch_optional(self.readers()).await?;
        Ok(content.map(Bytes::from))
    }

    /// Writes a summary down and enqueues it. Returns whether it did: one that is due is made once. Atomic.
    ///
    /// # Errors
    /// When nothing of it is on disk.
    pub async fn make_digest(&self, new: NewDigest) -> Result<bool, StoreError> {
        let new = Arc::new(new);
        self.write_alone(move |conn| {
            let new = new.clone();
            Box::pin(async move { make(conn, &new).await })
        })
        .await
    }
}

async fn write_plans(
    conn: &mut SqliteConnection,
    gone: &[DigestPlan],
    fresh: &[DigestPlan],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    for plan in gone {
        let forget = sqlx::query("DELETE FROM digest_plan WHERE sink = $1 AND shop = $2");
        forget.bind(plan.sink.as_str()).bind(plan.shop.as_str()).execute(&mut *conn).await?;
    }
    for plan in fresh {
        sqlx::query("INSERT OR REPLACE INTO digest_plan (sink, shop, cadence, since) VALUES ($1, $2, $3, $4)")
            .bind(plan.sink.as_str())
            .bind(plan.shop.as_str())
            .bind(&plan.cadence)
            .bind(micros(now))
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

async fn make(conn: &mut SqliteConnection, new: &NewDigest) -> Result<bool, StoreError> {
    let Some(first) = new.events.first() else { return Ok(false) };
    let made = sqlx::query(
        "INSERT INTO digest (id, sink, shop, first_day, last_day, number, why, event_id, at, seen)
         SELECT $1, $2, $3, $4, $5,
                iif($6 = 'due', 0, (SELECT coalesce(max(number), 0) + 1 FROM digest
                                    WHERE sink = $2 AND shop = $3 AND first_day = $4 AND last_day = $5)), $6, $7, $8, $9
         WHERE true ON CONFLICT (sink, shop, first_day, last_day, number) DO NOTHING",
    )
    .bind(&new.id)
    .bind(new.sink.as_str())
    .bind(new.shop.as_str())
    .bind(new.period.first.to_string())
    .bind(new.period.last.to_string())
    .bind(new.why.as_str())
    .bind(first.id.to_string())
    .bind(micros(new.at))
    .bind(new.seen)
    .execute(&mut *conn)
    .await?;
    if made.rows_affected() == 0 {
        return Ok(false);
    }
    // One statement: calls of the till wait for this commit.
    let lines = serde_json::to_string(&new.lines).map_err(|error| super::corrupt(&error))?;
    sqlx::query(
        "INSERT INTO digest_line (digest, order_key, booking) SELECT $1, value ->> '$.order', value FROM json_each($2)",
    )
    .bind(&new.id)
    .bind(lines)
    .execute(&mut *conn)
    .await?;
    for (kind, content) in &new.reports {
        sqlx::query("INSERT INTO digest_report (digest, kind, content) VALUES ($1, $2, $3)")
            .bind(&new.id)
            .bind(kind.as_str())
            .bind(content.to_vec())
            .execute(&mut *conn)
            .await?;
    }
    if new.why == Why::Limit {
        super::limits::told(conn, new).await?;
    }
    let (events, deliveries) = (new.events.clone(), new.deliveries.clone());
    changes::apply(conn, Changes { events, deliveries, ..Changes::default() }).await?;
    Ok(true)
}

fn made(row: &SqliteRow) -> Result<MadeDigest, StoreError> {
    Ok(MadeDigest {
        id: row.try_get(0)?,
        period: Period { first: parse(row.try_get(1)?)?, last: parse(row.try_get(2)?)? },
        why: from_json(&format!("\"{}\"", row.try_get::<&str, _>(3)?))?,
        seen: row.try_get(6)?,
        event: parse(row.try_get(4)?)?,
        at: timestamp(row.try_get(5)?)?,
        is_told: row.try_get(7)?,
    })
}

fn line(row: &SqliteRow) -> Result<DigestLine, StoreError> {
    let (sha256, path): (Option<String>, Option<String>) = (row.try_get(2)?, row.try_get(5)?);
    let file = |(sha256, path)| {
        Ok::<_, StoreError>(BookedFile {
            sha256,
            bytes: row.try_get::<Option<i64>, _>(3)?.unwrap_or(0).unsigned_abs(),
            filename: row.try_get::<Option<String>, _>(4)?.unwrap_or_default(),
            path,
        })
    };
    Ok(DigestLine {
        booking: from_json(row.try_get(0)?)?,
        customer: row.try_get(1)?,
        pdf: sha256.zip(path).map(file).transpose()?,
    })
}

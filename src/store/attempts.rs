//! How attempts end: for the delivery, for the log, for the sink, and for whoever has to know.

use std::{borrow::Cow, sync::Arc, time::Duration};

use jiff::Timestamp;
use sqlx::{SqliteConnection, SqliteExecutor};

use super::{Changes, SinkState, Store, StoreError, changes, micros, sinks};
use crate::order::{DeliveryId, SinkName};

/// How an attempt ended, for its delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The far side has it.
    Delivered {
        /// What the message is called there.
        reference: Option<String>,
    },
    /// Again at that time; whether one retry of the schedule is used up.
    Again {
        /// When.
        at: Timestamp,
        /// Whether the schedule moves on.
        uses_retry: bool,
    },
    /// Never again by itself.
    Dead,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The delivery.
    pub id: DeliveryId,
    /// Where it goes.
    pub sink: SinkName,
    /// For the delivery.
    pub verdict: Verdict,
    /// The attempt, for the log.
    pub attempt: AttemptRow,
    /// The far side asked everyone to wait until then.
    pub hold_until: Option<Timestamp>,
    /// The sink stops, because of that.
    pub pause: Option<String>,
}

/// An attempt as the log keeps it.
#[derive(Clone, Debug)]
pub struct AttemptRow {
    /// From 1.
    pub number: u32,
    /// When it began.
    pub at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How long the far side took.
    pub took: Duration,
    /// `delivered`, `retry`, `reject` or `pause`.
    pub verdict: &'static str,
    /// The reason, as a metric's label.
    pub reason: Option<&'static str>,
    /// The far side's answer in short.
    pub status: Option<String>,
    /// The beginning of its answer, or what went wrong, for people.
    pub excerpt: Option<String>,
}

/// What follows from an attempt for people, decided inside the transaction that writes it.
pub trait Review: Send + Sync + 'static {
    /// Something that a person has to know.
    type News: Send;

    /// What there is to tell, of a sink as it is after the attempt; `paused`: this very attempt paused it; `retrying`: a
    /// message that failed is still to be sent again.
    fn news(&self, state: &SinkState, paused: bool, retrying: bool) -> Option<Self::News>;

    /// Why the sink is to be paused, if it is.
    fn pauses<'a>(&self, news: &'a Self::News) -> Option<&'a str>;

    /// The alert, with how many deliveries of the sink wait and how many are dead.
    fn tell(&self, state: &SinkState, news: Self::News, waiting: u64, dead: u64) -> Changes;
}

impl Store {
    /// Writes how an attempt ended, with its line in the log, what that says of the sink, and what `review` makes of it:
    /// who is told of an outage is on disk with the attempt that showed it. Atomic.
    ///
    /// # Errors
    /// When nothing of it is on disk.
    pub async fn finish<R: Review>(&self, finished: Finished, review: R) -> Result<(), StoreError> {
        let work = Arc::new((finished, review));
        self.write(move |conn| {
            let work = work.clone();
            Box::pin(async move {
                let (finished, review) = &*work;
                let finished = &forget_answer(conn, finished).await?;
                log_attempt(conn, finished).await?;
                finish_delivery(conn, finished).await?;
                if !finish_sink(conn, finished).await? {
                    return Ok(());
                }
                let paused = match &finished.pause {
                    Some(because) => pause(conn, finished, because).await?,
                    None => false,
                };
                let Some(state) = sinks::state(&mut *conn, &finished.sink).await? else { return Ok(()) };
                let retrying = is_retrying(conn, &finished.sink).await?;
                let Some(news) = review.news(&state, paused, retrying) else { return Ok(()) };
                if let Some(because) = review.pauses(&news) {
                    pause(conn, finished, because).await?;
                }
                let (waiting, dead) = backlog(&mut *conn, &finished.sink).await?;
                Ok::<_, StoreError>(changes::apply(conn, review.tell(&state, news, waiting, dead)).await?)
            })
        })
        .await
    }

    /// What was in flight when the last service died is due again: it may have arrived, or not. Returns how many. Atomic.
    ///
    /// # Errors
    /// When nothing of it is on disk.
    pub async fn recover_interrupted(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.write(move |conn| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO attempt (delivery_id, number, at, duration_ms, verdict, excerpt)
                     SELECT id, attempts, $1, 0, 'interrupted', 'the service stopped during this attempt'
                     FROM delivery WHERE open = 1 AND status = 'sending'",
                )
                .bind(micros(now))
                .execute(&mut *conn)
                .await?;
                sqlx::query(
                    "UPDATE delivery SET status = 'retrying', due_at = $1, version = version + 1
                     WHERE open = 1 AND status = 'sending'",
                )
                .bind(micros(now))
                .execute(conn)
                .await
                .map(|done| done.rows_affected())
            })
        })
        .await
    }

    /// How many deliveries of a sink wait, and how many are dead.
    ///
    /// # Errors
    /// What the database says.
    pub async fn backlog(&self, sink: &SinkName) -> Result<(u64, u64), StoreError> {
        Ok(backlog(self.readers(), sink).await?)
    }
}

/// Leaves out what the far side answered, where the order's customer was erased while the message was on its way.
async fn forget_answer<'a>(
    conn: &mut SqliteConnection,
    finished: &'a Finished,
) -> Result<Cow<'a, Finished>, sqlx::Error> {
    let erased: i64 = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM delivery d JOIN customer_order o ON o.key = d.order_key
                        WHERE d.id = $1 AND d.payload IS NULL AND o.erased > 0)",
    )
    .bind(finished.id.to_string())
    .fetch_one(conn)
    .await?;
    if erased == 0 {
        return Ok(Cow::Borrowed(finished));
    }
    let mut finished = finished.clone();
    finished.attempt.status = None;
    finished.attempt.excerpt = None;
    finished.pause = finished.pause.map(|_| "it failed".to_owned());
    Ok(Cow::Owned(finished))
}

async fn log_attempt(conn: &mut SqliteConnection, finished: &Finished) -> Result<(), sqlx::Error> {
    let attempt = &finished.attempt;
    sqlx::query(
        "INSERT INTO attempt (delivery_id, number, at, duration_ms, verdict, reason, status, excerpt)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(finished.id.to_string())
    .bind(attempt.number)
    .bind(micros(attempt.at))
    .bind(i64::try_from(attempt.took.as_millis()).unwrap_or(i64::MAX))
    .bind(attempt.verdict)
    .bind(attempt.reason)
    .bind(&attempt.status)
    .bind(&attempt.excerpt)
    .execute(conn)
    .await
    .map(drop)
}

async fn finish_delivery(conn: &mut SqliteConnection, finished: &Finished) -> Result<(), sqlx::Error> {
    let id = finished.id.to_string();
    let error = finished.attempt.excerpt.clone();
    let query = match &finished.verdict {
        Verdict::Delivered { reference } => sqlx::query(
            "UPDATE delivery SET status = 'delivered', open = 0, version = version + 1, delivered_at = $2,
                 reference = $3, last_error = NULL
             WHERE id = $1 AND status = 'sending'",
        )
        .bind(id)
        .bind(micros(finished.attempt.ended_at))
        .bind(reference.clone()),
        Verdict::Again { at, uses_retry } => sqlx::query(
            "UPDATE delivery SET status = 'retrying', version = version + 1, due_at = $2, retries = retries + $3,
                 last_error = $4
             WHERE id = $1 AND status = 'sending'",
        )
        .bind(id)
        .bind(micros(*at))
        .bind(i64::from(*uses_retry))
        .bind(error),
        Verdict::Dead => sqlx::query(
            "UPDATE delivery SET status = 'dead', open = 0, version = version + 1, last_error = $2
             WHERE id = $1 AND status = 'sending'",
        )
        .bind(id)
        .bind(error),
    };
    query.execute(conn).await.map(drop)
}

/// Returns whether that changed anything: a success after a success does not.
async fn finish_sink(conn: &mut SqliteConnection, finished: &Finished) -> Result<bool, sqlx::Error> {
    let sink = finished.sink.as_str().to_owned();
    let query = if matches!(finished.verdict, Verdict::Delivered { .. }) {
        sqlx::query(
            "UPDATE sink_state SET failures = 0, failing_since = NULL, last_error = NULL
             WHERE sink = $1 AND (failures > 0 OR failing_since IS NOT NULL OR told_at IS NOT NULL)",
        )
        .bind(sink)
    } else {
        sqlx::query(
            "UPDATE sink_state SET failures = failures + 1, failing_since = coalesce(failing_since, $2), last_error = $3,
                 held_until = nullif(max(coalesce(held_until, 0), coalesce($4, 0)), 0)
             WHERE sink = $1",
        )
        .bind(sink)
        .bind(micros(finished.attempt.ended_at))
        .bind(finished.attempt.excerpt.clone())
        .bind(finished.hold_until.map(micros))
    };
    query.execute(conn).await.map(|done| done.rows_affected() > 0)
}

async fn pause(conn: &mut SqliteConnection, finished: &Finished, because: &str) -> Result<bool, sqlx::Error> {
    sqlx::query("UPDATE sink_state SET paused_at = $2, paused_because = $3 WHERE sink = $1 AND paused_at IS NULL")
        .bind(finished.sink.as_str())
        .bind(micros(finished.attempt.ended_at))
        .bind(because)
        .execute(conn)
        .await
        .map(|done| done.rows_affected() == 1)
}

async fn backlog<'e>(executor: impl SqliteExecutor<'e>, sink: &SinkName) -> Result<(u64, u64), sqlx::Error> {
    let (waiting, dead): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM delivery WHERE sink = $1 AND open = 1),
                (SELECT count(*) FROM delivery WHERE sink = $1 AND status = 'dead')",
    )
    .bind(sink.as_str())
    .fetch_one(executor)
    .await?;
    Ok((waiting.unsigned_abs(), dead.unsigned_abs()))
}

async fn is_retrying(conn: &mut SqliteConnection, sink: &SinkName) -> Result<bool, sqlx::Error> {
    const RETRYING: &str =
        "SELECT EXISTS (SELECT 1 FROM delivery WHERE sink = $1 AND open = 1 AND status = 'retrying')";
    let retrying: i64 = sqlx::query_scalar(RETRYING).bind(sink.as_str()).fetch_one(conn).await?;
    Ok(retrying == 1)
}

//! How deliveries end, and attempts at them: for the delivery and for the log. What that says of the sink, and who has to
//! know, follows in the same commit (`review.rs`).

use std::{borrow::Cow, sync::Arc, time::Duration};

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{
    Shared, Store, StoreError, Unreadable, micros, recipients,
    review::{self, Ending, Failure, Review, follow_up},
};
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
    /// How those fare that the message goes to, where they are several.
    pub shared: Shared,
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
                let (shared, at) = (&finished.shared, finished.attempt.ended_at);
                recipients::keep(conn, &finished.id.to_string(), shared, at).await?;
                if !shared.only_refused {
                    follow_up(conn, &finished.ending(), review).await?;
                }
                recipients::follow_up(conn, &finished.sink, shared, at, review).await
            })
        })
        .await
    }

    /// Gives up a delivery whose row cannot be read, lest it hold up every other one, and writes what `review` makes of it.
    /// Returns whether it was still to be given up. Atomic.
    ///
    /// # Errors
    /// When nothing of it is on disk.
    pub async fn bury<R: Review>(&self, row: Unreadable, at: Timestamp, review: R) -> Result<bool, StoreError> {
        let work = Arc::new((row, review));
        self.write(move |conn| {
            let work = work.clone();
            Box::pin(async move {
                let (row, review) = &*work;
                let buried = sqlx::query(
                    "UPDATE delivery SET status = 'dead', open = 0, version = version + 1, last_error = $2
                     WHERE seq = $1 AND open = 1 AND status <> 'sending'",
                );
                let buried = buried.bind(row.seq).bind(&row.reason).execute(&mut *conn).await?.rows_affected() == 1;
                if buried {
                    let failure = Failure { error: Some(&row.reason), hold_until: None, pause: None };
                    follow_up(conn, &Ending { sink: &row.sink, at, failure: Some(failure) }, review).await?;
                }
                Ok::<_, StoreError>(buried)
            })
        })
        .await
    }

    /// What was in flight when the last service died is due again: it may have arrived, or not. Returns how many. What is due
    /// at a time that cannot be is due too: nothing that comes would ever wake it. Atomic.
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
                sqlx::query("UPDATE delivery SET due_at = $1 WHERE open = 1 AND due_at > $2")
                    .bind(micros(now))
                    .bind(micros(Timestamp::MAX))
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
        Ok(review::backlog(self.readers(), sink).await?)
    }
}

impl Finished {
    /// Whether the far side took the message in this attempt, for one recipient at least.
    pub fn was_taken(&self) -> bool {
        self.attempt.verdict == "delivered"
    }

    /// What it says of the sink.
    fn ending(&self) -> Ending<'_> {
        let failure = Failure {
            error: self.attempt.excerpt.as_deref(),
            hold_until: self.hold_until,
            pause: self.pause.as_deref(),
        };
        Ending { sink: &self.sink, at: self.attempt.ended_at, failure: (!self.was_taken()).then_some(failure) }
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
    for row in finished.shared.rows.iter_mut().flatten() {
        row.error = None;
    }
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

//! What the end of an attempt or of a delivery says of its sink, and who has to know of it.
//!
//! **Invariant:** it is written in the transaction that ends the attempt or the delivery: no crash comes between a
//! delivery that is given up and whoever is told.

use jiff::Timestamp;
use sqlx::{SqliteConnection, SqliteExecutor};

use super::{Changes, RefusedRecipient, SinkState, StoreError, changes, micros, sinks};
use crate::order::SinkName;

/// What follows for people, decided inside the transaction that writes what happened.
pub trait Review: Send + Sync + 'static {
    /// Something that a person has to know.
    type News: Send;

    /// What there is to tell, of a sink as it is afterwards; `paused`: this very attempt paused it; `retrying`: a message
    /// that failed is still to be sent again.
    fn news(&self, state: &SinkState, paused: bool, retrying: bool) -> Option<Self::News>;

    /// Why the sink is to be paused, if it is.
    fn pauses<'a>(&self, news: &'a Self::News) -> Option<&'a str>;

    /// The alert, with how many deliveries of the sink wait and how many are dead.
    fn tell(&self, state: &SinkState, news: Self::News, waiting: u64, dead: u64) -> Changes;

    /// The alert about an address that is refused, while the sink works for others; `None` where there is nothing to tell,
    /// or no more. `backlog`: how many deliveries of the sink wait, and how many are dead.
    fn refused(&self, refused: &RefusedRecipient, backlog: (u64, u64)) -> Option<Changes>;
}

/// How something ended for a sink.
pub(super) struct Ending<'a> {
    pub(super) sink: &'a SinkName,
    pub(super) at: Timestamp,
    /// `None`: the far side took the message.
    pub(super) failure: Option<Failure<'a>>,
}

/// What went wrong.
pub(super) struct Failure<'a> {
    pub(super) error: Option<&'a str>,
    /// The far side asked everyone to wait until then.
    pub(super) hold_until: Option<Timestamp>,
    /// The sink stops, because of that.
    pub(super) pause: Option<&'a str>,
}

/// Writes what an ending says of its sink, and what `review` makes of it.
pub(super) async fn follow_up<R: Review>(
    conn: &mut SqliteConnection,
    ending: &Ending<'_>,
    review: &R,
) -> Result<(), StoreError> {
    if !note(conn, ending).await? {
        return Ok(());
    }
    let paused = match ending.failure.as_ref().and_then(|failure| failure.pause) {
        Some(because) => pause(conn, ending, because).await?,
        None => false,
    };
    let Some(state) = sinks::state(&mut *conn, ending.sink).await? else { return Ok(()) };
    let retrying = is_retrying(conn, ending.sink).await?;
    let Some(news) = review.news(&state, paused, retrying) else { return Ok(()) };
    if let Some(because) = review.pauses(&news) {
        pause(conn, ending, because).await?;
    }
    let (waiting, dead) = backlog(&mut *conn, ending.sink).await?;
    Ok(changes::apply(conn, review.tell(&state, news, waiting, dead)).await?)
}

/// How many deliveries of a sink wait, and how many are dead.
pub(super) async fn backlog<'e>(executor: impl SqliteExecutor<'e>, sink: &SinkName) -> Result<(u64, u64), sqlx::Error> {
    let (waiting, dead): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM delivery WHERE sink = $1 AND open = 1),
                (SELECT count(*) FROM delivery WHERE sink = $1 AND status = 'dead')",
    )
    .bind(sink.as_str())
    .fetch_one(executor)
    .await?;
    Ok((waiting.unsigned_abs(), dead.unsigned_abs()))
}

/// Keeps the sink's series of failures. Returns whether that changed anything: a success after a success does not.
async fn note(conn: &mut SqliteConnection, ending: &Ending<'_>) -> Result<bool, sqlx::Error> {
    let sink = ending.sink.as_str();
    let query = match &ending.failure {
        None => sqlx::query(
            "UPDATE sink_state SET failures = 0, failing_since = NULL, last_error = NULL
             WHERE sink = $1 AND (failures > 0 OR failing_since IS NOT NULL OR told_at IS NOT NULL)",
        )
        .bind(sink),
        Some(failure) => sqlx::query(
            "UPDATE sink_state SET failures = failures + 1, failing_since = coalesce(failing_since, $2), last_error = $3,
                 held_until = nullif(max(coalesce(held_until, 0), coalesce($4, 0)), 0)
             WHERE sink = $1",
        )
        .bind(sink)
        .bind(micros(ending.at))
        .bind(failure.error)
        .bind(failure.hold_until.map(micros)),
    };
    query.execute(conn).await.map(|done| done.rows_affected() > 0)
}

async fn pause(conn: &mut SqliteConnection, ending: &Ending<'_>, because: &str) -> Result<bool, sqlx::Error> {
    sqlx::query("UPDATE sink_state SET paused_at = $2, paused_because = $3 WHERE sink = $1 AND paused_at IS NULL")
        .bind(ending.sink.as_str())
        .bind(micros(ending.at))
        .bind(because)
        .execute(conn)
        .await
        .map(|done| done.rows_affected() == 1)
}

async fn is_retrying(conn: &mut SqliteConnection, sink: &SinkName) -> Result<bool, sqlx::Error> {
    // One that only some addresses do not have yet is none: the sink works.
    const RETRYING: &str = "SELECT EXISTS (SELECT 1 FROM delivery
        WHERE sink = $1 AND open = 1 AND held = 0 AND status = 'retrying' AND recipients IS NULL)";
    let retrying: i64 = sqlx::query_scalar(RETRYING).bind(sink.as_str()).fetch_one(conn).await?;
    Ok(retrying == 1)
}

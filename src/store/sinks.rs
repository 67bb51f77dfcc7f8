//! What is known of a sink beyond its configuration: pauses, outages, waits that the far side asked for.

use jiff::Timestamp;
use sqlx::{Row, SqliteConnection, SqliteExecutor, sqlite::SqliteRow};

use super::{
    Store, StoreError, micros,
    rows::{lossy, nearest, texts},
};
use crate::order::SinkName;

/// The state of a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkState {
    /// Which sink.
    pub sink: SinkName,
    /// Since when nothing is attempted, and why.
    pub paused: Option<(Timestamp, String)>,
    /// Failed attempts since the last success.
    pub failures: u32,
    /// When the first of them was.
    pub failing_since: Option<Timestamp>,
    /// When somebody was told of the present outage.
    pub told_at: Option<Timestamp>,
    /// The far side asked everyone to wait until then.
    pub held_until: Option<Timestamp>,
    /// What the last failure was.
    pub last_error: Option<String>,
}

/// The word in `paused_because` of a sink that the configuration no longer has.
pub(super) const REMOVED: &str = "removed from the configuration";

impl Store {
    /// Makes the sinks of the configuration known, pauses those that are no longer in it and wakes those that are again.
    /// Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn declare_sinks(&self, names: Vec<SinkName>, now: Timestamp) -> Result<(), StoreError> {
        let names = serde_json::json!(names).to_string();
        self.write(move |conn| {
            let names = names.clone();
            Box::pin(async move {
                sqlx::query(
                    "INSERT OR IGNORE INTO sink_state (sink, first_ran_at) SELECT value, $2 FROM json_each($1)",
                )
                .bind(&names)
                .bind(micros(now))
                .execute(&mut *conn)
                .await?;
                sqlx::query(
                    "UPDATE sink_state SET paused_at = $2, paused_because = $3
                     WHERE paused_at IS NULL AND sink NOT IN (SELECT value FROM json_each($1))",
                )
                .bind(&names)
                .bind(micros(now))
                .bind(REMOVED)
                .execute(&mut *conn)
                .await?;
                wake(conn, &names, Some(REMOVED), now).await.map(drop)
            })
        })
        .await
    }

    /// The state of a sink; `None` where it never ran.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sink_state(&self, sink: &SinkName) -> Result<Option<SinkState>, StoreError> {
        state(self.readers(), sink).await
    }

    /// The sinks of which somebody has to know that they fail, or that they were paused because they did: from then on until
    /// they work again.
    ///
    /// # Errors
    /// What the database says.
    pub async fn failing_sinks(&self) -> Result<Vec<SinkName>, StoreError> {
        let failing = sqlx::query("SELECT sink FROM sink_state WHERE told_at IS NOT NULL ORDER BY sink");
        let names = texts(&failing.fetch_all(self.readers()).await?, 0);
        // A name that is none is nobody's sink.
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Stops attempts. Keeps an earlier pause and its reason. Returns whether it was running. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn pause_sink(&self, sink: &SinkName, because: &str, now: Timestamp) -> Result<bool, StoreError> {
        let (sink, because) = (sink.to_string(), because.to_owned());
        self.write(move |conn| {
            let (sink, because) = (sink.clone(), because.clone());
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO sink_state (sink, first_ran_at, paused_at, paused_because) VALUES ($1, $2, $2, $3)
                     ON CONFLICT (sink) DO UPDATE SET paused_at = $2, paused_because = $3 WHERE paused_at IS NULL",
                )
                .bind(sink)
                .bind(micros(now))
                .bind(because)
                .execute(conn)
                .await
                .map(|done| done.rows_affected() > 0)
            })
        })
        .await
    }

    /// Lets attempts go on, at once, for everything that waits; the time of the pause counts for nothing. Returns
    /// whether it was paused. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn resume_sink(&self, sink: &SinkName, now: Timestamp) -> Result<bool, StoreError> {
        let names = serde_json::json!([sink]).to_string();
        self.write(move |conn| {
            let names = names.clone();
            Box::pin(async move { wake(conn, &names, None, now).await.map(|woken| woken > 0) })
        })
        .await
    }
}

/// Ends the pauses of these sinks (a JSON list), or those of them that were paused because of that: everything that waits
/// is due, and the time of the pause counts for nothing. Returns how many there were.
async fn wake(
    conn: &mut SqliteConnection,
    names: &str,
    because: Option<&str>,
    now: Timestamp,
) -> Result<u64, sqlx::Error> {
    sqlx::query(
        "UPDATE delivery SET version = version + 1, due_at = min(due_at, $3),
             settle_until = min(settle_until, $3), invoice_until = min(invoice_until, $3),
             first_attempt_at = first_attempt_at
                 + max(0, $3 - (SELECT s.paused_at FROM sink_state s WHERE s.sink = delivery.sink))
         WHERE open = 1 AND status <> 'sending'
             AND sink IN (SELECT s.sink FROM sink_state s JOIN json_each($1) wanted ON wanted.value = s.sink
                          WHERE s.paused_at IS NOT NULL AND ($2 IS NULL OR s.paused_because = $2))",
    )
    .bind(names)
    .bind(because)
    .bind(micros(now))
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "UPDATE sink_state SET paused_at = NULL, paused_because = NULL, held_until = NULL, failures = 0,
             failing_since = NULL
         WHERE paused_at IS NOT NULL AND ($2 IS NULL OR paused_because = $2)
             AND sink IN (SELECT value FROM json_each($1))",
    )
    .bind(names)
    .bind(because)
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
}

/// The state of a sink as this connection sees it.
pub(super) async fn state<'e>(
    executor: impl SqliteExecutor<'e>,
    sink: &SinkName,
) -> Result<Option<SinkState>, StoreError> {
    let row = sqlx::query(
        "SELECT sink, paused_at, paused_because, failures, failing_since, told_at, held_until, last_error
         FROM sink_state WHERE sink = $1",
    );
    let row = row.bind(sink.as_str()).fetch_optional(executor).await?;
    row.as_ref().map(|row| sink_state(sink, row)).transpose()
}

/// It can always be read: the end of every attempt is judged by it. A time that cannot be is as good as the nearest that can;
/// but nobody waits until the end of time because a far side asked.
fn sink_state(sink: &SinkName, row: &SqliteRow) -> Result<SinkState, StoreError> {
    let at = |column: usize| Ok::<_, StoreError>(row.try_get::<Option<i64>, _>(column)?.map(nearest));
    let failures: i64 = row.try_get(3)?;
    Ok(SinkState {
        sink: sink.clone(),
        paused: at(1)?.map(|at| (at, lossy(row, 2).unwrap_or_default())),
        failures: u32::try_from(failures.max(0)).unwrap_or(u32::MAX),
        failing_since: at(4)?,
        told_at: at(5)?,
        held_until: at(6)?.filter(|until| *until < Timestamp::MAX),
        last_error: lossy(row, 7),
    })
}

//! What became of a message for each of several recipients, where they did not fare alike.
//!
//! **Invariant:** an address that has the message keeps that until a person has it sent again to everybody.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{Row, SqliteConnection};

use super::{
    StoreError, changes, micros,
    review::{self, Review},
    rows::nearest,
};
use crate::{order::SinkName, sink::Recipient};

/// A recipient of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipientRow {
    /// Its address.
    pub address: String,
    /// What it is called before others.
    pub called: String,
    /// How it stands.
    pub status: RecipientStatus,
    /// When that was found.
    pub at: Timestamp,
    /// Why it does not have the message.
    #[serde(default)]
    pub error: Option<String>,
}

/// How a recipient stands with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecipientStatus {
    /// The far side has the message for it.
    Taken,
    /// The far side refused it, and is asked again.
    Refused,
    /// The far side refused it, and is not asked again by itself.
    GivenUp,
}

/// An address of a sink that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRecipient {
    /// Which sink.
    pub sink: SinkName,
    /// Which address, as it may be called before others.
    pub called: String,
    /// Refusals since it last took a message.
    pub failures: u32,
    /// When the first of them was.
    pub since: Timestamp,
    /// When somebody was told.
    pub told_at: Option<Timestamp>,
    /// The message of this refusal is not tried again for it.
    pub given_up: bool,
    /// What the far side said.
    pub error: String,
}

/// What an attempt says of the recipients of a delivery that they share.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    /// All of them, as they stand now; `None` where all have the message, and always had.
    pub rows: Option<Vec<RecipientRow>>,
    /// For whom the far side took the message in this attempt.
    pub taken: Vec<Recipient>,
    /// What the message is called there, where the far side has it for somebody.
    pub reference: Option<String>,
    /// The attempt says nothing of the sink as a whole: it was only asked again for those whom it refuses.
    pub only_refused: bool,
}

impl RecipientRow {
    /// Whether it is still to be asked for.
    pub fn is_open(&self) -> bool {
        self.status == RecipientStatus::Refused
    }
}

/// Keeps how the recipients of a delivery stand, and frees its lane: what comes after it must not wait for an address that is
/// refused, for days perhaps, while the others have it.
pub(super) async fn keep(
    conn: &mut SqliteConnection,
    delivery: &str,
    shared: &Shared,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    let Some(rows) = &shared.rows else { return Ok(()) };
    let given_up = rows.iter().filter(|row| row.status == RecipientStatus::GivenUp).count();
    let refused = rows.iter().filter(|row| row.status != RecipientStatus::Taken);
    let error: Vec<&str> = refused.filter_map(|row| row.error.as_deref()).collect();
    sqlx::query(
        "UPDATE delivery SET recipients = $2, given_up = $3, delivered_at = coalesce(delivered_at, $4),
             reference = coalesce($5, reference), last_error = nullif($6, ''),
             lane = iif(lane LIKE '% ' || id, lane, lane || ' ' || id)
         WHERE id = $1",
    )
    .bind(delivery)
    .bind(serde_json::to_string(rows).unwrap_or_default())
    .bind(i64::try_from(given_up).unwrap_or(i64::MAX))
    .bind(micros(at))
    .bind(&shared.reference)
    .bind(error.join("; "))
    .execute(conn)
    .await
    .map(drop)
}

/// Keeps the series of refusals of each address that was asked for, and writes what `review` makes of it.
pub(super) async fn follow_up<R: Review>(
    conn: &mut SqliteConnection,
    sink: &SinkName,
    shared: &Shared,
    at: Timestamp,
    review: &R,
) -> Result<(), StoreError> {
    for recipient in &shared.taken {
        sqlx::query("DELETE FROM refused_recipient WHERE sink = $1 AND address = $2")
            .bind(sink.as_str())
            .bind(&recipient.address)
            .execute(&mut *conn)
            .await?;
    }
    let asked = |row: &&RecipientRow| row.status != RecipientStatus::Taken && row.at == at;
    for row in shared.rows.iter().flatten().filter(asked) {
        let refused = note(conn, sink, row).await?;
        let backlog = review::backlog(&mut *conn, sink).await?;
        if let Some(told) = review.refused(&refused, backlog) {
            changes::apply(conn, told).await?;
            sqlx::query("UPDATE refused_recipient SET told_at = $3 WHERE sink = $1 AND address = $2")
                .bind(sink.as_str())
                .bind(&row.address)
                .bind(micros(at))
                .execute(&mut *conn)
                .await?;
        }
    }
    Ok(())
}

async fn note(
    conn: &mut SqliteConnection,
    sink: &SinkName,
    row: &RecipientRow,
) -> Result<RefusedRecipient, StoreError> {
    sqlx::query(
        "INSERT INTO refused_recipient (sink, address, failures, since) VALUES ($1, $2, 1, $3)
         ON CONFLICT (sink, address) DO UPDATE SET failures = failures + 1",
    )
    .bind(sink.as_str())
    .bind(&row.address)
    .bind(micros(row.at))
    .execute(&mut *conn)
    .await?;
    let kept = sqlx::query("SELECT failures, since, told_at FROM refused_recipient WHERE sink = $1 AND address = $2")
        .bind(sink.as_str())
        .bind(&row.address)
        .fetch_one(&mut *conn)
        .await?;
    Ok(RefusedRecipient {
        sink: sink.clone(),
        called: row.called.clone(),
        failures: u32::try_from(kept.try_get::<i64, _>(0)?.max(0)).unwrap_or(u32::MAX),
        since: nearest(kept.try_get(1)?),
        told_at: kept.try_get::<Option<i64>, _>(2)?.map(nearest),
        given_up: row.status == RecipientStatus::GivenUp,
        error: row.error.clone().unwrap_or_default(),
    })
}

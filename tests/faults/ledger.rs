//! What the till was told, what is in the database, and whether the two agree.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tillhook::order::Phase;

/// One announcement: the order's internal number, and the phase.
pub type Call = (String, Phase);

/// What a call came to, and how long that took.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// The status; `None`: the connection ended without an answer.
    pub status: Option<u16>,
    /// When the answer was there.
    pub at: Instant,
    /// From the first attempt to connect until then.
    pub took: Duration,
}

/// Every call that was made.
#[derive(Default)]
pub struct Ledger {
    /// In the order of their answers.
    pub answers: Vec<(Call, Answered)>,
}

impl Ledger {
    /// The calls that were answered 200.
    pub fn acknowledged(&self) -> BTreeSet<Call> {
        self.calls(|answered| answered.status == Some(200))
    }

    /// The calls whose connection ended without an answer: they may be stored, or not.
    pub fn cut_off(&self) -> BTreeSet<Call> {
        self.calls(|answered| answered.status.is_none())
    }

    /// The calls that were answered 503: they may be stored too (a commit whose sync failed).
    pub fn refused(&self) -> BTreeSet<Call> {
        self.calls(|answered| answered.status == Some(503))
    }

    /// The answers of a span of time.
    pub fn between(&self, from: Instant, to: Instant) -> Vec<Answered> {
        let answers = self.answers.iter().map(|(_, answered)| *answered);
        answers.filter(|answered| answered.at - answered.took >= from && answered.at <= to).collect()
    }

    fn calls(&self, which: impl Fn(&Answered) -> bool) -> BTreeSet<Call> {
        self.answers.iter().filter(|(_, answered)| which(answered)).map(|(call, _)| call.clone()).collect()
    }
}

/// The time that this share of the answers (0.99, say) did not exceed.
pub fn percentile(answers: &[Answered], share: f64) -> Duration {
    let mut times: Vec<Duration> = answers.iter().map(|answered| answered.took).collect();
    times.sort_unstable();
    let place = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len().max(1)) - 1;
    times.get(place).copied().unwrap_or_default()
}

/// Opens a database file that a service may be working on.
pub async fn open(data: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(data.join("tillhook.db")).disable_statement_logging();
    options.busy_timeout(Duration::from_secs(20)).connect().await.expect("the database opens")
}

/// Every announcement that the database holds, with how many events it made (an equal call makes none).
pub async fn stored(data: &Path) -> BTreeMap<Call, usize> {
    let mut conn = open(data).await;
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT o.internal_id, a.phase FROM announcement a JOIN customer_order o ON o.key = a.order_key",
    )
    .fetch_all(&mut conn)
    .await
    .expect("the announcements");
    conn.close().await.expect("closed");
    let mut calls = BTreeMap::new();
    for (order, phase) in rows {
        let phase = [Phase::Validated, Phase::Terminated].into_iter().find(|one| one.as_str() == phase);
        *calls.entry((order, phase.expect("a phase"))).or_default() += 1;
    }
    calls
}

/// What SQLite says of the file as a whole: `ok`.
pub async fn integrity(data: &Path) -> String {
    let mut conn = open(data).await;
    let said = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut conn).await.expect("a check");
    conn.close().await.expect("closed");
    said
}

/// How many deliveries are still to be made.
pub async fn open_deliveries(data: &Path) -> usize {
    let mut conn = open(data).await;
    let count: Result<i64, _> =
        sqlx::query_scalar("SELECT count(*) FROM delivery WHERE open = 1").fetch_one(&mut conn).await;
    conn.close().await.expect("closed");
    usize::try_from(count.expect("a count")).expect("a count")
}

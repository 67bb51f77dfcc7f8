//! The power goes, at any point: the database opens, is whole, and holds every call that was acknowledged until then.

use std::{collections::BTreeSet, time::Duration};

use sqlx::Connection as _;
use tempfile::TempDir;

use super::{
    bench::Bench,
    ledger,
    powercut::{self, Disk, Kept, Step},
    report, scale,
};
use crate::harness::program::{eventually, signal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_power_cut_at_any_point_the_database_opens_is_whole_and_holds_what_was_acknowledged() {
    // SQLite copies the log into the database after 4 MiB: the long run goes through that several times.
    let (calls, every) = scale((60, 61), (1500, 41));
    let mut bench = Bench::prepare("").await;
    let trace = bench.program.directory().join("trace");
    bench.program.run_within(&powercut::tracer(&trace));
    bench.serve().await;
    bench.sell(3, Duration::from_millis(5));
    let answers = || bench.ledger.lock().expect("the ledger").answers.len();
    eventually("enough was sold", async || answers() >= calls).await;
    bench.stop_selling().await;
    // strace hands SIGTERM to nobody: the program itself is told to end, and strace ends with it.
    signal("-TERM", child_of(bench.program.pid()));
    bench.program.ended().await;

    let mut acknowledged = BTreeSet::new();
    let mut disk = Disk::new(&bench.program.data(), &trace);
    let (mut steps, mut cuts, mut checkpoints) = (0_u64, 0, 0);
    while let Some(step) = disk.step() {
        if let Step::Said(answer) = step {
            acknowledged.extend(receipt(&answer));
        }
        steps += 1;
        checkpoints = checkpoints.max(disk.syncs_of("tillhook.db"));
        if !steps.is_multiple_of(every) || acknowledged.is_empty() {
            continue;
        }
        for kept in [Kept::Nothing, Kept::Everything, Kept::Some(steps)] {
            // A new one each time: what SQLite keeps in shared memory does not survive a power cut.
            let image = TempDir::new().expect("a directory");
            disk.after_a_cut(kept, image.path());
            let lost = lost(image.path(), &acknowledged).await;
            assert!(lost.is_empty(), "after step {steps}, unsynced kept: {kept:?}: lost {lost:?}");
            cuts += 1;
        }
    }
    assert!(acknowledged.len() >= calls * 9 / 10 && cuts > 20, "{} answers, {cuts} cuts", acknowledged.len());
    report(
        "Power cut: what was acknowledged is on the disk",
        "tests/faults/power.rs",
        &format!(
            "{} acknowledged, {steps} writes and syncs, {checkpoints} syncs of the database file, {cuts} cuts replayed, 0 lost, \
             0 damaged",
            acknowledged.len()
        ),
    );
}

/// The id in an answer 200 to the till.
fn receipt(answer: &[u8]) -> Option<String> {
    let answer = String::from_utf8_lossy(answer);
    let is_good = answer.starts_with("HTTP/1.1 200");
    let id = answer.split_once("\"id\":\"")?.1.split_once('"')?.0;
    is_good.then(|| id.to_owned())
}

/// What of this is not in a database, which has to be whole.
async fn lost(directory: &std::path::Path, acknowledged: &BTreeSet<String>) -> Vec<String> {
    let mut conn = ledger::open(directory).await;
    let said: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut conn).await.expect("a check");
    assert_eq!(said, "ok");
    // Where the power went before the tables were synced there are none, and everything is lost.
    let stored = sqlx::query_scalar("SELECT id FROM receipt").fetch_all(&mut conn).await;
    conn.close_hard().await.expect("closed");
    let stored: BTreeSet<String> = stored.unwrap_or_default().into_iter().collect();
    acknowledged.difference(&stored).cloned().collect()
}

/// The process that a tracer has started.
fn child_of(pid: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("the tracer runs");
    children.split_whitespace().next().and_then(|child| child.parse().ok()).expect("the program")
}

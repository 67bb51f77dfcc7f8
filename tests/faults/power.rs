//! The power goes, at any point: the database opens, is whole, and holds every call that was acknowledged until then.

use std::{collections::BTreeSet, path::Path, time::Duration};

use jiff::Timestamp;
use sqlx::Connection as _;
use tempfile::TempDir;
use tillhook::{store::Access, upkeep};

use super::{
    bench::Bench,
    ledger,
    powercut::{self, Disk, Kept, Step, Trace},
    report, scale,
};
use crate::{
    harness::program::{Program, eventually, signal},
    scenarios::migrations,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_power_cut_at_any_point_the_database_opens_is_whole_and_holds_what_was_acknowledged() {
    // SQLite copies the log into the database after 12 MiB: the long run goes through that several times.
    let (calls, every) = scale((60, 61), (1500, 41));
    let mut bench = Bench::prepare("").await;
    let trace = bench.program.directory().join("trace");
    let disk = Disk::now(&bench.program.data());
    bench.program.run_within(&powercut::tracer(&trace));
    bench.serve().await;
    bench.sell(3, Duration::from_millis(5));
    let answers = || bench.ledger.lock().expect("the ledger").answers.len();
    eventually("half was sold", async || answers() >= calls / 2).await;
    let backup = Backup::make(&bench).await;
    eventually("enough was sold", async || answers() >= calls).await;
    bench.stop_selling().await;
    end(&mut bench).await;

    let mut acknowledged = BTreeSet::new();
    let mut trace = Trace::new(disk, &trace);
    let (mut steps, mut cuts) = (0_u64, 0);
    while let Some(step) = trace.step() {
        if let Step::Said(answer) = step {
            acknowledged.extend(receipt(&answer));
        }
        steps += 1;
        if !steps.is_multiple_of(every) || acknowledged.is_empty() {
            continue;
        }
        for (kept, image) in images(trace.disk(), steps) {
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
            "{} acknowledged, {steps} writes and syncs, {} syncs of the database file, {cuts} cuts replayed, 0 lost, 0 damaged",
            acknowledged.len(),
            trace.disk().syncs_of("tillhook.db"),
        ),
    );
    backup.never_half_there().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_power_cut_while_a_database_is_brought_up_to_date_the_next_start_finds_every_row() {
    let every = scale(11, 1);
    let mut bench = Bench::prepare("").await;
    let mut rows = migrations::of_the_last_version(&bench.program.data()).await;
    // The service takes these away: there is ample space, no sink wants a summary, and no erasure is under way.
    for table in ["space_outage", "digest_plan", "erasure_under_way"] {
        rows.remove(table);
    }
    let disk = Disk::now(&bench.program.data());
    let trace = bench.program.directory().join("trace");
    bench.program.run_within(&powercut::tracer(&trace));
    bench.serve().await;
    end(&mut bench).await;

    let mut trace = Trace::new(disk, &trace);
    let (mut steps, mut cuts) = (0_u64, 0);
    while let Some(step) = trace.step() {
        steps += 1;
        if matches!(step, Step::Said(_)) || !steps.is_multiple_of(every) {
            continue;
        }
        for (kept, image) in images(trace.disk(), steps) {
            let opened = upkeep::open(image.path(), Access::Service, Timestamp::now()).await;
            opened.unwrap_or_else(|error| panic!("after step {steps}, unsynced kept: {kept:?}: {error}")).close().await;
            let found = migrations::rows(image.path()).await;
            for (table, count) in &rows {
                assert!(
                    found.get(table) >= Some(count),
                    "after step {steps}, unsynced kept: {kept:?}: {table}: {found:?}"
                );
            }
            cuts += 1;
        }
    }
    assert!(cuts > 10, "{cuts} cuts");
    report(
        "Power cut while the database is made or brought up to date: the next start finds every row",
        "tests/faults/power.rs",
        &format!("rows in {} tables, {steps} writes and syncs, {cuts} cuts replayed, 0 lost", rows.len()),
    );
}

/// A backup that was made while the till sold.
struct Backup {
    /// What it did to the disk.
    trace: Trace,
    /// What was acknowledged before it began.
    before: BTreeSet<ledger::Call>,
}

/// Its name below the data directory.
const BACKUP: &str = "backups/all.tar.gz";

impl Backup {
    async fn make(bench: &Bench) -> Self {
        let trace = bench.program.directory().join("trace-of-the-backup");
        let before = bench.ledger.lock().expect("the ledger").acknowledged();
        let disk = Disk::now(&bench.program.data());
        let file = bench.program.data().join(BACKUP);
        let output =
            bench.program.output_within(&powercut::tracer(&trace), &format!("backup {}", file.display())).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { trace: Trace::new(disk, &trace), before }
    }

    /// Fails unless the file is there for certain once the program said so, and is a whole backup whenever it is there.
    async fn never_half_there(mut self) {
        let (mut steps, mut is_said, mut found) = (0, false, 0);
        while let Some(step) = self.trace.step() {
            is_said |= matches!(step, Step::Said(_));
            steps += 1;
            for (kept, image) in images(self.trace.disk(), steps) {
                let file = image.path().join(BACKUP);
                assert!(file.exists() || !is_said, "after step {steps}, unsynced kept: {kept:?}: it is gone");
                if file.exists() {
                    self.restores(&file).await;
                    found += 1;
                }
            }
        }
        assert!(is_said && found > 2, "said: {is_said}; found {found} times after {steps} steps");
        report(
            "Power cut while a backup is made: its file is whole, or not there",
            "tests/faults/power.rs",
            &format!(
                "{} cuts replayed, the file was there after {found} of them, {} acknowledged before it, 0 lost",
                steps * 3,
                self.before.len()
            ),
        );
    }

    async fn restores(&self, file: &Path) {
        let program = Program::new("https://kash.click", "", "");
        let output = program.output(&format!("restore {}", file.display())).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let stored = ledger::stored(&program.data()).await;
        let lost: Vec<_> = self.before.iter().filter(|call| !stored.contains_key(call)).collect();
        assert!(lost.is_empty(), "not in the backup: {lost:?}");
    }
}

/// Tells the traced program to end: strace hands SIGTERM to nobody, and ends with it.
async fn end(bench: &mut Bench) {
    signal("-TERM", child_of(bench.program.pid()));
    bench.program.ended().await;
}

/// The disk had the power gone now. A new directory each time: what SQLite keeps in shared memory does not survive that.
fn images(disk: &Disk, seed: u64) -> impl Iterator<Item = (Kept, TempDir)> {
    [Kept::Nothing, Kept::Everything, Kept::Some(seed)].into_iter().map(|kept| {
        let image = TempDir::new().expect("a directory");
        disk.after_a_cut(kept, image.path());
        (kept, image)
    })
}

/// The id in an answer 200 to the till.
fn receipt(answer: &[u8]) -> Option<String> {
    let answer = String::from_utf8_lossy(answer);
    let is_good = answer.starts_with("HTTP/1.1 200");
    let id = answer.split_once("\"id\":\"")?.1.split_once('"')?.0;
    is_good.then(|| id.to_owned())
}

/// What of this is not in a database, which has to be whole.
async fn lost(directory: &Path, acknowledged: &BTreeSet<String>) -> Vec<String> {
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

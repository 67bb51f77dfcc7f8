//! Killed at any moment, under load: nothing that was acknowledged is lost.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use super::{
    bench::{Bench, IN_FLIGHT},
    report, scale,
};
use crate::harness::program::eventually;

const SELLERS: usize = 6;

/// Each seller makes a call that often at the most: as much as the sink takes on a small machine.
const PACE: Duration = Duration::from_millis(40);

/// The program is killed within that long after it was started.
const LONGEST_LIFE: u64 = 800;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_acknowledged_is_lost_when_the_program_is_killed() {
    let kills = scale(6, 250);
    let mut bench = Bench::start("").await;
    bench.sell(SELLERS, PACE);
    for _ in 0..kills {
        let life = RandomState::new().hash_one(0) % LONGEST_LIFE;
        tokio::time::sleep(Duration::from_millis(life)).await;
        bench.program.kill();
        bench.serve().await;
    }
    let enough = kills * SELLERS;
    let calls = || bench.ledger.lock().expect("the ledger").answers.len();
    eventually("the sellers were busy", async || calls() >= enough).await;
    bench.stop_selling().await;
    bench.drain().await;

    let (acknowledged, repeats) = bench.compare();
    bench.compare_database().await;
    assert!(repeats <= kills * IN_FLIGHT, "{repeats} repeats");
    // A program that is dying may still take a second call of each seller, and drop it too.
    let cut_off = bench.ledger.lock().expect("the ledger").cut_off().len();
    assert!(cut_off <= 2 * kills * SELLERS, "{cut_off} calls were cut off");
    report(
        "Acknowledged means stored (kill -9)",
        "tests/faults/kill.rs",
        &format!("{kills} kills, {acknowledged} acknowledged, 0 lost, 0 unexpected, {repeats} repeated"),
    );
}

//! A disk that fails: the till is told so at once, nothing is acknowledged that is not stored, and when the disk works
//! again so does the service, without a restart.

use std::time::{Duration, Instant};

use super::{
    bench::Bench,
    ledger::{Answered, percentile},
    report, scale,
    strace::Fault,
};
use crate::harness::program::eventually;

const SELLERS: usize = 6;
const PACE: Duration = Duration::from_millis(20);

/// What fails, and whether nothing can be stored meanwhile (else only some commits fail, in the middle).
const FAULTS: [(&str, bool); 8] = [
    ("pwrite64:error=EIO", true),
    ("pwrite64:error=ENOSPC", true),
    ("fsync,fdatasync:error=EIO", true),
    ("fsync,fdatasync:error=ENOSPC", true),
    // A commit writes a header and a page by turns: these end every third or so in the middle (each connection counts anew).
    ("pwrite64:error=EIO:when=40+50", false),
    ("pwrite64:error=ENOSPC:when=64+80", false),
    ("fsync,fdatasync:error=EIO:when=2+2", false),
    ("ftruncate:error=EIO", false),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_leads_to_503_never_to_a_false_200_and_to_200_again_when_it_works() {
    let lasts = Duration::from_millis(scale(700, 10_000));
    // Slowed down by strace and by whatever else runs, a short run says little of times.
    let (refused_within, back_within) = scale((8, 20), (1, 5));
    let mut bench = Bench::start("").await;
    bench.sell(SELLERS, PACE);
    let (mut refused, mut slowest, mut longest) = (0, Duration::ZERO, Duration::ZERO);
    for (what, is_total) in FAULTS {
        let during = during(&bench, what, lasts).await;
        let good = during.answers.iter().filter(|answered| answered.status == Some(200)).count();
        let refusals: Vec<Answered> = during.answers.into_iter().filter(|one| one.status != Some(200)).collect();
        println!("{what}: {good} answered 200, {} answered 503, back after {:?}", refusals.len(), during.back_after);
        assert!(refusals.iter().all(|answered| answered.status == Some(503)), "{what}: {refusals:?}");
        if is_total {
            assert!(good == 0 && !refusals.is_empty(), "{what}: {good} were answered 200");
        }
        refused += refusals.len();
        slowest = slowest.max(percentile(&refusals, 1.0));
        longest = longest.max(during.back_after);
    }
    bench.stop_selling().await;
    assert!(slowest <= Duration::from_secs(refused_within), "a refusal took {slowest:?}");
    assert!(longest <= Duration::from_secs(back_within), "it took {longest:?} to be back");

    bench.compare_database().await;
    bench.drain().await;
    bench.program.kill();
    bench.serve().await;
    bench.compare_database().await;
    bench.drain().await;
    let (acknowledged, _) = bench.compare();
    report(
        "Storing fails: 503 within 1 s, never a false 200, back within 5 s without a restart",
        "tests/faults/disk.rs",
        &format!(
            "{} kinds of EIO and ENOSPC on write, fsync and ftruncate, {} s each: {acknowledged} acknowledged, all stored; \
             {refused} refused, the slowest after {} ms; back after {} ms",
            FAULTS.len(),
            lasts.as_secs_f32(),
            slowest.as_millis(),
            longest.as_millis(),
        ),
    );
}

struct During {
    /// To calls that were made and answered while the fault lasted.
    answers: Vec<Answered>,
    /// From the end of the fault to the next 200.
    back_after: Duration,
}

async fn during(bench: &Bench, what: &str, lasts: Duration) -> During {
    let good_since = |from: Instant| {
        let answers = bench.ledger.lock().expect("the ledger").between(from, Instant::now());
        answers.into_iter().find(|answered| answered.status == Some(200)).map(|answered| answered.at)
    };
    eventually("the service works", async || good_since(Instant::now() - Duration::from_millis(200)).is_some()).await;
    let fault = Fault::begin(bench.program.pid(), what).await;
    let began = Instant::now();
    tokio::time::sleep(lasts).await;
    let ended = Instant::now();
    let answers = bench.ledger.lock().expect("the ledger").between(began, ended);
    fault.end().await;
    let works = Instant::now();
    eventually("it is back", async || good_since(works).is_some()).await;
    During { answers, back_after: good_since(works).expect("an answer").duration_since(works) }
}

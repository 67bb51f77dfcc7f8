//! Calls of a usual size that become many times as large once they are read, from somebody who has the token: they wait for
//! each other, the till beside them does not, and memory stays bounded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinSet;

use super::{
    bench::{self, Bench},
    large_calls::{MOST, call_until_stored},
    ledger::percentile,
    longest_wait, report, scale,
};
use crate::harness::{form, raw};

/// How many are sent at a time.
const AT_ONCE: usize = 60;

/// How many lines that say nothing are in each: of three bytes, they are kept with every field that a line has.
const LINES: usize = 5_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_calls_that_become_large_take_little_memory_and_keep_no_till_waiting() {
    let bench = Bench::start("").await;
    let to = bench.address();
    let left = Arc::new(AtomicUsize::new(scale(AT_ONCE, 3 * AT_ONCE)));
    let orders = left.load(Ordering::Relaxed);
    let mut others = JoinSet::new();
    for _ in 0..AT_ONCE {
        let left = left.clone();
        others.spawn(async move {
            while let Ok(number) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
                call_until_stored(to, bench::request(&raw(inflating(number)))).await;
            }
        });
    }
    let mut answers = Vec::new();
    while !others.is_empty() {
        let number = format!("till-{}", answers.len());
        let sale = [("type", "validated"), ("orderInternalID", &*number), ("orderID", &*number), ("price", "5.00")];
        answers.push(bench::call(to, &bench::request(&form(&sale))).await.expect("somebody listens"));
        let _ = tokio::time::timeout(Duration::from_millis(100), others.join_next()).await;
    }
    let (slowest, peak) = (percentile(&answers, 1.0), bench.program.most_memory());
    assert!(answers.len() >= 5, "the till sold beside them: {}", answers.len());
    assert!(answers.iter().all(|answered| answered.status == Some(200)), "nothing is refused");
    assert!(slowest < longest_wait(), "a till waits {slowest:?} beside them");
    assert!(peak < MOST, "{} MiB", peak >> 10);
    report(
        "Small calls that become many times as large, many at a time: little memory, and the till is answered within 1 s",
        "tests/faults/inflating.rs",
        &format!(
            "{orders} calls of 15 KB with {LINES} lines each, {AT_ONCE} at a time: {} MiB at the most; {} calls beside \
             them, p50 {} ms, slowest {} ms",
            peak >> 10,
            answers.len(),
            percentile(&answers, 0.5).as_millis(),
            slowest.as_millis()
        ),
    );
}

fn inflating(number: usize) -> String {
    let lines = vec!["{}"; LINES].join(",");
    format!(
        r#"{{"type":"validated","orderInternalID":"{number}","orderID":"{number}","price":"5.00","items":[{lines}]}}"#
    )
}

//! Random sequences of everything that can happen to orders and deliveries, on the real program and on a reference model
//! beside it; after each step both must say the same.
//!
//! `reference.rs` holds the rules, `referee.rs` watches attempts and rows with them, `world.rs` is the real program,
//! `far.rs` its far sides, `run.rs` does each operation on both. A failed sequence is shrunk; its seed goes to `regressions.txt`, and what it showed becomes a
//! test with a name in `contract/`. `PROPTEST_CASES=20000` makes every run here longer.

mod far;
mod referee;
mod reference;
mod run;
mod world;

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use proptest::{
    prelude::*,
    test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner},
};
use tillhook::{order::Phase, route::PerOrder};

use self::{run::Run, world::World};
use crate::harness::HANG;

/// How a sink is treated. Times are in seconds.
struct Settings {
    name: &'static str,
    per_order: PerOrder,
    settle: f64,
    retry: &'static [f64],
    pause_after: f64,
    concurrency: usize,
}

const SINKS: [Settings; 3] = [
    Settings {
        name: "each",
        per_order: PerOrder::Each,
        settle: 0.0,
        retry: &[10.0, 600.0, 10_800.0, 10_800.0],
        pause_after: 86_400.0,
        concurrency: 2,
    },
    Settings {
        name: "once",
        per_order: PerOrder::Once,
        settle: 30.0,
        retry: &[10.0, 60.0],
        pause_after: 14_400.0,
        concurrency: 3,
    },
    Settings {
        name: "follow",
        per_order: PerOrder::Follow,
        settle: 0.0,
        retry: &[10.0],
        pause_after: 3600.0,
        concurrency: 1,
    },
];

/// How long an attempt may take, in seconds.
const TIMEOUT: f64 = 15.0;

/// How far the clock is set back at the most, at a time.
const FARTHEST_BACK: Duration = Duration::from_secs(60);

/// What a far side does with a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    Taken,
    Later,
    /// Not before so many seconds, for everyone.
    Wait(f64),
    Refused,
    /// Never again, to anyone.
    Stop,
    Panic,
    /// Nothing, until the time is up.
    Hang,
}

/// A call of the till about one of the sequence's orders.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    order: usize,
    phase: Phase,
    /// The cash box that it names; 0: none.
    variant: u8,
}

#[derive(Clone, Debug)]
enum Op {
    /// These calls come at once; `true`: and the service dies before anyone can look.
    Announce(Vec<Said>, bool),
    Answers(usize, Vec<Answer>),
    Wait(u64),
    SetBack(u64),
    Pause(usize),
    Resume(usize),
    Crash,
    /// Of the sequence's deliveries the nth, counted round.
    Retry(usize, bool),
    RetryDead(usize, bool),
    Skip(usize),
    /// The customer of an order asks to be forgotten.
    Erase(usize),
}

/// How often each kind of operation comes: calls, answers, waits, people, crashes.
type Mix = [u32; 5];

fn op([calls, answers, waits, people, crashes]: Mix) -> impl Strategy<Value = Op> {
    let phase = prop_oneof![Just(Phase::Validated), Just(Phase::Terminated)];
    let said = (0..3_usize, phase, 0..3_u8).prop_map(|(order, phase, variant)| Said { order, phase, variant });
    let calls_at_once = prop_oneof![
        3 => prop::collection::vec(said.clone(), 1),
        1 => prop::collection::vec(said, 2..4),
    ];
    let answer = prop_oneof![
        2 => Just(Answer::Taken),
        3 => Just(Answer::Later),
        1 => prop_oneof![Just(1.0), Just(900.0)].prop_map(Answer::Wait),
        2 => Just(Answer::Refused),
        1 => Just(Answer::Stop),
        1 => Just(Answer::Panic),
        2 => Just(Answer::Hang),
    ];
    let wait = prop_oneof![Just(1), Just(12), Just(29), Just(75), Just(720), Just(3600), Just(13_000), Just(90_000)];
    let sink = 0..SINKS.len();
    prop_oneof![
        calls => calls_at_once.clone().prop_map(|said| Op::Announce(said, false)),
        answers => (sink.clone(), prop::collection::vec(answer, 1..5)).prop_map(|(sink, told)| Op::Answers(sink, told)),
        waits => wait.prop_map(Op::Wait),
        1 => (1..FARTHEST_BACK.as_secs()).prop_map(Op::SetBack),
        people => sink.clone().prop_map(Op::Pause),
        people => sink.clone().prop_map(Op::Resume),
        people => (0..16_usize, any::<bool>()).prop_map(|(nth, force)| Op::Retry(nth, force)),
        people => (sink, any::<bool>()).prop_map(|(sink, force)| Op::RetryDead(sink, force)),
        people => (0..16_usize).prop_map(Op::Skip),
        people => (0..3_usize).prop_map(Op::Erase),
        crashes => Just(Op::Crash),
        crashes => calls_at_once.prop_map(|said| Op::Announce(said, true)),
    ]
}

/// How many sequences share a database.
const SEQUENCES_A_WORLD: u32 = 40;

/// How long the shrinking of a failed sequence waits for what does not come.
const SHRINKING: Duration = Duration::from_secs(2);

fn explore(sequences: u32, mix: Mix) {
    let seeds = FileFailurePersistence::Direct(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/model/regressions.txt"));
    let mut config =
        Config { failure_persistence: Some(Box::new(seeds)), max_shrink_time: 90_000, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = sequences;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // A world in which a sequence failed is not used again.
    let world: RefCell<Option<(World, u32)>> = RefCell::default();
    let patience = Cell::new(HANG);
    let result = TestRunner::new(config).run(&prop::collection::vec(op(mix), 1..10), |ops| {
        runtime.block_on(async {
            let (mut shared, used) = match world.take() {
                Some((world, used)) if used < SEQUENCES_A_WORLD => (world, used + 1),
                _ => (World::new().await, 1),
            };
            let done = Run::new(&mut shared, patience.get()).go(&ops).await;
            done.map_err(|why| {
                patience.set(SHRINKING);
                TestCaseError::fail(why)
            })?;
            world.replace(Some((shared, used)));
            Ok(())
        })
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

/// What the model found: an earlier delivery is sent again while the next one is under way.
#[test]
fn the_program_and_the_model_agree_where_they_once_did_not() {
    let says = |phase| Op::Announce(vec![Said { order: 0, phase, variant: 0 }], false);
    let answers = Op::Answers(0, vec![Answer::Hang]);
    let ops = [says(Phase::Validated), answers, says(Phase::Terminated), Op::Retry(0, true)];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let done = runtime.block_on(async { Run::new(&mut World::new().await, HANG).go(&ops).await });
    done.unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn the_program_and_the_model_agree_while_calls_come_and_far_sides_behave() {
    explore(2500, [40, 8, 20, 1, 1]);
}

#[test]
fn the_program_and_the_model_agree_while_far_sides_fail() {
    explore(2500, [20, 30, 30, 1, 1]);
}

#[test]
fn the_program_and_the_model_agree_while_people_pause_retry_and_skip() {
    explore(2500, [12, 12, 12, 4, 1]);
}

#[test]
fn the_program_and_the_model_agree_while_the_service_crashes() {
    explore(2500, [12, 12, 12, 2, 6]);
}

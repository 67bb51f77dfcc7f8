//! The fault bench: what each promise of the contract is worth when something breaks. Always the real program over real
//! sockets, with a ledger of every acknowledged call and of every message that a sink got.
//!
//! Each test has a short form, which every change must pass and which asserts counts and ratios, and a long one
//! (`tests/run.sh --long`), whose figures stand in `docs/reliability.md`.

#![allow(clippy::disallowed_methods, reason = "the real program runs on real time, and its time is measured")]
#![allow(clippy::print_stdout, reason = "what was measured is printed")]

mod awkward;
mod bench;
mod ledger;
mod powercut;
mod sink;
mod strace;

mod backlog;
mod clock;
mod comeback;
mod disk;
mod full_disk;
mod inflating;
mod kill;
mod large_calls;
mod lockout;
mod memory;
mod power;
mod siege;
mod slow_readers;

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::Path,
    time::Duration,
};

/// Whether the long forms run.
fn is_long() -> bool {
    std::env::var_os("TILLHOOK_LONG").is_some_and(|value| value == "1")
}

/// One of two numbers: for every change, or for the long run.
fn scale<T>(short: T, long: T) -> T {
    if is_long() { long } else { short }
}

/// What a till may wait for its answer while somebody abuses the door; three times as long beside other work.
fn longest_wait() -> Duration {
    scale(Duration::from_secs(3), Duration::from_secs(1))
}

/// Prints what was measured, and in a long run also keeps it as a line of the table.
fn report(promise: &str, test: &str, figure: &str) {
    println!("{promise} · {test} · {figure}");
    if !is_long() {
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("reliability");
    fs::create_dir_all(&folder).expect("a folder for the figures");
    let mut file = OpenOptions::new().create(true).append(true).open(folder.join("figures")).expect("a file");
    writeln!(file, "| {promise} | `{test}` | {figure} |").expect("a line");
}

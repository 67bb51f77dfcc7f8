//! The program: everything it does lives in the library.

use std::{process::ExitCode, time::Duration};

use clap::Parser as _;
use rustix::fs::Mode;
use tillhook::{
    app::{allocator, telemetry},
    cli::{self, Cli},
};

/// Threads that answer calls and deliver: a small server has two processors, and more than four would only wait for the disk.
const WORKERS: std::ops::RangeInclusive<usize> = 2..=4;

/// How long a call to the system that cannot be interrupted may go on after everything else has ended.
const LAST_WAIT: Duration = Duration::from_millis(500);

/// What is taken from the rights of every file and folder that we, or a library of ours, make: everything that others
/// could do with it. What we make ourselves asks for no more anyway.
const OTHERS: Mode = Mode::RWXG.union(Mode::RWXO);

fn main() -> ExitCode {
    let cli = Cli::parse();
    rustix::process::umask(OTHERS);
    if cli.is_service() {
        allocator::settle();
    }
    telemetry::start(cli.log_filter());
    telemetry::install_cryptography();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors.clamp(*WORKERS.start(), *WORKERS.end()))
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            telemetry::say(format_args!("error: the system gives no threads: {error}"));
            telemetry::finish();
            return ExitCode::FAILURE;
        }
    };
    let exit = runtime.block_on(cli::run(cli));
    runtime.shutdown_timeout(LAST_WAIT);
    telemetry::finish();
    exit
}

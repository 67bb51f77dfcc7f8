//! Logs: sentences with dotted fields on stderr, and panics without what they were about.
//!
//! **Invariant:** a panic's message is never printed: it may quote a customer. Nor is anything that libraries say, whatever
//! filter is set: they name the hosts that they connect to, and a sink's address is a secret. Nobody waits for whoever
//! should read the log.

use std::{
    io::{self, IsTerminal as _},
    sync::LazyLock,
    time::Duration,
};

use tracing::Metadata;
use tracing_subscriber::{EnvFilter, filter::filter_fn, fmt, prelude::*};

use super::output::Output;
use crate::clock::{Clock as _, SystemClock};

/// For the service: what happens.
pub const SERVICE: &str = "info";

/// For commands whose answer is on the screen already.
pub const QUIET: &str = "error";

/// How long the end of the process waits for the last lines to be read, on either output.
pub(super) const LAST_LINES_WITHIN: Duration = Duration::from_millis(500);

/// Standard error, for the log and for what the program says beside it.
static STDERR: LazyLock<Output> = LazyLock::new(|| Output::of(io::stderr(), lost));

/// Begins to log what `filter` lets through; `TILLHOOK_LOG` (`tillhook=debug`, say) replaces it. Called twice, the second
/// call does nothing.
pub fn start(filter: &str) {
    let filter = EnvFilter::try_from_env("TILLHOOK_LOG").unwrap_or_else(|_| EnvFilter::new(filter));
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // What the layer says of its own errors goes to stderr itself.
    let lines = fmt::layer().with_writer(|| STDERR.clone()).log_internal_errors(false);
    let lines = lines.with_ansi(colour).with_target(false);
    let _ = tracing_subscriber::registry().with(filter).with(filter_fn(is_ours)).with(lines).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic.place = %place, "a bug in tillhook was contained; please report this line");
    }));
}

/// Says a line on standard error that is no log line: what a person at the terminal should see.
pub fn say(line: impl std::fmt::Display) {
    STDERR.line(format!("{line}\n"));
}

/// Lets the last lines arrive, where somebody reads them. Comes last.
pub fn finish() {
    STDERR.flush_within(LAST_LINES_WITHIN);
}

/// Written like the lines around it.
fn lost(lines: u64) -> String {
    let were = if lines == 1 { "line of the log was" } else { "lines of the log were" };
    format!("{:.6}  WARN {lines} {were} lost because nobody read it\n", SystemClock.now())
}

/// We know what is in our own lines. Nothing is lost with the others: what goes wrong in a library comes back as an error.
fn is_ours(line: &Metadata<'_>) -> bool {
    line.target().starts_with("tillhook")
}

/// Chooses the cryptography of every TLS connection. Must come before the first one.
pub fn install_cryptography() {
    // It fails only when it was done before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use std::{env, panic, process::Command, thread};

    use super::*;

    /// Set in the process that panics.
    const HERE: &str = "TILLHOOK_TEST_PANICS_HERE";

    #[test]
    fn a_panic_is_logged_by_its_place_and_never_by_its_words() {
        if env::var_os(HERE).is_some() {
            return panic_in_every_way();
        }
        let mut command = Command::new(env::current_exe().expect("this program"));
        command.args([
            "--nocapture",
            "--exact",
            "app::telemetry::tests::a_panic_is_logged_by_its_place_and_never_by_its_words",
        ]);
        let printed = command.env(HERE, "1").env("TILLHOOK_LOG", "trace").output().expect("its output");
        let text = [printed.stdout, printed.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert_eq!(text.matches("a bug in tillhook was contained").count(), 3, "{text}");
        assert!(text.contains("telemetry.rs:"), "{text}");
        assert!(!text.contains("Canary"), "{text}");
    }

    #[test]
    fn the_count_of_lost_lines_reads_like_a_line_of_the_log() {
        for (lines, said) in [(1, "1 line of the log was lost"), (12, "12 lines of the log were lost")] {
            let line = lost(lines);
            let (time, rest) = line.split_once("  WARN ").expect("a level");
            assert!(time.parse::<jiff::Timestamp>().is_ok() && time.ends_with('Z'), "{line}");
            assert_eq!(rest, format!("{said} because nobody read it\n"));
        }
    }

    /// Plain text, made text, and a refused `Result` that quotes what it was about.
    fn panic_in_every_way() {
        start("trace");
        assert!(panic::catch_unwind(|| panic!("CanaryText")).is_err());
        assert!(panic::catch_unwind(|| panic!("{}", "CanaryMade".to_owned())).is_err());
        assert!(thread::spawn(|| "x".parse::<u8>().map_err(|_| "CanaryQuoted").unwrap()).join().is_err());
        finish();
    }
}

//! Logs: sentences with dotted fields on stderr, and panics without what they were about.
//!
//! **Invariant:** a panic's message is never printed: it may quote a customer. Nor is anything that libraries say, whatever
//! filter is set: they name the hosts that they connect to, and a sink's address is a secret.

use std::io::IsTerminal as _;

use tracing::Metadata;
use tracing_subscriber::{EnvFilter, filter::filter_fn, fmt, prelude::*};

/// For the service: what happens.
pub const SERVICE: &str = "info";

/// For commands whose answer is on the screen already.
pub const QUIET: &str = "error";

/// Begins to log what `filter` lets through; `TILLHOOK_LOG` (`tillhook=debug`, say) replaces it. Called twice, the second
/// call does nothing.
pub fn start(filter: &str) {
    let filter = EnvFilter::try_from_env("TILLHOOK_LOG").unwrap_or_else(|_| EnvFilter::new(filter));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(colour).with_target(false);
    let _ = tracing_subscriber::registry().with(filter).with(filter_fn(is_ours)).with(lines).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic.place = %place, "a bug in tillhook was contained; please report this line");
    }));
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

    /// Plain text, made text, and a refused `Result` that quotes what it was about.
    fn panic_in_every_way() {
        start("trace");
        assert!(panic::catch_unwind(|| panic!("CanaryText")).is_err());
        assert!(panic::catch_unwind(|| panic!("{}", "CanaryMade".to_owned())).is_err());
        assert!(thread::spawn(|| "x".parse::<u8>().map_err(|_| "CanaryQuoted").unwrap()).join().is_err());
    }
}

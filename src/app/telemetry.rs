//! Logs: sentences with dotted fields on stderr, and panics without what they were about.
//!
//! **Invariant:** a panic's message is never printed: it may quote a customer. Nor is what libraries say in detail, whatever
//! filter is set: they name the hosts that they connect to, and a sink's address is a secret.

use std::io::IsTerminal as _;

use tracing::{Level, Metadata};
use tracing_subscriber::{EnvFilter, filter::filter_fn, fmt, prelude::*};

/// For the service: libraries speak up when something is wrong, we say what happens.
pub const SERVICE: &str = "warn,tillhook=info";

/// For commands whose answer is on the screen already.
pub const QUIET: &str = "error";

/// Begins to log what `filter` lets through; `TILLHOOK_LOG` (`tillhook=debug`, say) replaces it. Called twice, the second
/// call does nothing.
pub fn start(filter: &str) {
    let filter = EnvFilter::try_from_env("TILLHOOK_LOG").unwrap_or_else(|_| EnvFilter::new(filter));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(colour).with_target(false);
    let _ = tracing_subscriber::registry().with(filter).with(filter_fn(is_harmless)).with(lines).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic.place = %place, "a bug in tillhook was contained; please report this line");
    }));
}

/// Details are ours alone: we know what is in them. A certificate that is refused names its host, and is reported with the
/// attempt that it ends.
fn is_harmless(line: &Metadata<'_>) -> bool {
    let names_a_host = *line.level() == Level::ERROR && line.target().starts_with("rustls_platform_verifier");
    line.target().starts_with("tillhook") || (*line.level() <= Level::INFO && !names_a_host)
}

/// Chooses the cryptography of every TLS connection. Must come before the first one.
pub fn install_cryptography() {
    // It fails only when it was done before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

//! `tillhook pos`: the till's own API (contract §9), one file a subcommand.

mod sandbox;

use std::{io::Write, sync::Arc};

use clap::Subcommand;

use super::Exit;
use crate::clock::Clock;

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Pos {
    /// Run a stand-in for the till: its API, its invoices and reports, and the calls to a webhook
    #[command(after_help = "Example: tillhook pos sandbox --webhook \"$(tillhook url)\" --sell\n\n\
                            The shop that is called has to list the sandbox in `till_hosts`, as it is printed.\n\
                            Everything is invented and kept in memory only. Ctrl-C ends it.")]
    Sandbox(sandbox::Sandbox),
}

/// Carries a subcommand out.
///
/// # Errors
/// When it cannot.
pub async fn run(command: &Pos, clock: &Arc<dyn Clock>, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        Pos::Sandbox(wanted) => sandbox::run(wanted, clock, out).await,
    }
}

//! The command line: one file a command, each a plain function that writes to what it is given.
//!
//! `args.rs` lists the commands, `run.rs` carries one out, `desk.rs` is what most of them work at: the configuration and
//! the database, also while the service runs on it. `find.rs` understands what people type, `print.rs` lays out what
//! they read.

mod args;
mod backup;
pub mod config;
mod customers;
mod day;
mod deliveries;
mod delivery_sheet;
mod demo;
mod desk;
mod digest;
mod export;
mod find;
mod healthcheck;
pub mod init;
mod invoices;
mod order_sheet;
mod orders;
mod pos;
mod print;
mod quarantine;
mod recover;
mod render;
mod restore;
mod run;
pub mod secrets;
mod send_test;
mod serve;
mod sink_test;
mod sinks;
mod target;
mod terminal;
#[cfg(test)]
mod tests;
pub mod url;
mod verify;

pub use args::Cli;
pub use run::run;

use crate::{
    app::{StartError, assemble::UnusableSink},
    config::Problems,
};

/// How a command ended; the number is the process's exit code (contract §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Ok = 0,
    /// It could not.
    Failed = 1,
    /// The command or the configuration is wrong.
    Usage = 2,
    /// What was asked for does not exist.
    NotFound = 3,
    /// It would not without `--force`.
    Refused = 4,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that ends a command with a certain exit code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Stop {
    /// The exit code.
    pub exit: Exit,
    /// What, where, and what to do.
    pub message: String,
}

impl Stop {
    /// Ends the command.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// Ends the command because of `what`; `fix` is what to do about it.
    fn with_fix(exit: Exit, what: impl std::fmt::Display, fix: impl std::fmt::Display) -> anyhow::Error {
        Self::new(exit, format!("{what}\n  fix: {fix}")).into()
    }
}

/// The exit code of a command that ended with an error.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    let unusable = matches!(error.downcast_ref(), Some(StartError::Sink(_))) || error.is::<UnusableSink>();
    if error.is::<Problems>() || unusable {
        Exit::Usage
    } else {
        error.downcast_ref().map_or(Exit::Failed, |stop: &Stop| stop.exit)
    }
}

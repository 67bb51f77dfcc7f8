//! The command line: one file a command, each a plain function that writes to what it is given.

pub mod config;
pub mod init;
pub mod secrets;
pub mod url;

use crate::config::Problems;

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
}

/// The exit code of a command that ended with an error.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    if error.is::<Problems>() {
        Exit::Usage
    } else {
        error.downcast_ref().map_or(Exit::Failed, |stop: &Stop| stop.exit)
    }
}

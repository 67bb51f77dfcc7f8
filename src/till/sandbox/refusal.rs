//! Why the till does not do what it was asked to, in the words that it answers.

use std::fmt;

/// A refusal; it changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

impl Refusal {
    /// A refusal for this reason.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// Something was named that the shop has not.
    pub fn unknown(what: &str, id: impl fmt::Display) -> Self {
        Self(format!("unknown {what}: {id}"))
    }

    /// The reason.
    pub fn message(&self) -> &str {
        &self.0
    }
}

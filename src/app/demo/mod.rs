//! `tillhook demo`: the whole service at work, with nothing to set up and nothing left behind.
//!
//! The sandbox stands in for the till, and the far sides here for what a user would own: a mailbox, a Slack channel
//! and a program that takes webhooks. Everything between them is the real service. `screen` says what goes on.
//!
//! **Invariant:** every far side listens on loopback only and keeps what it got in memory only.

pub mod far_sides;
pub mod http_receiver;
mod inbox;
pub mod mail_catcher;
pub mod mime;
mod run;
pub mod screen;
pub mod slack_lookalike;
pub mod tally;

pub use run::{Options, run};

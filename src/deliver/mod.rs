//! The outbox at work: one worker a sink, one task for invoices.
//!
//! A worker looks for what is due (`worker.rs`), makes the messages (`prepare.rs`), attempts them (`attempt.rs`), and lets
//! `schedule.rs` say when to try again (`recipients.rs`, where a message goes to several and some are refused); `health.rs`
//! says when a person has to know. Workers wake on every commit, sleep
//! until the next due time, and look now and then all the same, because the command line is another process. So does
//! whoever asks a till for something in the background (`errands.rs`).
//!
//! This module reads `route` (for `only`, which is asked when a delivery is due) and writes alerts through `record`;
//! neither knows of it.
//!
//! **Invariant:** a body is on disk before it is sent for the first time, and is the same on every later attempt.

mod attempt;
mod errands;
mod health;
mod invoices;
mod limit;
mod prepare;
mod recipients;
pub mod schedule;
mod worker;

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use url::Url;

pub use errands::{Errands, wait_after};
pub use invoices::{HostsOf, file as archive_invoice, run as fetch_invoices};
pub use prepare::{Context as Present, outgoing, view as invoice_view};
pub use worker::{POLL, run};

use crate::{
    clock::Clock,
    invoice::Archive,
    order::SinkName,
    record::Recorder,
    route::Rule,
    sink::{Handle, Limit, NameBook},
    store::Store,
};

/// What every worker shares; cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where alerts are written.
    pub recorder: Recorder,
    /// The invoice archive.
    pub archive: Archive,
    /// Where subscribers reach us.
    pub public_url: Option<Url>,
    /// What the tills call things, for people.
    pub names: NameBook,
    /// The permits for large messages, of which each sink has one under way; see [`large_messages`].
    pub large: Arc<Semaphore>,
}

/// Permits for large messages. Each is a hundred times a usual one and held in memory while it is on its way, so all sinks
/// together have three: whoever does not answer keeps one, until its time is over.
pub fn large_messages() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(3))
}

/// A sink and how it is to be treated.
#[derive(Clone)]
pub struct Lane {
    /// Its name.
    pub name: SinkName,
    /// The sink.
    pub sink: Handle,
    /// What it wants.
    pub rule: Rule,
    /// How long to wait before each retry; after the last the delivery is dead.
    pub retry: Vec<Duration>,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// How many attempts may be under way.
    pub concurrency: usize,
    /// How long it may fail before it is paused.
    pub pause_after: Duration,
    /// How many messages about orders it is to have; what is more comes in a summary.
    pub limit: Option<Limit>,
}

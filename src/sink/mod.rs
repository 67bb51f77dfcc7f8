//! Sinks: the far sides that are told of a sale.
//!
//! A sink makes the text of a message and hands it over, once. It knows nothing of queues, attempts or sleeping: its
//! error *is* the verdict, and `deliver/schedule.rs` owns all timing.
//!
//! How to add a sink:
//! 1. Write `sink/KIND.rs` with an `Options` struct (serde, `deny_unknown_fields`: the keys of its table beyond those
//!    that every sink has) that implements [`Kind`].
//! 2. Implement [`Sink`] for what it builds: `render` is pure, `send` makes one attempt, `check` tells nobody.
//! 3. Add one line to the `kinds!` list in `sink/kinds.rs`; configuration, its schema and `config check` follow from it.
//! 4. Describe its keys in `config/example.toml`, and let the table of far-side answers in `tests/` run against it.
//!
//! **Invariant:** no sink retries, sleeps, or reads the database.

mod kinds;
mod names;
mod till_host;
mod till_link;
mod trust;
mod verdict;

pub mod answer;
pub mod client;
pub mod guard;
pub mod signature;
pub mod words;

#[cfg(test)]
mod testing;

pub mod email;
pub mod folder;
pub mod http;
pub mod slack;
pub mod stdout;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use kinds::{Attach, BuildError, Context, Kind, Limit, Options, Summaries, TIMEOUT, build};
pub use names::{NameBook, Names};
pub use till_host::{Admission, TillHost, TillHostError};
pub use till_link::{LinkError, follow, follow_noting};
pub use verdict::{Reason, SinkError};

use crate::order::{DeliveryId, Event, EventId, EventType, MadeFile, OrderKey, Shop};

/// A far side.
#[async_trait]
pub trait Sink: Send + Sync + 'static {
    /// Makes the message. What it returns is frozen at the first attempt and sent again, byte for byte, on later ones.
    ///
    /// # Errors
    /// When the message cannot be made, for instance from an operator's own template.
    fn render(&self, outgoing: &Outgoing) -> Result<Payload, SinkError>;

    /// Makes one attempt. `Ok` means that the far side took responsibility.
    ///
    /// # Errors
    /// The verdict: try again, give up, or pause the sink.
    async fn send(&self, delivery: &Delivery) -> Result<Receipt, SinkError>;

    /// Asks whether the far side could be reached, without telling anyone anything. Returns what was found, for people.
    ///
    /// # Errors
    /// As [`Sink::send`].
    async fn check(&self) -> Result<String, SinkError>;

    /// What a person can do about an error of this sink, beyond what the error says; `None` where that is not known.
    fn advice(&self, _error: &SinkError) -> Option<String> {
        None
    }

    /// How far apart two messages must be; `None` where the far side sets no such limit.
    fn min_interval(&self) -> Option<Duration> {
        None
    }
}

/// What a message is made from.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The delivery; the same on every attempt, so message ids can be made of it.
    pub delivery: DeliveryId,
    /// What happened, with the order as it is to be told and its invoice as it stands.
    pub event: Event,
    /// What we call the order, where it is about one.
    pub order: Option<OrderKey>,
    /// The shop; `None` for what concerns the service as a whole.
    pub shop: Option<Shop>,
    /// Why the sink is told.
    pub purpose: Purpose,
    /// The first message of the order to this sink, where this one continues it.
    pub thread: Option<Thread>,
    /// The PDF, where the sink wants it attached and it is there.
    pub invoice: Option<InvoiceFile>,
    /// Whether the sink wants the PDF attached and it is not there.
    pub invoice_absent: bool,
    /// What the shop's till calls things.
    pub names: Arc<Names>,
    /// When the message is made.
    pub now: Timestamp,
}

/// Why a sink is told of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Its rules select the event, and it is the first message of the order (or each event is its own).
    First,
    /// The order changed after the first message (`per_order = "follow"`).
    Change,
    /// The PDF arrived after a message went out without it, or did not go out for lack of it.
    LateInvoice,
    /// Someone has to do something.
    Alert,
}

impl Purpose {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Change => "change",
            Self::LateInvoice => "late_invoice",
            Self::Alert => "alert",
        }
    }
}

/// The first message of an order to a sink.
#[derive(Clone, Debug)]
pub struct Thread {
    /// What the far side, or we, call that message ([`Receipt::reference`]).
    pub reference: Option<String>,
    /// The message as it was sent.
    pub payload: Payload,
}

/// A message, ready to be handed over. It is stored as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Payload {
    /// What `body` is: `application/json`, …
    pub content_type: String,
    /// The message itself; its shape is the sink's own affair.
    pub body: String,
    /// Files from the invoice archive that go with it.
    #[serde(default)]
    pub attachments: Vec<InvoiceFile>,
    /// Files that go with it and are made of a summary when it is sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<MadeFile>,
}

impl Payload {
    /// What is attached, by name and media type: invoices first, then what is made.
    pub fn attached(&self) -> impl Iterator<Item = (&str, &str)> {
        let invoices = self.attachments.iter().map(|file| (file.filename.as_str(), "application/pdf"));
        invoices.chain(self.made.iter().map(|file| (file.filename.as_str(), file.kind.media_type())))
    }
}

/// An invoice in the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceFile {
    /// SHA-256 of its bytes, in hexadecimal; its name in the archive.
    pub sha256: String,
    /// The name people see.
    pub filename: String,
    /// Its size.
    pub bytes: u64,
}

/// One attempt at a message.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The delivery.
    pub id: DeliveryId,
    /// The event it tells.
    pub event_id: EventId,
    /// The event's type.
    pub event_type: EventType,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When the attempt is made.
    pub at: Timestamp,
    /// What to hand over.
    pub payload: Payload,
    /// The bytes of what `payload` attaches, in its order.
    pub attachments: Vec<Bytes>,
    /// The addresses that are not asked again, where the far side has the message for some of several: those that have it,
    /// and those that were given up.
    pub settled: Vec<String>,
}

/// One of several that a message goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Its address.
    pub address: String,
    /// Which of them it is, from 1: what is said of it in a detail, where no address stands.
    pub place: usize,
    /// What it is called before others: a blind copy's address is nobody else's affair.
    pub called: String,
}

/// The far side took responsibility, where a message goes to several for one of them at least: now, or in an earlier attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Its answer in short: `200`, `250`.
    pub status: String,
    /// The beginning of its answer.
    pub excerpt: Option<String>,
    /// What the message is called there, for what continues it.
    pub reference: Option<String>,
    /// For whom it took the message in this attempt, where that can differ from one to the other.
    pub taken: Vec<Recipient>,
    /// For whom it did not, and what that means for each alone: never a pause.
    pub refused: Vec<(Recipient, SinkError)>,
}

/// A sink ready for use.
pub type Handle = Arc<dyn Sink>;

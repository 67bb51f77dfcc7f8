//! What comes in, and what is answered.

use super::{Raw, Requeued};
use crate::{
    decode,
    order::{ReceiptId, ShopId, Source},
};

/// A call of the till.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whose token it carried.
    pub shop: ShopId,
    /// The bytes.
    pub raw: Raw,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a call comes from.
#[derive(Clone, Copy, Debug)]
pub enum Origin {
    /// The till, now.
    Till,
    /// Quarantine: it is read again.
    Quarantine(Requeued),
    /// The till's own list of orders: it was never announced, or its call was lost.
    Reconciliation,
}

impl Origin {
    /// What subscribers are told of it.
    pub(super) fn source(self) -> Option<Source> {
        matches!(self, Self::Reconciliation).then_some(Source::Reconciliation)
    }
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It said something new, and that is on disk.
    Stored,
    /// It said what had been said before.
    Duplicate,
    /// It could not be read, and is kept.
    Quarantined,
}

impl Outcome {
    /// The word in the answer and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Duplicate => "duplicate",
            Self::Quarantined => "quarantined",
        }
    }
}

/// The answer to a call; everything it speaks of is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// What became of it.
    pub outcome: Outcome,
    /// The receipt.
    pub receipt: ReceiptId,
    /// Why it is in quarantine, in the words of [`Unread::reason`]; `None` where it is not.
    pub reason: Option<String>,
}

/// Why a call means nothing to us.
#[derive(Clone, Debug)]
pub struct Unread {
    /// Its `type`, where it has one.
    pub kind: Option<String>,
    /// Words that a person can act on; never a value that was sent.
    pub reason: String,
    /// Whether it is probably no call of the till's, so that nobody need be told.
    pub is_check: bool,
}

impl From<decode::Unreadable> for Unread {
    fn from(decode::Unreadable { reason, kind, is_check }: decode::Unreadable) -> Self {
        Self { kind, reason, is_check }
    }
}

impl From<String> for Unread {
    fn from(reason: String) -> Self {
        Self { kind: None, reason, is_check: false }
    }
}

//! What follows where a far side takes a message for some of its recipients and not for others. Pure.
//!
//! Every attempt asks for all who do not have the message yet, so the delivery's schedule is that of each of them: one that
//! is refused for good is given up after as many tries and as long as a message that everybody is refused.
//!
//! **Invariant:** once one of them has the message its delivery does not die any more; those that are given up stay listed.

use jiff::Timestamp;

use super::schedule::{Next, Plan};
use crate::{
    sink::{Receipt, Recipient, SinkError},
    store::{RecipientRow, RecipientStatus, Shared, Verdict},
};

/// How a delivery goes on, and how its recipients stand.
pub(super) struct Concluded {
    pub verdict: Verdict,
    pub shared: Shared,
}

/// After an attempt in which the far side said of each what it thinks of it.
pub(super) fn told(before: &[RecipientRow], receipt: &Receipt, plan: &Plan<'_>, at: Timestamp) -> Concluded {
    if receipt.refused.is_empty() && before.is_empty() {
        let shared = Shared { taken: receipt.taken.clone(), ..Shared::default() };
        return Concluded { verdict: Verdict::Delivered { reference: receipt.reference.clone() }, shared };
    }
    let taken = receipt.taken.iter().map(|recipient| row(recipient, RecipientStatus::Taken, at, None));
    let mut again: Option<(Timestamp, bool)> = None;
    let mut refused = Vec::new();
    for (recipient, error) in &receipt.refused {
        let next = plan.next(error);
        again = earliest(again, next.again);
        refused.push(row(recipient, refused_for(&next), at, Some(error)));
    }
    let rows = merged(before, taken.chain(refused).collect());
    let shared = Shared {
        rows: Some(rows),
        taken: receipt.taken.clone(),
        reference: receipt.reference.clone(),
        only_refused: receipt.taken.is_empty(),
    };
    Concluded { verdict: verdict(again, receipt.reference.clone()), shared }
}

/// After an attempt that came to nothing, where some have the message already: the others share its fate.
pub(super) fn failed(before: &[RecipientRow], error: &SinkError, next: &Next, at: Timestamp) -> Concluded {
    let status = refused_for(next);
    let open = before.iter().filter(|row| row.is_open());
    let after = open.map(|row| RecipientRow { status, at, error: Some(error.detail().to_owned()), ..row.clone() });
    let shared = Shared { rows: Some(merged(before, after.collect())), ..Shared::default() };
    Concluded { verdict: verdict(next.again, None), shared }
}

/// Nobody is left to be asked for: the delivery is over, and not dead, because somebody has it.
fn verdict(again: Option<(Timestamp, bool)>, reference: Option<String>) -> Verdict {
    again.map_or(Verdict::Delivered { reference }, |(at, uses_retry)| Verdict::Again { at, uses_retry })
}

fn refused_for(next: &Next) -> RecipientStatus {
    if next.again.is_some() { RecipientStatus::Refused } else { RecipientStatus::GivenUp }
}

fn earliest(one: Option<(Timestamp, bool)>, other: Option<(Timestamp, bool)>) -> Option<(Timestamp, bool)> {
    match (one, other) {
        (Some(one), Some(other)) => Some((one.0.min(other.0), one.1 || other.1)),
        (one, other) => one.or(other),
    }
}

fn row(recipient: &Recipient, status: RecipientStatus, at: Timestamp, error: Option<&SinkError>) -> RecipientRow {
    let Recipient { address, called, .. } = recipient.clone();
    RecipientRow { address, called, status, at, error: error.map(|error| error.detail().to_owned()) }
}

/// The rows as they were, with those of this attempt in their places.
fn merged(before: &[RecipientRow], mut now: Vec<RecipientRow>) -> Vec<RecipientRow> {
    let mut rows: Vec<RecipientRow> = Vec::with_capacity(before.len().max(now.len()));
    for row in before {
        let place = now.iter().position(|one| one.address == row.address);
        rows.push(place.map_or_else(|| row.clone(), |place| now.remove(place)));
    }
    rows.extend(now);
    rows
}

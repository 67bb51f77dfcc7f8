//! What a correction says: the orders that are counted otherwise than the summary before it counted them.

use std::collections::{HashMap, HashSet};

use super::make::Maker;
use crate::{
    order::{Booking, Change, ChangeKind, InvoiceStatus, OrderKey, Period, by_number},
    store::{MadeDigest, StoreError},
};

impl Maker<'_> {
    /// What is new since the last summary of the period. Of an order that cannot be read, as it is or as it was counted, it is
    /// not known.
    pub(super) async fn changes(
        &self,
        last: &MadeDigest,
        period: Period,
        now: &[Booking],
    ) -> Result<Vec<Change>, StoreError> {
        let (before, unreadable) = self.store.digest_lines(&last.id).await?.into_parts();
        let is_known = |booking: &&Booking| !unreadable.iter().any(|row| row.name == booking.number);
        let before: HashMap<OrderKey, Booking> =
            before.into_iter().map(|line| (line.booking.order, line.booking)).collect();
        let change = |booking: &Booking, what| Change {
            number: booking.number.clone(),
            what,
            day: booking.date,
            gross: booking.gross,
            before: before.get(&booking.order).and_then(|before| before.gross),
        };
        let mut changes: Vec<Change> = now
            .iter()
            .filter(is_known)
            .filter_map(|booking| changed(before.get(&booking.order), booking).map(|what| change(booking, what)))
            .collect();
        let still: HashSet<OrderKey> = now.iter().map(|booking| booking.order).collect();
        for (order, booking) in before.iter().filter(|(order, _)| !still.contains(order)) {
            let stored = match self.store.order(*order).await {
                Err(StoreError::Corrupt(_)) => None,
                stored => stored?,
            };
            // What was pruned is no news.
            let Some(day) = stored.map(|stored| stored.order.dates.booked().civil().date()) else { continue };
            let what = if period.contains(day) { ChangeKind::Unwanted } else { ChangeKind::Moved };
            changes.push(Change { day, ..change(booking, what) });
        }
        changes.sort_by(|one, other| by_number(&one.number, &other.number));
        Ok(changes)
    }
}

/// What a correction says of an order that the last summary counted as `before`.
fn changed(before: Option<&Booking>, now: &Booking) -> Option<ChangeKind> {
    let Some(before) = before else { return Some(ChangeKind::Added) };
    let amounts = |one: &Booking| (one.date, one.is_refund, one.by_rate(), one.net, one.vat, one.gross);
    let has_pdf = |one: &Booking| one.pdf.status == InvoiceStatus::Stored;
    match () {
        () if amounts(before) != amounts(now) => Some(ChangeKind::Amounts),
        () if !has_pdf(before) && has_pdf(now) => Some(ChangeKind::Pdf),
        () => None,
    }
}

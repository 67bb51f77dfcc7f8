//! Calls with a right token that are refused all the same: they are lost, so somebody is told, with how many there were.
//!
//! **Invariant:** whoever can cause a refusal cannot cause more than a few alerts an hour.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::order::ShopId;

/// How often somebody is told of the same kind of refusal.
const TOLD_EVERY: Duration = Duration::from_hours(1);

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub(super) enum Refusal {
    /// The library does not take its head.
    #[error("its head is no HTTP, or too long")]
    Head,
    /// Its body is larger than is stored.
    #[error("it is larger than `server.body_limit`")]
    TooLarge,
    /// It came with another method.
    #[error("it came with a method other than POST and GET")]
    Method,
}

/// The refusals since the start.
#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<(ShopId, Refusal), Told>>);

#[derive(Default)]
struct Told {
    count: u64,
    at: Option<Instant>,
}

impl Refusals {
    /// Counts a refusal. Returns how many there were of its kind, where it is time to tell somebody.
    pub(super) fn count(&self, shop: &ShopId, refusal: Refusal, now: Instant) -> Option<u64> {
        let mut refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = refusals.entry((shop.clone(), refusal)).or_default();
        told.count += 1;
        if told.at.is_some_and(|at| now < at + TOLD_EVERY) {
            return None;
        }
        told.at = Some(now);
        Some(told.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_counted_and_each_kind_told_once_an_hour() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let (dupont, martin): (ShopId, ShopId) = ("dupont".parse().unwrap(), "martin".parse().unwrap());
        assert_eq!(refusals.count(&dupont, Refusal::Head, start), Some(1));
        assert_eq!(refusals.count(&dupont, Refusal::Head, start), None);
        assert_eq!(refusals.count(&dupont, Refusal::TooLarge, start), Some(1));
        assert_eq!(refusals.count(&martin, Refusal::Head, start), Some(1));
        assert_eq!(refusals.count(&dupont, Refusal::Head, start + TOLD_EVERY), Some(3));
    }
}

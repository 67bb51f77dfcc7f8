//! Calls with a wrong token, counted by client: the first few are read to their end and logged, the rest are answered
//! unread.
//!
//! The answer is the same empty 404 either way, so that it tells nothing; what the limit saves is our time, the network
//! and the log. A right token is looked at first and never comes here.
//!
//! The table has a fixed size and forgets nobody early. Clients that share a slot share its allowance, which costs them
//! nothing but a line in the log; which of them do is drawn anew at each start, so that it cannot be chosen.

use std::{hash::BuildHasher, sync::Mutex, time::Duration};

use tokio::time::Instant;

use super::client::Network;

/// How many calls with a wrong token of one client are read and logged in a row.
pub const STRANGER_BURST: u32 = 20;

/// How long it takes until one more of them is: ten a minute.
pub const STRANGER_EVERY: Duration = Duration::from_secs(6);

/// How many clients are told apart.
const SLOTS: usize = 4096;

/// Draws the slots.
#[cfg(not(test))]
type Places = std::hash::RandomState;
/// In tests always the same ones: two clients that happened to share one would look like a mistake.
#[cfg(test)]
type Places = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

/// Each client's allowance.
pub(super) struct Strangers {
    place: Places,
    /// When the allowance of each slot is whole again.
    whole_at: Mutex<Vec<Option<Instant>>>,
}

impl Default for Strangers {
    fn default() -> Self {
        Self { place: Places::default(), whole_at: Mutex::new(vec![None; SLOTS]) }
    }
}

impl Strangers {
    /// Whether one more call of this client is within its allowance, which it is then taken from.
    pub(super) fn allow(&self, client: Network, now: Instant) -> bool {
        let slot = self.place.hash_one(client) % SLOTS as u64;
        let mut table = self.whole_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(whole_at) = usize::try_from(slot).ok().and_then(|slot| table.get_mut(slot)) else { return false };
        let after = whole_at.map_or(now, |at| at.max(now)) + STRANGER_EVERY;
        let allowed = after.duration_since(now) <= STRANGER_EVERY * STRANGER_BURST;
        if allowed {
            *whole_at = Some(after);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn client(last: u32) -> Network {
        IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + last)).into()
    }

    /// How many of a thousand calls are allowed.
    fn allowed(strangers: &Strangers, who: Network, now: Instant) -> u32 {
        (0..1_000).map(|_| u32::from(strangers.allow(who, now))).sum()
    }

    #[test]
    fn a_client_has_a_burst_and_then_ten_a_minute() {
        let (strangers, start) = (Strangers::default(), Instant::now());
        assert_eq!(allowed(&strangers, client(1), start), STRANGER_BURST);
        assert_eq!(allowed(&strangers, client(1), start + STRANGER_EVERY - Duration::from_millis(1)), 0);
        assert_eq!(allowed(&strangers, client(1), start + Duration::from_mins(1)), 10);
        assert_eq!(allowed(&strangers, client(1), start + Duration::from_hours(1)), STRANGER_BURST);
    }

    #[test]
    fn most_clients_have_an_allowance_of_their_own_and_no_number_of_them_takes_more_memory() {
        let (strangers, now) = (Strangers::default(), Instant::now());
        assert_eq!(allowed(&strangers, client(0), now), STRANGER_BURST);
        let untouched = (1..=100).filter(|last| allowed(&strangers, client(*last), now) == STRANGER_BURST).count();
        assert!(untouched > 80, "{untouched} of 100");
        for last in 0..100_000 {
            strangers.allow(client(last), now);
        }
        assert_eq!(strangers.whole_at.lock().unwrap().capacity(), SLOTS);
    }
}

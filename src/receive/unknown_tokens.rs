//! The limiter of calls with an unknown token, by client: the first few are read to their end and logged, the rest are
//! answered unread.
//!
//! The answer is the same empty 404 either way, so that it tells nothing; what the limit saves is our time, the network
//! and the log. A right token is looked at first and never comes here. An IPv6 client is counted by its /64, and by its
//! /48 with a looser limit: who has a /48 has 65,536 of the former.
//!
//! The table has a fixed size and forgets nobody early. Clients that share a slot share its allowance, which costs them
//! nothing but a line in the log; which of them do is drawn anew at each start, so that it cannot be chosen.

use std::{
    hash::BuildHasher,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::client::{Client, Network};

/// How many calls with an unknown token of one client are read and logged in a row.
pub const UNKNOWN_TOKEN_BURST: u32 = 20;

/// How long it takes until one more of them is: ten a minute.
pub const UNKNOWN_TOKEN_EVERY: Duration = Duration::from_secs(6);

/// For how many clients a /48 counts.
const SITE_CLIENTS: u32 = 4;

/// How many networks are told apart.
const SLOTS: u64 = 4096;

/// Draws the slots.
#[cfg(not(test))]
type Slots = std::hash::RandomState;
/// In tests always the same ones: two clients that happened to share one would look like a mistake.
#[cfg(test)]
type Slots = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

/// Each network's allowance.
pub(super) struct UnknownTokenLimiter {
    slots: Slots,
    /// When the allowance of each slot is whole again.
    whole_at: Mutex<Vec<Option<Instant>>>,
}

impl Default for UnknownTokenLimiter {
    fn default() -> Self {
        let slots = usize::try_from(SLOTS).unwrap_or_default();
        Self { slots: Slots::default(), whole_at: Mutex::new(vec![None; slots]) }
    }
}

impl UnknownTokenLimiter {
    /// Whether one more call of this client is within its allowances, which it is then taken from.
    pub(super) fn allow(&self, client: Client, now: Instant) -> bool {
        let mut table = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        let network = self.charge(&table, client.network, UNKNOWN_TOKEN_EVERY, now);
        let site = client.site.map(|site| self.charge(&table, site, UNKNOWN_TOKEN_EVERY / SITE_CLIENTS, now));
        let charges = [Some(network), site];
        let allowed = charges.iter().flatten().all(|charge| charge.is_some());
        for (slot, whole_at) in charges.into_iter().flatten().flatten().filter(|_| allowed) {
            table[slot] = Some(whole_at);
        }
        allowed
    }

    /// The slot of a network, and when its allowance will be whole again after one more call, each of which takes `every`
    /// to be made good; `None` where nothing is left.
    fn charge(
        &self,
        table: &[Option<Instant>],
        network: Network,
        every: Duration,
        now: Instant,
    ) -> Option<(usize, Instant)> {
        let slot = usize::try_from(self.slots.hash_one(network) % SLOTS).ok()?;
        let whole_at = table.get(slot)?.map_or(now, |at| at.max(now)) + every;
        (whole_at.duration_since(now) <= UNKNOWN_TOKEN_EVERY * UNKNOWN_TOKEN_BURST).then_some((slot, whole_at))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::*;

    fn client(last: u32) -> Client {
        IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + last)).into()
    }

    /// How many of a thousand calls are allowed.
    fn allowed(limiter: &UnknownTokenLimiter, who: Client, now: Instant) -> u32 {
        (0..1_000).map(|_| u32::from(limiter.allow(who, now))).sum()
    }

    #[test]
    fn a_client_has_a_burst_and_then_ten_a_minute() {
        let (limiter, start) = (UnknownTokenLimiter::default(), Instant::now());
        assert_eq!(allowed(&limiter, client(1), start), UNKNOWN_TOKEN_BURST);
        assert_eq!(allowed(&limiter, client(1), start + UNKNOWN_TOKEN_EVERY - Duration::from_millis(1)), 0);
        assert_eq!(allowed(&limiter, client(1), start + Duration::from_mins(1)), 10);
        assert_eq!(allowed(&limiter, client(1), start + Duration::from_hours(1)), UNKNOWN_TOKEN_BURST);
    }

    #[test]
    fn all_the_networks_of_a_site_have_four_times_as_much_as_one() {
        let (limiter, now) = (UnknownTokenLimiter::default(), Instant::now());
        let client = |subnet: u128| Client::from(IpAddr::V6(Ipv6Addr::from_bits(0x2001 << 112 | subnet << 64)));
        assert_eq!(allowed(&limiter, client(0), now), UNKNOWN_TOKEN_BURST);
        let all: u32 = (1..1_000).map(|subnet| u32::from(limiter.allow(client(subnet), now))).sum();
        assert_eq!(all, (SITE_CLIENTS - 1) * UNKNOWN_TOKEN_BURST);
        assert_eq!(allowed(&limiter, client(1 << 16), now), UNKNOWN_TOKEN_BURST, "another site");
    }

    #[test]
    fn most_clients_have_an_allowance_of_their_own_and_no_number_of_them_takes_more_memory() {
        let (limiter, now) = (UnknownTokenLimiter::default(), Instant::now());
        assert_eq!(allowed(&limiter, client(0), now), UNKNOWN_TOKEN_BURST);
        let untouched = (1..=100).filter(|last| allowed(&limiter, client(*last), now) == UNKNOWN_TOKEN_BURST).count();
        assert!(untouched > 80, "{untouched} of 100");
        for last in 0..100_000 {
            limiter.allow(client(last), now);
        }
        assert_eq!(limiter.whole_at.lock().unwrap().capacity() as u64, SLOTS);
    }
}

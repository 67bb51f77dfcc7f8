//! Who is inside: the connections of each client, so that one client cannot hold every place while the till waits.
//!
//! A connection is *known* once it has shown a right token; the others count against their client's share. A client that
//! has used its share up gets a further place only for one of its own that has been silent for a while. So whoever opens
//! connections without calling pushes out itself, and a till behind the same address still comes through.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::Network;

/// How often it is logged that somebody has used up their share.
const SAID_EVERY: Duration = Duration::from_mins(1);

/// The connections of every client that has a share.
pub(super) struct Crowd {
    share: usize,
    patience: Duration,
    inside: Inside,
    said: Option<Instant>,
}

type Inside = Arc<Mutex<HashMap<Network, Vec<Arc<Guest>>>>>;

/// One connection.
pub(super) struct Guest {
    since: Instant,
    known: AtomicBool,
    /// Cancelled when it has to leave.
    pub(super) leave: CancellationToken,
}

/// A place inside; dropping it gives it back.
pub(super) struct Seat {
    pub(super) guest: Arc<Guest>,
    client: Network,
    inside: Inside,
}

impl Crowd {
    /// Nobody is inside. Each client may have `share` unknown connections; one that is older than `patience` makes room.
    pub(super) fn new(share: usize, patience: Duration) -> Self {
        Self { share, patience, inside: Inside::default(), said: None }
    }

    /// A place for one more connection; `None` where the client has used up its share.
    pub(super) fn enter(&mut self, client: Network) -> Option<Seat> {
        let entered = self.find_place(client);
        if entered.is_none() && self.said.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
            self.said = Some(Instant::now());
            tracing::warn!(client.address = %client, "A client holds its whole share of connections; further ones of it are closed");
        }
        entered
    }

    fn find_place(&self, client: Network) -> Option<Seat> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let guests = inside.entry(client).or_default();
        let is_counted = |guest: &&Arc<Guest>| !guest.known.load(Ordering::Relaxed) && !guest.leave.is_cancelled();
        if guests.iter().filter(is_counted).count() >= self.share {
            // They stand in the order in which they came.
            let oldest = guests.iter().find(is_counted).filter(|guest| guest.since.elapsed() >= self.patience)?;
            oldest.leave.cancel();
        }
        let guest =
            Arc::new(Guest { since: Instant::now(), known: AtomicBool::new(false), leave: CancellationToken::new() });
        guests.push(guest.clone());
        Some(Seat { guest, client, inside: self.inside.clone() })
    }
}

impl Guest {
    /// It has shown a right token: it no longer counts, and is not asked to leave.
    pub(super) fn recognise(&self) {
        self.known.store(true, Ordering::Relaxed);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(guests) = inside.get_mut(&self.client) else { return };
        guests.retain(|guest| !Arc::ptr_eq(guest, &self.guest));
        if guests.is_empty() {
            inside.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn client(text: &str) -> Network {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn a_share_is_each_clients_own_and_given_back() {
        let mut crowd = Crowd::new(2, Duration::MAX);
        let (one, other) = (client("203.0.113.1"), client("203.0.113.2"));
        let seats = [crowd.enter(one).unwrap(), crowd.enter(one).unwrap()];
        assert!(crowd.enter(one).is_none());
        assert!(crowd.enter(other).is_some());
        drop(seats);
        assert!(crowd.enter(one).is_some());
        assert!(crowd.inside.lock().unwrap().is_empty(), "who has left is forgotten");
    }

    #[test]
    fn who_is_known_does_not_count() {
        let mut crowd = Crowd::new(1, Duration::MAX);
        let till = crowd.enter(client("::1")).unwrap();
        till.guest.recognise();
        assert!(crowd.enter(client("::1")).is_some());
    }

    #[test]
    fn the_oldest_that_is_not_known_makes_room() {
        let mut crowd = Crowd::new(2, Duration::ZERO);
        let seats: Vec<_> = (0..4)
            .map(|turn| {
                let seat = crowd.enter(client("::1")).unwrap();
                if turn == 0 {
                    seat.guest.recognise();
                }
                seat
            })
            .collect();
        let leaving: Vec<_> = seats.iter().map(|seat| seat.guest.leave.is_cancelled()).collect();
        assert_eq!(leaving, [false, true, false, false]);
    }
}

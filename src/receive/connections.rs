//! The connection limiter: who may stay when not everybody can.
//!
//! A connection is *unproven* until it shows a right token (or asks for an invoice that exists). A newcomer is always let
//! in. Where that is one too many, an unproven connection is closed for it: the oldest of the client that holds the most
//! of them. So whoever opens many connections closes its own, and a client with one of them keeps it until as many other
//! networks attack as there are places. A connection through a trusted proxy is counted for nobody before its first head
//! has been read, and for the client that the head names from then on.
//!
//! Proven connections have places that no stranger can take. They are full only when tills call faster than calls can be
//! stored, or send their bodies very slowly: a call that has been sending for [`READING_GRACE`] makes room then, and where
//! there is none the newcomer is told to come again. A call that is being stored is never closed, and keeps its place
//! until it is stored.
//!
//! **Invariant:** proven connections never exceed their places, and a newcomer is never refused because of unproven ones.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    Limits,
    client::{Client, Network},
};

/// How long a call with a right token may take over its body before it makes room for another one, should all places be
/// taken. A till sends a call at once.
const READING_GRACE: Duration = Duration::from_secs(2);

/// How many clients a /48 counts for: it holds the most connections when one of its /64 would with a quarter of them.
const SITE_CLIENTS: usize = 4;

/// How often it is logged that connections are closed to make room.
const SAID_EVERY: Duration = Duration::from_mins(1);

/// Counts the connections of all clients.
#[derive(Clone)]
pub(super) struct ConnectionLimiter(Arc<Mutex<Table>>);

/// The right to be connected; dropping it gives the place back.
pub(super) struct ConnectionPermit {
    id: u64,
    client: Mutex<Option<Client>>,
    closing: Arc<Notify>,
    limiter: ConnectionLimiter,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has not shown a right token.
    Unproven,
    /// It has, and sends its body since then.
    Reading(Instant),
    /// What it asked for is being done.
    Working,
}

struct Connection {
    client: Option<Client>,
    stage: Stage,
    closing: Arc<Notify>,
}

/// Connections by age: their numbers grow.
struct Table {
    places: usize,
    unproven_places: usize,
    proven_places: usize,
    next: u64,
    connections: BTreeMap<u64, Connection>,
    unproven: usize,
    /// How many unproven connections each network has.
    networks: HashMap<Network, usize>,
    said: Option<Instant>,
}

impl ConnectionLimiter {
    /// A limiter with nobody connected.
    pub(super) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Mutex::new(Table {
            places: limits.connections,
            unproven_places: limits.unproven_connections(),
            proven_places: limits.proven_connections(),
            next: 0,
            connections: BTreeMap::new(),
            unproven: 0,
            networks: HashMap::new(),
            said: None,
        })))
    }

    /// Lets a newcomer in, and closes an unproven connection where that is one too many. `client` is whom it belongs to,
    /// where its address says so.
    pub(super) fn admit(&self, client: Option<Client>) -> ConnectionPermit {
        let closing = Arc::new(Notify::new());
        let mut table = self.table();
        table.next += 1;
        let id = table.next;
        table.insert(id, Connection { client, stage: Stage::Unproven, closing: closing.clone() });
        while table.is_overfull() && table.close_unproven(Some(id)) {}
        drop(table);
        ConnectionPermit { id, client: Mutex::new(client), closing, limiter: self.clone() }
    }

    /// Closes an unproven connection because the system gives no more. Returns whether there was one.
    pub(super) fn close_one(&self) -> bool {
        self.table().close_unproven(None)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionPermit {
    /// Counts the connection for the client that its request names.
    pub(super) fn count_for(&self, client: Client) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(client);
        let mut table = self.limiter.table();
        let Some(mut connection) = table.remove(self.id) else { return };
        connection.client = Some(client);
        table.insert(self.id, connection);
    }

    /// It has shown a right token. Returns whether there is a place for it; it is not closed to make room then, unless it
    /// is very slow.
    pub(super) fn prove(&self, now: Instant) -> bool {
        self.advance(Stage::Reading(now), now)
    }

    /// All has been read: it is not closed to make room any more. Returns whether it was in time.
    pub(super) fn work(&self, now: Instant) -> bool {
        self.advance(Stage::Working, now)
    }

    fn advance(&self, stage: Stage, now: Instant) -> bool {
        let mut table = self.limiter.table();
        let client = *self.client.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have been closed to make room a moment ago: what it has sent counts all the same.
        let was = table.remove(self.id);
        let is_proven = was.as_ref().is_some_and(|connection| connection.stage != Stage::Unproven);
        if !is_proven && table.proven() >= table.proven_places && !table.close_slowest(now) {
            if let Some(connection) = was {
                table.insert(self.id, connection);
            }
            return false;
        }
        table.insert(self.id, Connection { client, stage, closing: self.closing.clone() });
        true
    }

    /// Whether at least half of all places are taken.
    pub(super) fn is_crowded(&self) -> bool {
        let table = self.limiter.table();
        table.connections.len() * 2 >= table.places
    }

    /// Returns when the connection is to be closed to make room.
    pub(super) async fn must_close(&self) {
        loop {
            self.closing.notified().await;
            if !self.limiter.table().connections.contains_key(&self.id) {
                return;
            }
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.limiter.table().remove(self.id);
    }
}

impl Table {
    fn is_overfull(&self) -> bool {
        self.unproven > self.unproven_places || self.connections.len() > self.places
    }

    fn proven(&self) -> usize {
        self.connections.len() - self.unproven
    }

    fn insert(&mut self, id: u64, connection: Connection) {
        if connection.stage == Stage::Unproven {
            self.unproven += 1;
            for network in networks(connection.client) {
                *self.networks.entry(network).or_default() += 1;
            }
        }
        self.connections.insert(id, connection);
    }

    fn remove(&mut self, id: u64) -> Option<Connection> {
        let connection = self.connections.remove(&id)?;
        if connection.stage == Stage::Unproven {
            self.unproven -= 1;
            for network in networks(connection.client) {
                let count = self.networks.entry(network).or_default();
                *count -= 1;
                if *count == 0 {
                    self.networks.remove(&network);
                }
            }
        }
        Some(connection)
    }

    /// Closes the oldest unproven connection, but for the newcomer, of the client that has the most. Returns whether there
    /// was one.
    fn close_unproven(&mut self, newcomer: Option<u64>) -> bool {
        let others = self.connections.iter().filter(|(id, _)| newcomer != Some(**id));
        let unproven = others.filter(|(_, connection)| connection.stage == Stage::Unproven);
        // Of several that are equal this is the last one, so the oldest has to come last.
        let most = unproven.rev().max_by_key(|(_, connection)| self.weight(connection.client));
        let Some((&id, client)) = most.map(|(id, connection)| (id, connection.client)) else { return false };
        self.close(id);
        self.say(client);
        true
    }

    /// Closes the call that has been sending its body for the longest time, if that is long. Returns whether there was one.
    fn close_slowest(&mut self, now: Instant) -> bool {
        let since = |connection: &Connection| match connection.stage {
            Stage::Reading(since) if now.duration_since(since) >= READING_GRACE => Some(since),
            _ => None,
        };
        let slow = self.connections.iter().filter_map(|(id, connection)| Some((since(connection)?, *id)));
        let Some((_, id)) = slow.min() else { return false };
        self.close(id);
        true
    }

    fn close(&mut self, id: u64) {
        if let Some(connection) = self.remove(id) {
            connection.closing.notify_one();
        }
    }

    /// How many unproven connections the client of one has, in quarters.
    fn weight(&self, client: Option<Client>) -> usize {
        let Some(Client { network, site }) = client else { return SITE_CLIENTS };
        let count = |network| self.networks.get(&network).copied().unwrap_or(0);
        (count(network) * SITE_CLIENTS).max(site.map_or(0, count))
    }

    fn say(&mut self, client: Option<Client>) {
        if self.said.is_some_and(|said| said.elapsed() < SAID_EVERY) {
            return;
        }
        self.said = Some(Instant::now());
        let client = client.map(|client| client.to_string()).unwrap_or_default();
        tracing::warn!(
            client.address = client,
            "Connections without a right token fill their places: the oldest of whoever has the most are closed"
        );
    }
}

fn networks(client: Option<Client>) -> impl Iterator<Item = Network> {
    client.into_iter().flat_map(|Client { network, site }| [Some(network), site]).flatten()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    /// A limiter that has half as many places for unproven connections.
    fn limiter(connections: usize) -> ConnectionLimiter {
        ConnectionLimiter::new(&Limits { connections, ..Limits::default() })
    }

    fn client(text: &str) -> Option<Client> {
        Some(text.parse::<IpAddr>().unwrap().into())
    }

    /// Which of the connections are still let be.
    fn open(permits: &[ConnectionPermit]) -> Vec<bool> {
        let is_open = |permit: &ConnectionPermit| permit.limiter.table().connections.contains_key(&permit.id);
        permits.iter().map(is_open).collect()
    }

    #[test]
    fn a_newcomer_is_always_let_in_and_the_oldest_of_the_client_with_the_most_makes_room() {
        let limiter = limiter(8);
        let from = ["203.0.113.1", "203.0.113.2", "203.0.113.2", "203.0.113.3"];
        let mut permits: Vec<_> = from.iter().map(|from| limiter.admit(client(from))).collect();
        permits.push(limiter.admit(client("203.0.113.4")));
        assert_eq!(open(&permits), [true, false, true, true, true]);
        permits.push(limiter.admit(client("203.0.113.5")));
        assert_eq!(open(&permits), [false, false, true, true, true, true], "now all have one: the oldest goes");
    }

    #[test]
    fn a_site_counts_for_four_clients() {
        let limiter = limiter(16);
        let mut permits: Vec<_> = (0..6).map(|n| limiter.admit(client(&format!("2001:db8:7:{n}::1")))).collect();
        permits.push(limiter.admit(client("203.0.113.1")));
        permits.push(limiter.admit(client("203.0.113.2")));
        permits.push(limiter.admit(client("203.0.113.3")));
        assert_eq!(open(&permits), [false, true, true, true, true, true, true, true, true]);
        permits.push(limiter.admit(client("203.0.113.4")));
        assert_eq!(open(&permits)[..8], [false, false, true, true, true, true, true, true]);
        permits.push(limiter.admit(client("203.0.113.5")));
        assert_eq!(open(&permits)[..8], [false, false, false, true, true, true, true, true], "four are as good as one");
        permits.push(limiter.admit(client("203.0.113.1")));
        assert_eq!(open(&permits)[..8], [false, false, false, true, true, true, false, true], "now another has two");
    }

    #[test]
    fn a_client_that_a_proxy_names_is_counted_from_then_on() {
        let limiter = limiter(8);
        let permits: Vec<_> = (0..4).map(|_| limiter.admit(None)).collect();
        for permit in &permits[1..3] {
            permit.count_for(client("203.0.113.1").unwrap());
        }
        let _newcomer = limiter.admit(None);
        assert_eq!(open(&permits), [true, false, true, true]);
    }

    #[tokio::test]
    async fn who_has_shown_a_token_is_not_closed_even_if_it_was_about_to_be() {
        let limiter = limiter(4);
        let till = limiter.admit(client("::1"));
        let _others = [limiter.admit(client("::1")), limiter.admit(client("::1"))];
        till.must_close().await;
        let now = Instant::now();
        assert!(till.prove(now) && till.work(now));
        let _more = [limiter.admit(client("::1")), limiter.admit(client("::1"))];
        assert_eq!(open(&[till]), [true]);
    }

    #[tokio::test]
    async fn when_all_places_are_proven_only_a_slow_call_makes_room_for_the_next() {
        let limiter = limiter(4);
        let now = Instant::now();
        let call = || {
            let call = limiter.admit(None);
            assert!(call.prove(now));
            call
        };
        let calls: Vec<_> = (0..3).map(|_| call()).collect();
        let next = limiter.admit(None);
        assert!(!next.prove(now), "three of four are the most");
        assert!(calls[0].work(now));
        assert!(next.prove(now + READING_GRACE));
        assert_eq!(open(&calls), [true, false, true]);
        calls[1].must_close().await;
        drop(calls);
        assert!(limiter.admit(None).prove(now));
    }

    #[test]
    fn nothing_is_left_of_who_has_gone() {
        let limiter = limiter(4);
        for number in 0..100 {
            let permit = limiter.admit(client(&format!("2001:db8::{number}:0:0:0:1")));
            permit.count_for(client("2001:db8:1::1").unwrap());
            let _ = number % 2 == 0 && permit.prove(Instant::now());
        }
        let table = limiter.table();
        assert!(table.connections.is_empty() && table.networks.is_empty() && table.unproven == 0);
    }
}

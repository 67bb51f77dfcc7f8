//! What one client, and all clients together, may use at the door.

use std::{sync::Arc, time::Duration};

use ipnet::IpNet;

/// Of this many places, one is left to connections that have yet to show a token: a newcomer always finds one.
const NEWCOMERS: usize = 16;

/// The limits. The defaults are those of the running service.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time (256; half of the files that the system lets us open, where that is less). At most half of
    /// them are unproven, which means that they have not shown a right token, and at most fifteen sixteenths have shown
    /// one. So strangers never take the places of tills, nor calls under way that of the next one.
    pub connections: usize,
    /// Proxies: the clients that they name in `X-Forwarded-For` are believed, and counted in their place.
    pub trusted_proxies: Arc<[IpNet]>,
    /// How long a client may take over the head of a request, and may idle before its next one (10 s).
    pub head_time: Duration,
    /// The most bytes in a request's head (96 KiB: a query of 64 KiB, the most that a URI may have, and headers, of which
    /// there may be a hundred).
    pub head_bytes: usize,
    /// The most bytes of a call that are stored (2 MiB).
    pub body_bytes: usize,
    /// How many calls may be larger than 64 KiB at a time, from the first byte beyond until they are stored (4); further
    /// ones wait. With `body_bytes` it bounds memory.
    pub large_bodies: usize,
    /// How much memory calls may take up that are being decoded and stored, as their bytes tell (16 MiB); further calls wait,
    /// which light ones never have to. One that may take up more is taken in alone.
    pub memory_at_work: usize,
    /// How long a client may take over a body (30 s), and wait for its turn with a large one.
    pub body_time: Duration,
    /// How many bodies of clients without a right token are read, and thrown away, at a time (16).
    pub unproven_bodies: usize,
    /// How long such a client may take over its body, which is only read so that the answer arrives (5 s).
    pub unproven_body_time: Duration,
    /// How long the till waits for its call to be stored before it is told 503 (10 s); storing goes on.
    pub store_time: Duration,
    /// How many stored invoices are sent at a time (16).
    pub document_readers: usize,
    /// How long a client may take nothing of what is being sent to it (30 s).
    pub write_time: Duration,
    /// How old a connection may become, whatever it does (10 min).
    pub connection_time: Duration,
    /// How long what is under way may take to end once the service stops (8 s; Docker kills after 10).
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            trusted_proxies: Arc::default(),
            head_time: Duration::from_secs(10),
            head_bytes: 96 * 1024,
            body_bytes: 2 * 1024 * 1024,
            large_bodies: 4,
            memory_at_work: 16 * 1024 * 1024,
            body_time: Duration::from_secs(30),
            unproven_bodies: 16,
            unproven_body_time: Duration::from_secs(5),
            store_time: Duration::from_secs(10),
            document_readers: 16,
            write_time: Duration::from_secs(30),
            connection_time: Duration::from_secs(600),
            drain_time: Duration::from_secs(8),
        }
    }
}

impl Limits {
    /// How many connections may be unproven at a time.
    pub(super) fn unproven_connections(&self) -> usize {
        (self.connections / 2).max(1)
    }

    /// How many connections may have shown a right token at a time.
    pub(super) fn proven_connections(&self) -> usize {
        (self.connections - (self.connections / NEWCOMERS).max(1)).max(1)
    }
}

//! The door: what the till, subscribers and operators reach over HTTP.
//!
//! The till does not repeat a call, so the door's one purpose is that no call is lost: it bounds what strangers can tie
//! up (connections, headers, bodies, time), and with a right token it takes whatever comes and hands it to [`Accept`].
//!
//! **Invariant:** a 2xx is sent only after [`Accept::accept`] returned `Ok`; no token, URL, query or body reaches a log.

mod body;
mod credential;
mod document;
mod endpoint;
mod health;
mod listener;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    middleware::map_response,
    response::Response,
    routing::{any, get},
};
use bytes::Bytes;

pub use credential::Credentials;
pub use listener::serve;

use crate::order::{ReceiptId, ShopId};

/// What stands behind the door.
#[async_trait]
pub trait Accept: Send + Sync + 'static {
    /// Takes a call. `Ok` means that it is on disk and stays there: the till is told so, and never calls again.
    /// It runs to its end even when the till hangs up or its answer is overdue.
    ///
    /// # Errors
    /// When it could not be stored; the till is answered 503.
    async fn accept(&self, call: Call) -> Result<Acceptance, Unavailable>;

    /// Whether a call could be stored now; with it what an operator should see to before it no longer can.
    ///
    /// # Errors
    /// Why not, in words that anyone may read: `/readyz` is public.
    async fn ready(&self) -> Result<Option<&'static str>, String>;

    /// The stored invoice behind a public name; `None` when nothing is, or no longer.
    async fn invoice(&self, capability: &str) -> Option<Document>;
}

/// One call of the till, exactly as it came. It has no `Debug`: it is full of customers.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// Whose token it carried.
    pub shop: ShopId,
    /// `POST` or `GET`.
    pub method: String,
    /// The `content-type` it declares, believed or not.
    pub content_type: Option<String>,
    /// The query as sent, still encoded.
    pub query: Option<String>,
    /// The body as sent.
    pub body: Bytes,
}

/// What became of a call that is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// What it was taken for.
    pub status: Status,
    /// The name of this call; the till is told, so that both sides can speak of it.
    pub id: ReceiptId,
}

/// What a call that is on disk was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Something new.
    Stored,
    /// The same as an earlier call.
    Duplicate,
    /// Something that cannot be read; kept for a person or a later version.
    Quarantined,
}

impl Status {
    /// The word in the answer: `stored`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Duplicate => "duplicate",
            Self::Quarantined => "quarantined",
        }
    }
}

/// A call could not be stored. The text is for the log: no URL, secret or customer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call could not be stored: {0}")]
pub struct Unavailable(pub String);

/// An invoice in the archive, to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Where its bytes are.
    pub path: PathBuf,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// The name people see.
    pub filename: String,
}

/// What one client, and all clients together, may use. The defaults are those of the running service.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time (256); further ones wait in the system's queue. With `body` it bounds memory.
    pub connections: usize,
    /// How long a client may take over the head of a request, and may idle before its next one (10 s).
    pub head_time: Duration,
    /// The most bytes in a request's head (96 KiB: a query of 64 KiB, the most that a URI may have, and headers).
    pub head_bytes: usize,
    /// The most bytes of a call that are stored (2 MiB).
    pub body_bytes: usize,
    /// How long a client may take over a body (30 s).
    pub body_time: Duration,
    /// How long the till waits for its call to be stored before it is told 503 (10 s); storing goes on.
    pub store_time: Duration,
    /// How old a connection may become, whatever it does (10 min): a reader of one byte a minute ends here.
    pub connection_time: Duration,
    /// How long what is under way may take to end once the service stops (8 s; Docker kills after 10).
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            head_time: Duration::from_secs(10),
            head_bytes: 96 * 1024,
            body_bytes: 2 * 1024 * 1024,
            body_time: Duration::from_secs(30),
            store_time: Duration::from_secs(10),
            connection_time: Duration::from_secs(600),
            drain_time: Duration::from_secs(8),
        }
    }
}

/// What every handler works with.
#[derive(Clone)]
struct Door {
    accept: Arc<dyn Accept>,
    credentials: Arc<ArcSwap<Credentials>>,
    limits: Limits,
}

/// The door's routes. Swapping `credentials` changes the tokens from the next call on.
pub fn router(accept: Arc<dyn Accept>, credentials: Arc<ArcSwap<Credentials>>, limits: Limits) -> Router {
    Router::new()
        .route("/in", any(endpoint::call))
        .route("/in/", any(endpoint::call))
        .route("/in/{*token}", any(endpoint::call))
        .route("/invoices/{capability}", get(document::show))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .layer(map_response(finish))
        .with_state(Door { accept, credentials, limits })
}

/// Gives every answer of the door the same frame.
///
/// It closes the connection: a proxy that reuses one in the moment in which we end it as idle must not repeat a POST,
/// answers 502 in our place, and the call is gone. A till calls twice an order; a fresh connection costs it nothing.
async fn finish(mut response: Response) -> Response {
    const FRAME: [(HeaderName, &str); 4] = [
        (header::CONNECTION, "close"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    let headers = response.headers_mut();
    for (name, value) in FRAME {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

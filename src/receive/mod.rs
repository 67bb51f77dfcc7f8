//! The door: what the till, subscribers and operators reach over HTTP.
//!
//! The till does not repeat a call, so the door's one purpose is that no call is lost: it bounds what strangers can tie
//! up (connections, headers, bodies, time), and with a right token it takes whatever comes and hands it to [`Accept`].
//!
//! **Invariant:** a 2xx is sent only after [`Accept::accept`] returned `Ok`; no token, URL, query or body reaches a log.

mod body;
mod call_head;
mod client;
mod connections;
mod credential;
mod document;
mod endpoint;
mod framing;
mod health;
mod limits;
mod listener;
mod refusals;
#[cfg(test)]
mod tests;
mod unknown_tokens;
mod workload;

use std::{fs::File, sync::Arc};

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
use tokio::sync::Semaphore;

pub use credential::Credentials;
pub use limits::Limits;
pub use listener::serve;
pub use unknown_tokens::{UNKNOWN_TOKEN_BURST, UNKNOWN_TOKEN_EVERY};

use body::BodyReader;
use document::Readers;
use refusals::Refusals;
use unknown_tokens::UnknownTokenLimiter;
use workload::Workload;

use crate::{
    clock::Clock,
    order::{ReceiptId, ShopId},
};

/// How many seconds whoever cannot be served now is asked to wait, should they ever try again.
const RETRY_AFTER: &str = "5";

/// What stands behind the door.
#[async_trait]
pub trait Accept: Send + Sync + 'static {
    /// Takes a call. `Ok` means that it is on disk and stays there: the till is told so, and never calls again.
    /// It runs to its end even when the till hangs up or its answer is overdue.
    ///
    /// # Errors
    /// When it could not be stored; the till is answered 503.
    async fn accept(&self, call: Call) -> Result<Acceptance, Unavailable>;

    /// Tells somebody that a call with the right token of a shop was refused, so that nothing of it is stored.
    async fn refused(&self, shop: &ShopId, reason: String);

    /// Whether a call could be stored now, with what somebody should look after although it could.
    ///
    /// # Errors
    /// Why not. Both in words that anyone may read: `/readyz` is public.
    async fn ready(&self) -> Result<Option<&'static str>, String>;

    /// The stored invoice behind a public name; `None` when nothing is, or no longer.
    async fn invoice(&self, capability: &str) -> Option<Document>;

    /// Opens an invoice and proves that its bytes are those that were stored; `None` where they are not, or are gone.
    async fn open(&self, document: &Document) -> Option<OpenDocument>;
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
    /// The body, as much of it as came.
    pub body: Bytes,
    /// How many bytes of it were announced, where that is not how many came.
    pub announced: Option<u64>,
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
    /// Where it is, for whoever has the archive.
    pub path: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// The name people see.
    pub filename: String,
}

/// An invoice that is being read.
#[derive(Debug)]
pub struct OpenDocument {
    /// Its bytes, from the first one.
    pub file: File,
    /// How many there are.
    pub bytes: u64,
}

/// What every handler works with.
#[derive(Clone)]
struct Door {
    accept: Arc<dyn Accept>,
    credentials: Arc<ArcSwap<Credentials>>,
    unknown_tokens: Arc<UnknownTokenLimiter>,
    /// Permits to read the body of a client without a right token.
    unproven_bodies: Arc<Semaphore>,
    bodies: BodyReader,
    workload: Workload,
    refusals: Arc<Refusals>,
    readers: Readers,
    limits: Limits,
    clock: Arc<dyn Clock>,
}

/// The door's routes. Swapping `credentials` changes the tokens from the next call on.
pub fn router(
    accept: Arc<dyn Accept>,
    credentials: Arc<ArcSwap<Credentials>>,
    limits: Limits,
    clock: Arc<dyn Clock>,
) -> Router {
    let door = Door {
        accept,
        credentials,
        unknown_tokens: Arc::default(),
        unproven_bodies: Arc::new(Semaphore::new(limits.unproven_bodies)),
        bodies: BodyReader::new(&limits),
        workload: Workload::new(&limits),
        refusals: Arc::default(),
        readers: Readers::new(&limits),
        limits,
        clock,
    };
    Router::new()
        .route("/in", any(endpoint::call))
        .route("/in/", any(endpoint::call))
        .route("/in/{*token}", any(endpoint::call))
        .route("/invoices/{capability}", get(document::show))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .layer(map_response(finish))
        .with_state(door)
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

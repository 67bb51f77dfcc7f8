//! Why no answer came, or not enough of it, and what that means for a delivery.
//!
//! **Invariant:** no error holds a URL.

use std::time::Duration;

use super::EXCERPT;
use crate::sink::{
    guard::Blocked,
    trust,
    verdict::{Reason, SinkError},
};

/// Why nothing, or not enough, came back. No text holds a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The guard refuses the address.
    #[error(transparent)]
    Blocked(#[from] Blocked),
    /// No complete answer in time.
    #[error("no complete answer within {0:?}")]
    TimedOut(Duration),
    /// No connection: no such host, refused, TLS.
    #[error("no connection: {0}")]
    Connect(String),
    /// The connection broke before the answer was complete.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The connection broke in the middle of the body.
    #[error("only a part of the answer came: {0}")]
    CutOff(String),
    /// What came back is not HTTP.
    #[error("the answer is not HTTP: {0}")]
    Protocol(String),
    /// The body is larger than wanted.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The far side is this very service.
    #[error("the address leads back to this service's own webhook; change it, then resume the sink")]
    Loop,
    /// The client cannot be built, which is nearly always for want of CA certificates.
    #[error("https needs this machine's CA certificates; install its `ca-certificates` package ({0})")]
    NoCertificates(String),
}

impl ClientError {
    /// From what the library says of a request that may take `timeout`.
    pub(super) fn new(error: reqwest::Error, timeout: Duration) -> Self {
        let error = error.without_url();
        if let Some(blocked) = causes(&error).find_map(|cause| cause.downcast_ref::<Blocked>()) {
            Self::Blocked(*blocked)
        } else if error.is_timeout() {
            Self::TimedOut(timeout)
        } else if error.is_connect() {
            Self::Connect(trust::refused(&error).unwrap_or_else(|| innermost(&error)))
        } else if causes(&error).filter_map(|cause| cause.downcast_ref::<hyper::Error>()).any(hyper::Error::is_parse) {
            Self::Protocol(innermost(&error))
        } else {
            Self::Broken(innermost(&error))
        }
    }

    /// The same of an answer whose head is there.
    pub(super) fn of_body(error: reqwest::Error, timeout: Duration) -> Self {
        match Self::new(error, timeout) {
            Self::Broken(cause) => Self::CutOff(cause),
            other => other,
        }
    }

    /// From what the library says when it cannot make a client.
    pub(super) fn not_built(error: reqwest::Error) -> Self {
        Self::NoCertificates(innermost(&error.without_url()))
    }
}

impl From<ClientError> for SinkError {
    fn from(error: ClientError) -> Self {
        let reason = match error {
            // Every message would come back: nothing is gained by trying again.
            ClientError::Loop => return Self::pause(Reason::Blocked, error.to_string()),
            ClientError::Blocked(_) => Reason::Blocked,
            ClientError::TimedOut(_) => Reason::TimeOut,
            ClientError::Connect(_) | ClientError::Broken(_) | ClientError::CutOff(_) => Reason::Connect,
            ClientError::Protocol(_) | ClientError::TooLarge(_) => Reason::Protocol,
            ClientError::NoCertificates(_) => Reason::Local,
        };
        let hint = match error {
            ClientError::Blocked(Blocked::NotPublic(_)) => "; list its network in `delivery.allow_private` to allow it",
            _ => "",
        };
        Self::retry(reason, format!("{error}{hint}"))
    }
}

/// The error and everything below it.
pub fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source())
}

/// The last cause says what happened; those around it say where in the library.
pub fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default().chars().take(EXCERPT).collect()
}

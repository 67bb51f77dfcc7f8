//! Reading a body: all of it, within a size and a time, or nothing.
//!
//! A client that is still sending does not read our answer, so what is too large is read on, thrown away, and answered
//! afterwards.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::time::timeout;

/// How much beyond the limit is read and thrown away, so that the refusal arrives (contract §3).
const DISCARDED: usize = 8 * 1024 * 1024;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    /// It is longer than the limit.
    #[error("the body is too large")]
    TooLarge,
    /// It did not come in time.
    #[error("the body took too long")]
    Slow,
    /// The client left, or broke the protocol, before the end.
    #[error("the body broke off")]
    Broken,
}

/// Reads a body of at most `limit` bytes within `time`.
///
/// # Errors
/// Nothing of the body is kept then.
pub(super) async fn read(mut body: Body, limit: usize, time: Duration) -> Result<Bytes, BodyError> {
    timeout(time, collect(&mut body, limit)).await.unwrap_or(Err(BodyError::Slow))
}

async fn collect(body: &mut Body, limit: usize) -> Result<Bytes, BodyError> {
    // It grows with what arrives: the announced length is only a claim, and 256 claims would be half a gigabyte.
    let mut kept = Vec::new();
    while let Some(data) = next(body).await? {
        if kept.len() + data.len() > limit {
            discard(body, DISCARDED.saturating_sub(kept.len() + data.len() - limit)).await;
            return Err(BodyError::TooLarge);
        }
        kept.extend_from_slice(&data);
    }
    Ok(kept.into())
}

async fn discard(body: &mut Body, mut budget: usize) {
    while let Ok(Some(data)) = next(body).await {
        match budget.checked_sub(data.len()) {
            Some(left) => budget = left,
            None => break,
        }
    }
}

/// The next bytes; `None` at the end. Trailers are skipped.
async fn next(body: &mut Body) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

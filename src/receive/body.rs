//! Reading a body, within a size and a time. What comes of one that breaks off is kept, and known to be a part.
//!
//! Nearly every call is small, and is read at once. What is larger needs one of a few permits to be read on, and keeps it
//! until the call is stored: many large calls at a time wait for each other in the network instead of in our memory.
//!
//! A client that is still sending does not read our answer, so what is too large is read on, thrown away, and answered
//! afterwards.

use std::{sync::Arc, time::Duration};

use axum::body::{Body, HttpBody as _};
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::Limits;

/// How much of a body is read without a permit for large ones.
const SMALL: usize = 64 * 1024;

/// How much beyond the limit is read and thrown away, so that the refusal arrives (contract §3).
const DISCARDED: usize = 8 * 1024 * 1024;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    /// It is longer than the limit.
    #[error("the body is too large")]
    TooLarge,
    /// Too many other large ones are being read and stored.
    #[error("other large bodies took too long")]
    Busy,
    /// The client left, or broke the protocol, before the end.
    #[error("the body broke off")]
    Broken,
}

/// Reads bodies, of which only a few may be large at a time.
#[derive(Clone)]
pub(super) struct BodyReader {
    limit: usize,
    time: Duration,
    large: Arc<Semaphore>,
}

/// A body, or as much of it as came.
#[derive(Default)]
pub(super) struct Received {
    pub(super) bytes: Bytes,
    /// Whether that is all that was announced.
    pub(super) is_whole: bool,
    /// Held for as long as the bytes of a large body are in memory.
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

/// A body while it is being read.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    permit: Option<OwnedSemaphorePermit>,
}

impl BodyReader {
    /// A reader within these limits.
    pub(super) fn new(limits: &Limits) -> Self {
        let large = Arc::new(Semaphore::new(limits.large_bodies));
        Self { limit: limits.body_bytes, time: limits.body_time, large }
    }

    /// Reads a body to its end, or until nothing more comes of it: the client left, broke the protocol, or its time is over.
    ///
    /// # Errors
    /// Nothing of the body is kept then.
    pub(super) async fn read(&self, mut body: Body) -> Result<Received, BodyError> {
        let until = Instant::now() + self.time;
        let mut kept = Kept::default();
        let is_whole = match timeout_at(until, self.collect(&mut body, &mut kept, until)).await {
            Ok(Ok(())) => true,
            Ok(Err(BodyError::Broken)) | Err(_) => false,
            Ok(Err(error)) => return Err(error),
        };
        Ok(Received { bytes: kept.bytes.into(), is_whole, permit: kept.permit })
    }

    async fn collect(&self, body: &mut Body, kept: &mut Kept, until: Instant) -> Result<(), BodyError> {
        // It grows with what arrives: the announced length is only a claim, unless it is too large already.
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let mut too_large = announced > self.limit;
        while !too_large && let Some(data) = next(body).await? {
            let length = kept.bytes.len() + data.len();
            too_large = length > self.limit;
            if !too_large {
                if length > SMALL && kept.permit.is_none() {
                    kept.permit = Some(self.large_permit(until).await?);
                }
                grow(&mut kept.bytes, length, self.limit);
                kept.bytes.extend_from_slice(&data);
            }
        }
        if too_large {
            let budget = self.limit.saturating_add(DISCARDED).saturating_sub(kept.bytes.len());
            *kept = Kept::default();
            discard(body, budget).await;
            return Err(BodyError::TooLarge);
        }
        Ok(())
    }

    async fn large_permit(&self, until: Instant) -> Result<OwnedSemaphorePermit, BodyError> {
        let permit = timeout_at(until, self.large.clone().acquire_owned()).await;
        permit.ok().and_then(Result::ok).ok_or(BodyError::Busy)
    }
}

/// Reads a body within `time` and throws it away, up to some size.
pub(super) async fn read_away(mut body: Body, time: Duration) {
    let _ = timeout_at(Instant::now() + time, discard(&mut body, DISCARDED)).await;
}

async fn discard(body: &mut Body, mut budget: usize) {
    while let Ok(Some(data)) = next(body).await {
        match budget.checked_sub(data.len()) {
            Some(left) => budget = left,
            None => break,
        }
    }
}

/// Makes room for `length` bytes, and for more to come, but never for more than `limit`.
fn grow(kept: &mut Vec<u8>, length: usize, limit: usize) {
    if length > kept.capacity() {
        let capacity = kept.capacity().saturating_mul(2).min(limit).max(length);
        kept.reserve_exact(capacity - kept.len());
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

//! How much is being decoded and stored at a time, in bytes of calls.
//!
//! A call takes several times its size while it is decoded, compared and written. A body is counted here only once it is
//! whole, so that how long a call keeps its share depends on the disk alone, and on no client.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Call, Limits};

/// Bytes are counted in units of this many.
const UNIT: usize = 1024;

/// For how many units a call counts at the least: many small ones have other costs.
const LEAST: usize = 16;

/// The calls that are being decoded and stored.
#[derive(Clone)]
pub(super) struct Workload {
    units: usize,
    free: Arc<Semaphore>,
}

impl Workload {
    /// Nothing is being stored.
    pub(super) fn new(limits: &Limits) -> Self {
        let units = (limits.bytes_at_work / UNIT).clamp(LEAST, Semaphore::MAX_PERMITS);
        Self { units, free: Arc::new(Semaphore::new(units)) }
    }

    /// Waits until there is room for a call. Dropping the permit gives the room back.
    pub(super) async fn admit(&self, call: &Call) -> Option<OwnedSemaphorePermit> {
        let bytes = call.body.len() + call.query.as_ref().map_or(0, String::len);
        // One that is larger than everything is let in alone.
        let units = bytes.div_ceil(UNIT).clamp(LEAST, self.units);
        self.free.clone().acquire_many_owned(u32::try_from(units).ok()?).await.ok()
    }
}

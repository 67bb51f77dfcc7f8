//! How much is being decoded and stored at a time, by the memory that calls may take up meanwhile.
//!
//! A body is weighed only once it is whole, so that how long a call keeps its share depends on the disk alone, and on no
//! client. Light calls wait for nobody: together they take up no more than there are connections for.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Call, Limits};
use crate::decode::{LIGHT, weight};

/// Memory is counted in units of this many bytes.
const UNIT: usize = 1024;

/// The calls that are being decoded and stored.
#[derive(Clone)]
pub(super) struct Workload {
    units: usize,
    free: Arc<Semaphore>,
}

impl Workload {
    /// Nothing is being stored.
    pub(super) fn new(limits: &Limits) -> Self {
        let units = (limits.memory_at_work / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Self { units, free: Arc::new(Semaphore::new(units)) }
    }

    /// Waits until there is room for a call. Dropping the permit gives the room back; a light one needs none.
    pub(super) async fn admit(&self, call: &Call) -> Option<OwnedSemaphorePermit> {
        let weight = weight(call.query.as_deref(), &call.body);
        if weight <= LIGHT {
            return None;
        }
        // One that is heavier than everything is let in alone.
        let units = weight.div_ceil(UNIT).min(self.units);
        self.free.clone().acquire_many_owned(u32::try_from(units).ok()?).await.ok()
    }
}

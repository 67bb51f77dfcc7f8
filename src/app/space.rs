//! Watches the disk: keeps the reserve whole, tells a person once when space is low, and warns at `/readyz`.

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::door::SpaceIsLow;
use crate::{
    deliver::Outbox,
    order::EventType,
    record::Alert,
    store::{Space, StoreError},
};

/// How often to look; the writer wakes us at once when it has used the reserve.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What is watched, and for whom.
pub(super) struct Watch {
    pub outbox: Outbox,
    /// What to set aside, in bytes.
    pub reserve: u64,
    /// The data directory, as the alert names it.
    pub path: String,
    /// What `/readyz` looks at.
    pub is_low: SpaceIsLow,
}

impl Watch {
    /// Watches until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut releases = self.outbox.store.releases();
        let mut failing = false;
        loop {
            releases.borrow_and_update();
            let made = match self.outbox.store.set_aside(self.reserve) {
                Ok((space, made)) => {
                    self.judge(space).await;
                    made
                }
                Err(error) => Err(error),
            };
            match made {
                Ok(()) => failing = false,
                // Said once: it would be said every few seconds.
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(error = %error, "no space could be set aside for a full disk; trying again");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                _ = releases.changed() => {}
                () = self.outbox.clock.sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn judge(&self, space: Space) {
        let was_low = self.is_low.swap(space.is_low(), Ordering::Relaxed);
        let told = match space {
            _ if space.is_low() => self.tell(space).await,
            _ if space.is_ample() => self.outbox.store.space_is_ample().await.map(|is_over| {
                if is_over {
                    tracing::info!(storage.free = space.free, "there is space on the disk again");
                }
            }),
            _ => Ok(()),
        };
        if let Err(error) = told
            && !was_low
        {
            tracing::error!(error = %error, "nobody could be told that space on the disk is low; trying again");
        }
    }

    async fn tell(&self, space: Space) -> Result<(), StoreError> {
        let facts = json!({ "free": space.free, "path": self.path });
        let alert = Alert {
            kind: EventType::StorageLow,
            shop: None,
            about: None,
            facts: facts.as_object().cloned().unwrap_or_default(),
            also: None,
            marks_told: None,
        };
        let (policy, now) = (self.outbox.recorder.policy(), self.outbox.clock.now());
        if self.outbox.store.tell_of_space(now, move || alert.clone().into_changes(&policy, now)).await? {
            tracing::warn!(storage.free = space.free, storage.path = %self.path, "space on the disk is low");
        }
        Ok(())
    }
}

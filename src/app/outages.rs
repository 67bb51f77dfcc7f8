//! Watches for sinks that fail while no other one can tell anybody of it: their alerts wait behind the same trouble, or are
//! nobody's. Then `/readyz` warns, and the log says it once.
//!
//! **Invariant:** a sink whose failure another one tells of is no warning here: readiness is about taking calls.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{deliver::Outbox, order::SinkName, record::Policy, store::StoreError};

/// How often to look: nobody is told sooner by other means.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Whether a sink fails and nobody can be told, as last seen.
pub(super) type Unheard = Arc<AtomicBool>;

/// Watches until `stop`.
pub(super) async fn run(outbox: Outbox, is_unheard: Unheard, stop: CancellationToken) {
    let mut said: Vec<SinkName> = Vec::new();
    loop {
        match unheard(&outbox).await {
            Ok(sinks) => {
                is_unheard.store(!sinks.is_empty(), Ordering::Relaxed);
                for sink in sinks.iter().filter(|sink| !said.contains(sink)) {
                    tracing::error!(sink.name = %sink, "deliveries fail, and no other sink works that could tell anybody; see `tillhook sinks list`");
                }
                said = sinks;
            }
            Err(error) => tracing::warn!(error = %error, "it is not known which sinks fail; looking again"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = outbox.clock.sleep(LOOK_EVERY) => {}
        }
    }
}

/// The sinks that fail, and of which every one that could tell fails too.
async fn unheard(outbox: &Outbox) -> Result<Vec<SinkName>, StoreError> {
    let (failing, policy) = (outbox.store.failing_sinks().await?, outbox.recorder.policy());
    let is_configured = |sink: &&SinkName| policy.rules.iter().any(|rule| rule.sink == **sink);
    let nobody_tells = |sink: &&SinkName| !is_told(&policy, sink, &failing);
    Ok(failing.iter().filter(is_configured).filter(nobody_tells).cloned().collect())
}

fn is_told(policy: &Policy, sink: &SinkName, failing: &[SinkName]) -> bool {
    policy.tell_of(sink).any(|other| !failing.contains(other))
}

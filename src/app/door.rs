//! What stands behind the door: decoding, recording, and the invoice archive.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Mutex;

use super::outages::Unheard;
use crate::{
    clock::Clock,
    decode,
    deliver::Outbox,
    invoice::{Archive, OpenInvoice},
    order::{EventType, ShopId},
    receive::{Accept, Acceptance, Call, Document, OpenDocument, Status, Unavailable},
    record::{self, Alert, Origin, Outcome, Raw, Recorder},
    store::Store,
};

/// The service as the door sees it.
pub(super) struct Inside {
    store: Store,
    recorder: Recorder,
    clock: Arc<dyn Clock>,
    archive: Archive,
    troubles: Troubles,
    last_probe: Mutex<Option<(Timestamp, Result<(), String>)>>,
}

/// What somebody should look after although calls can be taken.
pub(super) struct Troubles {
    pub space_is_low: SpaceIsLow,
    /// Whether the last nightly backup failed.
    pub unsaved: Arc<AtomicBool>,
    pub unheard: Unheard,
}

/// What is said of troubles: of the first of them by one bit, of the second by the next.
const WARNINGS: [Option<&str>; 8] = [
    None,
    Some("space on the disk is low"),
    Some("the nightly backup failed; see the log"),
    Some("space on the disk is low, and the nightly backup failed; see the log"),
    Some("deliveries fail and nobody can be told; see the log"),
    Some("space on the disk is low, and deliveries fail and nobody can be told; see the log"),
    Some("the nightly backup failed, and deliveries fail and nobody can be told; see the log"),
    Some(
        "space on the disk is low, the nightly backup failed, and deliveries fail and nobody can be told; see the log",
    ),
];

/// Whether space on the disk is low, as `space.rs` last saw it.
pub(super) type SpaceIsLow = Arc<AtomicBool>;

/// How long an answer of `/readyz` holds: each one costs a write that is synced, and anyone may ask.
const PROBE_EVERY: Duration = Duration::from_secs(1);

impl Inside {
    /// The service.
    pub fn new(outbox: &Outbox, troubles: Troubles) -> Self {
        let Outbox { store, recorder, clock, archive, .. } = outbox.clone();
        Self { store, recorder, clock, archive, troubles, last_probe: Mutex::default() }
    }
}

impl Troubles {
    fn warning(&self) -> Option<&'static str> {
        let all = [&self.space_is_low, &self.unsaved, &self.unheard];
        let bits = all.iter().enumerate().map(|(bit, trouble)| usize::from(trouble.load(Ordering::Relaxed)) << bit);
        WARNINGS.get(bits.sum::<usize>()).copied().flatten()
    }
}

#[async_trait]
impl Accept for Inside {
    async fn accept(&self, call: Call) -> Result<Acceptance, Unavailable> {
        let shop =
            self.recorder.shop(&call.shop).ok_or_else(|| Unavailable("the shop is not configured".to_owned()))?;
        let raw = Raw {
            method: call.method,
            content_type: call.content_type,
            query: call.query,
            body: call.body,
            announced: call.announced,
        };
        let call = record::Call { shop: call.shop, raw: raw.clone(), origin: Origin::Till };
        let decode = move || decode::decode(&raw.input(), &shop.shop);
        let accepted = self.recorder.accept(call, decode).await.map_err(|error| Unavailable(error.to_string()))?;
        let status = match accepted.outcome {
            Outcome::Stored => Status::Stored,
            Outcome::Duplicate => Status::Duplicate,
            Outcome::Quarantined => Status::Quarantined,
        };
        Ok(Acceptance { status, id: accepted.receipt })
    }

    async fn refused(&self, shop: &ShopId, reason: String) {
        let facts = json!({ "type": null, "receipt_id": null, "reason": reason });
        let facts = facts.as_object().cloned().unwrap_or_default();
        let alert = Alert {
            kind: EventType::TillUnreadable,
            shop: Some(shop.clone()),
            about: None,
            also: None,
            facts,
            marks_told: None,
        };
        if let Err(error) = self.recorder.alert(alert).await {
            tracing::error!(shop.id = %shop, error = %error, "nobody could be told of a call that was refused");
        }
    }

    async fn ready(&self) -> Result<Option<&'static str>, String> {
        let warning = self.troubles.warning();
        let mut last = self.last_probe.lock().await;
        let now = self.clock.now();
        if let Some((at, found)) = &*last
            && now.duration_since(*at).unsigned_abs() < PROBE_EVERY
        {
            return found.clone().map(|()| warning);
        }
        let found = self.store.probe().await.map_err(|error| {
            tracing::error!(error = %error, "the service is not ready");
            "the database cannot be written; see the log".to_owned()
        });
        *last = Some((now, found.clone()));
        found.map(|()| warning)
    }

    async fn invoice(&self, capability: &str) -> Option<Document> {
        let file = match self.store.invoice_by_capability(capability).await {
            Ok(file) => file?,
            Err(error) => {
                tracing::error!(error = %error, "an invoice could not be looked up");
                return None;
            }
        };
        Some(Document { path: file.path, sha256: file.sha256, filename: file.filename })
    }

    async fn open(&self, document: &Document) -> Option<OpenDocument> {
        match self.archive.open(&document.path, &document.sha256).await {
            Ok(OpenInvoice { file, bytes }) => Some(OpenDocument { file, bytes }),
            Err(error) => {
                tracing::error!(error = %error, "an invoice in the archive is not what was stored; it is not served");
                None
            }
        }
    }
}

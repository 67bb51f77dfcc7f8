//! What stands behind the door: decoding, recording, and the invoice archive.

use std::path::PathBuf;

use async_trait::async_trait;

use crate::{
    decode::{self, Input},
    receive::{Accept, Acceptance, Call, Document, Status, Unavailable},
    record::{self, Origin, Outcome, Raw, Recorder, Unread},
    store::Store,
};

/// The service as the door sees it.
pub(super) struct Inside {
    pub store: Store,
    pub recorder: Recorder,
    pub directory: PathBuf,
}

#[async_trait]
impl Accept for Inside {
    async fn accept(&self, call: Call) -> Result<Acceptance, Unavailable> {
        let shop =
            self.recorder.shop(&call.shop).ok_or_else(|| Unavailable("the shop is not configured".to_owned()))?;
        let input =
            Input { content_type: call.content_type.as_deref(), query: call.query.as_deref(), body: &call.body };
        let decoded = decode::decode(&input, &shop.shop)
            .map_err(|unreadable| Unread { kind: unreadable.kind, reason: unreadable.reason });
        let raw = Raw { method: call.method, content_type: call.content_type, query: call.query, body: call.body };
        let call = record::Call { shop: call.shop, raw, origin: Origin::Till };
        let accepted = self.recorder.accept(call, decoded).await.map_err(|error| Unavailable(error.to_string()))?;
        let status = match accepted.outcome {
            Outcome::Stored => Status::Stored,
            Outcome::Duplicate => Status::Duplicate,
            Outcome::Quarantined => Status::Quarantined,
        };
        Ok(Acceptance { status, id: accepted.receipt })
    }

    async fn ready(&self) -> Result<(), String> {
        self.store.probe().await.map_err(|error| {
            tracing::error!(error = %error, "the service is not ready");
            "the database cannot be written; see the log".to_owned()
        })
    }

    async fn invoice(&self, capability: &str) -> Option<Document> {
        match self.store.invoice_by_capability(capability).await {
            Ok(file) => file.map(|file| Document {
                path: self.directory.join(&file.path),
                sha256: file.sha256,
                filename: file.filename,
            }),
            Err(error) => {
                tracing::error!(error = %error, "an invoice could not be looked up");
                None
            }
        }
    }
}

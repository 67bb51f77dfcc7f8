//! The stored invoices, for subscribers: behind a name that cannot be guessed, and nowhere else.
//!
//! A reader costs a file handle and a small buffer, however large the invoice is and however slowly it is read: the file
//! is proven and sent from one handle, piece by piece. Only so many are sent at a time, and of those only a few are being
//! proven, because that keeps a processor busy. What is sent is proven once more on its way: the last piece of a file that
//! was changed meanwhile is kept back, so that its reader knows that it is incomplete.
//!
//! **Invariant:** a name that leads nowhere is answered like one that never existed, and no name reaches a log.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    extract::{Extension, Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::Stream;
use tokio::{
    io::{AsyncReadExt as _, Take},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::Instant,
};
use tokio_util::io::ReaderStream;

use super::{Document, Door, Limits, OpenDocument, RETRY_AFTER, connections::ConnectionPermit};
use crate::invoice::Fingerprint;

/// How many invoices are proven at a time. Each keeps a processor busy, for about 50 ms where it is as large as they get.
const PROVEN_AT_ONCE: usize = 2;

/// How much of an invoice is read at a time.
const PIECE: usize = 64 * 1024;

/// Who may read at the moment.
#[derive(Clone)]
pub(super) struct Readers {
    sending: Arc<Semaphore>,
    proving: Arc<Semaphore>,
}

impl Readers {
    /// Nobody reads.
    pub(super) fn new(limits: &Limits) -> Self {
        let sending = Arc::new(Semaphore::new(limits.document_readers));
        Self { sending, proving: Arc::new(Semaphore::new(PROVEN_AT_ONCE)) }
    }
}

/// Shows an invoice in the browser, or says that the reader's copy is the same.
pub(super) async fn show(
    State(door): State<Door>,
    connection: Option<Extension<Arc<ConnectionPermit>>>,
    capability: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    // Only what could be a name is looked up: a guess costs a look into the database.
    let Some(capability) = capability.ok().map(|Path(name)| name).filter(|name| is_capability(name)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Some(document) = door.accept.invoice(&capability).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // The name is as good as a token; the number of readers is limited by itself.
    let Ok(permit) = door.readers.sending.clone().try_acquire_owned() else { return busy() };
    let now = Instant::now();
    if connection.is_some_and(|Extension(connection)| !connection.prove(now) || !connection.work(now)) {
        return busy();
    }
    let Some((opened, permit)) = open(&door, &document, permit).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let etag = format!("\"{}\"", document.sha256);
    if is_known(&headers, &etag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response();
    }
    send(&document, opened, etag, permit)
}

/// 128 bits in hexadecimal.
fn is_capability(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Opens and proves an invoice in a task of its own, which ends soon after its reader's connection is closed: room for the next is
/// made by the task. A reader who says nothing more may still be listening.
async fn open(
    door: &Door,
    document: &Document,
    permit: OwnedSemaphorePermit,
) -> Option<(OpenDocument, OwnedSemaphorePermit)> {
    let (accept, proving, document) = (door.accept.clone(), door.readers.proving.clone(), document.clone());
    let (mut reader, opened) = oneshot::channel();
    tokio::spawn(async move {
        let opening = async {
            let _proving = proving.acquire_owned().await.ok()?;
            accept.open(&document).await
        };
        tokio::select! {
            document = opening => drop(reader.send(document.map(|document| (document, permit)))),
            () = reader.closed() => {}
        }
    });
    opened.await.ok().flatten()
}

fn send(document: &Document, opened: OpenDocument, etag: String, permit: OwnedSemaphorePermit) -> Response {
    let disposition = format!("inline; filename=\"{}\"", ascii(&document.filename));
    let headers = [
        (header::CONTENT_TYPE, "application/pdf".to_owned()),
        (header::CONTENT_LENGTH, opened.bytes.to_string()),
        (header::CONTENT_DISPOSITION, disposition),
        (header::CONTENT_SECURITY_POLICY, "sandbox".to_owned()),
        (header::ETAG, etag),
    ];
    let file = tokio::fs::File::from_std(opened.file).take(opened.bytes);
    let pieces = Pieces {
        pieces: ReaderStream::with_capacity(file, PIECE),
        left: opened.bytes,
        fingerprint: Fingerprint::default(),
        sha256: document.sha256.clone(),
        _permit: permit,
    };
    (headers, Body::from_stream(pieces)).into_response()
}

fn busy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER)]).into_response()
}

/// An invoice on its way, with the permit to be.
struct Pieces {
    pieces: ReaderStream<Take<tokio::fs::File>>,
    /// Bytes that are still to come.
    left: u64,
    fingerprint: Fingerprint,
    sha256: String,
    _permit: OwnedSemaphorePermit,
}

impl Pieces {
    /// The piece, unless it is the last of a file that is no longer what was stored. One that was cut short has no last
    /// piece, and its reader is short of bytes that were announced.
    fn pass(&mut self, piece: Bytes) -> io::Result<Bytes> {
        self.fingerprint.add(&piece);
        self.left = self.left.saturating_sub(piece.len() as u64);
        if self.left == 0 && !self.fingerprint.is(&self.sha256) {
            tracing::error!("an invoice was changed on disk while it was sent; its end was kept back");
            return Err(io::Error::other("it was changed while it was sent"));
        }
        Ok(piece)
    }
}

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = std::task::ready!(Pin::new(&mut self.pieces).poll_next(cx));
        Poll::Ready(next.map(|piece| piece.and_then(|piece| self.pass(piece))))
    }
}

/// Whether `If-None-Match` names the document (RFC 9110, 13.1.2: weak comparison).
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let listed = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    listed
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// File names are made of plain ASCII; should one not be, it must not break the header.
fn ascii(filename: &str) -> String {
    filename.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect()
}

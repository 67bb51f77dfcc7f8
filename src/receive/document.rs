//! The stored invoices, for subscribers: behind a name that cannot be guessed, and nowhere else.
//!
//! **Invariant:** a name that leads nowhere is answered like one that never existed, and no name reaches a log.

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{Document, Door};

/// Shows an invoice in the browser, or says that the reader's copy is the same.
pub(super) async fn show(
    State(door): State<Door>,
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
    let etag = format!("\"{}\"", document.sha256);
    if is_known(&headers, &etag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response();
    }
    send(document, etag).await
}

/// 128 bits in hexadecimal.
fn is_capability(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

async fn send(document: Document, etag: String) -> Response {
    match tokio::fs::read(&document.path).await {
        Ok(bytes) => {
            let disposition = format!("inline; filename=\"{}\"", ascii(&document.filename));
            let headers = [
                (header::CONTENT_TYPE, "application/pdf".to_owned()),
                (header::CONTENT_DISPOSITION, disposition),
                (header::ETAG, etag),
            ];
            (headers, bytes).into_response()
        }
        Err(error) => {
            tracing::error!(invoice.sha256 = document.sha256, %error, "A stored invoice cannot be read");
            StatusCode::NOT_FOUND.into_response()
        }
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

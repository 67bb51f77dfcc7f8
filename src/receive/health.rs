//! Whether the process is up, and whether it could store a call.

use std::time::Duration;

use axum::{extract::State, http::StatusCode, response::IntoResponse};
use tokio::time::timeout;

use super::Door;

/// How long the question whether a call could be stored may take. Who asks gives up soon after.
const READY_TIME: Duration = Duration::from_secs(2);

/// The process is up.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// A call could be stored now, or why not.
pub(super) async fn ready(State(door): State<Door>) -> impl IntoResponse {
    match timeout(READY_TIME, door.accept.ready()).await {
        Ok(Ok(None)) => (StatusCode::OK, "ok\n".to_owned()),
        Ok(Ok(Some(warning))) => (StatusCode::OK, format!("ok, but {warning}\n")),
        Ok(Err(reason)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the storage does not answer\n".to_owned()),
    }
}

//! The webhook itself: token, body, store, answer.
//!
//! **Invariant:** until the token is found right, nothing depends on it: method, path and body of a stranger, and how often
//! it has called, all lead to the same empty 404.

use std::{
    net::{IpAddr, Ipv4Addr},
    panic::AssertUnwindSafe,
    sync::Arc,
};

use axum::{
    Json,
    body::{Body, HttpBody},
    extract::{Path, Request, State, rejection::PathRejection},
    http::{Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::FutureExt;
use jiff::Timestamp;
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::{
    Accept, Acceptance, Call, Door, RETRY_AFTER, Unavailable,
    body::{self, BodyError, Received},
    client::Client,
    connections::ConnectionPermit,
    framing::Facts,
    refusals::Refusal,
};
use crate::{
    clock::Clock,
    order::ShopId,
    sink::client::{INSTANCE, instance, is_ours},
};

/// What a person sees who opens the webhook's address in a browser.
const GREETING: &str = "Cette adresse est prête à recevoir les appels de la caisse.\n\
                        This address is ready for the till's calls.\n";

/// Says how long a call has taken so far.
#[derive(Clone)]
struct Stopwatch {
    clock: Arc<dyn Clock>,
    began: Timestamp,
}

impl Stopwatch {
    fn start(clock: Arc<dyn Clock>) -> Self {
        let began = clock.now();
        Self { clock, began }
    }

    /// Zero where the clock was set back meanwhile.
    fn milliseconds(&self) -> u64 {
        u64::try_from(self.clock.now().duration_since(self.began).as_millis()).unwrap_or(0)
    }
}

/// Answers whatever comes to `/in`.
pub(super) async fn call(
    State(door): State<Door>,
    token: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let watch = Stopwatch::start(door.clock.clone());
    let facts = request.extensions().get::<Arc<Facts>>().cloned().unwrap_or_default();
    facts.handled();
    let shop = token.ok().and_then(|Path(token)| door.credentials.load().find(&token).cloned());
    let (parts, body) = request.into_parts();
    let Some(shop) = shop else {
        return stranger(&door, &parts, body).await;
    };
    if let Some(refusal) = parts.extensions.get::<Refusal>() {
        refuse(&door, &shop, *refusal).await;
        return StatusCode::BAD_REQUEST.into_response();
    }
    let connection = parts.extensions.get::<Arc<ConnectionPermit>>().cloned();
    if connection.as_ref().is_some_and(|connection| !connection.prove(Instant::now())) {
        tracing::error!(shop.id = %shop, call.outcome = "unavailable", "Too many calls at a time: answering 503");
        return unavailable();
    }
    if is_ours(&parts.headers) {
        return turn_back(&shop);
    }
    match parts.method {
        Method::POST | Method::GET if !is_visit(&parts, &facts, &body) => {
            take(&door, shop, Arriving { connection, facts, parts, body }, watch).await
        }
        Method::GET | Method::HEAD => GREETING.into_response(),
        _ => {
            refuse(&door, &shop, Refusal::Method).await;
            (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, POST")]).into_response()
        }
    }
}

/// A `GET` that carries nothing is a person, or a till that tries the address.
fn is_visit(parts: &Parts, facts: &Facts, body: &Body) -> bool {
    let query = query(parts, facts);
    parts.method == Method::GET && query.is_none_or(|query| query.is_empty()) && body.is_end_stream()
}

/// The query as it was sent.
fn query(parts: &Parts, facts: &Facts) -> Option<String> {
    facts.query().or_else(|| parts.uri.query().map(str::to_owned))
}

/// Counts and logs a call that is lost, and now and then tells somebody.
async fn refuse(door: &Door, shop: &ShopId, refusal: Refusal) {
    tracing::warn!(shop.id = %shop, call.outcome = "refused", "A call with a right token was refused and is not stored: {refusal}");
    if let Some(count) = door.refusals.count(shop, refusal, Instant::now()) {
        door.accept.refused(shop, format!("{refusal} (calls since the start that were refused for it: {count})")).await;
    }
}

/// The body is read and dropped like a known shop's: a client that is still sending would never see the answer. It is not
/// where this client has tried too often, which is not logged either, nor where places become scarce or enough others are
/// being read.
async fn stranger(door: &Door, parts: &Parts, body: Body) -> Response {
    let client = parts.extensions.get::<Client>();
    let client = client.copied().unwrap_or_else(|| IpAddr::V4(Ipv4Addr::UNSPECIFIED).into());
    if door.unknown_tokens.allow(client, Instant::now()) {
        let connection = parts.extensions.get::<Arc<ConnectionPermit>>();
        if !connection.is_some_and(|connection| connection.is_crowded())
            && let Ok(_permit) = door.unproven_bodies.try_acquire()
        {
            body::read_away(body, door.limits.unproven_body_time).await;
        }
        tracing::info!(
            call.outcome = "unknown_token",
            client.address = %client,
            "Refused a call with an unknown token"
        );
    }
    StatusCode::NOT_FOUND.into_response()
}

/// A sink of ours leads here. What it brings was stored already, and would be announced again, and come again: the one
/// call with a right token that is not stored, because it is not the till's.
fn turn_back(shop: &ShopId) -> Response {
    tracing::warn!(shop.id = %shop, call.outcome = "loop", "A sink of this service calls its own webhook; not stored");
    (StatusCode::LOOP_DETECTED, [(INSTANCE, instance())], Json(json!({ "status": "loop" }))).into_response()
}

/// A call that is being read.
struct Arriving {
    connection: Option<Arc<ConnectionPermit>>,
    facts: Arc<Facts>,
    parts: Parts,
    body: Body,
}

async fn take(door: &Door, shop: ShopId, call: Arriving, watch: Stopwatch) -> Response {
    let Arriving { connection, facts, parts, body } = call;
    match door.bodies.read(body).await {
        Ok(Received { bytes, is_whole, permit }) => {
            let is_in_time = connection.as_ref().is_none_or(|connection| connection.work(Instant::now()));
            if !is_in_time {
                return unavailable();
            }
            // What the call takes up is given back when it has been stored, even where that takes longer than the till waits.
            let held = (permit, connection);
            store(door, as_call(shop, parts, &facts, bytes, is_whole), held, watch).await
        }
        Err(BodyError::TooLarge) => {
            refuse(door, &shop, Refusal::TooLarge).await;
            (StatusCode::PAYLOAD_TOO_LARGE, Json(json!({ "status": "too_large" }))).into_response()
        }
        Err(error) => {
            tracing::warn!(
                shop.id = %shop,
                call.outcome = "unavailable",
                http.duration_ms = watch.milliseconds(),
                "A call was not stored: {error}"
            );
            unavailable()
        }
    }
}

/// Stores in a task of its own, which goes on when the till hangs up or the answer is overdue. `held` is kept until then.
async fn store(door: &Door, call: Call, held: impl Send + 'static, watch: Stopwatch) -> Response {
    let (workload, accepting) = (door.workload.clone(), door.accept.clone());
    let storing = tokio::spawn({
        let watch = watch.clone();
        async move {
            let room = workload.admit(&call).await;
            let accepted = accept(accepting, call, watch).await;
            drop((room, held));
            accepted
        }
    });
    match timeout(door.limits.store_time, storing).await {
        Ok(Ok(Ok(Acceptance { status, id }))) => {
            Json(json!({ "status": status.as_str(), "id": id.to_string() })).into_response()
        }
        Ok(_) => unavailable(),
        Err(_) => {
            tracing::warn!(http.duration_ms = watch.milliseconds(), "Storing is overdue: answering 503, and going on");
            unavailable()
        }
    }
}

/// Accepts a call and logs, once, what became of it. A panic is a failure like others.
async fn accept(door: Arc<dyn Accept>, call: Call, watch: Stopwatch) -> Result<Acceptance, Unavailable> {
    let shop = call.shop.clone();
    let accepted = AssertUnwindSafe(door.accept(call)).catch_unwind().await;
    let accepted = accepted.unwrap_or_else(|_| Err(Unavailable("the program panicked".to_owned())));
    match &accepted {
        Ok(Acceptance { status, id }) => tracing::info!(
            shop.id = %shop,
            call.outcome = status.as_str(),
            receipt.id = %id,
            http.duration_ms = watch.milliseconds(),
            "The till called"
        ),
        Err(error) => tracing::error!(
            shop.id = %shop,
            call.outcome = "unavailable",
            http.duration_ms = watch.milliseconds(),
            "{error}"
        ),
    }
    accepted
}

fn unavailable() -> Response {
    let body = Json(json!({ "status": "unavailable" }));
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER)], body).into_response()
}

/// The call as it came. Where more or less of it came than was announced, it says how much that was.
fn as_call(shop: ShopId, parts: Parts, facts: &Facts, bytes: Bytes, is_whole: bool) -> Call {
    let content_type = parts.headers.get(header::CONTENT_TYPE);
    let (excess, came) = (facts.take_excess(), bytes.len() as u64);
    let announced = match (is_whole, excess.is_empty()) {
        (true, true) => None,
        (true, false) => Some(came),
        // A body in chunks does not say how long it is, only that it goes on.
        (false, _) => Some(facts.announced().unwrap_or(u64::MAX)),
    };
    Call {
        shop,
        method: parts.method.to_string(),
        content_type: content_type.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
        query: query(&parts, facts),
        body: if excess.is_empty() { bytes } else { [bytes, excess].concat().into() },
        announced,
    }
}

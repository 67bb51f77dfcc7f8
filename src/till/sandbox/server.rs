//! What the sandbox serves: the workers API, invoices and quotes, a page to pay at, and the verification of signatures.
//!
//! **Invariant:** the first download of an invoice is the original and every later one a marked duplicate, and each is
//! counted, so that fetching twice is seen.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{Path, RawQuery, State},
    response::{Html, IntoResponse as _, Response},
    routing::{any, get},
};
use http::{HeaderMap, Method, StatusCode, header::CONTENT_TYPE};
use serde_json::json;

use super::{
    Counter,
    answer::Answer,
    catalogue::ONLINE,
    params::Params,
    pdf,
    refusal::Refusal,
    ticket::Stage,
    trouble::Trouble,
    workers::{self, Verb},
};

/// The one content type that a POST may have (pos-api §2).
const FORM: &str = "application/x-www-form-urlencoded";

/// The name under which verification can be put in trouble.
const VERIFY: &str = "verify";

/// Everything that is served.
pub(super) fn router(counter: Arc<Counter>) -> Router {
    Router::new()
        .route("/invoice/{file}", get(invoice))
        .route("/quote/{file}", get(quote))
        .route("/pay/{id}", get(payment_page).post(pay))
        .route("/verify/{id}", any(verify))
        .route("/workers/{endpoint}", any(worker))
        .with_state(counter)
}

async fn worker(
    State(counter): State<Arc<Counter>>,
    method: Method,
    Path(endpoint): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(verb) = workers::verb(&endpoint) else { return StatusCode::NOT_FOUND.into_response() };
    let params = match (verb, method) {
        (Verb::Get, Method::GET) => Params::read(query.unwrap_or_default().as_bytes()),
        (Verb::Post, Method::POST) if !is_form(&headers) => {
            return Answer::from(Refusal::new(format!("the body has to be {FORM}"))).into_response();
        }
        (Verb::Post, Method::POST) => Params::read(&body),
        _ => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
    };
    in_trouble(&counter, &endpoint, || Some(workers::answer(&counter, &endpoint, &params))).await
}

fn is_form(headers: &HeaderMap) -> bool {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    declared.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(FORM))
}

async fn invoice(State(counter): State<Arc<Counter>>, Path(file): Path<String>) -> Response {
    let id = file.strip_suffix(".pdf").unwrap_or_default();
    in_trouble(&counter, id, || counter.download(id).map(|pdf| Answer::new("application/pdf", pdf))).await
}

async fn quote(State(counter): State<Arc<Counter>>, Path(file): Path<String>) -> Response {
    let id = file.strip_suffix(".pdf").unwrap_or_default();
    let book = counter.book();
    match book.sales.ticket(id).filter(|ticket| ticket.stage == Stage::Quote) {
        Some(ticket) => Answer::new("application/pdf", pdf::quote(&ticket.order)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn payment_page(State(counter): State<Arc<Counter>>, Path(id): Path<String>) -> Response {
    let book = counter.book();
    let Some(ticket) = book.sales.ticket(&id) else { return StatusCode::NOT_FOUND.into_response() };
    let what = match ticket.stage {
        Stage::Paid => "<p>Cette commande est payée.</p>".to_owned(),
        Stage::Quote => format!("<p>Devis : {} €, à valider avant de payer.</p>", ticket.owed()),
        Stage::Invoiced => {
            format!("<p>Reste à payer : {} €</p><form method=\"post\"><button>Payer</button></form>", ticket.owed())
        }
    };
    Html(format!("<!doctype html><html lang=\"fr\"><meta charset=\"utf-8\"><title>Paiement</title>{what}</html>"))
        .into_response()
}

/// Whoever follows the payment link pays all that is owed.
async fn pay(State(counter): State<Arc<Counter>>, Path(id): Path<String>) -> Response {
    match counter.pay(&id, ONLINE, None) {
        Ok(()) => Html("<!doctype html><meta charset=\"utf-8\"><title>Paiement</title><p>Merci.</p>").into_response(),
        Err(refusal) => Answer::from(refusal).into_response(),
    }
}

/// Whether a call was the till's own. The protocol is unknown, so this one is invented: a JSON object that says so.
async fn verify(State(counter): State<Arc<Counter>>, Path(id): Path<String>) -> Response {
    let answer = || {
        let is_ours = counter.book().is_ours(&id);
        let body =
            if is_ours { json!({"result": "OK", "valid": true}) } else { json!({"result": "ERROR", "valid": false}) };
        Some(Answer::json(&body))
    };
    in_trouble(&counter, VERIFY, answer).await
}

/// The answer, or what the trouble at this place makes of it; without one 404.
async fn in_trouble(counter: &Counter, place: &str, answer: impl FnOnce() -> Option<Answer>) -> Response {
    let trouble = counter.book().trouble.get(place).copied();
    if let Some(instead) = trouble.and_then(Trouble::instead) {
        return instead;
    }
    if let Some(Trouble::Slow(duration)) = trouble {
        counter.clock.sleep(duration).await;
    }
    match (answer(), trouble) {
        (Some(answer), Some(trouble)) => trouble.spoil(answer).into_response(),
        (Some(answer), None) => answer.into_response(),
        (None, _) => StatusCode::NOT_FOUND.into_response(),
    }
}

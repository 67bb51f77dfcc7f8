//! Calling a webhook as the till does: one announcement, one connection, whatever the answer.

use std::{io, time::Duration};

use http::header::CONTENT_TYPE;
use reqwest::redirect;

use super::Announcement;
use crate::sink::client::{causes, innermost};

/// How long the whole call may take. The till's own patience is documented nowhere.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How much of an answer is read.
const ANSWER_LIMIT: usize = 64 * 1024;

/// What the webhook answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The beginning of the body.
    pub body: String,
}

/// Why there is no answer. Of the address no more than host and port is named: the rest holds the shop's token.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The address is not one that can be called.
    #[error("the webhook address is not usable: it should look like `http://127.0.0.1:8080/in/TOKEN`")]
    Address,
    /// The port is closed.
    #[error("nothing listens at {0}")]
    Refused(String),
    /// Nobody answered, or not in time.
    #[error("the webhook did not answer: {}", innermost(.0))]
    Network(#[source] reqwest::Error),
}

/// Makes the call. Any status is an answer; redirects are not followed.
///
/// A till opens a connection for every call, and so does this: there is none to go stale between two sales.
///
/// # Errors
/// When the address cannot be called or nobody answers within ten seconds.
pub async fn post(announcement: &Announcement, url: &str) -> Result<Answer, CallError> {
    let mut url = reqwest::Url::parse(url).map_err(|_| CallError::Address)?;
    if let Some(query) = &announcement.query {
        url.set_query(Some(query));
    }
    let place = format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
    let client = client(&url).map_err(network)?;
    let mut request = client.request(announcement.method.clone(), url);
    if let Some(content_type) = &announcement.content_type {
        request = request.header(CONTENT_TYPE, content_type).body(announcement.body.clone());
    }
    let mut response = request.send().await.map_err(|error| match is_refusal(&error) {
        true => CallError::Refused(place),
        false => network(error),
    })?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(network)? {
        body.extend_from_slice(&chunk);
        if body.len() >= ANSWER_LIMIT {
            body.truncate(ANSWER_LIMIT);
            break;
        }
    }
    Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
}

/// A client for this one call. Certificates are looked up for `https` alone, so that a machine that has none can still
/// try its own service.
fn client(url: &reqwest::Url) -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .timeout(TIMEOUT)
        .pool_max_idle_per_host(0);
    let builder = if url.scheme() == "https" { builder } else { builder.tls_certs_only([]) };
    builder.build()
}

fn is_refusal(error: &reqwest::Error) -> bool {
    let mut kinds = causes(error).filter_map(|cause| cause.downcast_ref()).map(io::Error::kind);
    kinds.any(|kind| kind == io::ErrorKind::ConnectionRefused)
}

fn network(error: reqwest::Error) -> CallError {
    CallError::Network(error.without_url())
}

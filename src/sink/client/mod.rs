//! The HTTP client that every call to a far side goes through, and the guard with it.
//!
//! It makes one request and reports what came back: no redirects, no proxy, no retries, no connection kept for a later
//! request (a kept one may be stale, and was checked for another moment), and an end to waiting and to reading.
//!
//! What came back is read in `reading.rs`; why nothing did is told in `error.rs`.
//!
//! **Invariant:** no error holds a URL.

mod error;
mod reading;
#[cfg(test)]
mod tests;

use std::{sync::LazyLock, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use reqwest::{Request, Response, redirect};
use tokio::sync::OnceCell;
use url::Url;

pub use error::{ClientError, causes, innermost};
pub use reading::{Answer, Fetched};

use super::guard::Guard;

/// What we call ourselves.
pub const USER_AGENT: &str = concat!("tillhook/", env!("CARGO_PKG_VERSION"));

/// The header that every call of ours carries, so that a sink that leads back to our own webhook is recognised there.
pub const INSTANCE: HeaderName = HeaderName::from_static("tillhook-instance");

/// The name of this process in [`INSTANCE`]: random, and no secret.
pub fn instance() -> HeaderValue {
    static NAME: LazyLock<HeaderValue> = LazyLock::new(|| {
        let name = getrandom::u64().map_or_else(|_| std::process::id().to_string(), |name| format!("{name:016x}"));
        HeaderValue::try_from(name).unwrap_or(HeaderValue::from_static("tillhook"))
    });
    NAME.clone()
}

/// Whether it was this process that made the call, or gave the answer, with these headers.
pub fn is_ours(headers: &HeaderMap) -> bool {
    headers.get_all(INSTANCE).into_iter().any(|name| *name == instance())
}

/// How long a connection may take to be made, within the time of the whole request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of what a far side said is kept for people, in characters.
const EXCERPT: usize = 512;

/// An HTTP client.
#[derive(Debug)]
pub struct Client {
    guard: Guard,
    timeout: Duration,
    plain: OnceCell<reqwest::Client>,
    secure: OnceCell<reqwest::Client>,
}

impl Client {
    /// A client that calls what `guard` lets it, and spends at most `timeout` on a request, its answer included.
    pub fn new(guard: Guard, timeout: Duration) -> Self {
        Self { guard, timeout, plain: OnceCell::new(), secure: OnceCell::new() }
    }

    /// Posts a body. Once a status has come, a body that breaks off or is slow changes nothing: the far side has spoken.
    ///
    /// # Errors
    /// When no status came back.
    pub async fn post(&self, url: &Url, headers: HeaderMap, body: impl Into<Bytes>) -> Result<Answer, ClientError> {
        let mut request = Request::new(Method::POST, url.clone());
        *request.headers_mut() = headers;
        *request.body_mut() = Some(body.into().into());
        self.answer(request).await
    }

    /// Asks for the headers alone: whether there is somebody who answers.
    ///
    /// # Errors
    /// When no status came back.
    pub async fn head(&self, url: &Url) -> Result<Answer, ClientError> {
        self.answer(Request::new(Method::HEAD, url.clone())).await
    }

    /// Downloads at most `cap` bytes.
    ///
    /// # Errors
    /// When nothing, not everything, or more than `cap` came back.
    pub async fn get(&self, url: &Url, cap: usize) -> Result<Fetched, ClientError> {
        let response = self.execute(Request::new(Method::GET, url.clone())).await?;
        Fetched::read(response, cap, self.timeout).await
    }

    /// Makes any request and reads the whole of what comes back, up to `cap` bytes and whatever its status: for a far side
    /// whose words are wanted also where it refuses.
    ///
    /// # Errors
    /// When nothing, not everything, or more than `cap` came back.
    pub async fn ask(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Option<Bytes>,
        cap: usize,
    ) -> Result<Fetched, ClientError> {
        let mut request = Request::new(method, url.clone());
        *request.headers_mut() = headers;
        *request.body_mut() = body.map(Into::into);
        let response = self.execute(request).await?;
        Fetched::read_whole(response, cap, self.timeout).await
    }

    async fn answer(&self, request: Request) -> Result<Answer, ClientError> {
        Ok(Answer::read(self.execute(request).await?).await)
    }

    async fn execute(&self, mut request: Request) -> Result<Response, ClientError> {
        request.headers_mut().insert(INSTANCE, instance());
        self.guard.check_url(request.url())?;
        let secure = request.url().scheme() == "https";
        let client = if secure { &self.secure } else { &self.plain };
        let client = client.get_or_try_init(|| async { self.build(secure) }).await?;
        let response = client.execute(request).await.map_err(|error| ClientError::new(error, self.timeout))?;
        if response.status() == StatusCode::LOOP_DETECTED && is_ours(response.headers()) {
            return Err(ClientError::Loop);
        }
        Ok(response)
    }

    /// Built when first needed, because reading the machine's CA certificates takes a while and can fail. The client
    /// for plain http trusts none, so that it can be built where there are none.
    fn build(&self, secure: bool) -> Result<reqwest::Client, ClientError> {
        // Somebody may have installed it already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT_TIMEOUT.min(self.timeout))
            .timeout(self.timeout)
            .dns_resolver(self.guard.clone());
        let builder = if secure { builder } else { builder.tls_certs_only([]) };
        builder.build().map_err(ClientError::not_built)
    }
}

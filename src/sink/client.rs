//! The HTTP client that every call to a far side goes through, and the guard with it.
//!
//! It makes one request and reports what came back: no redirects, no proxy, no retries, no connection kept for a later
//! request (a kept one may be stale, and was checked for another moment), and an end to waiting and to reading.
//!
//! **Invariant:** no error holds a URL.

use std::{sync::LazyLock, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use reqwest::{Request, Response, redirect};
use tokio::sync::OnceCell;
use url::Url;

use super::{
    guard::{Blocked, Guard},
    verdict::{Reason, SinkError},
};

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

/// How long the body of the answer to a delivery may take once its status has come. It is far less than the time of a
/// whole attempt, which must not end meanwhile: a call that was taken would be made again.
const BODY_TIMEOUT: Duration = Duration::from_secs(3);

/// How much of the answer to a delivery is read.
const ANSWER_CAP: usize = 64 * 1024;

/// How much of it is kept for people, in characters.
const EXCERPT: usize = 512;

/// An HTTP client.
#[derive(Debug)]
pub struct Client {
    guard: Guard,
    timeout: Duration,
    plain: OnceCell<reqwest::Client>,
    secure: OnceCell<reqwest::Client>,
}

/// What came back from a delivery.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The `Retry-After` header, as sent.
    pub retry_after: Option<String>,
    /// The beginning of the body; empty also where it could not be read.
    pub body: Bytes,
}

/// What came back from a download.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The status.
    pub status: u16,
    /// The content type, as sent.
    pub content_type: Option<String>,
    /// The `Retry-After` header, as sent.
    pub retry_after: Option<String>,
    /// Where a redirect leads, as sent. It is for the caller to follow, or not.
    pub location: Option<String>,
    /// The whole body; empty where the status is no success.
    pub body: Bytes,
}

/// Why nothing, or not enough, came back. No text holds a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The guard refuses the address.
    #[error(transparent)]
    Blocked(#[from] Blocked),
    /// No complete answer in time.
    #[error("no complete answer within {0:?}")]
    TimedOut(Duration),
    /// No connection: no such host, refused, TLS.
    #[error("no connection: {0}")]
    Connect(String),
    /// The connection broke before the answer was complete.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// What came back is not HTTP.
    #[error("the answer is not HTTP: {0}")]
    Protocol(String),
    /// The body is larger than wanted.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The far side is this very service.
    #[error("the address leads back to this service's own webhook; change it, then resume the sink")]
    Loop,
    /// The client cannot be built, which is nearly always for want of CA certificates.
    #[error("https needs this machine's CA certificates; install its `ca-certificates` package ({0})")]
    NoCertificates(String),
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
        let mut response = self.execute(Request::new(Method::GET, url.clone())).await?;
        let status = response.status();
        let (content_type, retry_after) =
            (text(response.headers(), header::CONTENT_TYPE), text(response.headers(), header::RETRY_AFTER));
        let location = text(response.headers(), header::LOCATION);
        if status.is_success() && response.content_length().is_some_and(|length| length > cap as u64) {
            return Err(ClientError::TooLarge(cap));
        }
        let mut body = BytesMut::new();
        while status.is_success()
            && let Some(chunk) = response.chunk().await.map_err(|error| self.explain(error))?
        {
            if body.len() + chunk.len() > cap {
                return Err(ClientError::TooLarge(cap));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Fetched { status: status.as_u16(), content_type, retry_after, location, body: body.freeze() })
    }

    async fn answer(&self, request: Request) -> Result<Answer, ClientError> {
        let mut response = self.execute(request).await?;
        let mut body = BytesMut::new();
        let reading = async {
            while body.len() < ANSWER_CAP
                && let Ok(Some(chunk)) = response.chunk().await
            {
                body.extend_from_slice(&chunk[..chunk.len().min(ANSWER_CAP - body.len())]);
            }
        };
        // However far it got, that is what there is.
        let _ = tokio::time::timeout(BODY_TIMEOUT, reading).await;
        Ok(Answer {
            status: response.status().as_u16(),
            retry_after: text(response.headers(), header::RETRY_AFTER),
            body: body.freeze(),
        })
    }

    async fn execute(&self, mut request: Request) -> Result<Response, ClientError> {
        request.headers_mut().insert(INSTANCE, instance());
        self.guard.check_url(request.url())?;
        let secure = request.url().scheme() == "https";
        let client = if secure { &self.secure } else { &self.plain };
        let client = client.get_or_try_init(|| async { self.build(secure) }).await?;
        let response = client.execute(request).await.map_err(|error| self.explain(error))?;
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
        builder.build().map_err(|error| ClientError::NoCertificates(innermost(&error.without_url())))
    }

    fn explain(&self, error: reqwest::Error) -> ClientError {
        let error = error.without_url();
        if let Some(blocked) = causes(&error).find_map(|cause| cause.downcast_ref::<Blocked>()) {
            ClientError::Blocked(*blocked)
        } else if error.is_timeout() {
            ClientError::TimedOut(self.timeout)
        } else if error.is_connect() {
            ClientError::Connect(innermost(&error))
        } else if causes(&error).filter_map(|cause| cause.downcast_ref::<hyper::Error>()).any(hyper::Error::is_parse) {
            ClientError::Protocol(innermost(&error))
        } else {
            ClientError::Broken(innermost(&error))
        }
    }
}

impl Answer {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        StatusCode::from_u16(self.status).is_ok_and(|status| status.is_success())
    }

    /// The beginning of the body for people: at most 512 characters on one line; `None` where there is nothing to read.
    pub fn excerpt(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.body);
        let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        let line: String = words.collect::<Vec<_>>().join(" ").chars().take(EXCERPT).collect();
        (!line.is_empty()).then_some(line)
    }
}

impl From<ClientError> for SinkError {
    fn from(error: ClientError) -> Self {
        let reason = match error {
            // Every message would come back: nothing is gained by trying again.
            ClientError::Loop => return Self::pause(Reason::Blocked, error.to_string()),
            ClientError::Blocked(_) => Reason::Blocked,
            ClientError::TimedOut(_) => Reason::TimeOut,
            ClientError::Connect(_) | ClientError::Broken(_) => Reason::Connect,
            ClientError::Protocol(_) | ClientError::TooLarge(_) => Reason::Protocol,
            ClientError::NoCertificates(_) => Reason::Local,
        };
        let hint = match error {
            ClientError::Blocked(Blocked::NotPublic(_)) => "; list its network in `delivery.allow_private` to allow it",
            _ => "",
        };
        Self::retry(reason, format!("{error}{hint}"))
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source())
}

/// The last cause says what happened; those around it say where in the library. The names in a certificate that does not
/// fit are left out, because the address is a secret.
fn innermost(error: &reqwest::Error) -> String {
    if causes(error).any(is_another_name) {
        return "the certificate is for another host name".to_owned();
    }
    causes(error).last().map(ToString::to_string).unwrap_or_default().chars().take(EXCERPT).collect()
}

fn is_another_name(cause: &(dyn std::error::Error + 'static)) -> bool {
    use rustls::{CertificateError as Error, Error::InvalidCertificate};
    let names = |error: &Error| matches!(error, Error::NotValidForName | Error::NotValidForNameContext { .. });
    matches!(of_tls(cause), Some(InvalidCertificate(error)) if names(error))
}

/// What TLS says, out of as many of the system's errors as it is wrapped in.
fn of_tls<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let wrapped = || of_tls(cause.downcast_ref::<std::io::Error>()?.get_ref()?);
    cause.downcast_ref().or_else(wrapped)
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::sink::testing::FarSide;

    fn client() -> Client {
        Client::new(Guard::anywhere(), Duration::from_secs(5))
    }

    /// A far side that reads the request's head and then does as it likes.
    async fn raw<F: Future<Output = ()> + Send>(act: impl FnOnce(TcpStream) -> F + Send + 'static) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/SECRET?token=SECRET", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.expect("a connection");
            let mut head = [0; 4096];
            let _ = socket.read(&mut head).await;
            act(socket).await;
        });
        url.parse().expect("a URL")
    }

    fn tells_no_secret(error: &ClientError) -> bool {
        !format!("{error} {error:?}").contains("SECRET")
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_is_not_followed() {
        let (far_side, inner) = (FarSide::start().await, FarSide::start().await);
        for status in [301, 302, 303, 307, 308] {
            far_side.answers(status, &[("location", inner.url("/admin").as_str())], "");
            let answer = client().post(&far_side.url("/"), HeaderMap::new(), "x").await.expect("an answer");
            assert_eq!(answer.status, status);
        }
        far_side.answers(302, &[("location", inner.url("/admin").as_str())], "moved");
        let fetched = client().get(&far_side.url("/"), 100).await.expect("an answer");
        assert_eq!((fetched.status, fetched.body.len()), (302, 0));
        assert!(inner.requests().is_empty());
    }

    #[tokio::test]
    async fn a_private_address_is_never_connected_to() {
        let far_side = FarSide::start().await;
        let port = far_side.url("/").port().expect("a port");
        let client = Client::new(Guard::public(), Duration::from_secs(5));
        for host in ["127.0.0.1", "2130706433", "0x7f.1", "0177.1", "127.1", "[::ffff:127.0.0.1]", "localhost"] {
            let url = format!("http://{host}:{port}/").parse().expect("a URL");
            let error = client.post(&url, HeaderMap::new(), "x").await.expect_err("refused");
            assert_eq!(error, ClientError::Blocked(Blocked::NotPublic("loopback")), "{host}");
            assert!(client.get(&url, 100).await.is_err() && client.head(&url).await.is_err());
        }
        assert!(far_side.requests().is_empty());
    }

    #[tokio::test]
    async fn a_silent_far_side_ends_at_the_time_out() {
        let url = raw(|socket| async move {
            std::future::pending::<()>().await;
            drop(socket);
        })
        .await;
        let client = Client::new(Guard::anywhere(), Duration::from_millis(100));
        let error = client.post(&url, HeaderMap::new(), "x").await.expect_err("no answer");
        assert_eq!(error, ClientError::TimedOut(Duration::from_millis(100)));
        assert!(tells_no_secret(&error));
    }

    #[tokio::test]
    async fn a_status_counts_although_the_body_never_ends() {
        let url = raw(|mut socket| async move {
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok").await;
            std::future::pending::<()>().await;
        })
        .await;
        let client = Client::new(Guard::anywhere(), Duration::from_millis(200));
        let answer = client.post(&url, HeaderMap::new(), "x").await.expect("an answer");
        assert!(answer.is_success());
        assert_eq!(answer.excerpt().as_deref(), Some("ok"));
    }

    #[tokio::test]
    async fn a_download_is_whole_or_refused() {
        let far_side = FarSide::start().await;
        far_side.answers(200, &[("content-type", "application/pdf")], "%PDF-1.7");
        let fetched = client().get(&far_side.url("/f.pdf"), 8).await.expect("a body");
        assert_eq!((fetched.content_type.as_deref(), &fetched.body[..]), (Some("application/pdf"), &b"%PDF-1.7"[..]));
        far_side.answers(200, &[], "%PDF-1.77");
        assert_eq!(client().get(&far_side.url("/f.pdf"), 8).await.expect_err("too large"), ClientError::TooLarge(8));

        let endless = raw(|mut socket| async move {
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            while socket.write_all(b"400\r\n").await.is_ok() && socket.write_all(&[b'x'; 1024]).await.is_ok() {
                let _ = socket.write_all(b"\r\n").await;
            }
        })
        .await;
        assert_eq!(client().get(&endless, 100_000).await.expect_err("too large"), ClientError::TooLarge(100_000));

        let cut = raw(|mut socket| async move {
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n%PDF").await;
        })
        .await;
        let error = client().get(&cut, 1_000).await.expect_err("cut off");
        assert!(matches!(error, ClientError::Broken(_)) && tells_no_secret(&error), "{error}");
    }

    #[tokio::test]
    async fn what_goes_wrong_is_told_apart_without_the_address() {
        let closed = raw(|socket| async move { drop(socket) }).await;
        let error = client().post(&closed, HeaderMap::new(), "x").await.expect_err("closed");
        assert!(matches!(error, ClientError::Broken(_)) && tells_no_secret(&error), "{error}");

        let babbling = raw(|mut socket| async move {
            let _ = socket.write_all(b"220 mail.example ESMTP\r\n").await;
        })
        .await;
        let error = client().post(&babbling, HeaderMap::new(), "x").await.expect_err("no HTTP");
        assert!(matches!(error, ClientError::Protocol(_)) && tells_no_secret(&error), "{error}");

        // A machine without CA certificates does not get as far as the connection.
        let mut no_tls = raw(|socket| async move { drop(socket) }).await;
        no_tls.set_scheme("https").expect("a scheme");
        let error = client().post(&no_tls, HeaderMap::new(), "x").await.expect_err("no TLS");
        assert!(matches!(error, ClientError::Connect(_) | ClientError::NoCertificates(_)), "{error}");
        assert!(tells_no_secret(&error), "{error}");

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let unused = format!("http://{}/SECRET", listener.local_addr().expect("an address"));
        drop(listener);
        let error = client().head(&unused.parse().expect("a URL")).await.expect_err("refused");
        assert!(matches!(error, ClientError::Connect(_)) && tells_no_secret(&error), "{error}");
    }

    #[tokio::test]
    async fn every_request_has_a_connection_of_its_own() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address")).parse().expect("a URL");
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut socket, _)) = listener.accept().await {
                let _ = socket.read(&mut [0; 4096]).await;
                let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                // Kept open and never read again: a second request on it would wait in vain.
                open.push(socket);
            }
        });
        let client = client();
        for _ in 0..3 {
            assert!(client.post(&url, HeaderMap::new(), "x").await.expect("an answer").is_success());
        }
    }
}

//! A program that takes webhooks, as a subscriber would write one: it checks the signature, then believes the body.

use std::{fmt, io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    routing::post,
};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::far_sides::{Bell, Kept, Side, serve};
use crate::{
    json,
    sink::signature::{ID, Secret, TOLERANCE, verify},
};

/// How large a body may be.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// A call that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// `webhook-id`, the same on every attempt.
    pub id: String,
    /// The body.
    pub body: Value,
}

/// A running receiver. Dropping it closes its port.
pub struct HttpReceiver {
    addr: SocketAddr,
    inbox: Arc<Inbox>,
    _server: AbortOnDropHandle<()>,
}

struct Inbox {
    bell: Bell,
    secret: Secret,
    calls: Arc<Kept<Call>>,
}

impl HttpReceiver {
    /// Receives on `listener` what is signed with `secret`.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn start(listener: TcpListener, bell: Bell, secret: Secret) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let inbox = Arc::new(Inbox { bell, secret, calls: Arc::default() });
        let router = Router::new()
            .route("/hook", post(receive))
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .with_state(Arc::clone(&inbox));
        Ok(Self { addr, inbox, _server: serve(listener, router) })
    }

    /// Where to post.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.addr)
    }

    /// The latest calls, the oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.inbox.calls.all()
    }

    pub(super) fn kept(&self) -> Arc<Kept<Call>> {
        Arc::clone(&self.inbox.calls)
    }

    /// How many calls were taken.
    pub fn count(&self) -> u64 {
        self.inbox.calls.count()
    }
}

impl fmt::Debug for HttpReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpReceiver").field("addr", &self.addr).finish_non_exhaustive()
    }
}

async fn receive(State(inbox): State<Arc<Inbox>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let refuse = |title: &str, why: String| inbox.bell.ring(Side::Http, title.to_owned(), why, false);
    let (secrets, now) = (std::slice::from_ref(&inbox.secret), inbox.bell.clock.now());
    if let Err(problem) = verify(secrets, &headers, &body, now, TOLERANCE) {
        refuse("a call", problem.to_string());
        return StatusCode::UNAUTHORIZED;
    }
    // Who signed it is us.
    let Ok(body) = std::str::from_utf8(&body).map_err(drop).and_then(|text| json::ours(text).map_err(drop)) else {
        refuse("a signed call", "not JSON".to_owned());
        return StatusCode::BAD_REQUEST;
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let title = format!("{} {}", text(&body["type"]), text(&body["data"]["order_id"]));
    let id = headers.get(ID).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    inbox.calls.keep(Call { id, body });
    inbox.bell.ring(Side::Http, title.trim_end().to_owned(), "signature ok".to_owned(), true);
    StatusCode::NO_CONTENT
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use secrecy::ExposeSecret as _;
    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        app::demo::far_sides::loopback,
        clock::ManualClock,
        sink::signature::{SIGNATURE, TIMESTAMP, new_secret},
    };

    async fn call(url: &str, signature: String, body: &'static str) -> u16 {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client");
        let call = client.post(url).header(ID, "evt_1").header(TIMESTAMP, "0").header(SIGNATURE, signature);
        call.body(body).send().await.expect("an answer").status().as_u16()
    }

    #[tokio::test]
    async fn a_call_is_taken_when_its_signature_is_right_and_shown_either_way() {
        let (sender, mut arrivals) = mpsc::unbounded_channel();
        let bell = Bell { clock: Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH)), sender };
        let secret: Secret = new_secret().expect("randomness").expose_secret().parse().expect("a secret");
        let listener = loopback().await.expect("a port");
        let receiver = HttpReceiver::start(listener, bell, secret.clone()).expect("a receiver");

        let event = r#"{"type":"order.validated","data":{"order_id":"20261121042"}}"#;
        let signature = secret.sign("evt_1", 0, event.as_bytes());
        assert_eq!(call(&receiver.url(), signature.clone(), event).await, 204);
        assert_eq!(call(&receiver.url(), signature, "{}").await, 401);

        let (taken, refused) = (arrivals.try_recv().expect("one"), arrivals.try_recv().expect("another"));
        assert_eq!((taken.title.as_str(), taken.detail.as_str()), ("order.validated 20261121042", "signature ok"));
        assert!(!refused.accepted && refused.detail.contains("signature"));
        assert_eq!((receiver.count(), receiver.calls()[0].id.as_str()), (1, "evt_1"));
    }
}

//! Something that behaves like a Slack incoming webhook: it takes what Slack takes and refuses what Slack refuses.
//!
//! The rules are those of Slack's documentation of incoming webhooks, Block Kit and rate limits, with Slack's own
//! error words, so that a message which passes here passes there.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use http::{StatusCode, header::RETRY_AFTER};
use jiff::Timestamp;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::far_sides::{Bell, Kept, Side, serve};
use crate::json;

/// How many blocks a message may have.
const MAX_BLOCKS: usize = 50;
/// How long the text of one block may be, in characters.
const MAX_BLOCK_TEXT: usize = 3_000;
/// How long the top-level text may be, in characters, before Slack cuts it.
const MAX_TEXT: usize = 40_000;
/// One message a second is allowed.
const PACE: Duration = Duration::from_secs(1);

/// A running lookalike. Dropping it closes its port.
pub struct SlackLookalike {
    addr: SocketAddr,
    channel: Arc<Channel>,
    _server: AbortOnDropHandle<()>,
}

struct Channel {
    bell: Bell,
    messages: Arc<Kept<String>>,
    last: Mutex<Option<Timestamp>>,
}

impl SlackLookalike {
    /// Takes messages on `listener`.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn start(listener: TcpListener, bell: Bell) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let channel = Arc::new(Channel { bell, messages: Arc::default(), last: Mutex::new(None) });
        let router = Router::new().route("/services/T000/B000/demo", post(receive)).with_state(Arc::clone(&channel));
        Ok(Self { addr, channel, _server: serve(listener, router) })
    }

    /// Where to post; shaped like Slack's own addresses.
    pub fn url(&self) -> String {
        format!("http://{}/services/T000/B000/demo", self.addr)
    }

    /// The plain texts of the latest messages, the oldest first.
    pub fn messages(&self) -> Vec<String> {
        self.channel.messages.all()
    }

    pub(super) fn kept(&self) -> Arc<Kept<String>> {
        Arc::clone(&self.channel.messages)
    }

    /// How many messages were taken.
    pub fn count(&self) -> u64 {
        self.channel.messages.count()
    }
}

impl fmt::Debug for SlackLookalike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlackLookalike").field("addr", &self.addr).finish_non_exhaustive()
    }
}

async fn receive(State(channel): State<Arc<Channel>>, body: Bytes) -> Response {
    if let Some(wait) = channel.too_soon() {
        return (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, wait.to_string())], "rate_limited").into_response();
    }
    match read(&body) {
        Ok(text) => {
            let first_line = text.lines().next().unwrap_or_default().to_owned();
            channel.messages.keep(text);
            channel.bell.ring(Side::Slack, first_line, String::new(), true);
            "ok".into_response()
        }
        Err(problem) => {
            channel.bell.ring(Side::Slack, "a message".to_owned(), problem.to_owned(), false);
            (StatusCode::BAD_REQUEST, problem).into_response()
        }
    }
}

impl Channel {
    /// How many seconds are to be waited, when the last message is less than a second ago.
    fn too_soon(&self) -> Option<u64> {
        let now = self.bell.clock.now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| now < last + PACE) {
            return Some(PACE.as_secs());
        }
        *last = Some(now);
        None
    }
}

/// The message as plain text, or Slack's word for what is wrong with it.
fn read(body: &[u8]) -> Result<String, &'static str> {
    let message = json::read_bytes(body, json::LIST).map_err(|_| "invalid_payload")?;
    let text = message["text"].as_str().unwrap_or_default();
    let blocks = match &message["blocks"] {
        Value::Null => &[],
        Value::Array(blocks) => blocks.as_slice(),
        _ => return Err("invalid_blocks_format"),
    };
    if text.is_empty() && blocks.is_empty() {
        return Err("no_text");
    }
    if text.chars().count() > MAX_TEXT {
        return Err("msg_too_long");
    }
    let mut texts = Vec::new();
    blocks.iter().for_each(|block| collect_texts(block, &mut texts));
    let block_is_wrong = |block: &Value| !block["type"].is_string();
    if blocks.len() > MAX_BLOCKS
        || blocks.iter().any(block_is_wrong)
        || texts.iter().any(|text| text.is_empty() || text.chars().count() > MAX_BLOCK_TEXT)
    {
        return Err("invalid_blocks");
    }
    Ok(unescaped(if text.is_empty() { texts.join("\n") } else { text.to_owned() }))
}

/// The texts of a block, at whatever depth: text objects and the elements of rich text have them as `text`.
fn collect_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, inner)| match inner {
            Value::String(text) if key == "text" => texts.push(text.clone()),
            other => collect_texts(other, texts),
        }),
        Value::Array(list) => list.iter().for_each(|inner| collect_texts(inner, texts)),
        _ => {}
    }
}

/// Slack's three escapes, as its readers see them.
fn unescaped(text: String) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        app::demo::far_sides::loopback,
        clock::ManualClock,
        till::{Announcement, Answer, post},
    };

    async fn send(slack: &SlackLookalike, message: &Value) -> Answer {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let content_type = Some("application/json".to_owned());
        let body = message.to_string().into_bytes();
        let call = Announcement { method: http::Method::POST, query: None, content_type, body };
        post(&call, &slack.url()).await.expect("an answer")
    }

    #[tokio::test]
    async fn it_takes_one_message_a_second_and_shows_its_text() {
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        let (sender, mut arrivals) = mpsc::unbounded_channel();
        let bell = Bell { clock: Arc::new(clock.clone()), sender };
        let slack = SlackLookalike::start(loopback().await.expect("a port"), bell).expect("a lookalike");
        let message = json!({ "text": "Facture 1 – 43,80 €\nMüller &amp; Fils" });
        assert_eq!(send(&slack, &message).await, Answer { status: 200, body: "ok".to_owned() });
        let refused = send(&slack, &message).await;
        assert_eq!((refused.status, refused.body.as_str()), (429, "rate_limited"));
        clock.advance(PACE);
        assert_eq!(send(&slack, &message).await.status, 200);
        assert_eq!(slack.count(), 2);
        assert_eq!(slack.messages()[0], "Facture 1 – 43,80 €\nMüller & Fils");
        assert_eq!(arrivals.try_recv().expect("an arrival").title, "Facture 1 – 43,80 €");
    }

    #[test]
    fn what_slack_refuses_is_refused_with_slacks_word() {
        let block = |text: &str| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } });
        let wrong = [
            (json!({}), "no_text"),
            (json!({ "text": "", "blocks": [] }), "no_text"),
            (json!({ "text": "x", "blocks": "y" }), "invalid_blocks_format"),
            (json!({ "blocks": vec![block("x"); 51] }), "invalid_blocks"),
            (json!({ "blocks": [block(&"é".repeat(3001))] }), "invalid_blocks"),
            (json!({ "text": "x", "blocks": [{ "text": "untyped" }] }), "invalid_blocks"),
            (json!({ "text": "x".repeat(40_001) }), "msg_too_long"),
        ];
        for (message, word) in wrong {
            assert_eq!(read(message.to_string().as_bytes()), Err(word));
        }
        assert_eq!(read(b"payload=%7B%7D"), Err("invalid_payload"));
        let largest = json!({ "blocks": vec![block(&"é".repeat(3000)); 50] });
        assert!(read(largest.to_string().as_bytes()).is_ok());
    }
}

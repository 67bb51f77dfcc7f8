//! What comes back from a far side, and how much of it is read.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use reqwest::Response;

use super::{ClientError, EXCERPT};

/// How long the body of the answer to a delivery may take once its status has come. It is far less than the time of a
/// whole attempt, which must not end meanwhile: a call that was taken would be made again.
const BODY_TIMEOUT: Duration = Duration::from_secs(3);

/// How much of the answer to a delivery is read.
const ANSWER_CAP: usize = 64 * 1024;

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
    /// The whole body; empty where the status is no success, unless everything was asked for.
    pub body: Bytes,
}

impl Answer {
    /// Reads as much of the body as comes soon. That it breaks off or is slow changes nothing: the far side has spoken.
    pub(super) async fn read(mut response: Response) -> Self {
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
        Self {
            status: response.status().as_u16(),
            retry_after: text(response.headers(), header::RETRY_AFTER),
            body: body.freeze(),
        }
    }

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

impl Fetched {
    /// Reads the whole body of a success, which may have `cap` bytes; `timeout` is the client's, for the words.
    pub(super) async fn read(response: Response, cap: usize, timeout: Duration) -> Result<Self, ClientError> {
        let wanted = response.status().is_success();
        Self::read_if(wanted, response, cap, timeout).await
    }

    /// Reads the whole body whatever the status is.
    pub(super) async fn read_whole(response: Response, cap: usize, timeout: Duration) -> Result<Self, ClientError> {
        Self::read_if(true, response, cap, timeout).await
    }

    async fn read_if(wanted: bool, mut response: Response, cap: usize, timeout: Duration) -> Result<Self, ClientError> {
        let status = response.status();
        let (content_type, retry_after) =
            (text(response.headers(), header::CONTENT_TYPE), text(response.headers(), header::RETRY_AFTER));
        let location = text(response.headers(), header::LOCATION);
        if wanted && response.content_length().is_some_and(|length| length > cap as u64) {
            return Err(ClientError::TooLarge(cap));
        }
        let mut body = BytesMut::new();
        while wanted
            && let Some(chunk) = response.chunk().await.map_err(|error| ClientError::of_body(error, timeout))?
        {
            if body.len() + chunk.len() > cap {
                return Err(ClientError::TooLarge(cap));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self { status: status.as_u16(), content_type, retry_after, location, body: body.freeze() })
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

//! What an endpoint answers: bytes and what they are.

use axum::response::{IntoResponse, Response};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use serde_json::{Value, json};

use super::refusal::Refusal;

/// An answer. Its status is 200 even where it refuses, as the vendor's client expects (pos-api §2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the bytes are.
    pub content_type: &'static str,
    /// The bytes.
    pub body: Vec<u8>,
}

impl Answer {
    /// Bytes of a kind.
    pub fn new(content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { content_type, body: body.into() }
    }

    /// JSON.
    pub fn json(value: &Value) -> Self {
        Self::new("application/json", value.to_string())
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::json(&json!({"success": false, "result": refusal.message()}))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        // The vendor's examples are written for a page in a browser, which asks whether a page of elsewhere may read this.
        ([(CONTENT_TYPE, self.content_type), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")], self.body).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_elsewhere_may_read_an_answer_and_a_refusal() {
        for answer in [Answer::json(&json!([])), Answer::from(Refusal::new("no"))] {
            let response = answer.into_response();
            assert_eq!(
                response.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN).map(|value| value.as_bytes()),
                Some(&b"*"[..])
            );
        }
    }
}

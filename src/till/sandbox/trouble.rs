//! What a test can make go wrong: with an invoice, with an endpoint, with the verification of a signature.

use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header::CONTENT_TYPE};
use serde_json::{Map, Value, json};

use super::answer::Answer;
use crate::json;

/// What the sandbox does wrong, when told to.
///
/// What answers in place of doing anything leaves no trace in the books; what spoils an answer does so after the work
/// was done, as a broken connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// 404, and nothing is done.
    NotFound,
    /// 500, and nothing is done.
    ServerError,
    /// 200 with a page, as a sign-in wall answers, and nothing is done.
    Html,
    /// A refusal in the till's manner; of a verification, that the signature is not valid.
    Refused,
    /// The answer, but only after this long.
    Slow(Duration),
    /// An answer without a body.
    Empty,
    /// The first half of the answer.
    Truncated,
    /// The answer with field names that nobody knows.
    OtherNames,
    /// The answer, declared as `text/plain`.
    PlainText,
}

impl Trouble {
    /// What is answered in place of doing anything.
    pub fn instead(self) -> Option<Response> {
        match self {
            Self::NotFound => Some(StatusCode::NOT_FOUND.into_response()),
            Self::ServerError => Some(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
            Self::Html => {
                let page = "<!doctype html><title>Connexion</title><p>Veuillez vous identifier.</p>";
                Some(([(CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response())
            }
            Self::Refused => {
                let body = json!({"success": false, "result": "refused", "valid": false});
                Some(Answer::json(&body).into_response())
            }
            _ => None,
        }
    }

    /// The answer after it went through this.
    pub fn spoil(self, mut answer: Answer) -> Answer {
        match self {
            Self::Empty => answer.body.clear(),
            Self::Truncated => answer.body.truncate(answer.body.len() / 2),
            Self::OtherNames => {
                if let Ok(value) = json::read_bytes(&answer.body, json::LIST) {
                    answer.body = renamed(value).to_string().into_bytes();
                }
            }
            Self::PlainText => answer.content_type = "text/plain; charset=utf-8",
            _ => {}
        }
        answer
    }
}

fn renamed(value: Value) -> Value {
    match value {
        Value::Array(list) => list.into_iter().map(renamed).collect(),
        Value::Object(map) => {
            let other =
                map.into_iter().enumerate().map(|(place, (_, value))| (format!("champ{place}"), renamed(value)));
            Value::Object(other.collect::<Map<_, _>>())
        }
        scalar => scalar,
    }
}

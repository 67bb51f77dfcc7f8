//! The sandbox, asked over a socket as a program of the shop's would.

mod calls;
mod invoices;
mod life;
mod lists;
mod trouble;

use std::sync::Arc;

use http::Method;
use jiff::tz::TimeZone;
use serde_json::Value;
use tokio::net::TcpListener;

use super::{Options, Sandbox};
use crate::{
    clock::ManualClock,
    till::{Announcement, Answer, post},
};

/// Shop and key, as every call has them.
const ADMITTED: &str = "idboutique=4242&key=sandbox-key";

/// A sandbox, its clock, and a program that uses its API.
struct Till {
    sandbox: Sandbox,
    clock: ManualClock,
}

impl Till {
    async fn open() -> Self {
        // Several tests may come first; the one that does installs it for all.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = ManualClock::new("2026-11-21T13:00:00Z".parse().expect("a time"));
        let zone = TimeZone::get("Europe/Paris").expect("a zone");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let options = Options { seed: 5, zone, clock: Arc::new(clock.clone()) };
        Self { sandbox: Sandbox::start(listener, options).expect("a sandbox"), clock }
    }

    /// Sends a form without shop and key.
    async fn send(&self, endpoint: &str, content_type: &str, body: &str) -> Answer {
        let call = Announcement {
            method: Method::POST,
            query: None,
            content_type: Some(content_type.to_owned()),
            body: body.as_bytes().to_vec(),
        };
        post(&call, &self.address(endpoint)).await.expect("an answer")
    }

    /// Sends a form, and reads the JSON of the answer.
    async fn post(&self, endpoint: &str, form: &str) -> Value {
        let answer = self.send(endpoint, "application/x-www-form-urlencoded", &format!("{ADMITTED}&{form}")).await;
        serde_json::from_str(&answer.body).expect("JSON")
    }

    /// The reason for which a form is refused.
    async fn refused(&self, endpoint: &str, form: &str) -> String {
        let answer = self.post(endpoint, form).await;
        assert_eq!(answer["success"], false, "{form}: {answer}");
        answer["result"].as_str().expect("a reason").to_owned()
    }

    /// Records a sale and returns its internal id.
    async fn sale(&self, form: &str) -> String {
        let answer = self.post("webapp.php", form).await;
        assert_eq!(answer["success"], true, "{form}: {answer}");
        answer["orderID"].to_string()
    }

    async fn ask(&self, endpoint: &str, query: &str) -> Answer {
        let query = Some(format!("{ADMITTED}&{query}"));
        let call = Announcement { method: Method::GET, query, content_type: None, body: Vec::new() };
        post(&call, &self.address(endpoint)).await.expect("an answer")
    }

    async fn ask_json(&self, endpoint: &str, query: &str) -> Value {
        serde_json::from_str(&self.ask(endpoint, query).await.body).expect("JSON")
    }

    fn address(&self, endpoint: &str) -> String {
        format!("{}/workers/{endpoint}", self.sandbox.origin())
    }
}

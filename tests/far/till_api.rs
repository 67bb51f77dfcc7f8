//! A till's own API as far as names and reports go: it answers as it is told, and remembers what it was asked.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, Uri},
};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// The API, running.
pub struct TillApi {
    addr: SocketAddr,
    state: Arc<Script>,
    _server: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Script {
    /// By page, or by page and format; pages that are not here are not found.
    answers: Mutex<BTreeMap<String, (StatusCode, Bytes)>>,
    asked: Mutex<Vec<String>>,
}

impl TillApi {
    /// Has nothing to give until told otherwise.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let state = Arc::<Script>::default();
        let router = Router::new().fallback(answer).with_state(state.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("the till serves") });
        Self { addr, state, _server: AbortOnDropHandle::new(server) }
    }

    /// The table of the shop's configuration that leads here.
    pub fn table(&self) -> String {
        format!("[shop.dupont.api]\nhost = \"http://{}\"\nshop_id = \"4711\"\nkey = \"{KEY}\"\n", self.addr)
    }

    /// What is given from now on at a page (`getCashbox.php`), or in a format of the report (`PDF`).
    pub fn gives(&self, what: &str, answer: impl Into<Bytes>) {
        self.answers(what, StatusCode::OK, answer);
    }

    /// From now on it fails there.
    pub fn fails(&self, what: &str) {
        self.answers(what, StatusCode::INTERNAL_SERVER_ERROR, "");
    }

    fn answers(&self, what: &str, status: StatusCode, answer: impl Into<Bytes>) {
        self.state.answers.lock().expect("the script").insert(what.to_owned(), (status, answer.into()));
    }

    /// What was asked, each with its page and query.
    pub fn asked(&self) -> Vec<String> {
        self.state.asked.lock().expect("the script").clone()
    }
}

/// The shop's key.
pub const KEY: &str = "CANARY-till-key-0123456789";

async fn answer(State(script): State<Arc<Script>>, uri: Uri) -> (StatusCode, Bytes) {
    let page = uri.path().trim_start_matches("/workers/");
    let query: BTreeMap<String, String> =
        form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    script.asked.lock().expect("the script").push(format!("{page}?{}", uri.query().unwrap_or_default()));
    let format = query.get("formatExport").filter(|_| page == "getSales.php");
    let answers = script.answers.lock().expect("the script");
    let known = answers.get(format.map_or(page, String::as_str));
    known.cloned().unwrap_or((StatusCode::NOT_FOUND, Bytes::new()))
}

//! An HTTP system that answers as it is told and remembers what it was asked.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Response, StatusCode, Uri},
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::task::AbortOnDropHandle;

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether it came while nothing was answered: whoever made it may have gone by the time it is.
    pub kept_waiting: bool,
    /// What it was answered; `None` while, or where, it was not.
    pub answered: Option<u16>,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    pub fn event_type(&self) -> String {
        self.json()["type"].as_str().unwrap_or_default().to_owned()
    }
}

/// The system, running. Dropping it closes its port.
pub struct HttpFar {
    addr: SocketAddr,
    url: String,
    state: Arc<Script>,
    _server: AbortOnDropHandle<()>,
}

struct Script {
    next: Mutex<VecDeque<Answer>>,
    otherwise: Mutex<Answer>,
    requests: watch::Sender<Vec<Request>>,
    /// While `true`, requests are read and not answered.
    silent: watch::Sender<bool>,
    /// How many requests wait for their answer, and the most that ever did.
    open: Mutex<(usize, usize)>,
}

/// A request that waits for its answer, until it has one or its connection is closed.
struct Open<'a>(&'a Script);

impl<'a> Open<'a> {
    fn new(script: &'a Script) -> Self {
        let mut open = script.open.lock().expect("the script");
        open.0 += 1;
        open.1 = open.1.max(open.0);
        Self(script)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.lock().expect("the script").0 -= 1;
    }
}

impl HttpFar {
    /// Answers 200 until told otherwise.
    pub async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// The same where one was before.
    pub async fn start_at(addr: SocketAddr) -> Self {
        let listener = TcpListener::bind(addr).await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let state = Arc::new(Script {
            next: Mutex::default(),
            otherwise: Mutex::new(Answer::status(200)),
            requests: watch::Sender::default(),
            silent: watch::Sender::new(false),
            open: Mutex::default(),
        });
        let router = Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(state.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("the far side serves") });
        Self { addr, url: format!("http://{addr}/hook"), state, _server: AbortOnDropHandle::new(server) }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The next answers, one a request.
    pub fn then(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state.next.lock().expect("the script").extend(answers);
    }

    /// Every answer from now on, once the ones that were queued are used up.
    pub fn always(&self, answer: Answer) {
        *self.state.otherwise.lock().expect("the script") = answer;
    }

    /// From now on reads requests without answering, or answers them again.
    pub fn be_silent(&self, silent: bool) {
        self.state.silent.send_replace(silent);
    }

    pub fn requests(&self) -> Vec<Request> {
        self.state.requests.borrow().clone()
    }

    /// The most requests that ever waited for their answers at a time.
    pub fn most_at_a_time(&self) -> usize {
        self.state.open.lock().expect("the script").1
    }

    /// Returns once this many requests have come, answered or not.
    pub async fn asked(&self, times: usize) {
        self.until(|requests| requests.len() >= times).await;
    }

    /// Returns once this holds of the requests that have come, answered or not.
    pub async fn until(&self, holds: impl Fn(&[Request]) -> bool) {
        let mut requests = self.state.requests.subscribe();
        let asked = requests.wait_for(|requests| holds(requests));
        tokio::time::timeout(3 * crate::harness::HANG, asked).await.expect("the requests").expect("the far side runs");
    }

    /// The types of the events that came, in order.
    pub fn event_types(&self) -> Vec<String> {
        self.requests().iter().map(Request::event_type).collect()
    }
}

async fn answer(State(script): State<Arc<Script>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let _open = Open::new(&script);
    let mut silent = script.silent.subscribe();
    let kept_waiting = *silent.borrow();
    let request = Request { path: uri.path().to_owned(), headers, body, kept_waiting, answered: None };
    let mut place = 0;
    script.requests.send_modify(|requests| {
        place = requests.len();
        requests.push(request);
    });
    let _ = silent.wait_for(|silent| !silent).await;
    let next = script.next.lock().expect("the script").pop_front();
    let answer = next.unwrap_or_else(|| script.otherwise.lock().expect("the script").clone());
    script.requests.send_modify(|requests| requests[place].answered = Some(answer.status));
    let mut response = Response::builder().status(StatusCode::from_u16(answer.status).expect("a status"));
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.body)).expect("a response")
}

//! A sink that keeps a ledger: which announcement came under which id, how often, in what order, how many at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
};
use tillhook::order::Phase;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::ledger::Call;

/// What came.
#[derive(Default)]
pub struct Arrivals {
    /// The event ids under which each announcement was taken.
    pub calls: BTreeMap<Call, BTreeSet<String>>,
    /// When each came first.
    pub first_at: BTreeMap<Call, Instant>,
    /// How many messages about orders were taken.
    pub taken: usize,
    /// Invoices that came after the payment, in messages that were not there before.
    pub overtaken: usize,
    /// How many messages were on their way at once, at the most.
    pub most_at_once: usize,
    /// The types of everything else that was taken.
    pub alerts: Vec<String>,
    /// When each message was refused.
    pub refusals: Vec<Instant>,
    at_once: usize,
}

/// Such a sink, running. Dropping it closes its port.
pub struct LedgerSink {
    addr: SocketAddr,
    state: Arc<Sink>,
    _server: AbortOnDropHandle<()>,
}

struct Sink {
    arrivals: Mutex<Arrivals>,
    /// The status of every answer, and how long to think over it.
    manner: Mutex<(u16, Duration)>,
}

impl LedgerSink {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let state = Arc::new(Sink { arrivals: Mutex::default(), manner: Mutex::new((200, Duration::ZERO)) });
        let router = Router::new().fallback(take).layer(DefaultBodyLimit::disable()).with_state(state.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("the sink serves") });
        Self { addr, state, _server: AbortOnDropHandle::new(server) }
    }

    /// Its keys in the configuration.
    pub fn keys(&self) -> String {
        format!("type = \"http\"\nurl = \"http://{}/\"\n", self.addr)
    }

    /// Answers like that from now on.
    pub fn answer(&self, status: u16, after: Duration) {
        *self.state.manner.lock().expect("the manner") = (status, after);
    }

    /// What came so far.
    pub fn arrivals(&self) -> MutexGuard<'_, Arrivals> {
        self.state.arrivals()
    }
}

impl Sink {
    fn arrivals(&self) -> MutexGuard<'_, Arrivals> {
        self.arrivals.lock().expect("the arrivals")
    }
}

async fn take(State(sink): State<Arc<Sink>>, body: Bytes) -> StatusCode {
    let (status, after) = *sink.manner.lock().expect("the manner");
    {
        let mut arrivals = sink.arrivals();
        arrivals.at_once += 1;
        arrivals.most_at_once = arrivals.most_at_once.max(arrivals.at_once);
    }
    if !after.is_zero() {
        tokio::time::sleep(after).await;
    }
    let mut arrivals = sink.arrivals();
    arrivals.at_once -= 1;
    match status {
        200 => arrivals.take(&body),
        _ => arrivals.refusals.push(Instant::now()),
    }
    StatusCode::from_u16(status).expect("a status")
}

impl Arrivals {
    fn take(&mut self, body: &[u8]) {
        let event: serde_json::Value = serde_json::from_slice(body).expect("a JSON body");
        let phase = match event["type"].as_str() {
            Some("order.validated") => Phase::Validated,
            Some("order.terminated") => Phase::Terminated,
            other => return self.alerts.push(other.unwrap_or_default().to_owned()),
        };
        let order = event["data"]["internal_id"].as_str().expect("an id").to_owned();
        let paid = self.calls.contains_key(&(order.clone(), Phase::Terminated));
        self.first_at.entry((order.clone(), phase)).or_insert_with(Instant::now);
        let ids = self.calls.entry((order, phase)).or_default();
        let is_new = ids.insert(event["id"].as_str().expect("an id").to_owned());
        self.taken += 1;
        self.overtaken += usize::from(is_new && paid && phase == Phase::Validated);
    }
}

//! The real program between tills that keep selling and a sink that keeps a ledger.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use http::header::CONTENT_TYPE;
use tillhook::{
    app::{demo::far_sides::loopback, telemetry},
    clock::SystemClock,
    order::Phase,
    till::{
        self, Announcement, Voice,
        sandbox::{Options, Sandbox},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
};

use super::{
    ledger::{self, Answered, Ledger},
    sink::LedgerSink,
};
use crate::harness::{HANG, TOKEN, paris, program::Program};

/// How many messages a sink has on their way at once (`delivery.concurrency`).
pub const IN_FLIGHT: usize = 4;

/// How long a till waits for its answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// The program and everything around it.
pub struct Bench {
    pub till: Arc<Sandbox>,
    pub sink: LedgerSink,
    pub program: Program,
    /// Where this process finds the program's data directory.
    pub data: PathBuf,
    pub ledger: Arc<Mutex<Ledger>>,
    /// Where the program takes calls; changes with each start.
    address: watch::Sender<SocketAddr>,
    selling: watch::Sender<bool>,
    sellers: JoinSet<()>,
}

impl Bench {
    /// Everything but the program, which [`Bench::serve`] starts. `more` follows the sink `erp` in the configuration.
    pub async fn prepare(more: &str) -> Self {
        telemetry::install_cryptography();
        let options = Options { seed: 3, zone: paris(), clock: Arc::new(SystemClock) };
        let till = Sandbox::start(loopback().await.expect("a port"), options).expect("a till");
        let sink = LedgerSink::start().await;
        let rest = format!(
            "[delivery]\nallow_private = [\"127.0.0.0/8\"]\nalerts = [\"ops\"]\n\
             [sink.ops]\non = [\"test.ping\"]\n{keys}[sink.erp]\n{keys}{more}\n",
            keys = sink.keys()
        );
        let program = Program::new(till.origin(), "fetch_invoices = false", &rest);
        Self {
            data: program.data(),
            program,
            till: Arc::new(till),
            sink,
            ledger: Arc::default(),
            address: watch::Sender::new(SocketAddr::from(([127, 0, 0, 1], 1))),
            selling: watch::Sender::new(true),
            sellers: JoinSet::new(),
        }
    }

    /// The same, running.
    pub async fn start(more: &str) -> Self {
        let mut bench = Self::prepare(more).await;
        bench.serve().await;
        bench
    }

    /// Starts the program, and tells the sellers where it is.
    pub async fn serve(&mut self) {
        let webhook = self.program.serve().await;
        let address = webhook.strip_prefix("http://").and_then(|rest| rest.split('/').next()).expect("an address");
        self.address.send_replace(address.parse().expect("an address"));
    }

    /// Where the program takes calls now.
    pub fn address(&self) -> SocketAddr {
        *self.address.borrow()
    }

    /// That many begin to sell, each a call every `pace` at the most, until [`Bench::stop_selling`].
    pub fn sell(&mut self, sellers: usize, pace: Duration) {
        self.selling.send_replace(true);
        for _ in 0..sellers {
            let (till, ledger) = (self.till.clone(), self.ledger.clone());
            self.sellers.spawn(sell(till, ledger, self.address.subscribe(), self.selling.subscribe(), pace));
        }
    }

    /// Everybody finishes the order at hand, and stops.
    pub async fn stop_selling(&mut self) {
        self.selling.send_replace(false);
        while let Some(ended) = self.sellers.join_next().await {
            ended.expect("a seller");
        }
    }

    /// Waits until the sink has everything that was acknowledged.
    pub async fn delivered(&self) {
        until_none("calls that the sink does not have", async || {
            let acknowledged = self.ledger.lock().expect("the ledger").acknowledged();
            let arrivals = self.sink.arrivals();
            acknowledged.iter().filter(|call| !arrivals.calls.contains_key(*call)).count()
        })
        .await;
    }

    /// Waits until nothing is left in the outbox.
    pub async fn drain(&self) {
        until_none("deliveries in the outbox", async || ledger::open_deliveries(&self.data).await).await;
    }

    /// Fails unless everything that was acknowledged has arrived, in order, and nothing that nobody sent. Returns how many
    /// calls were acknowledged, and how many messages came more than once.
    pub fn compare(&self) -> (usize, usize) {
        let (ledger, arrivals) = (self.ledger.lock().expect("the ledger"), self.sink.arrivals());
        let (acknowledged, perhaps) = (ledger.acknowledged(), &ledger.cut_off() | &ledger.refused());
        let lost: Vec<_> = acknowledged.iter().filter(|call| !arrivals.calls.contains_key(*call)).collect();
        assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), acknowledged.len());
        let known = |call| acknowledged.contains(call) || perhaps.contains(call);
        let unexpected: Vec<_> = arrivals.calls.keys().filter(|call| !known(call)).collect();
        assert!(unexpected.is_empty(), "nobody sent {unexpected:?}");
        assert!(arrivals.calls.values().all(|ids| ids.len() == 1), "each phase is one event, however often it came");
        assert_eq!(arrivals.overtaken, 0, "announced again after it was paid");
        (acknowledged.len(), arrivals.taken - arrivals.calls.len())
    }

    /// Fails unless everything that was acknowledged is in the database, once, and the file is whole.
    pub async fn compare_database(&self) {
        assert_eq!(ledger::integrity(&self.data).await, "ok");
        let stored = ledger::stored(&self.data).await;
        let ledger = self.ledger.lock().expect("the ledger");
        let missing: Vec<_> = ledger.acknowledged().into_iter().filter(|call| !stored.contains_key(call)).collect();
        assert!(missing.is_empty(), "acknowledged, but not in the database: {missing:?}");
        assert!(stored.values().all(|events| *events == 1), "each phase is stored once");
    }
}

/// Waits until none are left, for as long as they become fewer.
async fn until_none(what: &str, count: impl AsyncFn() -> usize) {
    let (mut fewest, mut since) = (count().await, Instant::now());
    while fewest > 0 {
        assert!(since.elapsed() < HANG, "{fewest} {what}, and nothing moves");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let left = count().await;
        if left < fewest {
            (fewest, since) = (left, Instant::now());
        }
    }
}

/// Announces both phases of one order after the other. What nobody listened to is said again; what was cut off or
/// refused is not, as by a till.
async fn sell(
    till: Arc<Sandbox>,
    ledger: Arc<Mutex<Ledger>>,
    address: watch::Receiver<SocketAddr>,
    selling: watch::Receiver<bool>,
    pace: Duration,
) {
    let mut beat = tokio::time::interval(pace);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while *selling.borrow() {
        let order = till.sell();
        for phase in [Phase::Validated, Phase::Terminated] {
            beat.tick().await;
            let request = request(&till::encode(&order, phase, Voice::default()));
            let answered = loop {
                let to = *address.borrow();
                match call(to, &request).await {
                    Some(answered) => break answered,
                    None => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            };
            ledger.lock().expect("the ledger").answers.push(((order.internal_id.clone(), phase), answered));
        }
    }
}

/// An announcement as bytes on the wire.
pub fn request(announcement: &Announcement) -> Vec<u8> {
    let content_type = announcement.content_type.as_deref().unwrap_or("application/octet-stream");
    let head = format!(
        "POST /in/{TOKEN} HTTP/1.1\r\nhost: tillhook\r\n{CONTENT_TYPE}: {content_type}\r\ncontent-length: {}\r\n\r\n",
        announcement.body.len()
    );
    [head.as_bytes(), &announcement.body].concat()
}

/// What the program answers to a GET of one of its own pages: the status, and the body.
pub async fn get(from: SocketAddr, path: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client");
    let answer = client.get(format!("http://{from}{path}")).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

/// Makes a call; `None` where nobody listens.
pub async fn call(to: SocketAddr, request: &[u8]) -> Option<Answered> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(to).await.ok()?;
    let mut answer = Vec::new();
    let talk = async {
        stream.write_all(request).await?;
        stream.read_to_end(&mut answer).await
    };
    // A reset after the answer does not take the answer back.
    let _ = tokio::time::timeout(PATIENCE, talk).await;
    let text = String::from_utf8_lossy(&answer);
    let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let is_whole = text.contains("\r\n\r\n");
    Some(Answered { status: status.filter(|_| is_whole), at: Instant::now(), took: began.elapsed() })
}

//! Durable acknowledgements per second, beside two yardsticks in the same run on the same machine.
//!
//! The measured server is this program in a process of its own (so that its memory is its own), called by 64 connections
//! from here, each call a new order with one event and three deliveries:
//!
//! - `durable`: the real thing; an answer means that everything is on disk (`synchronous=FULL`).
//! - `decode only`: the same door and the same decoding, answered without storing.
//! - `one by one`: the real thing, but a transaction an order, as code without group commit would do it.
//!
//! The three sinks are paused, so that only taking in is measured. `durable` is also measured with the sinks delivering.
//! `cargo bench --bench ingest` prints the figures and their ratios; nothing is asserted.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark may end where it cannot go on")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures how long things really take")]
#![allow(clippy::print_stdout, reason = "what was measured is printed")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use tillhook::{
    app::{assemble, telemetry},
    clock::{Clock, SystemClock},
    config::{self, Environment, Source},
    decode::{self, Input},
    order::{Phase, ReceiptId, ShopId},
    receive::{self, Accept, Acceptance, Call, Document, Limits, OpenDocument, Status, Unavailable},
    record::{self, Origin, Outcome, Raw, Recorder},
    store::{Access, Store},
    till::{self, Voice},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Mutex,
};
use tokio_util::sync::CancellationToken;

const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(6);
const TOKEN: &str = "token-of-the-benchmark-0123456789";

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    telemetry::install_cryptography();
    match (args.next().as_deref(), args.next()) {
        (Some("--serve"), Some(mode)) => serve(&mode, Path::new(&args.next().expect("a directory"))),
        _ => measure_all(),
    }
}

fn measure_all() {
    println!("{CONNECTIONS} connections, {} s each, after {} s of warming up\n", MEASURED.as_secs(), WARM_UP.as_secs());
    println!("{:<28}{:>12}{:>12}{:>12}", "", "calls/s", "idle MiB", "peak MiB");
    let decode_only = measure("decode only");
    let durable = measure("durable");
    let one_by_one = measure("one by one");
    let delivering = measure("durable, delivering");
    println!("\ndurable / decode only   {:.2}", durable / decode_only);
    println!("durable / one by one    {:.1}", durable / one_by_one);
    println!("delivering / durable    {:.2}", delivering / durable);
}

fn measure(mode: &str) -> f64 {
    let directory = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut server = Server::start(mode, directory.path());
    let idle = server.memory("VmRSS");
    let rate = load(server.addr);
    let peak = server.memory("VmHWM");
    println!("{mode:<28}{rate:>12.0}{idle:>12.1}{peak:>12.1}");
    server.stop();
    rate
}

/// The measured server, in a process of its own.
struct Server {
    process: Child,
    addr: SocketAddr,
}

impl Server {
    fn start(mode: &str, directory: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--serve", mode])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, addr: line.trim().parse().unwrap() }
    }

    /// A line of the process's status, in MiB.
    fn memory(&self, field: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    fn stop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}

/// Calls from all connections at once; returns answered calls a second.
fn load(addr: SocketAddr) -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let next = Arc::new(AtomicU64::new(1));
        let answered = Arc::new(AtomicU64::new(0));
        let request = Arc::new(template());
        let end = Instant::now() + WARM_UP + MEASURED;
        let callers: Vec<_> = (0..CONNECTIONS)
            .map(|_| tokio::spawn(call_until(end, addr, request.clone(), next.clone(), answered.clone())))
            .collect();
        tokio::time::sleep(WARM_UP).await;
        let (before, began) = (answered.load(Ordering::Relaxed), Instant::now());
        tokio::time::sleep(MEASURED).await;
        let (after, took) = (answered.load(Ordering::Relaxed), began.elapsed());
        for caller in callers {
            caller.await.unwrap();
        }
        (after - before) as f64 / took.as_secs_f64()
    })
}

async fn call_until(
    end: Instant,
    addr: SocketAddr,
    request: Arc<[String; 3]>,
    next: Arc<AtomicU64>,
    answered: Arc<AtomicU64>,
) {
    let mut answer = Vec::new();
    while Instant::now() < end {
        let number = 1_000_000_000 + next.fetch_add(1, Ordering::Relaxed);
        let [head, middle, tail] = &*request;
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(format!("{head}{number}{middle}{number}{tail}").as_bytes()).await.unwrap();
        answer.clear();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// A call as a till makes it, in three pieces between which the order's ten-digit numbers go.
fn template() -> [String; 3] {
    const NUMBER: &str = "9999999999";
    const ID: &str = "8888888888";
    let zone = jiff::tz::TimeZone::get("Europe/Paris").unwrap();
    let mut order = till::sample_order(3, &zone, SystemClock.now(), false);
    order.test = false;
    NUMBER.clone_into(&mut order.order_id);
    ID.clone_into(&mut order.internal_id);
    let announcement = till::encode(&order, Phase::Validated, Voice::default());
    let body = String::from_utf8(announcement.body).unwrap();
    let head = format!(
        "POST /in/{TOKEN} HTTP/1.1\r\nhost: till\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n",
        announcement.content_type.unwrap(),
        body.len()
    );
    let (first, rest) = body.split_once(NUMBER).expect("the order's number");
    let (second, third) = rest.split_once(ID).expect("the order's internal number");
    [format!("{head}{first}"), second.to_owned(), third.to_owned()]
}

/// The server: prints its address and serves until its input ends.
fn serve(mode: &str, directory: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let config = configure(directory);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let done = match mode {
            "decode only" | "one by one" => {
                let store = Store::open(&config.storage.path, Access::Service).await.unwrap();
                let recorder = Recorder::new(store, clock.clone(), assemble::policy(&config));
                let accept: Arc<dyn Accept> = match mode {
                    "decode only" => Arc::new(DecodeOnly { recorder, clock: clock.clone() }),
                    _ => Arc::new(OneByOne { recorder, turn: Mutex::default() }),
                };
                let credentials = Arc::new(ArcSwap::from_pointee(assemble::credentials(&config)));
                let router = receive::router(accept, credentials, Limits::default(), clock);
                let served = receive::serve(listener, router, Limits::default(), stop.clone());
                tokio::spawn(async move { served.await.unwrap() })
            }
            _ => {
                let running = tillhook::app::serve(&config, clock.clone(), listener).await.unwrap();
                if mode == "durable" {
                    for sink in config.sinks.keys() {
                        running
                            .store
                            .pause_sink(sink, "the benchmark measures taking in alone", clock.now())
                            .await
                            .unwrap();
                    }
                }
                let stop = stop.clone();
                let ended = async move {
                    stop.cancelled().await;
                    running.stop().await;
                };
                tokio::spawn(ended)
            }
        };
        tokio::time::sleep(Duration::from_millis(500)).await;
        println!("{addr}");
        std::io::stdout().flush().unwrap();
        tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await.unwrap().unwrap();
        stop.cancel();
        let _ = tokio::time::timeout(Duration::from_secs(15), done).await;
    });
}

/// One shop, and three sinks that take every event.
fn configure(directory: &Path) -> config::Config {
    let file: PathBuf = directory.join("tillhook.toml");
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[storage]\npath = \"{}\"\n[shop.bench]\ntoken = \"{TOKEN}\"\nfetch_invoices = false\n",
        directory.join("data").display()
    );
    for sink in ["one", "two", "three"] {
        text += &format!("[sink.{sink}]\ntype = \"folder\"\npath = \"{}\"\n", directory.join(sink).display());
        std::fs::create_dir(directory.join(sink)).unwrap();
    }
    std::fs::write(&file, text).unwrap();
    config::load(&Source::File(file), &Environment::default()).map_err(|problems| problems.to_string()).unwrap().config
}

fn decoded(recorder: &Recorder, call: &Call) -> Result<tillhook::order::Notification, String> {
    let shop = recorder.shop(&call.shop).expect("the shop");
    let input = Input {
        content_type: call.content_type.as_deref(),
        query: call.query.as_deref(),
        body: &call.body,
        ..Input::default()
    };
    decode::decode(&input, &shop.shop).map_err(|unreadable| unreadable.reason)
}

/// Answers after decoding.
struct DecodeOnly {
    recorder: Recorder,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Accept for DecodeOnly {
    async fn accept(&self, call: Call) -> Result<Acceptance, Unavailable> {
        let decoded = decoded(&self.recorder, &call);
        let status = if std::hint::black_box(decoded).is_ok() { Status::Stored } else { Status::Quarantined };
        Ok(Acceptance { status, id: ReceiptId::new(self.clock.now()) })
    }

    async fn refused(&self, _: &ShopId, _: String) {}

    async fn ready(&self) -> Result<Option<&'static str>, String> {
        Ok(None)
    }

    async fn invoice(&self, _: &str) -> Option<Document> {
        None
    }

    async fn open(&self, _: &Document) -> Option<OpenDocument> {
        None
    }
}

/// Stores one call after the other, each in a transaction of its own.
struct OneByOne {
    recorder: Recorder,
    turn: Mutex<()>,
}

#[async_trait]
impl Accept for OneByOne {
    async fn accept(&self, call: Call) -> Result<Acceptance, Unavailable> {
        let decoded = decoded(&self.recorder, &call);
        let Call { shop, method, content_type, query, body, announced } = call;
        let raw = Raw { method, content_type, query, body, announced };
        let call = record::Call { shop, raw, origin: Origin::Till };
        let _turn = self.turn.lock().await;
        let accepted = self.recorder.accept(call, || decoded).await.map_err(|error| Unavailable(error.to_string()))?;
        let status = if accepted.outcome == Outcome::Stored { Status::Stored } else { Status::Duplicate };
        Ok(Acceptance { status, id: accepted.receipt })
    }

    async fn refused(&self, _: &ShopId, _: String) {}

    async fn ready(&self) -> Result<Option<&'static str>, String> {
        Ok(None)
    }

    async fn invoice(&self, _: &str) -> Option<Document> {
        None
    }

    async fn open(&self, _: &Document) -> Option<OpenDocument> {
        None
    }
}

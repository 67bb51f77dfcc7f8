//! The door over real sockets, with a stand-in behind it.
//!
//! Clients are written by hand, byte by byte: a well-behaved one cannot stop in the middle.

mod abuse;
mod documents;
mod framing;
mod limits;
mod webhook;

use std::{io, net::SocketAddr, sync::Mutex, time::Duration};

use jiff::Timestamp;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::clock::SystemClock;

/// The shop's token, as the till presents it.
const TOKEN: &str = "s3cret-t0ken";

/// The name behind which the stand-in has an invoice.
const CAPABILITY: &str = "cafe0123cafe0123cafe0123cafe0123";

/// What the stand-in does with a call.
#[derive(Clone, Copy)]
enum Behaviour {
    Store,
    Fail,
    Panic,
}

/// Stands behind the door: keeps calls in memory.
/// The file whose proof never ends.
const ENDLESS: &str = "endless.pdf";

struct Fake {
    behaviour: Behaviour,
    calls: Mutex<Vec<Call>>,
    refusals: Mutex<Vec<String>>,
    /// Told when a call begins to be stored, and when it is.
    progress: mpsc::UnboundedSender<&'static str>,
    /// A call is stored only when it gets one of these.
    permits: Semaphore,
    invoice: Mutex<Option<Document>>,
}

#[async_trait]
impl Accept for Fake {
    async fn accept(&self, call: Call) -> Result<Acceptance, Unavailable> {
        let _ = self.progress.send("begun");
        self.permits.acquire().await.unwrap().forget();
        match self.behaviour {
            Behaviour::Store => {}
            Behaviour::Fail => return Err(Unavailable("the disk is full".to_owned())),
            Behaviour::Panic => panic!("a bug"),
        }
        self.calls.lock().unwrap().push(call);
        let _ = self.progress.send("stored");
        Ok(Acceptance { status: Status::Stored, id: ReceiptId::new(Timestamp::UNIX_EPOCH) })
    }

    async fn refused(&self, _: &ShopId, reason: String) {
        self.refusals.lock().unwrap().push(reason);
    }

    async fn ready(&self) -> Result<Option<&'static str>, String> {
        match self.behaviour {
            Behaviour::Store => Ok(None),
            _ => Err("the disk is full".to_owned()),
        }
    }

    async fn invoice(&self, capability: &str) -> Option<Document> {
        self.invoice.lock().unwrap().clone().filter(|_| capability == CAPABILITY)
    }

    async fn open(&self, document: &Document) -> Option<OpenDocument> {
        if document.path.ends_with(ENDLESS) {
            let _ = self.progress.send("proving");
            std::future::pending::<()>().await;
        }
        let file = File::open(&document.path).ok()?;
        let bytes = file.metadata().unwrap().len();
        Some(OpenDocument { file, bytes })
    }
}

/// A served door.
struct House {
    address: SocketAddr,
    fake: Arc<Fake>,
    progress: mpsc::UnboundedReceiver<&'static str>,
    credentials: Arc<ArcSwap<Credentials>>,
    shutdown: CancellationToken,
    served: JoinHandle<io::Result<()>>,
}

impl House {
    async fn open(behaviour: Behaviour) -> Self {
        Self::with(behaviour, Limits::default(), |router| router).await
    }

    async fn with(behaviour: Behaviour, limits: Limits, dress: impl FnOnce(Router) -> Router) -> Self {
        let (sender, progress) = mpsc::unbounded_channel();
        let fake = Arc::new(Fake {
            behaviour,
            calls: Mutex::default(),
            refusals: Mutex::default(),
            progress: sender,
            permits: Semaphore::new(1_000),
            invoice: Mutex::default(),
        });
        let credentials = Arc::new(ArcSwap::from_pointee(tokens(TOKEN)));
        let router = dress(router(fake.clone(), credentials.clone(), limits.clone(), Arc::new(SystemClock)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(serve(listener, router, limits, shutdown.clone()));
        Self { address, fake, progress, credentials, shutdown, served }
    }

    /// Makes storing wait until the returned number of permits is given back.
    fn hold(&self) -> usize {
        self.fake.permits.forget_permits(1_000)
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Connects from an address of this machine, of which there are many: all of 127.0.0.0/8.
    async fn connect_from(&self, address: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    async fn ask_from(&self, address: &str, request: &str) -> Answer {
        let mut stream = self.connect_from(address).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        read_answer(stream).await
    }

    /// Sends `request` and reads until the other side closes.
    async fn ask(&self, request: &str) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        read_answer(stream).await
    }

    async fn post(&self, body: &str) -> Answer {
        self.ask(&post(TOKEN, body)).await
    }

    fn stored(&self) -> usize {
        self.fake.calls.lock().unwrap().len()
    }

    /// What somebody was told of refused calls.
    fn refusals(&self) -> Vec<String> {
        self.fake.refusals.lock().unwrap().clone()
    }

    async fn until(&mut self, step: &str) {
        while self.progress.recv().await.unwrap() != step {}
    }
}

/// An answer, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    /// The header's value, empty when absent.
    fn header(&self, name: &str) -> &str {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
    }

    fn without_date(mut self) -> Self {
        self.head = self.head.lines().filter(|line| !line.starts_with("date:")).collect::<Vec<_>>().join("\n");
        self
    }
}

fn tokens(token: &str) -> Credentials {
    Credentials::new([("dupont".parse().unwrap(), token, "")])
}

fn post(token: &str, body: &str) -> String {
    format!("POST /in/{token} HTTP/1.1\r\nhost: till\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn read_to_end(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A reset after the answer is an end, too.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

async fn read_answer(stream: TcpStream) -> Answer {
    Answer::parse(&read_to_end(stream).await)
}

/// A call that announces a body and never sends it.
fn without_its_body(token: &str) -> String {
    format!("POST /in/{token} HTTP/1.1\r\nhost: till\r\ncontent-length: 9\r\n\r\n")
}

/// Limits that a test does not have to wait for.
fn impatient() -> Limits {
    let soon = Duration::from_millis(150);
    Limits { head_time: soon, body_time: soon, store_time: soon, ..Limits::default() }
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Listens to what this thread logs, until the guard is dropped.
    fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        let guard = tracing::subscriber::set_default(subscriber.with_writer(log.clone()).finish());
        (log, guard)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

//! The accept loop: connections, one task each, bounded in number, time and size.
//!
//! It is our own because a till calls once. `axum::serve` lets a client take for ever over the head of a request, has no
//! bound on connections, and at shutdown waits for ever for a request that is never completed.
//!
//! It never stops accepting for what clients do: whoever waits in the system's queue cannot show its token. Where there
//! are too many, the connection limiter closes others (`connections.rs`), and it does the same when the system gives no
//! more.
//!
//! **Invariant:** what a connection has sent when it is closed to make room has been looked at: a call with a right token
//! that arrived in the same moment is taken.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustix::{
    net::sockopt::set_socket_send_buffer_size,
    process::{Resource, getrlimit},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinError, JoinSet},
    time::{Instant, sleep, sleep_until},
};
use tokio_io_timeout::TimeoutWriter;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    Limits,
    client::{self, Client},
    connections::{ConnectionLimiter, ConnectionPermit},
    framing::{Facts, Framed},
    refusals::Refusal,
};

/// How many connections the system may keep for us until they are accepted (it may allow less: `net.core.somaxconn`).
/// What finds no place there tries again only after a second.
const BACKLOG: i32 = 4096;

/// How many bytes of an answer the system may keep for a connection until the client takes them (it counts double). With
/// the system's own choice, a reader of an invoice would hold megabytes, and make no progress that can be seen for minutes.
const SEND_BUFFER: usize = 128 * 1024;

/// How many bytes of a body or an answer are kept for a connection; a head needs more where [`Limits::head_bytes`] is.
const BUFFER: usize = 64 * 1024;

/// How long to wait after the system could not give us a connection and there was none to close: trying again at once
/// would only burn what is short.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// How often it is logged that the system gives no more connections.
const SAID_EVERY: Duration = Duration::from_mins(1);

/// Serves HTTP/1 on `listener` until `shutdown`. Then it takes no new connection, lets requests under way finish, and
/// after [`Limits::drain_time`] drops what is left. Handlers find the peer's address as [`ConnectInfo<SocketAddr>`].
///
/// # Errors
/// When the listener is not one that can be asked for its address.
pub async fn serve(
    listener: TcpListener,
    service: Router,
    limits: Limits,
    shutdown: CancellationToken,
) -> io::Result<()> {
    tracing::debug!(server.address = %listener.local_addr()?, "listening");
    rustix::net::listen(&listener, BACKLOG)?;
    let limits = Limits { connections: possible_connections(limits.connections), ..limits };
    let mut server = Server {
        limiter: ConnectionLimiter::new(&limits),
        service,
        limits,
        shutdown,
        connections: JoinSet::new(),
        refused: None,
    };
    server.accept(&listener).await;
    drop(listener);
    // Each connection has seen the same signal, and ends by itself within the drain time.
    while let Some(ended) = server.connections.join_next().await {
        report(ended);
    }
    Ok(())
}

/// As many connections as wanted, or as half of the files that we may have open: the database, sinks and invoices need
/// some as well.
fn possible_connections(wanted: usize) -> usize {
    let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok());
    let possible = files.map_or(wanted, |files| files / 2);
    if possible < wanted {
        tracing::warn!(
            server.connections = possible,
            "The system allows so few open files that only half as many connections are taken; raise the limit (`ulimit -n`)"
        );
    }
    possible.min(wanted)
}

/// A server at work.
struct Server {
    limiter: ConnectionLimiter,
    service: Router,
    limits: Limits,
    shutdown: CancellationToken,
    connections: JoinSet<()>,
    /// When it was last logged that the system gives no more connections.
    refused: Option<Instant>,
}

impl Server {
    async fn accept(&mut self, listener: &TcpListener) {
        loop {
            // Those that were closed to make room end by themselves, as soon as they get to run.
            let has_caught_up = self.connections.len() < 2 * self.limits.connections;
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                Some(ended) = self.connections.join_next() => report(ended),
                accepted = listener.accept(), if has_caught_up => match accepted {
                    Ok((stream, peer)) => self.open(stream, peer),
                    Err(error) => self.recover(&error).await,
                },
            }
        }
    }

    fn open(&mut self, stream: TcpStream, peer: SocketAddr) {
        let is_proxy = client::is_trusted(peer.ip(), &self.limits.trusted_proxies);
        let permit = Arc::new(self.limiter.admit((!is_proxy).then(|| peer.ip().into())));
        let (service, limits) = (self.service.clone(), self.limits.clone());
        self.connections.spawn(connection(stream, peer, permit, service, limits, self.shutdown.clone()));
    }

    /// Makes room where the system gives no more connections, unless only the client is to blame: it left while it queued.
    async fn recover(&mut self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
        if matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
            return;
        }
        if self.refused.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
            self.refused = Some(Instant::now());
            tracing::warn!(%error, "Cannot accept connections; closing others. Too many open files? Raise the limit (`ulimit -n`)");
        }
        let room = self.limiter.close_one();
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            Some(ended) = self.connections.join_next(), if room => report(ended),
            () = sleep(ACCEPT_PAUSE) => {}
        }
    }
}

/// Serves one connection. It is asked to end when the service stops or the connection has become too old, and dropped
/// when it has not ended soon after, or has to make room.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    permit: Arc<ConnectionPermit>,
    service: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    // An answer is one small write: waiting for more to send with it would only delay it.
    let _ = stream.set_nodelay(true);
    let _ = set_socket_send_buffer_size(&stream, SEND_BUFFER);
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(limits.write_time));
    let facts = Arc::new(Facts::default());
    let stream = Framed::new(Box::pin(stream), limits.head_bytes, facts.clone());
    let refusing = Refusing { service: service.clone(), facts: facts.clone() };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_header_size(limits.head_bytes)
        .max_buf_size(limits.head_bytes.max(BUFFER))
        // A till may close its side right after its last byte: it has called all the same, and is answered.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), {
            let (permit, trusted) = (permit.clone(), limits.trusted_proxies.clone());
            TowerToHyperService::new(service.map_request(move |mut request: hyper::Request<Incoming>| {
                let client = Client::of(peer.ip(), request.headers(), &trusted);
                permit.count_for(client);
                request.extensions_mut().insert(ConnectInfo(peer));
                request.extensions_mut().insert(client);
                request.extensions_mut().insert(permit.clone());
                request.extensions_mut().insert(facts.clone());
                request
            }))
        });
    tokio::pin!(connection);
    tokio::select! {
        // First what has already arrived: a call must not be lost because the service stops in the same moment.
        biased;
        ended = &mut connection => return refusing.note(ended).await,
        () = permit.must_close() => return tracing::debug!("Closed a connection to make room for another"),
        () = shutdown.cancelled() => {}
        () = sleep(limits.connection_time) => {}
    }
    connection.as_mut().graceful_shutdown();
    let until = Instant::now() + limits.drain_time;
    tokio::select! {
        biased;
        ended = connection => refusing.note(ended).await,
        () = permit.must_close() => tracing::debug!("Closed a connection to make room for another"),
        () = sleep_until(until) => tracing::warn!("Dropped a connection that did not end"),
    }
}

/// What happens at the end of a connection.
struct Refusing {
    service: Router,
    facts: Arc<Facts>,
}

impl Refusing {
    /// How a connection ended is the client's affair: mostly it left, or took too long over a request. Where the library
    /// refused the head of a call, the endpoint is asked whose it was.
    async fn note(self, ended: hyper::Result<()>) {
        let Err(error) = ended else { return };
        tracing::debug!(%error, "A connection ended early");
        let refused = || Request::get(self.facts.refused()?).extension(Refusal::Head).body(Body::empty()).ok();
        if (error.is_parse() || error.is_parse_too_large())
            && let Some(request) = refused()
        {
            let _ = self.service.oneshot(request).await;
        }
    }
}

/// A panic ends its connection and nothing else; the panic itself is already in the log.
fn report(ended: Result<(), JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!("A connection was dropped: its handler panicked");
    }
}

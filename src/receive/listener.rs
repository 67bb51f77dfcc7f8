//! The accept loop: connections, one task each, bounded in number, time and size.
//!
//! It is our own because a till calls once. `axum::serve` lets a client take for ever over the head of a request, has no
//! bound on connections, and at shutdown waits for ever for a request that is never completed.
//!
//! At the limit new connections wait in the system's queue instead of being closed: a refused call is lost for good, a
//! late one is not, and every connection ends by itself within seconds ([`Limits::head_time`], [`Limits::body_time`]).
//! So that one client cannot keep the others waiting, each has a share ([`Limits::share`]); trusted proxies have none,
//! because they bring everybody.

use std::{io, net::SocketAddr, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    Limits, client,
    crowd::{Crowd, Seat},
};

/// How long to wait after the system could not give us a connection (no file handle left): trying again at once would
/// only burn what is short.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

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
    let mut crowd = Crowd::new(limits.share, limits.patience);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(ended) = connections.join_next() => report(ended),
            accepted = listener.accept(), if connections.len() < limits.connections => match accepted {
                Ok((stream, peer)) => {
                    let seat = if client::is_trusted(peer.ip(), &limits.trusted_proxies) {
                        None
                    } else if let Some(seat) = crowd.enter(peer.ip().into()) {
                        Some(seat)
                    } else {
                        continue;
                    };
                    connections.spawn(connection(stream, peer, seat, service.clone(), limits.clone(), shutdown.clone()));
                }
                Err(error) => pause(&error, &shutdown).await,
            },
        }
    }
    drop(listener);
    // Each connection has seen the same signal, and ends by itself within the drain time.
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
    Ok(())
}

/// Serves one connection. It is asked to end when the service stops or the connection has become too old, and dropped
/// when it has not ended soon after.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    seat: Option<Seat>,
    service: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    // An answer is one small write: waiting for more to send with it would only delay it.
    let _ = stream.set_nodelay(true);
    let guest = seat.as_ref().map(|seat| seat.guest.clone());
    let leave = guest.as_ref().map_or_else(CancellationToken::new, |guest| guest.leave.clone());
    let service = service.map_request(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        if let Some(guest) = &guest {
            request.extensions_mut().insert(guest.clone());
        }
        request
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_header_size(limits.head_bytes)
        // A till may close its side right after its last byte: it has called all the same, and is answered.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::pin!(connection);
    tokio::select! {
        // First what has already arrived: a call must not be lost because the service stops in the same moment.
        biased;
        ended = &mut connection => return note(ended),
        () = leave.cancelled() => return tracing::debug!("A silent connection made room for another of its client"),
        () = shutdown.cancelled() => {}
        () = sleep(limits.connection_time) => {}
    }
    connection.as_mut().graceful_shutdown();
    match timeout(limits.drain_time, connection).await {
        Ok(ended) => note(ended),
        Err(_) => tracing::warn!("Dropped a connection that did not end"),
    }
}

/// How a connection ended is the client's affair: mostly it left, or took too long over a request.
fn note(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "A connection ended early");
    }
}

/// A panic ends its connection and nothing else; the panic itself is already in the log.
fn report(ended: Result<(), JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!("A connection was dropped: its handler panicked");
    }
}

/// Waits a moment, unless only the client is to blame: it left while it queued.
async fn pause(error: &io::Error, shutdown: &CancellationToken) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
        return;
    }
    tracing::warn!(%error, "Cannot accept connections; trying again. Too many open files? Raise the limit (`ulimit -n`)");
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = sleep(ACCEPT_PAUSE) => {}
    }
}

//! A far side that says whatever bytes it is told to: HTTP or not, whole or not.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

/// What happens after the bytes are said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The connection is closed as it should be.
    Close,
    /// The connection stays open, and nothing comes any more.
    Hush,
    /// The connection is reset.
    Reset,
}

/// Such a far side, running. Dropping it closes its port.
pub struct RawFar {
    addr: SocketAddr,
    heard: watch::Receiver<usize>,
    _server: AbortOnDropHandle<()>,
}

impl RawFar {
    /// Reads a request, says `bytes`, then does as it is told; the same for every connection.
    pub async fn start(bytes: impl Into<Vec<u8>>, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let (count, heard) = watch::channel(0);
        let bytes = bytes.into();
        let server = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (bytes, count) = (bytes.clone(), count.clone());
                connections.spawn(serve(stream, bytes, then, count));
            }
        });
        Self { addr, heard, _server: AbortOnDropHandle::new(server) }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns once this many requests have come.
    pub async fn heard(&self, requests: usize) {
        self.heard.clone().wait_for(|count| *count >= requests).await.expect("the far side runs");
    }

    /// How many requests have come.
    pub fn requests(&self) -> usize {
        *self.heard.borrow()
    }
}

async fn serve(mut stream: TcpStream, bytes: Vec<u8>, then: Then, count: watch::Sender<usize>) {
    read_request(&mut stream).await;
    count.send_modify(|count| *count += 1);
    if stream.write_all(&bytes).await.is_err() {
        return;
    }
    match then {
        Then::Close => {
            let _ = stream.shutdown().await;
            // Closing with unread bytes would reset the connection.
            let _ = stream.read(&mut [0; 1024]).await;
        }
        Then::Hush => while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {},
        Then::Reset => {
            // A connection that lingers for no time is reset when it is closed.
            let _ = stream.set_zero_linger();
        }
    }
}

/// Reads the head and as much body as it announces.
async fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !is_whole(&request) {
        match stream.read(&mut buffer).await {
            Ok(read @ 1..) => request.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    request.len() >= head.len() + 4 + length.unwrap_or(0_usize)
}

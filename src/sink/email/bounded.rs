//! A connection to a mail server that ends when the server says too much.
//!
//! lettre looks at a line's length only once it has all of the line, so a server that never ends one would fill memory
//! until the attempt's time is over.
//!
//! **Invariant:** nothing is read from a mail server but through here.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};

/// How much a server may say in all, in bytes. A dialogue about one mail takes some hundreds, certificates some thousands.
const MOST: usize = 1 << 20;

/// A stream of which only so much can be read.
#[derive(Debug)]
pub(super) struct Bounded<S> {
    stream: S,
    peer: SocketAddr,
    left: usize,
}

impl<S> Bounded<S> {
    /// What a stream to `peer` says, up to [`MOST`].
    pub fn new(stream: S, peer: SocketAddr) -> Self {
        Self { stream, peer, left: MOST }
    }
}

impl Bounded<TcpStream> {
    /// Connects to the first of a server's addresses that takes the connection; each has `patience`.
    ///
    /// # Errors
    /// Why the last one did not, or that there is none.
    pub async fn connect(addresses: &[SocketAddr], patience: Duration) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "there is no address");
        for &addr in addresses {
            match timeout(patience, TcpStream::connect(addr)).await {
                Ok(Ok(stream)) => return Ok(Self::new(stream, addr)),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::Error::new(io::ErrorKind::TimedOut, "connection timed out"),
            }
        }
        Err(last)
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin + fmt::Debug> AsyncTokioStream for Bounded<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other("the server does not stop talking")));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.left = self.left.saturating_sub(buf.filled().len() - before);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn a_server_that_does_not_stop_talking_is_listened_to_for_a_while_only() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        });
        let mut stream = Bounded::connect(&[address], Duration::from_secs(5)).await.expect("a connection");
        let (mut heard, mut piece) = (0, [0; 4096]);
        let error = loop {
            match stream.read(&mut piece).await {
                Ok(read) => heard += read,
                Err(error) => break error,
            }
        };
        assert_eq!(error.to_string(), "the server does not stop talking");
        assert!((MOST..MOST + piece.len()).contains(&heard), "{heard} bytes were read");
        drop(stream);
        server.await.expect("the server is hung up on");
    }
}

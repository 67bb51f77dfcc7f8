//! A far side that hangs, dawdles, floods or lies, to whoever connects, in HTTP or SMTP.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::task::AbortOnDropHandle;

#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// Takes everything and says nothing.
    Hangs,
    /// Says a byte a second.
    Dawdles,
    /// Never stops talking.
    Floods,
    /// Says what is no HTTP and no SMTP, and hangs up.
    Lies,
}

pub const MANNERS: [Manner; 4] = [Manner::Hangs, Manner::Dawdles, Manner::Floods, Manner::Lies];

/// Such a far side, running. Dropping it closes its port.
pub struct Awkward {
    pub addr: SocketAddr,
    _server: AbortOnDropHandle<()>,
}

impl Awkward {
    pub async fn start(manner: Manner, greeting: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let server = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(talk(stream, manner, greeting));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { addr, _server: AbortOnDropHandle::new(server) }
    }
}

/// How an answer begins that never ends.
pub const HTTP: &str = "HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\nffffffff\r\n";
/// How a greeting begins that never ends.
pub const SMTP: &str = "220-";

async fn talk(stream: TcpStream, manner: Manner, greeting: &str) {
    let (mut from, mut to) = stream.into_split();
    let listen = async { while from.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {} };
    let say = async {
        match manner {
            Manner::Hangs => std::future::pending().await,
            Manner::Dawdles => {
                for byte in greeting.bytes().cycle() {
                    to.write_all(&[byte]).await?;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            Manner::Floods => {
                to.write_all(greeting.as_bytes()).await?;
                loop {
                    to.write_all(&[b'x'; 4096]).await?;
                }
            }
            Manner::Lies => to.write_all(b"\x00\xff 200 250 OK\r\n").await?,
        }
        std::io::Result::Ok(())
    };
    tokio::select! {
        () = listen => {}
        _ = say => {}
    }
}

//! Encryption in front of another far side: it shows a certificate, passes on what it deciphers, and remembers every
//! byte that came before it was deciphered.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tokio_util::{io::InspectReader, task::AbortOnDropHandle};

/// What the certificate of a far side is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// As it should be, for `localhost` and 127.0.0.1.
    Right,
    /// Another host's.
    AnotherName,
    /// As it should be, but for a time that is over.
    Expired,
    /// Nobody's word but its own.
    SelfSigned,
}

/// When the encryption begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begins {
    /// With the first byte.
    AtOnce,
    /// Once a mail server was asked for it.
    AfterStartTls,
}

/// Somebody who signs certificates, and the file by which a program learns to trust them.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    directory: TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "the authority of the tests");
        let key = KeyPair::generate().expect("a key");
        let directory = TempDir::new().expect("a directory");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        std::fs::write(directory.path().join("ca.pem"), pem).expect("a file");
        Self { issuer: Issuer::new(params, key), directory }
    }

    /// The file of its own certificate, in PEM.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Files of a certificate and its key, in PEM, for a far side that is a process of its own.
    pub fn files(&self, shown: Shown) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.certify(shown);
        let place = |name: &str| self.directory.path().join(name);
        std::fs::write(place("far.pem"), certificate.pem()).expect("a file");
        std::fs::write(place("far.key"), key.serialize_pem()).expect("a file");
        (place("far.pem"), place("far.key"))
    }

    fn identity(&self, shown: Shown) -> ServerConfig {
        let (certificate, key) = self.certify(shown);
        let key = key.serialize_der().try_into().expect("a key");
        let chain = vec![certificate.into()];
        ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("an identity")
    }

    fn certify(&self, shown: Shown) -> (Certificate, KeyPair) {
        let names: &[&str] =
            if shown == Shown::AnotherName { &["canary-cert.example"] } else { &["localhost", "127.0.0.1"] };
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        if shown == Shown::Expired {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let key = KeyPair::generate().expect("a key");
        let signed = match shown {
            Shown::SelfSigned => params.self_signed(&key),
            Shown::Right | Shown::AnotherName | Shown::Expired => params.signed_by(&key, &self.issuer),
        };
        (signed.expect("a certificate"), key)
    }
}

/// Such a front, running. Dropping it closes its port.
pub struct TlsFront {
    pub addr: SocketAddr,
    wire: Arc<Mutex<Vec<u8>>>,
    ended: watch::Receiver<usize>,
    _server: AbortOnDropHandle<()>,
}

impl TlsFront {
    /// Stands in front of `inner`.
    pub async fn start(inner: SocketAddr, begins: Begins, authority: &Authority, shown: Shown) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let acceptor = TlsAcceptor::from(Arc::new(authority.identity(shown)));
        let (wire, (count, ended)) = (Arc::new(Mutex::new(Vec::new())), watch::channel(0));
        let recorded = wire.clone();
        let server = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, recorded, count) = (acceptor.clone(), recorded.clone(), count.clone());
                connections.spawn(async move {
                    // A client that does not like what it is shown ends it.
                    let _ = serve(stream, inner, begins, acceptor, recorded).await;
                    count.send_modify(|ended| *ended += 1);
                });
            }
        });
        Self { addr, wire, ended, _server: AbortOnDropHandle::new(server) }
    }

    /// Every byte that clients sent, as a listener on the line sees it, once this many connections have ended.
    pub async fn wire(&self, connections: usize) -> String {
        let mut ended = self.ended.clone();
        let waited = tokio::time::timeout(crate::harness::HANG, ended.wait_for(|ended| *ended >= connections)).await;
        waited.expect("the connections end").expect("the front runs");
        String::from_utf8_lossy(&self.wire.lock().expect("no panic")).into_owned()
    }
}

async fn serve(
    stream: TcpStream,
    inner: SocketAddr,
    begins: Begins,
    acceptor: TlsAcceptor,
    wire: Arc<Mutex<Vec<u8>>>,
) -> std::io::Result<()> {
    let mut stream =
        InspectReader::new(stream, move |bytes: &[u8]| wire.lock().expect("no panic").extend_from_slice(bytes));
    if begins == Begins::AfterStartTls {
        for answer in ["220 mail.test ESMTP", "250-mail.test\r\n250 STARTTLS", "220 2.0.0 go ahead"] {
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
            if answer != "220 2.0.0 go ahead" {
                line(&mut stream).await?;
            }
        }
    }
    let mut deciphered = acceptor.accept(stream).await?;
    let mut inner = TcpStream::connect(inner).await?;
    if begins == Begins::AfterStartTls {
        // The greeting of the one behind: the client was greeted already.
        line(&mut inner).await?;
    }
    copy_bidirectional(&mut deciphered, &mut inner).await.map(drop)
}

/// Reads a line and nothing beyond it: what follows may be encrypted.
async fn line(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<()> {
    while stream.read_u8().await? != b'\n' {}
    Ok(())
}

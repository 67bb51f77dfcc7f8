//! A far side behind TLS whose certificate is good, but for another name.

use std::{net::SocketAddr, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};
use tokio_util::task::AbortOnDropHandle;

/// Such a far side, running. Dropping it closes its port.
pub struct TlsFar {
    addr: SocketAddr,
    issuer: String,
    _server: AbortOnDropHandle<()>,
}

impl TlsFar {
    /// Answers 200 to whoever is satisfied with a certificate for `name`.
    pub async fn start(name: &str) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("an issuer");
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(vec![name.to_owned()]).expect("parameters").signed_by(&key, &issuer);
        let acceptor = acceptor(certificate.expect("a certificate").der().clone(), &key);

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Nearly everybody leaves at the sight of the certificate.
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                    let _ = stream.shutdown().await;
                }
            }
        });
        Self { addr, issuer: issuer.pem(), _server: AbortOnDropHandle::new(server) }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The certificate of whom to trust, as PEM.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
}

fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair) -> TlsAcceptor {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
    TlsAcceptor::from(Arc::new(config.expect("a server")))
}

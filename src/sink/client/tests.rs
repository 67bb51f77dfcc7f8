//! The client against far sides that lead away, keep silent, send too much, or are nobody's business.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::sink::guard::Blocked;
use crate::sink::testing::FarSide;

fn client() -> Client {
    Client::new(Guard::anywhere(), Duration::from_secs(5))
}

/// A far side that reads the request's head and then does as it likes.
async fn raw<F: Future<Output = ()> + Send>(act: impl FnOnce(TcpStream) -> F + Send + 'static) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/SECRET?token=SECRET", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        let mut head = [0; 4096];
        let _ = socket.read(&mut head).await;
        act(socket).await;
    });
    url.parse().expect("a URL")
}

fn tells_no_secret(error: &ClientError) -> bool {
    !format!("{error} {error:?}").contains("SECRET")
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (far_side, inner) = (FarSide::start().await, FarSide::start().await);
    for status in [301, 302, 303, 307, 308] {
        far_side.answers(status, &[("location", inner.url("/admin").as_str())], "");
        let answer = client().post(&far_side.url("/"), HeaderMap::new(), "x").await.expect("an answer");
        assert_eq!(answer.status, status);
    }
    far_side.answers(302, &[("location", inner.url("/admin").as_str())], "moved");
    let fetched = client().get(&far_side.url("/"), 100).await.expect("an answer");
    assert_eq!((fetched.status, fetched.body.len()), (302, 0));
    assert!(inner.requests().is_empty());
}

#[tokio::test]
async fn a_private_address_is_never_connected_to() {
    let far_side = FarSide::start().await;
    let port = far_side.url("/").port().expect("a port");
    let client = Client::new(Guard::public(), Duration::from_secs(5));
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "0177.1", "127.1", "[::ffff:127.0.0.1]", "localhost"] {
        let url = format!("http://{host}:{port}/").parse().expect("a URL");
        let error = client.post(&url, HeaderMap::new(), "x").await.expect_err("refused");
        assert_eq!(error, ClientError::Blocked(Blocked::NotPublic("loopback")), "{host}");
        assert!(client.get(&url, 100).await.is_err() && client.head(&url).await.is_err());
    }
    assert!(far_side.requests().is_empty());
}

#[tokio::test]
async fn a_silent_far_side_ends_at_the_time_out() {
    let url = raw(|socket| async move {
        std::future::pending::<()>().await;
        drop(socket);
    })
    .await;
    let client = Client::new(Guard::anywhere(), Duration::from_millis(100));
    let error = client.post(&url, HeaderMap::new(), "x").await.expect_err("no answer");
    assert_eq!(error, ClientError::TimedOut(Duration::from_millis(100)));
    assert!(tells_no_secret(&error));
}

#[tokio::test]
async fn a_status_counts_although_the_body_never_ends() {
    let url = raw(|mut socket| async move {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok").await;
        std::future::pending::<()>().await;
    })
    .await;
    let client = Client::new(Guard::anywhere(), Duration::from_millis(200));
    let answer = client.post(&url, HeaderMap::new(), "x").await.expect("an answer");
    assert!(answer.is_success());
    assert_eq!(answer.excerpt().as_deref(), Some("ok"));
}

#[tokio::test]
async fn a_download_is_whole_or_refused() {
    let far_side = FarSide::start().await;
    far_side.answers(200, &[("content-type", "application/pdf")], "%PDF-1.7");
    let fetched = client().get(&far_side.url("/f.pdf"), 8).await.expect("a body");
    assert_eq!((fetched.content_type.as_deref(), &fetched.body[..]), (Some("application/pdf"), &b"%PDF-1.7"[..]));
    far_side.answers(200, &[], "%PDF-1.77");
    assert_eq!(client().get(&far_side.url("/f.pdf"), 8).await.expect_err("too large"), ClientError::TooLarge(8));

    let endless = raw(|mut socket| async move {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while socket.write_all(b"400\r\n").await.is_ok() && socket.write_all(&[b'x'; 1024]).await.is_ok() {
            let _ = socket.write_all(b"\r\n").await;
        }
    })
    .await;
    assert_eq!(client().get(&endless, 100_000).await.expect_err("too large"), ClientError::TooLarge(100_000));

    let cut = raw(|mut socket| async move {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n%PDF").await;
    })
    .await;
    let error = client().get(&cut, 1_000).await.expect_err("cut off");
    assert!(matches!(error, ClientError::CutOff(_)) && tells_no_secret(&error), "{error}");
}

#[tokio::test]
async fn what_goes_wrong_is_told_apart_without_the_address() {
    let closed = raw(|socket| async move { drop(socket) }).await;
    let error = client().post(&closed, HeaderMap::new(), "x").await.expect_err("closed");
    assert!(matches!(error, ClientError::Broken(_)) && tells_no_secret(&error), "{error}");

    let babbling = raw(|mut socket| async move {
        let _ = socket.write_all(b"220 mail.example ESMTP\r\n").await;
    })
    .await;
    let error = client().post(&babbling, HeaderMap::new(), "x").await.expect_err("no HTTP");
    assert!(matches!(error, ClientError::Protocol(_)) && tells_no_secret(&error), "{error}");

    // A machine without CA certificates does not get as far as the connection.
    let mut no_tls = raw(|socket| async move { drop(socket) }).await;
    no_tls.set_scheme("https").expect("a scheme");
    let error = client().post(&no_tls, HeaderMap::new(), "x").await.expect_err("no TLS");
    assert!(matches!(error, ClientError::Connect(_) | ClientError::NoCertificates(_)), "{error}");
    assert!(tells_no_secret(&error), "{error}");

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let unused = format!("http://{}/SECRET", listener.local_addr().expect("an address"));
    drop(listener);
    let error = client().head(&unused.parse().expect("a URL")).await.expect_err("refused");
    assert!(matches!(error, ClientError::Connect(_)) && tells_no_secret(&error), "{error}");
}

#[tokio::test]
async fn every_request_has_a_connection_of_its_own() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address")).parse().expect("a URL");
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 4096]).await;
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            // Kept open and never read again: a second request on it would wait in vain.
            open.push(socket);
        }
    });
    let client = client();
    for _ in 0..3 {
        assert!(client.post(&url, HeaderMap::new(), "x").await.expect("an answer").is_success());
    }
}

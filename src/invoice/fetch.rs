//! Fetches an invoice from the till: once, from the till's own hosts only, and only if it is a PDF.
//!
//! How far a link is followed is up to `sink/till_link.rs`, like that of every link that a call brings.
//!
//! **Invariant:** no request is made to a URL that no [`TillHost`] admits; no error holds a URL.

use std::time::Duration;

use bytes::Bytes;

use super::pdf;
use crate::sink::{
    LinkError, TillHost,
    client::{ClientError, Fetched},
    follow,
};

/// Why there is no PDF.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The link is none that is ever followed: another host, http, a user name in it.
    #[error("the link does not lead to the till: check `till_hosts`")]
    Refused,
    /// A redirect leads away from the till, or in circles.
    #[error("the till redirects elsewhere; is it asking for a password?")]
    Redirected,
    /// The till answered with something else than success.
    #[error("the till answered {0}")]
    Status(u16),
    /// The till answered with something else than a PDF.
    #[error("the till answered with something that is no PDF; is it asking for a password?")]
    NotPdf,
    /// The till answered with the beginning of a PDF.
    #[error("the till answered with the beginning of a PDF: it is cut off")]
    CutOff,
    /// No answer, half an answer, or too much of one.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl FetchError {
    /// Whether only a part of the PDF came.
    pub fn is_cut_off(&self) -> bool {
        matches!(self, Self::CutOff | Self::Client(ClientError::CutOff(_)))
    }

    /// Whether another try is pointless, because the link itself is refused.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused)
    }
}

/// Fetches the PDF behind a link. Each request may take `timeout`.
///
/// # Errors
/// Why there is none; [`FetchError::is_final`] tells a link that is refused from one that may work later.
pub async fn fetch(hosts: &[TillHost], link: &str, timeout: Duration) -> Result<Bytes, FetchError> {
    accept(follow(hosts, link, pdf::MAX_BYTES, timeout).await?)
}

impl From<LinkError> for FetchError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Refused => Self::Refused,
            LinkError::Redirected => Self::Redirected,
            LinkError::Client(error) => Self::Client(error),
        }
    }
}

fn accept(fetched: Fetched) -> Result<Bytes, FetchError> {
    match fetched.status {
        200 if pdf::is_pdf(&fetched.body) && pdf::has_end(&fetched.body) => Ok(fetched.body),
        200 if pdf::is_pdf(&fetched.body) => Err(FetchError::CutOff),
        200 => Err(FetchError::NotPdf),
        status => Err(FetchError::Status(status)),
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        http::{HeaderMap, StatusCode, header::LOCATION},
        response::Redirect,
        routing::get,
    };

    use super::*;

    const PDF: &[u8] = b"%PDF-1.7\ninvoice\n%%EOF\n";
    const PATIENCE: Duration = Duration::from_secs(30);

    /// A till on a real socket, and what the operator would write for it.
    async fn till() -> (String, Vec<TillHost>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let away = |to: &'static str| {
            get(move || async move { (StatusCode::FOUND, HeaderMap::from_iter([(LOCATION, to.parse().unwrap())])) })
        };
        let router = Router::new()
            .route("/good.pdf", get(|| async { PDF }))
            .route("/half.pdf", get(|| async { &PDF[..12] }))
            .route("/login", get(|| async { "<!doctype html><title>Connexion</title>" }))
            .route("/huge.pdf", get(|| async { [PDF, &vec![b' '; pdf::MAX_BYTES]].concat() }))
            .route("/busy", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
            .route("/slow.pdf", get(std::future::pending::<()>))
            .route("/moved", get(|| async { Redirect::temporary("/good.pdf") }))
            .route("/circle", get(|| async { Redirect::to("/circle") }))
            .route("/private", away("http://127.0.0.1:1/good.pdf"))
            .route("/metadata", away("http://169.254.169.254/latest/meta-data"))
            .route("/nowhere", get(|| async { StatusCode::FOUND }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let hosts = vec![origin.parse().unwrap(), "kash.click".parse().unwrap()];
        (origin, hosts)
    }

    #[tokio::test]
    async fn a_pdf_comes_byte_for_byte_also_after_a_redirect_within_the_till() {
        let (origin, hosts) = till().await;
        for path in ["/good.pdf", "/moved"] {
            assert_eq!(fetch(&hosts, &format!("{origin}{path}"), PATIENCE).await.unwrap(), PDF, "{path}");
        }
    }

    #[tokio::test]
    async fn what_is_no_invoice_is_none_but_may_be_one_later() {
        let (origin, hosts) = till().await;
        for (path, expected) in [
            ("/login", FetchError::NotPdf),
            ("/half.pdf", FetchError::CutOff),
            ("/gone", FetchError::Status(404)),
            ("/busy", FetchError::Status(503)),
            ("/huge.pdf", FetchError::Client(ClientError::TooLarge(pdf::MAX_BYTES))),
            ("/circle", FetchError::Redirected),
            ("/private", FetchError::Redirected),
            ("/metadata", FetchError::Redirected),
            ("/nowhere", FetchError::Redirected),
        ] {
            let error = fetch(&hosts, &format!("{origin}{path}"), PATIENCE).await.unwrap_err();
            assert_eq!(error, expected, "{path}");
            assert!(!error.is_final() && !error.to_string().contains("127.0.0.1"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_till_that_says_nothing_is_not_waited_for_for_ever() {
        let (origin, hosts) = till().await;
        let patience = Duration::from_millis(50);
        let error = fetch(&hosts, &format!("{origin}/slow.pdf"), patience).await.unwrap_err();
        assert_eq!(error, FetchError::Client(ClientError::TimedOut(patience)));
    }

    #[tokio::test]
    async fn a_link_that_does_not_lead_to_the_till_is_refused_at_once() {
        let (origin, hosts) = till().await;
        let with_name = origin.replace("http://", "http://user:pass@");
        for link in [
            "http://kash.click/f.pdf",
            "https://kash.click.evil.example/f.pdf",
            "https://user@kash.click/f.pdf",
            "https://169.254.169.254/",
            "file:///etc/passwd",
            "no link",
            "",
            &with_name,
        ] {
            let error = fetch(&hosts, link, PATIENCE).await.unwrap_err();
            assert!(error.is_final(), "{link}: {error}");
        }
    }
}

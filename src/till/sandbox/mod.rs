//! A stand-in for the till: it sells, serves the invoices of what it sold, and announces it.
//!
//! `demo` and the tests use it in place of an account at the vendor's. It has three parts: [`Sales`] remembers, this
//! file serves, and the [`Seller`](seller::Seller) sells on its own and calls the webhook.
//!
//! **Invariant:** the first download of an invoice is the original and every later one a marked duplicate, and each is
//! counted, so that fetching twice is seen.

mod pdf;
mod sales;
pub mod seller;

use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header::CONTENT_TYPE};
use jiff::tz::TimeZone;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

pub use sales::Sales;

use super::order::TillOrder;
use crate::clock::Clock;

/// How a sandbox is set up.
#[derive(Clone)]
pub struct Options {
    /// Where chance begins: the same seed makes the same sales.
    pub seed: u64,
    /// Where the shop's wall clock hangs; it decides the day in an order number.
    pub zone: TimeZone,
    /// Tells the time of sales, and how long a slow answer takes.
    pub clock: Arc<dyn Clock>,
}

/// What the invoice server does wrong with an invoice, when told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// 404.
    NotFound,
    /// 500.
    ServerError,
    /// 200 with a page in place of the PDF, as a sign-in wall answers.
    Html,
    /// The PDF, but only after this long.
    Slow(Duration),
}

/// A running till. Dropping it stops its server.
pub struct Sandbox {
    origin: String,
    counter: Arc<Counter>,
    _server: AbortOnDropHandle<()>,
}

/// What the server and the seller share.
struct Counter {
    clock: Arc<dyn Clock>,
    book: Mutex<Book>,
}

struct Book {
    sales: Sales,
    downloads: BTreeMap<String, u32>,
    trouble: BTreeMap<String, Trouble>,
}

impl Sandbox {
    /// Opens the till; its invoices are served on `listener`.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn start(listener: TcpListener, options: Options) -> io::Result<Self> {
        let origin = format!("http://{}", listener.local_addr()?);
        let book = Book {
            sales: Sales::new(options.seed, options.zone, &origin),
            downloads: BTreeMap::new(),
            trouble: BTreeMap::new(),
        };
        let counter = Arc::new(Counter { clock: options.clock, book: Mutex::new(book) });
        let router = Router::new().route("/invoice/{file}", get(serve_invoice)).with_state(Arc::clone(&counter));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the sandbox stopped serving invoices");
            }
        });
        Ok(Self { origin, counter, _server: AbortOnDropHandle::new(server) })
    }

    /// Where invoices are served: what a shop's `till_hosts` has to list.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Sells something; nothing is announced.
    pub fn sell(&self) -> TillOrder {
        self.counter.sell(|sales, now| sales.sell(now))
    }

    /// Sells something to a company that pays later; nothing is announced.
    pub fn sell_on_account(&self) -> TillOrder {
        self.counter.sell(|sales, now| sales.sell_on_account(now))
    }

    /// Gives the money for an order back; nothing is announced.
    pub fn refund(&self, original: &TillOrder) -> TillOrder {
        self.counter.sell(|sales, now| sales.refund(original, now))
    }

    /// Every order sold so far, the oldest first.
    pub fn orders(&self) -> Vec<TillOrder> {
        self.counter.book().sales.orders().cloned().collect()
    }

    /// How often the PDF of each invoice was handed out, by internal id; those never asked for are not listed.
    pub fn downloads(&self) -> BTreeMap<String, u32> {
        self.counter.book().downloads.clone()
    }

    /// From now on answers for this invoice like that; `None` ends it.
    pub fn misbehave(&self, internal_id: &str, trouble: Option<Trouble>) {
        let mut book = self.counter.book();
        match trouble {
            Some(trouble) => book.trouble.insert(internal_id.to_owned(), trouble),
            None => book.trouble.remove(internal_id),
        };
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Counter {
    /// The book is whole between any two statements, so a panic elsewhere does not spoil it.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sell(&self, sell: impl FnOnce(&mut Sales, jiff::Timestamp) -> TillOrder) -> TillOrder {
        let now = self.clock.now();
        sell(&mut self.book().sales, now)
    }

    /// Hands out the next copy of an invoice.
    fn download(&self, internal_id: &str) -> Option<Vec<u8>> {
        let mut book = self.book();
        let order = book.sales.order(internal_id)?.clone();
        let copies = book.downloads.entry(internal_id.to_owned()).or_default();
        *copies += 1;
        Some(pdf::invoice(&order, *copies))
    }
}

async fn serve_invoice(State(counter): State<Arc<Counter>>, Path(file): Path<String>) -> Response {
    let internal_id = file.strip_suffix(".pdf").unwrap_or_default();
    let trouble = counter.book().trouble.get(internal_id).copied();
    match trouble {
        Some(Trouble::NotFound) => return StatusCode::NOT_FOUND.into_response(),
        Some(Trouble::ServerError) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some(Trouble::Html) => {
            let page = "<!doctype html><title>Connexion</title><p>Veuillez vous identifier.</p>";
            return ([(CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response();
        }
        Some(Trouble::Slow(duration)) => counter.clock.sleep(duration).await,
        None => {}
    }
    match counter.download(internal_id) {
        Some(pdf) => ([(CONTENT_TYPE, "application/pdf")], pdf).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        clock::{ManualClock, SystemClock},
        till::{Announcement, post},
    };

    async fn sandbox(clock: Arc<dyn Clock>) -> Sandbox {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Sandbox::start(listener, Options { seed: 5, zone: TimeZone::UTC, clock }).expect("a sandbox")
    }

    async fn get(order: &TillOrder) -> (u16, String) {
        // Several tests may come first; the one that does installs it for all.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let get = Announcement { method: http::Method::GET, query: None, content_type: None, body: Vec::new() };
        let answer = post(&get, order.pdf_url.as_deref().expect("a link")).await.expect("an answer");
        (answer.status, answer.body)
    }

    #[tokio::test]
    async fn the_first_download_is_the_invoice_and_the_second_a_duplicate() {
        let sandbox = sandbox(Arc::new(SystemClock)).await;
        let order = sandbox.sell();
        let (status, first) = get(&order).await;
        assert!(status == 200 && first.starts_with("%PDF-"));
        assert_eq!(sandbox.downloads()[&order.internal_id], 1);
        assert_ne!(get(&order).await.1, first);
        assert_eq!(sandbox.downloads()[&order.internal_id], 2);
    }

    #[tokio::test]
    async fn an_invoice_in_trouble_is_not_counted_as_downloaded() {
        let sandbox = sandbox(Arc::new(SystemClock)).await;
        let order = sandbox.sell();
        for (trouble, status) in [(Trouble::NotFound, 404), (Trouble::ServerError, 500), (Trouble::Html, 200)] {
            sandbox.misbehave(&order.internal_id, Some(trouble));
            let (answered, body) = get(&order).await;
            assert_eq!(answered, status);
            assert!(!body.starts_with("%PDF-"));
        }
        assert!(sandbox.downloads().is_empty());
        sandbox.misbehave(&order.internal_id, None);
        assert_eq!(get(&order).await.0, 200);
    }

    #[tokio::test]
    async fn a_slow_invoice_comes_when_its_time_has_come() {
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        let sandbox = sandbox(Arc::new(clock.clone())).await;
        let order = sandbox.sell();
        sandbox.misbehave(&order.internal_id, Some(Trouble::Slow(Duration::from_secs(60))));
        let download = tokio::spawn(async move { get(&order).await });
        while !download.is_finished() {
            clock.advance(Duration::from_secs(60));
            tokio::task::yield_now().await;
        }
        assert_eq!(download.await.expect("a download").0, 200);
    }

    #[tokio::test]
    async fn an_invoice_that_was_never_made_is_not_found() {
        let sandbox = sandbox(Arc::new(SystemClock)).await;
        let mut order = sandbox.sell();
        order.pdf_url = Some(format!("{}/invoice/1.pdf", sandbox.origin()));
        assert_eq!(get(&order).await.0, 404);
    }
}

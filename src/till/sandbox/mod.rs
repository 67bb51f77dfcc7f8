//! A stand-in for the till: it sells, serves what the till serves, and announces what it sold.
//!
//! `pos sandbox`, `demo` and the tests use it in place of an account at the vendor's. [`Sales`] remembers, `record` and
//! `ticket` take an order through its life, `workers/` answers the till's API, `report/` adds up a day, `caller` calls the
//! webhook, `server` serves all of it, and the [`Seller`](seller::Seller) sells on its own. What no page of the vendor says
//! is decided in the header of the file that it concerns.
//!
//! **Invariant:** whatever is sold, by a call, by a test or on its own, is in the same books.

mod account;
mod answer;
mod book;
mod caller;
mod cash_box;
pub mod catalogue;
mod chance;
pub mod lines;
mod params;
mod pdf;
mod record;
pub mod refusal;
pub mod report;
mod sales;
pub mod seller;
mod server;
pub mod ticket;
mod trouble;
mod wanted;
mod workers;

use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{civil::Date, tz::TimeZone};
use rust_decimal::Decimal;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::task::AbortOnDropHandle;

pub use account::Account;
pub use caller::{Fate, Spoken, Topic, Webhook};
pub use chance::Chance;
pub use sales::Sales;
pub use trouble::Trouble;

use self::{book::Book, caller::Caller, record::Recorded, refusal::Refusal, report::DayReport, ticket::Ticket};
use super::order::TillOrder;
use crate::{clock::Clock, order::Phase};

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

/// A running till. Dropping it stops its server and its calls.
pub struct Sandbox {
    origin: String,
    counter: Arc<Counter>,
    _server: AbortOnDropHandle<()>,
}

/// What the server and the seller share.
struct Counter {
    clock: Arc<dyn Clock>,
    account: Account,
    book: Mutex<Book>,
    caller: Mutex<Option<Caller>>,
    /// What became of every call, also of earlier callers.
    spoken: Arc<Mutex<Vec<Spoken>>>,
}

impl Sandbox {
    /// Opens the till with the default account; everything is served on `listener`.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn start(listener: TcpListener, options: Options) -> io::Result<Self> {
        Self::start_as(Account::default(), listener, options)
    }

    /// The same with an account of one's own.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn start_as(account: Account, listener: TcpListener, options: Options) -> io::Result<Self> {
        let origin = format!("http://{}", listener.local_addr()?);
        let counter = Arc::new(Counter::new(account, options, &origin));
        let router = server::router(Arc::clone(&counter));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the sandbox stopped serving");
            }
        });
        Ok(Self { origin, counter, _server: AbortOnDropHandle::new(server) })
    }

    /// Where everything is served: what a shop's `till_hosts` has to list.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Who may use the workers API.
    pub fn account(&self) -> &Account {
        &self.counter.account
    }

    /// From now on calls this webhook for every order that is validated or paid through the API or the payment page, and
    /// for what [`Sandbox::announce`] is given. Calls that an earlier webhook has not had yet are lost. Each call is also
    /// sent to what is returned, as it is made.
    pub fn call(&self, webhook: Webhook) -> mpsc::UnboundedReceiver<Spoken> {
        let counter = &self.counter;
        let (caller, reports) = Caller::start(webhook, Arc::clone(&counter.clock), Arc::clone(&counter.spoken));
        *counter.caller() = Some(caller);
        reports
    }

    /// Has the webhook called about an order, in its turn. Without a webhook nothing happens.
    pub fn announce(&self, order: &TillOrder, phase: Phase) {
        self.counter.announce(order.clone(), phase);
    }

    /// Waits until every call so far is made, those that are held back too.
    pub async fn calls_done(&self) {
        let done = self.counter.caller().as_ref().map(Caller::finish);
        if let Some(done) = done {
            // A caller that was replaced has nothing left to do.
            let _ = done.await;
        }
    }

    /// Every call that was made or dropped so far, in that order.
    pub fn spoken(&self) -> Vec<Spoken> {
        self.counter.spoken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The announcements that were dropped, in the order in which they would have been made.
    pub fn dropped(&self) -> Vec<(TillOrder, Phase)> {
        let dropped = self.spoken().into_iter().filter(|call| call.fate == Fate::Dropped);
        let order = |call: Spoken| match call.topic {
            Topic::Order(order, phase) => Some((*order, phase)),
            Topic::CashBox(_) => None,
        };
        dropped.filter_map(order).collect()
    }

    /// Sells something, paid at once; nothing is announced.
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

    /// Takes a payment for an invoice, in full where no amount is given, as if it was typed in at the till; the webhook is
    /// called when that was all.
    ///
    /// # Errors
    /// When there is no such invoice, or that much is not owed.
    pub fn pay(&self, internal_id: &str, method: u64, amount: Option<Decimal>) -> Result<(), Refusal> {
        self.counter.pay(internal_id, method, amount)
    }

    /// Every validated order so far, the oldest number first.
    pub fn orders(&self) -> Vec<TillOrder> {
        self.counter.book().sales.orders().cloned().collect()
    }

    /// An order of this internal id and how far it is, quotes among them.
    pub fn ticket(&self, internal_id: &str) -> Option<Ticket> {
        self.counter.book().sales.ticket(internal_id).cloned()
    }

    /// What the report of a day says in every format.
    pub fn report(&self, day: Date) -> DayReport {
        DayReport::of(&self.counter.book().sales, day)
    }

    /// How often the PDF of each invoice was handed out, by internal id; those never asked for are not listed.
    pub fn downloads(&self) -> BTreeMap<String, u32> {
        self.counter.book().downloads.clone()
    }

    /// From now on answers like that for this invoice (an internal id), this endpoint (`getOrders.php`) or about
    /// signatures (`verify`); `None` ends it.
    pub fn misbehave(&self, place: &str, trouble: Option<Trouble>) {
        let mut book = self.counter.book();
        match trouble {
            Some(trouble) => book.trouble.insert(place.to_owned(), trouble),
            None => book.trouble.remove(place),
        };
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Counter {
    fn new(account: Account, options: Options, origin: &str) -> Self {
        let Options { seed, zone, clock } = options;
        let book = Mutex::new(Book::new(seed, zone, origin, clock.now()));
        Self { clock, account, book, caller: Mutex::new(None), spoken: Arc::default() }
    }

    /// The book is whole between any two statements, so a panic elsewhere does not spoil it.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn caller(&self) -> MutexGuard<'_, Option<Caller>> {
        self.caller.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sell(&self, sell: impl FnOnce(&mut Sales, jiff::Timestamp) -> TillOrder) -> TillOrder {
        let now = self.clock.now();
        sell(&mut self.book().sales, now)
    }

    fn pay(&self, id: &str, method: u64, amount: Option<Decimal>) -> Result<(), Refusal> {
        let mut book = self.book();
        let method = book.catalogue.method(method).ok_or_else(|| Refusal::unknown("payment method", method))?;
        let Recorded { announcements, .. } = book.pay(id, method, amount, self.clock.now())?;
        announcements.into_iter().for_each(|(order, phase)| self.announce(order, phase));
        Ok(())
    }

    fn announce(&self, order: TillOrder, phase: Phase) {
        self.tell(Topic::Order(Box::new(order), phase));
    }

    /// Has the webhook called, where there is one.
    fn tell(&self, topic: Topic) {
        if let Some(caller) = &*self.caller() {
            caller.say(topic);
        }
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

#[cfg(test)]
mod tests;

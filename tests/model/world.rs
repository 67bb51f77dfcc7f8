//! The real thing beside the model: store, recorder and workers on a real database file, with far sides in this process
//! and a clock that is turned by hand. No HTTP, so that ten thousand sequences are affordable.
//!
//! Many sequences share a database, each with orders of its own.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use jiff::Timestamp;
use tempfile::TempDir;
use tillhook::{
    clock::{Clock, ManualClock},
    deliver::{self, Lane, Outbox, large_messages},
    invoice::Archive,
    order::{Currency, Locale, Notification, OrderContent, OrderNotice, Shop, ShopId, SinkName, State, Verify},
    record::{Call, Origin, Outcome, Policy, Raw, Recorder, ShopPolicy, Unread},
    route::{Only, Rule, ShopPattern},
    store::{Access, DeliveryFilter, DeliveryLine, OpenError, Store, StoreError},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    SINKS, Said, Settings, TIMEOUT,
    far::{Answers, Far, Ledger, Seen},
    referee::{Referee, Row},
};
use crate::harness::{paris, start_time};

pub struct World {
    pub clock: ManualClock,
    pub answers: [Answers; SINKS.len()],
    /// `None` between a crash and the next start.
    open: Option<(Store, Recorder)>,
    ledger: Arc<Ledger>,
    workers: JoinSet<()>,
    /// The number of the sequence's first order, a multiple of three.
    first_order: usize,
    /// How many deliveries of earlier sequences the database holds, by sink: delivered, dead and skipped.
    pub earlier: [[u64; 3]; SINKS.len()],
    directory: TempDir,
}

impl World {
    pub async fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let directory = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        let directory = directory.expect("a directory");
        let clock = ManualClock::new(start_time());
        let open = Some(open(directory.path(), &clock).await);
        let (answers, ledger, workers) = Default::default();
        let (first_order, earlier) = Default::default();
        let mut world = Self { clock, answers, open, ledger, workers, first_order, earlier, directory };
        world.start_workers().await;
        world
    }

    pub fn store(&self) -> &Store {
        &self.open.as_ref().expect("an open store").0
    }

    fn recorder(&self) -> &Recorder {
        &self.open.as_ref().expect("an open store").1
    }

    /// What `app::serve` does, but for the door.
    async fn start_workers(&mut self) {
        self.store().recover_interrupted(self.clock.now()).await.expect("a database");
        let names = SINKS.iter().map(|sink| name(sink.name)).collect();
        self.store().declare_sinks(names, self.clock.now()).await.expect("a database");
        self.ledger = Arc::default();
        let outbox = Outbox {
            store: self.store().clone(),
            clock: Arc::new(self.clock.clone()),
            recorder: self.recorder().clone(),
            archive: Archive::new(self.directory.path().to_owned()),
            public_url: None,
            names: Default::default(),
            large: large_messages(),
        };
        for (sink, settings) in SINKS.iter().enumerate() {
            let (clock, ledger) = (self.clock.clone(), self.ledger.clone());
            let far = Far { sink, answers: self.answers[sink].clone(), ledger, clock };
            let lane = Lane {
                name: name(settings.name),
                sink: Arc::new(far),
                rule: rule(settings),
                retry: settings.retry.iter().copied().map(Duration::from_secs_f64).collect(),
                timeout: Duration::from_secs_f64(TIMEOUT),
                concurrency: settings.concurrency,
                pause_after: Duration::from_secs_f64(settings.pause_after),
                limit: None,
            };
            self.workers.spawn(deliver::run(outbox.clone(), lane, CancellationToken::new()));
        }
    }

    /// The service dies wherever it is and is started again.
    pub async fn crash(&mut self, referee: &mut Referee) -> Result<(), String> {
        self.workers.shutdown().await;
        let seen = self.ledger.take();
        // What was handed to the writer before is on disk, as if the end had come a moment later.
        self.store().close().await;
        for entry in seen.iter().filter(|entry| !matches!(entry.seen, Seen::CutOff)) {
            referee.hear(entry)?;
        }
        self.open = None;
        self.open = Some(open(self.directory.path(), &self.clock).await);
        let lines = self.lines(referee.model.messages.len()).await;
        referee.crash(&self.rows(&lines))?;
        referee.next_step();
        self.start_workers().await;
        Ok(())
    }

    /// The till makes these calls at once; returns which of them said something new.
    pub async fn announce(&self, calls: &[Said]) -> Vec<bool> {
        let outcomes = join_all(calls.iter().map(|said| {
            self.recorder().accept(call(), {
                let notice = self.notice(said);
                move || Ok::<_, Unread>(notice)
            })
        }));
        let outcomes = outcomes.await.into_iter().map(|accepted| accepted.expect("a database").outcome);
        outcomes.map(|outcome| outcome == Outcome::Stored).collect()
    }

    /// Takes the customer out of an order, if it is known.
    pub async fn erase(&self, order: usize) -> Result<(), StoreError> {
        let found = self.store().orders_called(&self.number(order)).await?;
        let orders = found.into_iter().map(|stored| (stored.key, None)).collect();
        self.store().erase_orders(orders, Arc::default()).await
    }

    fn notice(&self, said: &Said) -> Notification {
        let number = self.number(said.order);
        let content = OrderContent {
            order_id: Some(format!("2026{number}")),
            internal_id: Some(number),
            cash_box_id: (said.variant > 0).then(|| said.variant.to_string()),
            ..OrderContent::default()
        };
        let (phase, invoice_url, verification_url) = (said.phase, None, None);
        Notification::Order(Box::new(OrderNotice { phase, content, invoice_url, verification_url, test: false }))
    }

    fn number(&self, order: usize) -> String {
        (self.first_order + order).to_string()
    }

    /// Waits until the far sides saw and the database says what the model says.
    pub async fn settle(&self, referee: &mut Referee, patience: Duration) -> Result<(), String> {
        let (mut commits, mut news) = (self.store().commits(), self.ledger.news());
        loop {
            // First listen, then look.
            commits.borrow_and_update();
            news.borrow_and_update();
            self.ledger.take().iter().try_for_each(|entry| referee.hear(entry))?;
            let left = match referee.is_missing() {
                Some(missing) => missing,
                None => {
                    let lines = self.lines(referee.model.messages.len()).await;
                    // The rows may say that something is due which the model could not know to be.
                    match referee.compare(&self.rows(&lines)).err().or_else(|| referee.is_missing()) {
                        Some(difference) => difference,
                        None => return Ok(()),
                    }
                }
            };
            tokio::select! {
                _ = commits.changed() => {}
                _ = news.changed() => {}
                () = tokio::time::sleep(patience) => return Err(left),
            }
        }
    }

    /// The deliveries of the sequence, oldest first; one too many is seen as well.
    async fn lines(&self, expected: usize) -> Vec<DeliveryLine> {
        let limit = u32::try_from(expected + 1).expect("a small number");
        let filter = DeliveryFilter { limit, ..DeliveryFilter::default() };
        let mut lines =
            self.store().list_deliveries(&filter, self.clock.now()).await.expect("a database").into_parts().0;
        lines.retain(|line| self.order_of(line).is_some());
        lines.reverse();
        lines
    }

    fn order_of(&self, line: &DeliveryLine) -> Option<usize> {
        let number: usize = line.internal_id.as_ref()?.parse().ok()?;
        number.checked_sub(self.first_order)
    }

    fn rows<'a>(&self, lines: &'a [DeliveryLine]) -> Vec<Row<'a>> {
        let row = |line: &'a DeliveryLine| Row {
            sink: SINKS.iter().position(|sink| sink.name == line.sink.as_str()).expect("a sink"),
            order: self.order_of(line).expect("an order of this sequence"),
            due: line.next_attempt_at.map(seconds),
            line,
        };
        lines.iter().map(row).collect()
    }

    /// The time in seconds, as the model counts it.
    pub fn now(&self) -> f64 {
        seconds(self.clock.now())
    }

    /// Compares the orders and the counts of everything with the model, when all is over; then come the next orders.
    pub async fn conclude(&mut self, referee: &Referee) -> Result<(), String> {
        for (nth, order) in referee.model.orders.iter().enumerate().filter(|(_, order)| !order.events.is_empty()) {
            let found = self.store().orders_called(&self.number(nth)).await.expect("a database");
            let [stored] = &found[..] else { return Err(format!("one order became {}", found.len())) };
            let events = self.store().events_of(stored.key).await.expect("a database");
            let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
            let expected: Vec<_> = order.events.iter().map(|(kind, _)| *kind).collect();
            let cash_box = stored.order.cash_box_id.as_ref().and_then(|id| id.parse().ok());
            let stands = (stored.order.state == State::Paid, cash_box);
            if kinds != expected || stands != order.standing() {
                return Err(format!("{order:?} is recorded as {kinds:?} and stands at {stands:?}"));
            }
        }
        const SHOWN: [&str; 3] = ["delivered", "dead", "skipped"];
        for (sink, earlier) in self.earlier.iter_mut().enumerate() {
            for (count, shown) in earlier.iter_mut().zip(SHOWN) {
                *count += referee.count(sink, shown);
            }
        }
        let mut counts = self.store().count_deliveries(self.clock.now()).await.expect("a database").into_parts().0;
        counts.sort();
        let counted = |(sink, counts): (usize, &[u64; 3])| {
            let counts = *counts;
            (0..3).map(move |shown| (name(SINKS[sink].name), SHOWN[shown].to_owned(), counts[shown]))
        };
        let mut expected: Vec<_> = self.earlier.iter().enumerate().flat_map(counted).collect();
        expected.retain(|(_, _, count)| *count > 0);
        expected.sort();
        self.first_order += 3;
        if counts == expected { Ok(()) } else { Err(format!("{counts:?} are counted, not {expected:?}")) }
    }
}

async fn open(directory: &Path, clock: &ManualClock) -> (Store, Recorder) {
    let store = loop {
        match Store::open(directory, Access::Service).await {
            Ok(store) => break store,
            // The last service still lets go.
            Err(OpenError::InUse(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("the database does not open: {error}"),
        }
    };
    let shop = Shop {
        id: shop(),
        name: "Boulangerie Dupont".to_owned(),
        timezone: paris(),
        currency: Currency::EUR,
        locale: Locale::Fr,
    };
    let policy = ShopPolicy { shop, fetch_invoices: false, invoice_wait: Duration::ZERO, verify: Verify::Off };
    let policy = Policy {
        shops: [(policy.shop.id.clone(), policy)].into(),
        rules: SINKS.iter().map(rule).collect(),
        largest_order: usize::MAX,
    };
    let recorder = Recorder::new(store.clone(), Arc::new(clock.clone()), policy);
    (store, recorder)
}

fn rule(settings: &Settings) -> Rule {
    Rule {
        sink: name(settings.name),
        on: vec!["order.*".parse().expect("a pattern")],
        shops: vec![ShopPattern::Any],
        only: Only::default(),
        per_order: settings.per_order,
        settle: Duration::from_secs_f64(settings.settle),
        attaches_invoice: false,
        needs_invoice: false,
        alerts: false,
        digests: false,
    }
}

fn call() -> Call {
    let raw = Raw { method: "POST".to_owned(), content_type: None, query: None, body: Bytes::new(), announced: None };
    Call { shop: shop(), raw, origin: Origin::Till }
}

pub fn name(sink: &str) -> SinkName {
    sink.parse().expect("a name")
}

fn shop() -> ShopId {
    "dupont".parse().expect("a name")
}

/// Seconds since the first of October 2026, to the microsecond, as the database keeps time: were less kept, a delivery
/// that is due a moment from now would be taken for one that is due.
fn seconds(at: Timestamp) -> f64 {
    const OCTOBER: i64 = 1_790_812_800_000_000;
    (at.as_microsecond() - OCTOBER) as f64 / 1e6
}

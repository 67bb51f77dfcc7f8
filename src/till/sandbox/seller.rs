//! The seller: keeps the simulated till busy and calls a webhook as the real till would.
//!
//! Besides ordinary sales it does what makes a till hard to listen to: it changes how it speaks from call to call,
//! says the same thing twice, announces the payment before the invoice, gives money back, and lets companies pay
//! several sales later.

use std::{mem, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Counter, Sandbox, catalogue::TRANSFER};
use crate::{
    json,
    order::{Locale, Phase},
    till::{
        announce::{Charset, Encoding, Voice, encode},
        call::{Answer, CallError, post},
        dice::Dice,
        order::TillOrder,
    },
};

/// How often the unusual happens: once in so many sales.
const REFUND: u64 = 8;
const ON_ACCOUNT: u64 = 7;
const PAID_FIRST: u64 = 9;
/// And once in so many calls.
const REPEAT: u64 = 7;

/// A call that the seller made.
#[derive(Debug)]
pub struct Announced {
    /// When the answer came.
    pub at: Timestamp,
    /// The order it was about.
    pub order: TillOrder,
    /// Which announcement.
    pub phase: Phase,
    /// How it was said.
    pub voice: Voice,
    /// Whether the very same call had been made before.
    pub repeat: bool,
    /// What the webhook said to it.
    pub outcome: Result<Answer, CallError>,
}

impl Announced {
    /// Whether the webhook took it.
    pub fn is_taken(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|answer| answer.status == 200)
    }

    /// Whether the webhook answered with this `status`: `stored`, `duplicate` or `quarantined`.
    pub fn was_answered(&self, status: &str) -> bool {
        let answer = self.outcome.as_ref().ok().and_then(|answer| json::read(&answer.body, json::CALL).ok());
        answer.is_some_and(|answer| answer["status"] == status)
    }
}

/// Sells and announces until told to stop.
pub struct Seller {
    script: Script,
    counter: Arc<Counter>,
    reports: mpsc::UnboundedSender<Announced>,
}

impl Sandbox {
    /// A seller at this till, and where it reports each call. The same seed makes the same sales.
    pub fn seller(&self, seed: u64) -> (Seller, mpsc::UnboundedReceiver<Announced>) {
        let (sender, reports) = mpsc::unbounded_channel();
        let counter = Arc::clone(&self.counter);
        (Seller { script: Script::new(seed), counter, reports: sender }, reports)
    }
}

impl Seller {
    /// Sells until `stop`, a sale every one or two seconds. A call that was begun is ended.
    pub async fn run(mut self, webhook_url: String, stop: CancellationToken) {
        loop {
            for step in self.script.sale(&self.counter) {
                if stop.run_until_cancelled(self.counter.clock.sleep(step.pause)).await.is_none() {
                    return;
                }
                self.announce(step, &webhook_url).await;
            }
        }
    }

    /// Sells until `stop`, and leaves it to the sandbox's own webhook how its calls are made.
    pub async fn run_through_webhook(mut self, stop: CancellationToken) {
        loop {
            for step in self.script.sale(&self.counter) {
                if stop.run_until_cancelled(self.counter.clock.sleep(step.pause)).await.is_none() {
                    return;
                }
                if !step.repeat {
                    self.counter.take_money(&step);
                    self.counter.announce(step.order, step.phase);
                }
            }
        }
    }

    async fn announce(&self, step: Step, webhook_url: &str) {
        self.counter.take_money(&step);
        let Step { order, phase, voice, repeat, .. } = step;
        let announcement = encode(&order, phase, voice);
        let outcome = post(&announcement, webhook_url).await;
        let report = Announced { at: self.counter.clock.now(), order, phase, voice, repeat, outcome };
        // Nobody listens any more only while the demonstration is ending.
        let _ = self.reports.send(report);
    }
}

impl Counter {
    /// What is announced as paid is paid in the books as well.
    fn take_money(&self, step: &Step) {
        if step.phase == Phase::Terminated {
            let (id, now) = (&step.order.internal_id, self.clock.now());
            // What was sold at the counter is paid already.
            let _ = self.book().sales.pay(id, TRANSFER, None, now);
        }
    }
}

/// A call to be made.
#[derive(Clone, Debug)]
struct Step {
    pause: Duration,
    order: TillOrder,
    phase: Phase,
    voice: Voice,
    repeat: bool,
}

/// What happens next at the till: pure, but for the sales themselves.
struct Script {
    dice: Dice,
    calls: usize,
    /// Orders to be paid for, each with the number of sales that come before.
    owed: Vec<(u32, TillOrder)>,
    last: Option<TillOrder>,
}

impl Script {
    fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), calls: 0, owed: Vec::new(), last: None }
    }

    /// The calls of the next sale, and of the payments that come in with it.
    fn sale(&mut self, counter: &Counter) -> Vec<Step> {
        use Phase::{Terminated, Validated};
        let mut steps = Vec::new();
        let pause = self.millis(1000, 2000);
        match self.last.take_if(|_| self.dice.one_in(REFUND)) {
            Some(original) => {
                let order = counter.sell(|sales, now| sales.refund(&original, now));
                self.both(&mut steps, pause, order, [Validated, Terminated]);
            }
            None if self.dice.one_in(ON_ACCOUNT) => {
                let order = counter.sell(|sales, now| sales.sell_on_account(now));
                let later = u32::try_from(self.dice.between(3, 6)).unwrap_or(3);
                self.call(&mut steps, pause, &order, Validated);
                self.owed.push((later, order));
            }
            None => {
                let order = counter.sell(|sales, now| sales.sell(now));
                let paid_first = self.dice.one_in(PAID_FIRST);
                self.last = Some(order.clone());
                let phases = if paid_first { [Terminated, Validated] } else { [Validated, Terminated] };
                self.both(&mut steps, pause, order, phases);
            }
        }
        self.payments(&mut steps);
        steps
    }

    fn both(&mut self, steps: &mut Vec<Step>, pause: Duration, order: TillOrder, [first, second]: [Phase; 2]) {
        self.call(steps, pause, &order, first);
        let moment = self.millis(300, 900);
        self.call(steps, moment, &order, second);
    }

    /// The payments of companies whose time has come.
    fn payments(&mut self, steps: &mut Vec<Step>) {
        for (sales_left, order) in mem::take(&mut self.owed) {
            match sales_left.checked_sub(1) {
                Some(left) => self.owed.push((left, order)),
                None => {
                    let pause = self.millis(200, 600);
                    self.call(steps, pause, &order, Phase::Terminated);
                }
            }
        }
    }

    /// One call, and now and then the same once more.
    fn call(&mut self, steps: &mut Vec<Step>, pause: Duration, order: &TillOrder, phase: Phase) {
        let step = Step { pause, order: order.clone(), phase, voice: self.next_voice(), repeat: false };
        steps.push(step.clone());
        if self.dice.one_in(REPEAT) {
            steps.push(Step { pause: self.millis(100, 400), repeat: true, ..step });
        }
    }

    /// Each encoding in turn; charset and language change at another pace, so that every combination comes up.
    fn next_voice(&mut self) -> Voice {
        let turn = self.calls;
        self.calls += 1;
        let (encodings, charsets) = (Encoding::ALL.len(), Charset::ALL.len());
        Voice {
            encoding: Encoding::ALL[turn % encodings],
            charset: Charset::ALL[(turn + turn / encodings) % charsets],
            language: if (turn / encodings / charsets).is_multiple_of(2) { Locale::Fr } else { Locale::En },
        }
    }

    fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.dice.between(low, high))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeSet, HashSet},
        sync::Mutex,
    };

    use axum::{Router, extract::State, routing::any};
    use jiff::tz::TimeZone;
    use tokio::net::TcpListener;
    use tokio_util::task::AbortOnDropHandle;

    use super::*;
    use crate::{
        clock::ManualClock,
        till::sandbox::{Account, Options},
    };

    fn counter() -> Counter {
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let options = Options { seed: 1, zone: TimeZone::UTC, clock };
        Counter::new(Account::default(), options, "http://127.0.0.1:9")
    }

    fn steps(seed: u64, sales: usize) -> Vec<Step> {
        let (counter, mut script) = (counter(), Script::new(seed));
        (0..sales).flat_map(|_| script.sale(&counter)).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_calls() {
        let told =
            |seed| steps(seed, 30).into_iter().map(|step| (step.order, step.phase, step.pause)).collect::<Vec<_>>();
        assert_eq!(told(3), told(3));
        assert_ne!(told(3), told(4));
    }

    #[test]
    fn everything_that_makes_a_till_hard_to_listen_to_happens_within_a_hundred_sales() {
        let steps = steps(2, 100);
        assert!(steps.iter().any(|step| step.repeat) && steps.iter().any(|step| step.order.is_refund));
        let position = |id: &str, phase| {
            steps.iter().position(|step| step.order.internal_id == id && step.phase == phase).map(|at| at as isize)
        };
        let ids: BTreeSet<&str> = steps.iter().map(|step| step.order.internal_id.as_str()).collect();
        let calls_until_paid = |id: &&str| Some(position(id, Phase::Terminated)? - position(id, Phase::Validated)?);
        let paid_after: Vec<isize> = ids.iter().filter_map(calls_until_paid).collect();
        assert!(paid_after.iter().any(|calls| *calls < 0), "nobody paid first");
        assert!(paid_after.iter().any(|calls| *calls > 5), "nobody paid later");
        let voices: HashSet<_> =
            steps.iter().map(|step| (step.voice.encoding, step.voice.charset, step.voice.language)).collect();
        assert_eq!(voices.len(), 36, "every encoding, in every charset and language");
    }

    #[test]
    fn every_order_is_announced_and_every_old_one_is_paid() {
        let steps = steps(6, 200);
        let in_phase = |phase| -> BTreeSet<&str> {
            steps.iter().filter(|step| step.phase == phase).map(|step| step.order.order_id.as_str()).collect()
        };
        let (invoiced, paid) = (in_phase(Phase::Validated), in_phase(Phase::Terminated));
        assert_eq!(invoiced.len(), 200);
        assert!(invoiced.difference(&paid).all(|unpaid| **unpaid > *"19700101190"), "an old order is unpaid");
    }

    type Heard = Arc<Mutex<Vec<String>>>;

    #[tokio::test]
    async fn the_seller_calls_the_webhook_reports_each_call_and_stops_when_told() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let heard = Heard::default();
        let hear = any(|State(heard): State<Heard>, request: axum::extract::Request| async move {
            heard.lock().expect("unpoisoned").push(request.method().to_string());
            "{}"
        });
        let router = Router::new().route("/in/t", hear).with_state(Arc::clone(&heard));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/in/t", listener.local_addr().expect("an address"));
        let server = AbortOnDropHandle::new(tokio::spawn(async move { axum::serve(listener, router).await }));

        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        let own = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let options = Options { seed: 1, zone: TimeZone::UTC, clock: Arc::new(clock.clone()) };
        let sandbox = Sandbox::start(own, options).expect("a sandbox");
        let (seller, mut reports) = sandbox.seller(1);
        let stop = CancellationToken::new();
        let running = tokio::spawn(seller.run(url, stop.clone()));
        let mut sold = Vec::new();
        while sold.len() < 12 {
            clock.advance(Duration::from_secs(2));
            tokio::task::yield_now().await;
            sold.extend(reports.try_recv());
        }
        stop.cancel();
        running.await.expect("the seller ends");
        while let Ok(last) = reports.try_recv() {
            sold.push(last);
        }
        assert!(sold.iter().all(|call| call.outcome.as_ref().is_ok_and(|answer| answer.status == 200)));
        let heard = heard.lock().expect("unpoisoned");
        assert_eq!(heard.len(), sold.len());
        assert!(heard.iter().any(|method| method == "GET") && heard.iter().any(|method| method == "POST"));
        drop(server);
    }
}

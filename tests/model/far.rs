//! Far sides inside this process: they answer as they are told, and keep a ledger of every attempt.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use jiff::Timestamp;
use tillhook::{
    clock::{Clock, ManualClock},
    order::{DeliveryId, EventData, EventType, State},
    sink::{Delivery, Outgoing, Payload, Reason, Receipt, Sink, SinkError},
};
use tokio::sync::watch;

use super::{Answer, SINKS, TIMEOUT, reference::Standing};

/// What the far sides saw, in the order in which the program will write it down.
#[derive(Default)]
pub struct Ledger {
    entries: Mutex<Vec<Entry>>,
    news: watch::Sender<()>,
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub sink: usize,
    /// Which of the sequence's orders.
    pub order: usize,
    pub seen: Seen,
}

#[derive(Clone, Debug)]
pub enum Seen {
    Begins {
        delivery: DeliveryId,
        body: String,
    },
    Ends(Answer),
    /// The program let go of an attempt that still had time.
    CutOff,
}

impl Ledger {
    fn write(&self, entry: Entry) {
        self.entries.lock().expect("a lock").push(entry);
        self.news.send_replace(());
    }

    /// Everything since the last look.
    pub fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut *self.entries.lock().expect("a lock"))
    }

    pub fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }
}

/// The answers that a far side has been told to give; then it takes everything.
pub type Answers = Arc<Mutex<VecDeque<Answer>>>;

pub struct Far {
    pub sink: usize,
    pub answers: Answers,
    pub ledger: Arc<Ledger>,
    pub clock: ManualClock,
}

/// How a body tells an order.
pub fn text(kind: EventType, (paid, cash_box): Standing) -> String {
    format!("{kind} {} {}|", if paid { "paid" } else { "invoiced" }, cash_box.unwrap_or(0))
}

#[async_trait]
impl Sink for Far {
    fn render(&self, outgoing: &Outgoing) -> Result<Payload, SinkError> {
        let EventData::Order(order) = &outgoing.event.data else {
            return Err(SinkError::reject(Reason::Local, "only orders are told here"));
        };
        let cash_box = order.cash_box_id.as_ref().and_then(|id| id.parse().ok());
        let says = text(outgoing.event.kind, (order.state == State::Paid, cash_box));
        // Never twice the same, so that a body that is made anew is noticed.
        let nonce = DeliveryId::new(self.clock.now());
        let number = order.internal_id.as_deref().unwrap_or_default();
        Ok(Payload {
            content_type: number.to_owned(),
            body: format!("{says}{nonce}"),
            attachments: Vec::new(),
            made: Vec::new(),
        })
    }

    async fn send(&self, delivery: &Delivery) -> Result<Receipt, SinkError> {
        let answer = self.answers.lock().expect("a lock").pop_front().unwrap_or(Answer::Taken);
        let number: usize = delivery.payload.content_type.parse().expect("a number");
        let write = |seen| self.ledger.write(Entry { sink: self.sink, order: number % 3, seen });
        write(Seen::Begins { delivery: delivery.id, body: delivery.payload.body.clone() });
        if answer == Answer::Hang {
            let _end = LetGo { far: self, order: number % 3, began: delivery.at };
            std::future::pending::<()>().await;
        }
        write(Seen::Ends(answer));
        match answer {
            Answer::Taken | Answer::Hang => Ok(Receipt::default()),
            Answer::Later => Err(SinkError::retry(Reason::Unavailable, "later")),
            Answer::Wait(seconds) => {
                let after = Some(std::time::Duration::from_secs_f64(seconds));
                Err(SinkError::Retry { reason: Reason::Throttled, detail: "wait".to_owned(), after })
            }
            Answer::Refused => Err(SinkError::reject(Reason::Refused, "refused")),
            Answer::Stop => Err(SinkError::pause(Reason::Gone, "gone")),
            // Unlike `panic!` this prints nothing.
            Answer::Panic => std::panic::resume_unwind(Box::new("a sink panics")),
        }
    }

    async fn check(&self) -> Result<String, SinkError> {
        Ok(SINKS[self.sink].name.to_owned())
    }
}

/// Notices when the program lets go of an attempt that hangs.
struct LetGo<'a> {
    far: &'a Far,
    order: usize,
    began: Timestamp,
}

impl Drop for LetGo<'_> {
    fn drop(&mut self) {
        let in_time = self.far.clock.now().duration_since(self.began).as_secs_f64() >= TIMEOUT;
        let seen = if in_time { Seen::Ends(Answer::Hang) } else { Seen::CutOff };
        self.far.ledger.write(Entry { sink: self.far.sink, order: self.order, seen });
    }
}

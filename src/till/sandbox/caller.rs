//! Calls the webhook: in one voice, once, unless it is told to be worse.
//!
//! The till is not known to call again, so it does not. On top of that calls can be lost, made twice and overtake each
//! other, by chance that a seed repeats; what became of each call is written down for whoever wants to compare.
//!
//! **Invariant:** calls are made one after the other, and everything but the network follows from the seed and the calls.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use super::chance::{Chance, Plan, Turn};
use crate::{
    clock::Clock,
    order::Phase,
    till::{
        announce::{Announcement, Voice, encode, encode_cash_box},
        call::{Answer, CallError, post},
        cash_box::CashBoxCall,
        order::TillOrder,
    },
};

/// How long until a call that was not taken is made again, where that is wanted at all.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// How long a call that is to be overtaken waits for another one.
const OVERTAKEN_AFTER: Duration = Duration::from_secs(2);

/// Where and how the webhook is called.
#[derive(Clone, Debug, Default)]
pub struct Webhook {
    /// The address, token and all.
    pub url: String,
    /// In which encoding, charset and language.
    pub voice: Voice,
    /// How often a call that was not taken is made again.
    pub retry: u32,
    /// How many of the calls are lost.
    pub drop: Chance,
    /// How many are made twice.
    pub repeat: Chance,
    /// Whether some overtake others.
    pub reorder: bool,
    /// Where chance begins.
    pub seed: u64,
}

/// What a call is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Topic {
    /// A phase of an order.
    Order(Box<TillOrder>, Phase),
    /// A cash box.
    CashBox(CashBoxCall),
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was lost on purpose.
    Dropped,
    /// It was made and answered with this status.
    Answered(u16, String),
    /// It was made and nobody answered.
    Failed(String),
}

/// A call that was made or lost.
#[derive(Clone, Debug, PartialEq)]
pub struct Spoken {
    /// What it was about.
    pub topic: Topic,
    /// Whether the very same call had been made before.
    pub repeat: bool,
    /// What became of it.
    pub fate: Fate,
}

impl Spoken {
    /// Whether the webhook took it.
    pub fn is_taken(&self) -> bool {
        matches!(self.fate, Fate::Answered(200, _))
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order(order, phase) => write!(f, "{} {}", phase.as_str(), order.order_id),
            Self::CashBox(CashBoxCall { cash_box_id, closing: None }) => write!(f, "cashBox_open {cash_box_id}"),
            Self::CashBox(CashBoxCall { cash_box_id, .. }) => write!(f, "cashBox_close {cash_box_id}"),
        }
    }
}

impl FromStr for Chance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| format!("`{text}` is no probability: use a number from 0 to 1, such as 0.05"))
    }
}

/// Makes calls in the background. Dropping it ends that.
pub(super) struct Caller {
    jobs: mpsc::UnboundedSender<Job>,
    _task: AbortOnDropHandle<()>,
}

enum Job {
    Say(Topic),
    /// Say what is held back, and tell when it is done.
    Finish(oneshot::Sender<()>),
}

impl Caller {
    /// Begins to call; each call is added to `spoken`, and sent to what is returned.
    pub(super) fn start(
        webhook: Webhook,
        clock: Arc<dyn Clock>,
        spoken: Arc<Mutex<Vec<Spoken>>>,
    ) -> (Self, mpsc::UnboundedReceiver<Spoken>) {
        let (jobs, inbox) = mpsc::unbounded_channel();
        let (reports, reported) = mpsc::unbounded_channel();
        let plan = Plan::new(webhook.seed, webhook.drop, webhook.repeat, webhook.reorder);
        let voice = Mouth { webhook, clock, spoken, reports };
        let task = AbortOnDropHandle::new(tokio::spawn(voice.run(plan, inbox)));
        (Self { jobs, _task: task }, reported)
    }

    /// Makes a call, in its turn.
    pub(super) fn say(&self, topic: Topic) {
        // The task ends only with this.
        let _ = self.jobs.send(Job::Say(topic));
    }

    /// Begins to wait until every call so far is made, those held back too.
    pub(super) fn finish(&self) -> oneshot::Receiver<()> {
        let (done, told) = oneshot::channel();
        let _ = self.jobs.send(Job::Finish(done));
        told
    }
}

struct Mouth {
    webhook: Webhook,
    clock: Arc<dyn Clock>,
    spoken: Arc<Mutex<Vec<Spoken>>>,
    reports: mpsc::UnboundedSender<Spoken>,
}

impl Mouth {
    async fn run(self, mut plan: Plan<Topic>, mut inbox: mpsc::UnboundedReceiver<Job>) {
        loop {
            let job = tokio::select! {
                job = inbox.recv() => job,
                () = self.clock.sleep(OVERTAKEN_AFTER), if plan.holds() => {
                    self.say_all(plan.rest()).await;
                    continue;
                }
            };
            match job {
                Some(Job::Say(topic)) => self.say_all(plan.next(topic)).await,
                Some(Job::Finish(done)) => {
                    self.say_all(plan.rest()).await;
                    // Who asked may have gone.
                    let _ = done.send(());
                }
                None => return,
            }
        }
    }

    async fn say_all(&self, calls: Vec<(Topic, Turn)>) {
        for (topic, turn) in calls {
            let fate = match turn {
                Turn::Lost => Fate::Dropped,
                Turn::Once | Turn::Again => self.say(&topic).await,
            };
            let spoken = Spoken { topic, repeat: turn == Turn::Again, fate };
            self.spoken.lock().unwrap_or_else(PoisonError::into_inner).push(spoken.clone());
            // Not everybody listens.
            let _ = self.reports.send(spoken);
        }
    }

    async fn say(&self, topic: &Topic) -> Fate {
        let announcement = match topic {
            Topic::Order(order, phase) => encode(order, *phase, self.webhook.voice),
            Topic::CashBox(call) => encode_cash_box(call, self.webhook.voice),
        };
        for _ in 0..self.webhook.retry {
            let fate = self.call(&announcement).await;
            if matches!(fate, Fate::Answered(200..=299, _)) {
                return fate;
            }
            self.clock.sleep(RETRY_PAUSE).await;
        }
        self.call(&announcement).await
    }

    async fn call(&self, announcement: &Announcement) -> Fate {
        fate(post(announcement, &self.webhook.url).await)
    }
}

fn fate(outcome: Result<Answer, CallError>) -> Fate {
    match outcome {
        Ok(answer) => Fate::Answered(answer.status, answer.body),
        Err(error) => Fate::Failed(error.to_string()),
    }
}

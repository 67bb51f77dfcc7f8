//! What tillhook promises of orders and deliveries (contract §5), as plain data: no database, no tasks, no waiting.
//!
//! It is told what is done and what the far sides answer, and says what the till is answered and how every delivery
//! stands. Whether an attempt may be made now is asked in `referee.rs`. Times are seconds since the beginning; what is
//! random in the program (the jitter of a retry) is a span here.
//!
//! **Invariant:** nothing is taken from the program but names for events, phases and `per_order`, and the rules are
//! under a hundred lines.

use tillhook::{order::EventType, order::Phase, route::PerOrder};

use super::{Answer, SINKS};

/// How an order stands: whether it is paid, and the cash box that its announcements name.
pub type Standing = (bool, Option<u8>);

#[derive(Debug, Default)]
pub struct Order {
    said: Vec<(Phase, u8)>,
    /// What was recorded of it, and how it stood then.
    pub events: Vec<(EventType, Standing)>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Sink {
    pub paused: Option<f64>,
    pub held_until: f64,
    pub failing_since: Option<f64>,
}

/// A delivery. It may be attempted from `due.0` on, and must be from `due.1` on.
#[derive(Clone, Debug)]
pub struct Message {
    pub sink: usize,
    pub order: usize,
    pub event: usize,
    /// `open`, `sending`, `delivered`, `dead`, `merged`, or `by hand` (skipped by a person).
    pub status: &'static str,
    pub due: (f64, f64),
    pub attempts: u32,
    pub was_delivered: bool,
    pub first_at: Option<f64>,
    /// How the body begins; the whole of it once a far side saw it.
    pub body: Option<String>,
    retries: usize,
    is_change: bool,
}

#[derive(Debug, Default)]
pub struct Reference {
    pub now: f64,
    pub orders: [Order; 3],
    pub sinks: [Sink; 3],
    pub messages: Vec<Message>,
}

impl Order {
    fn knows(&self, phase: Phase) -> bool {
        self.said.iter().any(|said| said.0 == phase)
    }

    pub fn standing(&self) -> Standing {
        let named = |phase| self.said.iter().rev().find(|said| said.0 == phase && said.1 > 0).map(|said| said.1);
        (self.knows(Phase::Terminated), named(Phase::Terminated).or(named(Phase::Validated)))
    }
}

impl Reference {
    /// A phase of an order is announced; variant 0 names no cash box. Returns whether that is new.
    pub fn announce(&mut self, nth: usize, phase: Phase, variant: u8) -> bool {
        let order = &mut self.orders[nth];
        if order.said.contains(&(phase, variant)) {
            return false;
        }
        let kind = match phase {
            _ if order.knows(phase) => EventType::OrderUpdated,
            Phase::Validated => EventType::OrderValidated,
            Phase::Terminated => EventType::OrderTerminated,
        };
        let before = order.standing();
        order.said.push((phase, variant));
        order.events.push((kind, order.standing()));
        let complete = order.knows(Phase::Validated) && order.knows(Phase::Terminated);
        let changed = order.standing() != before;
        (0..SINKS.len()).for_each(|sink| self.fan_out(sink, nth, complete, changed));
        true
    }

    /// The messages of a sink about an order, oldest first.
    pub fn lane(&self, sink: usize, order: usize) -> impl DoubleEndedIterator<Item = usize> {
        let of_lane = move |nth: &usize| self.messages[*nth].sink == sink && self.messages[*nth].order == order;
        (0..self.messages.len()).filter(of_lane)
    }

    fn fan_out(&mut self, sink: usize, order: usize, complete: bool, changed: bool) {
        let (now, rule, event) = (self.now, &SINKS[sink], self.orders[order].events.len() - 1);
        let (each, follow) = (rule.per_order == PerOrder::Each, rule.per_order == PerOrder::Follow);
        let untouched = |nth: &usize| self.messages[*nth].status == "open" && self.messages[*nth].attempts == 0;
        let waiting = self.lane(sink, order).find(untouched).filter(|_| !each);
        let told = self.lane(sink, order).fold(false, |told, nth| match self.messages[nth].status {
            "merged" => told,
            "dead" if follow => told && self.messages[nth].is_change,
            _ => true,
        });
        let settle = if each || told || complete { 0.0 } else { rule.settle };
        let is_merged = !each && (waiting.is_some() || told && !(follow && changed));
        let status = if is_merged { "merged" } else { "open" };
        let due = (now + settle, now + settle);
        let is_change = told && !each && !is_merged;
        let (attempts, first_at, body, retries) = (0, None, None, 0);
        let was_delivered = false;
        let mut message =
            Message { sink, order, event, status, due, attempts, was_delivered, first_at, body, retries, is_change };
        if let Some(waiting) = waiting.map(|nth| &mut self.messages[nth]) {
            std::mem::swap(&mut waiting.event, &mut message.event);
            waiting.due = if complete { (now, now.max(waiting.due.1)) } else { waiting.due };
        }
        self.messages.push(message);
    }

    /// The far side answered an attempt, or failed to.
    pub fn ends(&mut self, nth: usize, answer: Answer) {
        let (now, message) = (self.now, &mut self.messages[nth]);
        let (sink, rule) = (&mut self.sinks[message.sink], &SINKS[message.sink]);
        if answer == Answer::Taken {
            (message.status, message.was_delivered, sink.failing_since) = ("delivered", true, None);
            return;
        }
        let planned = rule.retry.get(message.retries).map(|wait| (now + wait * 0.8, now + wait * 1.2));
        let is_believed = message.attempts >= 3 && now >= message.first_at.unwrap_or(now) + 7200.0;
        let again = match answer {
            Answer::Stop => Some((now, now)),
            Answer::Wait(wait) => {
                sink.held_until = sink.held_until.max(now + wait);
                Some(planned.map_or((now + wait, now + wait), |due| (due.0.max(now + wait), due.1.max(now + wait))))
            }
            Answer::Refused if is_believed => None,
            _ => planned,
        };
        message.retries += usize::from(!matches!(answer, Answer::Stop | Answer::Wait(_)));
        (message.status, message.due) = again.map_or(("dead", message.due), |due| ("open", due));
        let failing_for = now - *sink.failing_since.get_or_insert(now);
        if answer == Answer::Stop || failing_for >= rule.pause_after {
            sink.paused.get_or_insert(now);
        }
    }

    /// What waits is due, and the time of the pause counts for nothing. Returns whether the sink was paused.
    pub fn resume(&mut self, sink: usize) -> bool {
        let Some(paused_at) = self.sinks[sink].paused else { return false };
        let now = self.now;
        for message in self.messages.iter_mut().filter(|message| message.sink == sink && message.status == "open") {
            message.due = (message.due.0.min(now), message.due.1.min(now));
            message.first_at = message.first_at.map(|at| at + (now - paused_at).max(0.0));
        }
        self.sinks[sink] = Sink::default();
        true
    }

    /// A person has a message attempted again, at once and with a fresh schedule.
    pub fn retry(&mut self, nth: usize) {
        let (message, due) = (&mut self.messages[nth], (self.now, self.now));
        (message.status, message.due, message.retries, message.first_at) = ("open", due, 0, None);
    }

    /// The customer of an order is forgotten: whatever is sent of it from now on is made anew.
    pub fn erase(&mut self, order: usize) {
        self.messages.iter_mut().filter(|message| message.order == order).for_each(|message| message.body = None);
    }

    /// A person gives a message up, unless it is over; what arrived before has arrived. Returns whether it did.
    pub fn skip(&mut self, nth: usize) -> bool {
        let message = &mut self.messages[nth];
        let may = matches!(message.status, "open" | "dead");
        let status = if message.was_delivered { "delivered" } else { "by hand" };
        message.status = if may { status } else { message.status };
        may
    }
}

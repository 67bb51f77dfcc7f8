//! Watches the program with the reference model in hand: whether an attempt may be made, whether one is missing, and
//! whether the database says of every delivery what the model says.
//!
//! Every message is an `Err` in words, so that a failed sequence reads as a sentence.

use std::collections::HashMap;

use tillhook::{
    order::{DeliveryId, EventId},
    route::PerOrder,
    store::DeliveryLine,
};

use super::{
    Answer, SINKS, TIMEOUT,
    far::{Entry, Seen},
    reference::{Reference, Sink},
};

#[derive(Debug, Default)]
pub struct Referee {
    pub model: Reference,
    /// The ids of the messages, once the database named them.
    ids: Vec<Option<DeliveryId>>,
    events: HashMap<(usize, usize), EventId>,
    /// The attempts that are under way, and when they began.
    under_way: Vec<(usize, f64)>,
    /// Sinks that were paused or held when the present step began: an answer that stops a sink comes too late for
    /// what is being started at that moment.
    barred: [bool; SINKS.len()],
    /// How often each message was taken by its far side, and how often a person asked for it again.
    taken: HashMap<(usize, usize), u32>,
    pub asked_again: u32,
}

type Judged = Result<(), String>;

fn rule(holds: bool, otherwise: &str) -> Judged {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}

impl Referee {
    /// Something was done; what the far sides see from now on follows from it.
    pub fn next_step(&mut self) {
        let now = self.model.now;
        for (barred, sink) in self.barred.iter_mut().zip(&self.model.sinks) {
            *barred = sink.paused.is_some() || sink.held_until > now;
        }
    }

    /// Judges what a far side saw.
    pub fn hear(&mut self, entry: &Entry) -> Judged {
        let judged = match &entry.seen {
            Seen::Begins { delivery, body } => self.begins(entry.sink, entry.order, *delivery, body),
            Seen::Ends(answer) => self.ends(entry.sink, entry.order, *answer),
            Seen::CutOff => rule(false, "an attempt was cut off before its time"),
        };
        judged.map_err(|why| format!("{why}: {entry:?}"))
    }

    fn begins(&mut self, sink: usize, order: usize, delivery: DeliveryId, body: &str) -> Judged {
        let head = self.head(sink, order).ok_or("nothing of this order may be attempted now")?;
        let message = &self.model.messages[head];
        rule(message.due.0 <= self.model.now, "it is too soon")?;
        rule(!self.barred[sink], "the sink is paused or held")?;
        rule(self.on_their_way(sink) < SINKS[sink].concurrency, "too many attempts at once")?;
        let known = self.ids.get(head).copied().flatten();
        rule(known.is_none_or(|id| id == delivery), "another delivery of the order goes first")?;
        let begins_with = message.body.clone().unwrap_or_else(|| self.says(head));
        rule(body.starts_with(&begins_with), &format!("the body is not {begins_with}"))?;
        let now = self.model.now;
        let message = &mut self.model.messages[head];
        (message.status, message.body) = ("sending", Some(body.to_owned()));
        message.attempts += 1;
        message.first_at.get_or_insert(now);
        self.under_way.push((head, now));
        Ok(())
    }

    fn ends(&mut self, sink: usize, order: usize, answer: Answer) -> Judged {
        let of_lane = |(nth, _): &(usize, f64)| {
            self.model.messages[*nth].sink == sink && self.model.messages[*nth].order == order
        };
        let place = self.under_way.iter().position(of_lane).ok_or("no attempt is under way")?;
        let (nth, began) = self.under_way.remove(place);
        rule(answer != Answer::Hang || began + TIMEOUT <= self.model.now, "the time-out came too soon")?;
        self.model.ends(nth, answer);
        if answer == Answer::Taken {
            *self.taken.entry((sink, order)).or_default() += 1;
        }
        Ok(())
    }

    /// What may be attempted of a lane: its oldest message that is not over, unless one is under way.
    fn head(&self, sink: usize, order: usize) -> Option<usize> {
        let of_status =
            |status| self.model.lane(sink, order).find(move |nth| self.model.messages[*nth].status == status);
        of_status("open").filter(|_| of_status("sending").is_none())
    }

    fn on_their_way(&self, sink: usize) -> usize {
        self.under_way.iter().filter(|(nth, _)| self.model.messages[*nth].sink == sink).count()
    }

    /// What a message must say when it is made now: one message an event tells the order as it stood, one message an
    /// order tells it as it stands.
    fn says(&self, nth: usize) -> String {
        let message = &self.model.messages[nth];
        let order = &self.model.orders[message.order];
        let (kind, then) = order.events[message.event];
        let standing = if SINKS[message.sink].per_order == PerOrder::Each { then } else { order.standing() };
        super::far::text(kind, standing)
    }

    /// What ought to happen and has not yet.
    pub fn is_missing(&self) -> Option<String> {
        let now = self.model.now;
        if let Some(overdue) = self.under_way.iter().find(|(_, began)| began + TIMEOUT <= now) {
            return Some(format!("an attempt has run out of time: {:?}", self.model.messages[overdue.0]));
        }
        let idle = (0..SINKS.len()).filter(|sink| {
            let state = &self.model.sinks[*sink];
            state.paused.is_none() && state.held_until <= now && self.on_their_way(*sink) < SINKS[*sink].concurrency
        });
        let mut due =
            idle.flat_map(|sink| (0..self.model.orders.len()).filter_map(move |order| self.head(sink, order)));
        let late = due.find(|nth| self.model.messages[*nth].due.1 <= now)?;
        Some(format!("a delivery ought to be attempted: {:?}", self.model.messages[late]))
    }

    /// The service died and is back; `rows` is what it finds. What was under way may have arrived or not, and what had
    /// been started may not even have been seen.
    pub fn crash(&mut self, rows: &[Row<'_>]) -> Judged {
        for (nth, row) in self.paired(rows)? {
            let unseen = row.line.attempts == self.model.messages[nth].attempts + 1;
            let (now, says) = (self.model.now, self.says(nth));
            let message = &mut self.model.messages[nth];
            if unseen && message.status == "open" {
                message.attempts += 1;
                message.first_at.get_or_insert(now);
                message.body.get_or_insert(says);
            }
            if unseen || message.status == "sending" {
                (message.status, message.due) = ("open", (now, now));
            }
        }
        self.under_way.clear();
        Ok(())
    }

    /// Whether a later message of the order was taken, or is just being sent.
    pub fn is_overtaken(&self, nth: usize) -> bool {
        let message = &self.model.messages[nth];
        let mut later = self.model.lane(message.sink, message.order).filter(|other| *other > nth);
        later.any(|other| matches!(self.model.messages[other].status, "sending" | "delivered"))
    }

    /// The id of a message.
    pub fn id(&self, nth: usize) -> DeliveryId {
        self.ids[nth].expect("a settled message has an id")
    }

    /// Compares what the database says of every delivery with the model, and takes over what only it can know: ids, and
    /// when exactly a retry is due.
    pub fn compare(&mut self, rows: &[Row<'_>]) -> Judged {
        self.ids.resize(self.model.messages.len(), None);
        for (nth, row) in self.paired(rows)? {
            let message = &self.model.messages[nth];
            let differs = |what: &str| format!("{what} of {message:?} is not that of {:?}", row.line);
            let paused = self.model.sinks[message.sink].paused.is_some();
            let due = row.due.filter(|_| message.status == "open").unwrap_or(message.due.0);
            // Of a delivery behind another no time is shown, and where the model knows a span only the program knows which.
            let unknown = row.due.is_none() && message.due.0 <= self.model.now && self.model.now < message.due.1;
            let shown = match message.status {
                "open" if paused => "paused",
                "open" if message.attempts > 0 => "retrying",
                "open" if due > self.model.now || unknown && row.line.status == "waiting" => "waiting",
                "open" => "due",
                "merged" | "by hand" => "skipped",
                over => over,
            };
            let because = (shown == "skipped").then_some(message.status);
            rule(row.line.status == shown && row.line.skipped_because.as_deref() == because, &differs("the status"))?;
            rule(row.line.attempts == message.attempts, &differs("the number of attempts"))?;
            const MILLISECOND: f64 = 0.001;
            let in_time = due >= message.due.0 - MILLISECOND && due <= message.due.1 + MILLISECOND;
            rule(in_time, &differs("the next attempt"))?;
            let event = self.events.entry((message.order, message.event)).or_insert(row.line.event_id);
            rule(*event == row.line.event_id, &differs("the event"))?;
            let kind = self.model.orders[message.order].events[message.event].0;
            rule(kind.as_str() == row.line.event_type, &differs("the type"))?;
            rule(*self.ids[nth].get_or_insert(row.line.id) == row.line.id, &differs("the place"))?;
            // Only now: a row that is ahead of what the far sides were heard to say is not to be learned from.
            if row.due.is_some() {
                self.model.messages[nth].due = (due, due);
            }
        }
        Ok(())
    }

    /// Messages and rows, lane by lane; within a lane both stand in the order of commit.
    fn paired<'a>(&self, rows: &'a [Row<'a>]) -> Result<Vec<(usize, &'a Row<'a>)>, String> {
        let mut messages: Vec<usize> = (0..self.model.messages.len()).collect();
        let lane = |nth: &usize| (self.model.messages[*nth].sink, self.model.messages[*nth].order);
        messages.sort_by_key(lane);
        let mut rows: Vec<&Row<'_>> = rows.iter().collect();
        rows.sort_by_key(|row| (row.sink, row.order));
        let same = messages.len() == rows.len()
            && messages.iter().zip(&rows).all(|(nth, row)| lane(nth) == (row.sink, row.order));
        rule(same, &format!("the deliveries are other ones: {:?}", rows))?;
        Ok(messages.into_iter().zip(rows).collect())
    }

    /// Whether a sink is well and has nothing to do.
    pub fn is_idle(&self, sink: usize) -> bool {
        let Sink { paused, held_until, failing_since } = self.model.sinks[sink];
        let open = self.model.messages.iter().any(|message| message.sink == sink && message.status == "open");
        !open && paused.is_none() && failing_since.is_none() && held_until <= self.model.now
    }

    /// What must hold when everything is over.
    pub fn is_over(&self) -> Judged {
        let open = self.model.messages.iter().find(|message| matches!(message.status, "open" | "sending"));
        rule(open.is_none(), &format!("this is not over: {open:?}"))?;
        let once = |sink: usize| SINKS[sink].per_order == PerOrder::Once;
        let twice = self.taken.iter().find(|((sink, _), count)| once(*sink) && **count > 1 + self.asked_again);
        rule(twice.is_none(), &format!("an order was told more than once: {twice:?}"))
    }

    /// How many deliveries of a sink have this status in the database.
    pub fn count(&self, sink: usize, shown: &str) -> u64 {
        let skipped = |status| shown == "skipped" && matches!(status, "merged" | "by hand");
        let of_sink = self.model.messages.iter().filter(|message| message.sink == sink);
        of_sink.filter(|message| message.status == shown || skipped(message.status)).count() as u64
    }
}

/// A delivery as the database lists it.
#[derive(Debug)]
pub struct Row<'a> {
    pub sink: usize,
    pub order: usize,
    pub due: Option<f64>,
    pub line: &'a DeliveryLine,
}

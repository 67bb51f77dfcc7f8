//! What happens in a demonstration, and how much of it did.

use super::far_sides::{Arrival, Side};
use crate::{order::Phase, till::sandbox::seller::Announced};

/// Something to show.
#[derive(Debug)]
pub enum Happening {
    /// The till called.
    Announced(Box<Announced>),
    /// A far side was told.
    Arrival(Arrival),
}

/// What happened in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Orders, refunds among them.
    pub sales: u64,
    /// Orders that were refunds.
    pub refunds: u64,
    /// Calls of the till, repeats among them.
    pub announcements: u64,
    /// Calls that had been made before.
    pub repeats: u64,
    /// Repeats that the service knew for what they were.
    pub repeats_recognised: u64,
    /// Calls that were not answered, or not with 200.
    pub unanswered: u64,
    /// Messages that the mailbox took.
    pub mails: u64,
    /// Messages that the Slack channel took.
    pub chats: u64,
    /// Calls that the program took.
    pub calls: u64,
    /// Invoices that were fetched.
    pub invoices: u64,
    /// Invoices that were fetched more than once; there should be none.
    pub fetched_twice: u64,
}

impl Tally {
    /// Counts what happened.
    pub fn count(&mut self, happening: &Happening) {
        match happening {
            Happening::Announced(call) => self.count_call(call),
            Happening::Arrival(arrival) if arrival.accepted => match arrival.side {
                Side::Mail => self.mails += 1,
                Side::Slack => self.chats += 1,
                Side::Http => self.calls += 1,
            },
            Happening::Arrival(_) => {}
        }
    }

    /// Takes in how often each invoice was handed out.
    pub fn count_downloads(&mut self, downloads: impl IntoIterator<Item = u32>) {
        for times in downloads {
            self.invoices += 1;
            self.fetched_twice += u64::from(times > 1);
        }
    }

    fn count_call(&mut self, call: &Announced) {
        self.announcements += 1;
        self.unanswered += u64::from(!call.is_taken());
        if call.repeat {
            self.repeats += 1;
            self.repeats_recognised += u64::from(call.was_answered("duplicate"));
        } else if call.phase == Phase::Validated {
            self.sales += 1;
            self.refunds += u64::from(call.order.is_refund);
        }
    }
}

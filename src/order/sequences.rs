//! Which order numbers follow each other, and which are missing between them.
//!
//! A till numbers its invoices without holes, but not for ever in one sequence: it may begin anew (a year, a reset), and
//! several tills may count each for itself. So numbers are looked at in the order in which they were sold:
//!
//! - The next number, or one that fills a hole, belongs to the sequence that it fits. A step back opens a new one; what is
//!   there is there inside its own sequence, not wherever the same number stands.
//! - A step ahead is a hole where the sequence before ended with it. Where both go on beside each other they are two; and one
//!   that is wider than [`WIDEST`] may be a new sequence or a great loss, which is said in one sentence, without a list.
//! - Tills have sequences of their own where, taken together, their numbers go back and forth, and taken apart they do not.
//! - Nothing is said of what may be before a sequence's first.
//!
//! First sight is in `sequences/chains.rs`, and which tills count together in `sequences/tills.rs`.
//!
//! **Invariant:** the same orders in the same order make the same sequences; nothing is remembered.

mod chains;
#[cfg(test)]
mod tests;
mod tills;

use std::{collections::BTreeMap, time::Duration};

use jiff::{Timestamp, civil::Date};

use self::{
    chains::Chain,
    tills::{Group, by_till},
};
use super::{Hole, NumberForm, OrderNumber};

/// The widest hole; a step ahead that is wider may be another sequence.
pub const WIDEST: u64 = 300;

/// How much older than the first order that came another one may be for something to be missing between them: of an old
/// invoice, paid today, nobody knows what followed it.
const BEFORE_THE_FIRST: Duration = Duration::from_hours(24);

/// Of so many numbers it can be told whether they are drawn by chance.
const ENOUGH: usize = 5;

/// An order as its number sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberedOrder {
    /// Its number.
    pub number: OrderNumber,
    /// When it was sold: its validation, else its arrival.
    pub sold_at: Timestamp,
    /// When it came.
    pub came_at: Timestamp,
    /// Its place in the order of arrival.
    pub seq: i64,
    /// The day that it counts for.
    pub day: Date,
    /// Which till.
    pub till: Option<String>,
}

/// Numbers that are missing between two orders of a sequence; or, of a jump, between one sequence and the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first that is missing.
    pub first: OrderNumber,
    /// How many.
    pub count: u64,
    /// When the order behind them was sold: they are missing of that time.
    pub sold_at: Timestamp,
    /// The arrival that opened it, from which on there were numbers on both sides, and when that was.
    pub opened: (i64, Timestamp),
    /// Whose sequence it is, where each till has its own.
    pub till: Option<String>,
}

/// Orders whose numbers follow each other.
#[derive(Clone, Debug, Default)]
pub struct Sequence<'a> {
    members: BTreeMap<u64, &'a NumberedOrder>,
    /// Whose it is, where each till has its own.
    pub till: Option<String>,
}

/// What numbers come to.
#[derive(Clone, Debug, Default)]
pub struct Reckoning<'a> {
    /// The sequences, by form and first number.
    pub sequences: Vec<Sequence<'a>>,
    /// Steps ahead that are too wide for a hole.
    pub jumps: Vec<Gap>,
    /// Orders whose numbers follow no other: they seem to be drawn by chance.
    pub loose: Vec<&'a NumberedOrder>,
}

impl NumberedOrder {
    fn arrival(&self) -> (i64, Timestamp) {
        (self.seq, self.came_at)
    }
}

impl Gap {
    /// The numbers, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = OrderNumber> {
        (0..self.count).map(|more| self.first.at(self.first.place() + more))
    }

    /// As it is listed.
    pub fn hole(&self) -> Hole {
        let last = self.first.at(self.first.place() + self.count.saturating_sub(1));
        Hole { first: self.first.to_string(), last: last.to_string(), count: self.count, till: self.till.clone() }
    }

    fn between(below: &NumberedOrder, above: &NumberedOrder, opened: (i64, Timestamp), till: Option<&String>) -> Self {
        let (below, first) = (&below.number, below.number.place() + 1);
        Self {
            first: below.at(first),
            count: above.number.place() - first,
            sold_at: above.sold_at,
            opened,
            till: till.cloned(),
        }
    }
}

impl<'a> Sequence<'a> {
    /// Its orders, by number.
    pub fn orders(&self) -> impl Iterator<Item = &'a NumberedOrder> + Clone {
        self.members.values().copied()
    }

    /// What is missing in it, ascending.
    pub fn gaps(&self) -> Vec<Gap> {
        let Some(base) = self.orders().min_by_key(|order| order.seq) else { return Vec::new() };
        let orders: Vec<&NumberedOrder> = self.orders().collect();
        // From when on there were numbers above each.
        let mut above: Vec<_> = orders.iter().map(|order| order.arrival()).collect();
        for at in (1..above.len()).rev() {
            above[at - 1] = above[at - 1].min(above[at]);
        }
        let (mut below, mut gaps) = (orders[0].arrival(), Vec::new());
        for (at, pair) in orders.windows(2).enumerate() {
            let [one, next] = pair else { continue };
            below = below.min(one.arrival());
            let is_judged = one.number.place() >= base.number.place() || one.sold_at + BEFORE_THE_FIRST >= base.sold_at;
            if is_judged && next.number.place() - one.number.place() > 1 {
                gaps.push(Gap::between(one, next, below.max(above[at + 1]), self.till.as_ref()));
            }
        }
        gaps
    }
}

/// Puts orders into sequences.
pub fn reckon(orders: &[NumberedOrder]) -> Reckoning<'_> {
    let mut forms: BTreeMap<&NumberForm, Vec<&NumberedOrder>> = BTreeMap::new();
    for order in orders {
        forms.entry(order.number.form()).or_default().push(order);
    }
    let is_alone = |form: &NumberForm, orders: &[&NumberedOrder]| orders.len() == 1 && !form.is_of_a_day();
    let alone = forms.iter().filter(|(form, orders)| is_alone(form, orders)).count();
    let are_loose = alone >= ENOUGH && alone * 2 > orders.len();
    let mut reckoning = Reckoning::default();
    for (form, mut orders) in forms {
        orders.sort_by_key(|order| (order.sold_at, order.seq));
        if are_loose && is_alone(form, &orders) {
            reckoning.loose.extend(orders);
        } else {
            reckoning.add(orders);
        }
    }
    reckoning
}

impl<'a> Reckoning<'a> {
    /// Every number that is missing in a sequence.
    pub fn missing(&self) -> Vec<String> {
        let gaps = self.sequences.iter().flat_map(Sequence::gaps);
        gaps.flat_map(|gap| gap.numbers().map(|number| number.to_string()).collect::<Vec<_>>()).collect()
    }

    /// Adds the orders of a form, in the order in which they were sold.
    fn add(&mut self, orders: Vec<&'a NumberedOrder>) {
        let groups = by_till(orders);
        let are_apart = groups.len() > 1;
        for Group { tills, orders, chains, jumps, .. } in groups {
            if orders.len() >= ENOUGH && chains.len() * 2 > orders.len() {
                self.loose.extend(orders);
                continue;
            }
            let till = tills.into_iter().next().flatten().filter(|_| are_apart).map(str::to_owned);
            self.jumps.extend(jumps.into_iter().map(|gap| Gap { till: till.clone(), ..gap }));
            let sequence = |chain: Chain<'a>| Sequence { members: chain.members, till: till.clone() };
            self.sequences.extend(chains.into_iter().map(sequence));
        }
    }
}

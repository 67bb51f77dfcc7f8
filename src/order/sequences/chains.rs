//! Orders of one form of number, put together in the order in which they were sold.

use std::{collections::BTreeMap, time::Duration};

use super::{BEFORE_THE_FIRST, Gap, NumberedOrder, WIDEST};

/// The widest step ahead that is taken for a hole at once, before it is known how the numbers go on.
const NEAR: u64 = 20;

/// A sequence with which none of so many numbers went on is over.
const LIVE: usize = 50;

/// How often a sequence goes on beside another one that began later, for these to be two: once is a late call.
const VISITS: usize = 2;

/// So many orders of a sequence that has just begun, and that were sold so soon after each other, may come in another order
/// than that of their numbers.
const JUST_BEGUN: usize = 3;
const SOON: Duration = Duration::from_hours(1);

/// How many sequences may be gone on with at a time.
const SEQUENCES: usize = 64;

/// Numbers in the order in which they were sold, as far as they fit at first sight.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain<'a> {
    pub(super) members: BTreeMap<u64, &'a NumberedOrder>,
    /// The places, in the order in which the orders were sold, of its first and of each that it went on with.
    visits: Vec<usize>,
}

impl<'a> Chain<'a> {
    fn begin(order: &'a NumberedOrder, at: usize) -> Self {
        Self { members: BTreeMap::from([(order.number.place(), order)]), visits: vec![at] }
    }

    fn first(&self) -> u64 {
        self.members.first_key_value().map_or(0, |(place, _)| *place)
    }

    fn last(&self) -> u64 {
        self.members.last_key_value().map_or(0, |(place, _)| *place)
    }

    fn began(&self) -> usize {
        self.visits.first().copied().unwrap_or(0)
    }

    fn ended(&self) -> usize {
        self.visits.last().copied().unwrap_or(0)
    }

    pub(super) fn missing(&self) -> u64 {
        (self.last() - self.first() + 1).saturating_sub(self.members.len() as u64)
    }

    /// Whether a number is the next, or one of the next, fills a hole, or came just after the one that it stands before.
    fn fits(&self, order: &NumberedOrder) -> bool {
        let (first, last, place) = (self.first(), self.last(), order.number.place());
        match place {
            _ if place > last => place - last - 1 <= NEAR,
            _ if place < first => {
                place + 1 == first && self.members.values().next().is_some_and(|one| is_soon(one, order))
            }
            _ => !self.members.contains_key(&place),
        }
    }

    /// Whether the other one goes on from it, and both have just begun: their first orders came in another order.
    fn is_begun_before(&self, next: &Self) -> bool {
        let ends = self.members.values().next_back().zip(next.members.values().next());
        let have_begun = self.members.len() <= JUST_BEGUN && next.members.len() <= JUST_BEGUN;
        have_begun && self.last() + 1 == next.first() && ends.is_some_and(|(last, first)| is_soon(first, last))
    }

    /// How often it goes on after a place, with others between.
    fn visits_after(&self, began: usize) -> usize {
        let later = &self.visits[self.visits.partition_point(|at| *at <= began)..];
        let again = later.windows(2).filter(|pair| pair[0] + 1 < pair[1]).count();
        usize::from(!later.is_empty()) + again
    }

    fn take(&mut self, other: Self) {
        self.members.extend(other.members);
        self.visits.extend(other.visits);
        self.visits.sort_unstable();
    }
}

/// Whether two orders were sold soon after each other.
fn is_soon(one: &NumberedOrder, other: &NumberedOrder) -> bool {
    one.sold_at.duration_since(other.sold_at).unsigned_abs() <= SOON
}

/// Takes each order into the chain that went on last of those that it fits; one that fits none begins another. In the order in
/// which they began.
pub(super) fn chains<'a>(orders: &[&'a NumberedOrder]) -> Vec<Chain<'a>> {
    let mut chains: Vec<Chain<'a>> = Vec::new();
    let mut live: Vec<usize> = Vec::new();
    for (at, order) in orders.iter().enumerate() {
        let place = order.number.place();
        live.retain(|one| !chains[*one].members.is_empty() && at - chains[*one].ended() <= LIVE);
        let fitting = live.iter().copied().filter(|one| chains[*one].fits(order));
        if let Some(one) = fitting.max_by_key(|one| chains[*one].ended()) {
            chains[one].members.insert(place, order);
            chains[one].visits.push(at);
            let next = live.iter().copied().find(|next| chains[one].is_begun_before(&chains[*next]));
            if let Some(next) = next {
                let next = std::mem::take(&mut chains[next]);
                chains[one].take(next);
            }
        } else {
            live.push(chains.len());
            chains.push(Chain::begin(order, at));
        }
    }
    chains.retain(|chain| !chain.members.is_empty());
    chains
}

/// Joins what follows each other, with the holes between; and says which steps ahead are too wide for that, and how many
/// chains go on beside another.
pub(super) fn joined(chains: Vec<Chain<'_>>) -> (Vec<Chain<'_>>, Vec<Gap>, usize) {
    let (mut over, mut all): (Vec<Chain<'_>>, Vec<Chain<'_>>) = (Vec::new(), Vec::new());
    let (mut jumps, mut beside) = (Vec::new(), 0);
    for chain in chains {
        let (began, first) = (chain.began(), chain.first());
        let goes_on = |one: &Chain<'_>| one.visits_after(began) >= VISITS;
        beside += usize::from(chain.members.len() > VISITS && all.iter().any(goes_on));
        let before = all.iter_mut().filter(|one| one.last() < first && !goes_on(one));
        let before = before.max_by_key(|one| (one.ended() < began, one.ended(), one.last()));
        match before {
            Some(before) if first - before.last() - 1 <= WIDEST => before.take(chain),
            before => {
                jumps.extend(before.and_then(|before| jump(before, &chain)));
                all.push(chain);
            }
        }
        if all.len() > SEQUENCES
            && let Some((oldest, _)) = all.iter().enumerate().min_by_key(|(_, one)| one.ended())
        {
            over.push(all.swap_remove(oldest));
        }
    }
    over.extend(all);
    over.sort_by_key(|one| (one.first(), one.began()));
    (over, jumps, beside)
}

/// A step ahead between two sequences, unless it is the beginning of a year, or nobody knows what followed an old number.
fn jump(before: &Chain<'_>, next: &Chain<'_>) -> Option<Gap> {
    let (_, below) = before.members.last_key_value()?;
    let (_, above) = next.members.first_key_value()?;
    let is_old = below.seq > above.seq && below.sold_at + BEFORE_THE_FIRST < above.sold_at;
    let is_told = !is_old && !above.number.is_next_year_of(&below.number);
    is_told.then(|| Gap::between(below, above, above.arrival(), None))
}

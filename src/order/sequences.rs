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
//! **Invariant:** the same orders in the same order make the same sequences; nothing is remembered.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use jiff::{Timestamp, civil::Date};

use super::{Hole, NumberForm, OrderNumber};

#[cfg(test)]
mod tests;

/// The widest hole; a step ahead that is wider may be another sequence.
pub const WIDEST: u64 = 300;

/// The widest step ahead that is taken for a hole at once, before it is known how the numbers go on.
const NEAR: u64 = 20;

/// A sequence with which none of so many numbers went on is over.
const LIVE: usize = 50;

/// How often a sequence goes on beside another one that began later, for these to be two: once is a late call.
const VISITS: usize = 2;

/// How much older than the first order that came another one may be for something to be missing between them: of an old
/// invoice, paid today, nobody knows what followed it.
const BEFORE_THE_FIRST: Duration = Duration::from_hours(24);

/// So many orders of a sequence that has just begun, and that were sold so soon after each other, may come in another order
/// than that of their numbers.
const JUST_BEGUN: usize = 3;
const SOON: Duration = Duration::from_hours(1);

/// More tills than that are not told apart.
const TILLS: usize = 8;

/// How many sequences may be gone on with at a time.
const SEQUENCES: usize = 64;

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

/// Tills that count together, and what their numbers come to.
#[derive(Clone, Debug)]
struct Group<'a> {
    tills: Vec<Option<&'a str>>,
    orders: Vec<&'a NumberedOrder>,
    chains: Vec<Chain<'a>>,
    jumps: Vec<Gap>,
    missing: u64,
    /// How many chains go on beside another one.
    beside: usize,
    /// How often a number is lower than the one that was sold before.
    backward: usize,
    /// How often a number was given before.
    again: usize,
}

impl<'a> Group<'a> {
    /// `orders` are in the order in which they were sold.
    fn new(tills: Vec<Option<&'a str>>, orders: Vec<&'a NumberedOrder>) -> Self {
        let backward = orders.windows(2).filter(|pair| pair[1].number.place() < pair[0].number.place()).count();
        let given: HashSet<u64> = orders.iter().map(|order| order.number.place()).collect();
        let again = orders.len() - given.len();
        let (chains, jumps, beside) = joined(chains(&orders));
        let missing = chains.iter().map(Chain::missing).sum::<u64>() + jumps.iter().map(|jump| jump.count).sum::<u64>();
        Self { tills, orders, chains, jumps, missing, beside, backward, again }
    }

    fn with(&self, other: &Self) -> Self {
        let mut orders = [&self.orders[..], &other.orders].concat();
        orders.sort_by_key(|order| (order.sold_at, order.seq));
        Self::new([&self.tills[..], &other.tills].concat(), orders)
    }

    /// Whether these two count apart: their numbers go back and forth when they are taken together, and taken apart they
    /// come to less that is missing; or they go on beside each other, or give the same numbers, and taken apart hardly any is
    /// missing.
    fn is_apart_from(&self, other: &Self, together: &Self) -> bool {
        let missing = self.missing + other.missing;
        let is_better = missing < together.missing && together.backward > self.backward + other.backward;
        let are_beside = together.beside > self.beside + other.beside || together.again > self.again + other.again + 1;
        is_better || (are_beside && missing * 4 <= together.orders.len() as u64)
    }
}

/// The tills of a form's numbers, those that count together as one.
fn by_till(orders: Vec<&NumberedOrder>) -> Vec<Group<'_>> {
    let mut tills: BTreeMap<Option<&str>, Vec<&NumberedOrder>> = BTreeMap::new();
    for order in &orders {
        tills.entry(order.till.as_deref()).or_default().push(order);
    }
    if tills.len() > TILLS {
        return vec![Group::new(tills.into_keys().collect(), orders)];
    }
    let mut groups: Vec<Group<'_>> = tills.into_iter().map(|(till, orders)| Group::new(vec![till], orders)).collect();
    while let Some((one, other, together)) = pair(&groups) {
        groups.swap_remove(other);
        groups[one] = together;
    }
    groups
}

/// Two groups, the first before the other, that count together.
fn pair<'a>(groups: &[Group<'a>]) -> Option<(usize, usize, Group<'a>)> {
    let pairs = (0..groups.len()).flat_map(|one| (one + 1..groups.len()).map(move |other| (one, other)));
    pairs.into_iter().find_map(|(one, other)| {
        let together = groups[one].with(&groups[other]);
        (!groups[one].is_apart_from(&groups[other], &together)).then_some((one, other, together))
    })
}

/// Numbers in the order in which they were sold, as far as they fit at first sight.
#[derive(Clone, Debug, Default)]
struct Chain<'a> {
    members: BTreeMap<u64, &'a NumberedOrder>,
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

    fn missing(&self) -> u64 {
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
fn chains<'a>(orders: &[&'a NumberedOrder]) -> Vec<Chain<'a>> {
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
fn joined(chains: Vec<Chain<'_>>) -> (Vec<Chain<'_>>, Vec<Gap>, usize) {
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

//! Which tills count together: those whose numbers fit each other better than each till's alone.

use std::collections::{BTreeMap, HashSet};

use super::{
    Gap, NumberedOrder,
    chains::{Chain, chains, joined},
};

/// More tills than that are not told apart.
const TILLS: usize = 8;

/// Tills that count together, and what their numbers come to.
#[derive(Clone, Debug)]
pub(super) struct Group<'a> {
    pub(super) tills: Vec<Option<&'a str>>,
    pub(super) orders: Vec<&'a NumberedOrder>,
    pub(super) chains: Vec<Chain<'a>>,
    pub(super) jumps: Vec<Gap>,
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
pub(super) fn by_till(orders: Vec<&NumberedOrder>) -> Vec<Group<'_>> {
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

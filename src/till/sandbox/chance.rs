//! Which calls are lost, made twice and overtaken: pure, and the same for the same seed.
//!
//! **Invariant:** whatever goes in comes out, at the latest with [`Plan::rest`]; at most one is held back at a time.

use rust_decimal::Decimal;

use crate::till::dice::Dice;

/// A probability, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chance(u64);

const ALWAYS: u64 = 1_000_000;

/// One call in so many is held back until after the next, where calls may overtake each other.
const OVERTAKEN: u64 = 4;

impl Chance {
    /// So many in a hundred.
    pub fn percent(percent: u32) -> Self {
        Self((u64::from(percent) * ALWAYS / 100).min(ALWAYS))
    }

    /// Reads `0.05`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let part: Decimal = text.trim().parse().ok()?;
        let in_range = part >= Decimal::ZERO && part <= Decimal::ONE;
        in_range.then_some(())?;
        (part * Decimal::from(ALWAYS)).trunc().try_into().ok().map(Self)
    }

    fn comes_up(self, dice: &mut Dice) -> bool {
        dice.between(1, ALWAYS) <= self.0
    }
}

/// What is to be done with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Make it.
    Once,
    /// Make it though it was made before.
    Again,
    /// Do not make it.
    Lost,
}

/// Decides about one call after the other.
pub struct Plan<T> {
    dice: Dice,
    drop: Chance,
    repeat: Chance,
    reorder: bool,
    held: Vec<(T, Turn)>,
}

impl<T: Clone> Plan<T> {
    /// A plan that follows from the seed.
    pub fn new(seed: u64, drop: Chance, repeat: Chance, reorder: bool) -> Self {
        Self { dice: Dice::new(seed), drop, repeat, reorder, held: Vec::new() }
    }

    /// What is to be done now that this call is due.
    pub fn next(&mut self, call: T) -> Vec<(T, Turn)> {
        // Every chance is rolled for each call, so that one option does not change what another one does.
        let (lost, twice) = (self.drop.comes_up(&mut self.dice), self.repeat.comes_up(&mut self.dice));
        let late = self.dice.one_in(OVERTAKEN) && self.reorder;
        let turns = match (lost, twice) {
            (true, _) => vec![(call, Turn::Lost)],
            (false, true) => vec![(call.clone(), Turn::Once), (call, Turn::Again)],
            (false, false) => vec![(call, Turn::Once)],
        };
        if late && !lost && self.held.is_empty() {
            self.held = turns;
            return Vec::new();
        }
        // A call that is lost overtakes nothing.
        let held = if lost { Vec::new() } else { std::mem::take(&mut self.held) };
        turns.into_iter().chain(held).collect()
    }

    /// What is still held back.
    pub fn rest(&mut self) -> Vec<(T, Turn)> {
        std::mem::take(&mut self.held)
    }

    /// Whether something is held back.
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seed: u64, drop: u32, repeat: u32, reorder: bool) -> Vec<(u32, Turn)> {
        let mut plan = Plan::new(seed, Chance::percent(drop), Chance::percent(repeat), reorder);
        let mut turns: Vec<_> = (0..1000).flat_map(|call| plan.next(call)).collect();
        turns.extend(plan.rest());
        turns
    }

    fn count(turns: &[(u32, Turn)], turn: Turn) -> usize {
        turns.iter().filter(|(_, it)| *it == turn).count()
    }

    #[test]
    fn without_options_every_call_is_made_once_and_in_order() {
        assert_eq!(run(1, 0, 0, false), (0..1000).map(|call| (call, Turn::Once)).collect::<Vec<_>>());
    }

    #[test]
    fn the_same_seed_decides_the_same_and_another_one_does_not() {
        assert_eq!(run(3, 5, 5, true), run(3, 5, 5, true));
        assert_ne!(run(3, 5, 5, true), run(4, 5, 5, true));
    }

    #[test]
    fn a_twentieth_is_a_twentieth_and_nothing_gets_lost_unseen() {
        for seed in 0..20 {
            let turns = run(seed, 5, 5, true);
            let (lost, again) = (count(&turns, Turn::Lost), count(&turns, Turn::Again));
            assert!((20..=90).contains(&lost) && (20..=90).contains(&again), "{lost} lost, {again} twice");
            let mut calls: Vec<u32> =
                turns.iter().filter(|(_, turn)| *turn != Turn::Again).map(|(call, _)| *call).collect();
            calls.sort_unstable();
            assert_eq!(calls, (0..1000).collect::<Vec<_>>());
        }
    }

    #[test]
    fn some_calls_are_overtaken_by_the_next_and_a_repeat_never_comes_first() {
        let turns = run(5, 0, 10, true);
        let late = turns.windows(2).filter(|pair| pair[0].0 > pair[1].0).count();
        assert!(late > 100, "{late} were overtaken");
        assert!(turns.windows(2).filter(|pair| pair[1].1 == Turn::Again).all(|pair| pair[0].0 == pair[1].0));
    }

    #[test]
    fn all_or_nothing_can_be_lost() {
        assert_eq!(count(&run(1, 100, 100, true), Turn::Lost), 1000);
        assert_eq!(Chance::parse("0.05"), Some(Chance::percent(5)));
        assert!(["", "5%", "-0.1", "1.01", "often"].iter().all(|text| Chance::parse(text).is_none()));
    }
}

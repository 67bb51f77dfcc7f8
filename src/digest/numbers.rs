//! The numbers of a period: by sequence, with what is missing in each.
//!
//! A hole is of the day on which the order behind it was sold, so that it is named in one summary only. What is there is
//! looked for among all orders of the shop, whatever a sink wants of them and whatever their day; the same number in another
//! sequence is another order.

use std::collections::{BTreeMap, HashSet};

use jiff::ToSpan as _;

use crate::{
    order::{
        Booking, Figures, Gap, NumberRange, NumberedOrder, OrderKey, OrderNumber, Period, Sequence, Shop, ShopId,
        day_of, reckon,
    },
    store::{Booked, OrderNumbers, Store, StoreError},
};

/// How far before and after the period the orders are looked at that its sequences go on from, in days.
const AROUND: i64 = 31;

/// How many numbers without a counter are named.
const NAMED: usize = 100;

/// Completes numbers with the orders that have one of those that look missing, whatever their day.
///
/// # Errors
/// What the database says.
pub async fn complete(store: &Store, shop: &ShopId, numbers: &mut OrderNumbers) -> Result<(), StoreError> {
    let missing = reckon(&numbers.counted).missing();
    let known: HashSet<i64> = numbers.counted.iter().map(|order| order.seq).collect();
    let found = store.numbers_called(shop, &missing).await?;
    numbers.counted.extend(found.counted.into_iter().filter(|order| !known.contains(&order.seq)));
    Ok(())
}

/// Writes into the figures of a period the numbers of these orders of it, what is missing between those of the shop, and which
/// of them the till does not know.
pub(super) async fn fill(
    store: &Store,
    shop: &Shop,
    period: Period,
    bookings: &[Booking],
    figures: &mut Figures,
) -> Result<(), StoreError> {
    let first = period.first.saturating_sub(AROUND.days());
    let around = Period { first, last: period.last.saturating_add(AROUND.days()) };
    let mut numbers = store.numbers_of(&shop.id, around).await?;
    complete(store, &shop.id, &mut numbers).await?;
    let reckoning = reckon(&numbers.counted);
    let is_of_period = |gap: &Gap| period.contains(day_of(gap.sold_at, &shop.timezone));
    let gaps = |sequence: &Sequence<'_>| sequence.gaps().into_iter().filter(is_of_period).collect();
    let gaps: Vec<Vec<Gap>> = reckoning.sequences.iter().map(gaps).collect();
    let wanted: HashSet<&str> = bookings.iter().map(|one| one.number.as_str()).collect();
    let is_wanted = |order: &NumberedOrder| period.contains(order.day) && wanted.contains(&*order.number.to_string());
    figures.numbers = ranges(reckoning.sequences.iter().zip(&gaps), is_wanted);
    figures.holes = gaps.iter().flatten().map(Gap::hole).collect();
    figures.jumps = reckoning.jumps.iter().filter(|jump| is_of_period(jump)).map(Gap::hole).collect();
    let loose = reckoning.loose.iter().map(|order| (order.day, order.number.to_string()));
    let uncounted = numbers.uncounted.into_iter().chain(loose).filter(|(day, _)| period.contains(*day));
    let uncounted = uncounted.map(|(_, number)| number).filter(|number| wanted.contains(&**number));
    figures.uncounted = uncounted.take(NAMED).collect();
    let unlisted = store.unlisted_orders(Some(&shop.id)).await?;
    let unlisted: HashSet<OrderKey> = unlisted.iter().map(|one| one.order).collect();
    let unlisted = bookings.iter().filter(|one| unlisted.contains(&one.order));
    figures.unlisted = unlisted.map(|one| one.number.clone()).collect();
    Ok(())
}

/// The numbers of these orders alone, of which nobody looks what is missing between them.
pub(super) fn of_some(booked: &[&Booked]) -> Vec<NumberRange> {
    let order = |(seq, one): (usize, &&Booked)| {
        let at = one.booking.sold_at.timestamp();
        let number = OrderNumber::parse(one.order.order_id.as_deref()?)?;
        let till = one.booking.till.clone();
        Some(NumberedOrder {
            number,
            sold_at: at,
            came_at: at,
            seq: i64::try_from(seq).ok()?,
            day: one.booking.date,
            till,
        })
    };
    let orders: Vec<NumberedOrder> = booked.iter().enumerate().filter_map(order).collect();
    let reckoning = reckon(&orders);
    let nothing = vec![Vec::new(); reckoning.sequences.len()];
    let mut ranges = ranges(reckoning.sequences.iter().zip(&nothing), |_| true);
    ranges.iter_mut().for_each(|range| range.missing = None);
    ranges
}

/// The sequences as far as they are of the period; those of days that follow are one.
fn ranges<'a>(
    sequences: impl Iterator<Item = (&'a Sequence<'a>, &'a Vec<Gap>)>,
    is_of_period: impl Fn(&NumberedOrder) -> bool,
) -> Vec<NumberRange> {
    let mut ranges: BTreeMap<_, NumberRange> = BTreeMap::new();
    for (place, (sequence, gaps)) in sequences.enumerate() {
        let mut orders = sequence.orders().filter(|order| is_of_period(order));
        let Some(first) = orders.next() else { continue };
        let last = orders.last().unwrap_or(first);
        let missing: u64 = gaps.iter().map(|gap| gap.count).sum();
        let (before, after, is_of_a_day) = first.number.form().family();
        // Each is its own, but for those of days.
        let key = (before, after, sequence.till.clone(), if is_of_a_day { 0 } else { place + 1 });
        let range = ranges.entry(key).or_insert_with(|| NumberRange {
            first: first.number.to_string(),
            last: String::new(),
            till: sequence.till.clone(),
            missing: Some(0),
        });
        range.last = last.number.to_string();
        range.missing = range.missing.map(|all| all + missing);
    }
    ranges.into_values().collect()
}

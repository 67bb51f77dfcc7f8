//! The amounts of an order by VAT rate, completed with what follows from the others that were sent.
//!
//! A till may send net, VAT and gross of each rate, or only some of them. What is missing is taken from the line itself, from
//! the articles where each tells its rate and together they are the order, and from the order's totals. Where only the VAT
//! of several rates is known, the base of each is worked out from it, and the rate that says its base least exactly takes
//! what is left, so that the bases are together the order's.
//!
//! **Invariant:** a rate takes only what fits it: an article without VAT that the till did not list is counted at no other
//! rate.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use super::{Counted, Item, Money, Number, Order, VatLine, sign::sum};

/// How many articles an order is taken to have at least where it is asked whether a VAT fits its rate: each may be rounded
/// by itself.
const FEW_ITEMS: usize = 4;

/// The same where the articles were not sent.
const UNKNOWN_ITEMS: usize = 10;

/// How far the sum of so many rounded amounts may be from the whole: half a cent each, and at least a cent, or what the
/// currency has in its place.
pub(super) fn slack(parts: usize, minor_digits: u32) -> Decimal {
    rounding(parts, minor_digits).max(Decimal::new(1, minor_digits))
}

/// Half of the currency's smallest unit for each of so many.
fn rounding(parts: usize, minor_digits: u32) -> Decimal {
    Decimal::new(5, minor_digits + 1) * Decimal::from(parts)
}

/// Whether the VAT of every rate is that of its base, as far as both were sent.
pub(super) fn fit(order: &Order) -> bool {
    let items = order.items.as_ref().map_or(UNKNOWN_ITEMS, |items| items.len().max(FEW_ITEMS));
    let digits = order.currency.minor_digits();
    order.vat.iter().flatten().all(|line| {
        let net = line.net.or_else(|| line.gross?.checked_sub(line.vat?));
        let amounts = line.rate.zip(net.map(Money::abs)).zip(line.vat.map(Money::abs));
        amounts.is_none_or(|((rate, net), vat)| is_of(rate, net, vat, rounding(items, digits)))
    })
}

/// Whether the VAT is that of the rate, but for so much rounding.
fn is_of(rate: Number, net: Money, vat: Money, rounding: Decimal) -> bool {
    let of_rate = net.value().checked_mul(rate.value()).and_then(|product| product.checked_div(Decimal::ONE_HUNDRED));
    let off = of_rate.and_then(|of_rate| of_rate.checked_sub(vat.value()));
    off.is_some_and(|off| off.abs() <= rounding)
}

/// The lines of an order, ascending by rate; one without a rate where the till sent none.
pub(super) fn rates(order: &Order, counted: &Counted) -> Vec<VatLine> {
    if counted.vat.is_empty() {
        return vec![VatLine { rate: None, net: counted.total_net, vat: counted.total_vat, gross: counted.total }];
    }
    let items = order.items.as_deref().unwrap_or_default();
    let mut lines = merged(&counted.vat);
    let digits = order.currency.minor_digits();
    let sold = sold_by_rate(items, &lines, counted.total, digits);
    lines.iter_mut().for_each(|line| *line = completed(line, &sold));
    add_what_has_no_vat(&mut lines, &sold, counted.total);
    let listed: BTreeSet<Number> = lines.iter().filter_map(|line| line.rate).collect();
    if items.iter().filter_map(|item| item.vat_rate).all(|rate| listed.contains(&rate)) {
        fill_from_totals(&mut lines, counted, items.len().max(FEW_ITEMS), digits);
    }
    lines.sort_by_key(|line| line.rate);
    lines
}

/// The lines with one for each rate: a till may list a rate twice.
fn merged(sent: &[VatLine]) -> Vec<VatLine> {
    let mut lines: Vec<VatLine> = Vec::new();
    let mut places = BTreeMap::new();
    for line in sent {
        let place = line.rate.map(|rate| *places.entry(rate).or_insert(lines.len()));
        match place.and_then(|place| lines.get_mut(place)) {
            Some(known) => *known = together(known, line),
            None => lines.push(line.clone()),
        }
    }
    lines
}

/// Two lines of a rate as one. What follows from each is taken first, or one that says its net would cost the other its gross.
fn together(one: &VatLine, other: &VatLine) -> VatLine {
    let both = |one: Option<Money>, other: Option<Money>| one?.checked_add(other?);
    let (one, other) = (completed(one, &BTreeMap::new()), completed(other, &BTreeMap::new()));
    VatLine {
        rate: one.rate,
        net: both(one.net, other.net),
        vat: both(one.vat, other.vat),
        gross: both(one.gross, other.gross),
    }
}

/// What was sold at each rate, where the articles say it of all of them: each has a rate that the VAT was sent for or none,
/// and together, each rounded to the cent, they are the order. Their sign is that of the order.
fn sold_by_rate(items: &[Item], sent: &[VatLine], total: Option<Money>, digits: u32) -> BTreeMap<Number, Money> {
    let mut sold = BTreeMap::new();
    for item in items {
        let (Some(rate), Some(amount)) = (item.vat_rate, item.total) else { return BTreeMap::new() };
        let amount = amount.rounded(digits);
        let known = sold.entry(rate).or_insert_with(|| Money::new(Decimal::ZERO, digits));
        let Some(more) = known.checked_add(amount) else { return BTreeMap::new() };
        *known = more;
    }
    let listed: BTreeSet<Number> = sent.iter().filter_map(|line| line.rate).collect();
    let is_known = |rate: &Number| rate.value().is_zero() || listed.contains(rate);
    let all = sum(sold.values().map(|amount| Some(*amount)));
    let (Some(all), Some(total)) = (all, total) else { return BTreeMap::new() };
    if all.abs() != total.abs() || !sold.keys().all(is_known) {
        return BTreeMap::new();
    }
    if all != total {
        sold.values_mut().for_each(|amount| *amount = Money::new(-amount.value(), digits));
    }
    sold
}

/// A line with what follows from its other amounts, and from what was sold at its rate.
fn completed(line: &VatLine, sold: &BTreeMap<Number, Money>) -> VatLine {
    let free = line.rate.is_some_and(|rate| rate.value().is_zero());
    let nothing = line.net.or(line.gross).filter(|_| free).and_then(|amount| amount.checked_sub(amount));
    let vat = line.vat.or(nothing);
    let of_items = line.rate.and_then(|rate| sold.get(&rate)).copied();
    let gross = line.gross.or(line.net.zip(vat).and_then(|(net, vat)| net.checked_add(vat))).or(of_items);
    let net = line.net.or(gross.zip(vat).and_then(|(gross, vat)| gross.checked_sub(vat)));
    let vat = vat.or(gross.zip(net).and_then(|(gross, net)| gross.checked_sub(net)));
    VatLine { rate: line.rate, net, vat, gross }
}

/// Articles at 0 % that the till left out of its rates: they are a line of their own.
fn add_what_has_no_vat(lines: &mut Vec<VatLine>, sold: &BTreeMap<Number, Money>, total: Option<Money>) {
    let Some((rate, amount)) = sold.iter().find(|(rate, _)| rate.value().is_zero()) else { return };
    let is_listed = lines.iter().any(|line| line.rate == Some(*rate));
    // Where the others are the whole order already, they hold it.
    if is_listed || amount.value().is_zero() || sum(lines.iter().map(|line| line.gross)) == total {
        return;
    }
    lines.push(VatLine {
        rate: Some(*rate),
        net: Some(*amount),
        vat: amount.checked_sub(*amount),
        gross: Some(*amount),
    });
}

/// What is still missing, from the order's totals: the one VAT that was not sent, and bases of which only the VAT is known.
fn fill_from_totals(lines: &mut [VatLine], counted: &Counted, rounded: usize, digits: u32) {
    if let ([only], Some(total)) = (&mut *lines, counted.total) {
        fill_from_net(only, total, rounding(rounded, digits));
    }
    let (Some(net), Some(vat)) = (counted.total_net, counted.total_vat) else { return };
    if lines.iter().any(|line| line.rate.is_none()) || fill_vat(lines, vat).is_none() {
        return;
    }
    let of_lines = sum(lines.iter().map(|line| line.vat));
    if of_lines
        .and_then(|sum| sum.checked_sub(vat))
        .is_none_or(|apart| apart.value().abs() > slack(lines.len(), digits))
    {
        return;
    }
    if let Some(bases) = bases(lines, net, rounding(rounded + lines.len(), digits)) {
        for (place, net) in bases {
            lines[place].net = Some(net);
            lines[place].gross = lines[place].vat.and_then(|vat| net.checked_add(vat));
        }
    }
}

/// The only line, of which nothing but the net was sent: the rest of the total, where that is the rate's VAT.
fn fill_from_net(line: &mut VatLine, total: Money, rounding: Decimal) {
    let (Some(rate), Some(net), None) = (line.rate, line.net, line.vat) else { return };
    let left = total.checked_sub(net).filter(|vat| is_of(rate, net, *vat, rounding));
    if let Some(vat) = left {
        *line = VatLine { vat: Some(vat), gross: Some(total), ..line.clone() };
    }
}

/// The VAT of the only line without one is what the others leave of the whole.
fn fill_vat(lines: &mut [VatLine], whole: Money) -> Option<()> {
    let mut left = whole;
    let mut open = None;
    for line in &mut *lines {
        match line.vat {
            Some(vat) => left = left.checked_sub(vat)?,
            None if open.is_some() => return None,
            None => open = Some(line),
        }
    }
    if let Some(line) = open {
        *line = completed(&VatLine { vat: Some(left), ..line.clone() }, &BTreeMap::new());
    }
    Some(())
}

/// The bases of the lines that have none, together what the others leave of `net`; `None` where they do not fit their rates.
fn bases(lines: &[VatLine], net: Money, rounding: Decimal) -> Option<Vec<(usize, Money)>> {
    let mut left = net;
    let mut open = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        match line.net {
            Some(net) => left = left.checked_sub(net)?,
            None => open.push((line.rate?, place)),
        }
    }
    // The higher the rate, the more exactly the VAT says its base.
    open.sort_by(|one, other| other.cmp(one));
    let (last_rate, last) = open.pop()?;
    let mut bases = Vec::new();
    for (rate, place) in open {
        let base = lines[place].vat?.value().checked_mul(Decimal::ONE_HUNDRED)?.checked_div(rate.value())?;
        let base = Money::new(base, net.scale()).rounded(net.scale());
        left = left.checked_sub(base)?;
        bases.push((place, base));
    }
    let vat = lines[last].vat?;
    let is_of_one_sign = left.value().is_zero() || vat.value().is_zero() || left.is_negative() == vat.is_negative();
    let is_of_order = !vat.value().is_zero() || left.value().is_zero() || left.is_negative() == net.is_negative();
    let fits = is_of_one_sign && is_of_order && is_of(last_rate, left, vat, rounding);
    bases.push((last, left));
    fits.then_some(bases)
}

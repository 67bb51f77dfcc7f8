//! The parts of an order in a table by VAT rate: they add up to the order, whatever the till sent by rate.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{
    Currency, Money, Number, Order, VatLine,
    rates::{rates, slack},
    sign::sum,
};

/// What a part of an order is told as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// At this rate, in percent.
    Rate(Number),
    /// Its amounts are known, and not by rate.
    Undivided,
    /// It lacks an amount.
    Lacking,
    /// Cents by which the rates are together more or less than the order.
    Rounding,
}

impl Part {
    /// The rate, where it has one.
    pub fn rate(self) -> Option<Number> {
        if let Self::Rate(rate) = self { Some(rate) } else { None }
    }
}

/// A part of an order and its amounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// What it is told as.
    pub part: Part,
    /// Without VAT.
    pub net: Option<Money>,
    /// The VAT.
    pub vat: Option<Money>,
    /// With VAT.
    pub gross: Option<Money>,
}

/// Why an order, or a part of it, is not told by rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyUndivided {
    /// The till sent nothing by rate.
    NotSent,
    /// It did, and what was sold at each rate does not follow from it.
    NoBases,
    /// The rates are more than the order, or contradict it: a discount on the whole, for instance.
    NotTheOrder,
    /// The rates are less than the order.
    TooLittle,
}

impl Order {
    /// The order in parts by VAT rate that add up to it; `None` where the rates that were sent do not say enough of it.
    pub fn by_rate(&self) -> Option<Vec<Share>> {
        let counted = self.counted();
        let totals = [counted.total_net, counted.total_vat, counted.total];
        let is_by_rate = |part: &Share| !matches!(part.part, Part::Undivided | Part::Lacking);
        let parts = shares(&rates(self, &counted), totals, self.currency).parts;
        parts.iter().any(is_by_rate).then_some(parts)
    }
}

/// An order as the parts of a table.
pub(super) struct Shares {
    pub(super) parts: Vec<Share>,
    pub(super) why_undivided: Option<WhyUndivided>,
}

/// Divides an order by rate. `totals` are its net, VAT and gross.
pub(super) fn shares(rates: &[VatLine], totals: [Option<Money>; 3], currency: Currency) -> Shares {
    let complete: Option<Vec<Share>> = rates.iter().map(complete).collect();
    let Some(mut parts) = complete else {
        let is_sent = rates.iter().any(|line| line.rate.is_some());
        let why = if is_sent { WhyUndivided::NoBases } else { WhyUndivided::NotSent };
        return whole(totals, why);
    };
    let amounts = |nth: usize| rates.iter().map(move |line| [line.net, line.vat, line.gross][nth]);
    // A total that was not sent is that of the rates.
    let rest = [0, 1, 2].map(|nth| {
        let of_rates = sum(amounts(nth))?;
        totals[nth].unwrap_or(of_rates).checked_sub(of_rates)
    });
    let [Some(net), Some(vat), Some(gross)] = rest else { return whole(totals, WhyUndivided::NoBases) };
    let slack = slack(rates.len(), currency.minor_digits());
    let left = [net, vat, gross].map(Money::value);
    let rest = |part| Share { part, net: Some(net), vat: Some(vat), gross: Some(gross) };
    if left.iter().all(Decimal::is_zero) {
        return Shares { parts, why_undivided: None };
    }
    if left.iter().all(|amount| amount.abs() <= slack) {
        parts.push(rest(Part::Rounding));
        return Shares { parts, why_undivided: None };
    }
    if !may_be_of_order(left, totals[2].or_else(|| sum(amounts(2))), slack) {
        return whole(totals, WhyUndivided::NotTheOrder);
    }
    parts.push(rest(Part::Undivided));
    Shares { parts, why_undivided: Some(WhyUndivided::TooLittle) }
}

/// Whether what the rates leave of an order may be a part of it: it goes the same way, and its VAT is a part of it too, but
/// for cents of rounding.
fn may_be_of_order([net, vat, gross]: [Decimal; 3], total: Option<Money>, slack: Decimal) -> bool {
    let Some(total) = total.map(Money::value).filter(|total| !total.is_zero()) else { return false };
    let goes_with = |amount: Decimal| !amount.is_zero() && amount.is_sign_negative() == total.is_sign_negative();
    goes_with(net) && goes_with(gross) && (vat.abs() <= slack || (goes_with(vat) && vat.abs() < gross.abs()))
}

fn complete(line: &VatLine) -> Option<Share> {
    let known = line.net.is_some() && line.vat.is_some() && line.gross.is_some();
    let part = Part::Rate(line.rate.filter(|_| known)?);
    Some(Share { part, net: line.net, vat: line.vat, gross: line.gross })
}

/// The order in one piece.
fn whole([net, vat, gross]: [Option<Money>; 3], why: WhyUndivided) -> Shares {
    let is_known = net.is_some() && vat.is_some() && gross.is_some();
    let part = if is_known { Part::Undivided } else { Part::Lacking };
    Shares { parts: vec![Share { part, net, vat, gross }], why_undivided: Some(why) }
}

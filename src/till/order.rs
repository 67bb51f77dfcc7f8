//! An order as the till holds it: what it is announced with, and the sums that follow from its lines.
//!
//! **Invariant:** every amount is computed from the lines, exactly, so an order cannot contradict itself.

use std::collections::BTreeMap;

use jiff::Zoned;
use rust_decimal::{Decimal, RoundingStrategy};

/// An order.
#[derive(Clone, Debug, PartialEq)]
pub struct TillOrder {
    /// The number in the shop's accounting.
    pub order_id: String,
    /// The identity within the shop.
    pub internal_id: String,
    /// Who bought; `None` at the counter.
    pub customer: Option<TillCustomer>,
    /// The lines; of a refund, with negative prices.
    pub items: Vec<TillItem>,
    /// Whether money goes back.
    pub is_refund: bool,
    /// Which till.
    pub cash_box_id: String,
    /// 0…6, as the till documents them.
    pub delivery_method: u8,
    /// When it was begun.
    pub created: Option<Zoned>,
    /// When its invoice was made.
    pub validated: Option<Zoned>,
    /// The day it counts for in the books.
    pub value: Option<Zoned>,
    /// Where its invoice is served.
    pub pdf_url: Option<String>,
    /// Where somebody may ask whether an announcement is genuine.
    pub verification_url: Option<String>,
    /// Whether its announcements are marked as a test.
    pub test: bool,
}

/// A line of an order.
#[derive(Clone, Debug, PartialEq)]
pub struct TillItem {
    /// The article.
    pub id: String,
    /// What the customer reads.
    pub title: String,
    /// How many, or how much.
    pub quantity: Decimal,
    /// For one, VAT included.
    pub unit_price: Decimal,
    /// Percent.
    pub vat_rate: Decimal,
}

/// A customer with an account.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TillCustomer {
    /// The till's number for the customer.
    pub id: String,
    /// Last name, or the company's name.
    pub last_name: String,
    /// First name; empty for a company.
    pub first_name: String,
    /// E-mail address.
    pub email: String,
    /// Telephone number.
    pub phone: String,
    /// Street and number.
    pub address: String,
    /// Post code.
    pub postcode: String,
    /// Town.
    pub city: String,
    /// VAT number, of a company.
    pub vat_number: Option<String>,
    /// What else was typed in about the customer, with the field names of the till's API (pos-api §3).
    pub more: Vec<(String, String)>,
}

/// What an order owes at one VAT rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TillVat {
    /// Percent.
    pub rate: Decimal,
    /// Without VAT.
    pub net: Decimal,
    /// The VAT.
    pub vat: Decimal,
    /// With VAT.
    pub gross: Decimal,
}

impl TillOrder {
    /// The total, VAT included.
    pub fn total(&self) -> Decimal {
        self.items.iter().map(TillItem::total).sum()
    }

    /// The total VAT: the sum over the rates.
    pub fn total_vat(&self) -> Decimal {
        self.vat().iter().map(|line| line.vat).sum()
    }

    /// The VAT by rate, the lowest first. It is taken out of each rate's gross sum and rounded to the cent once, so
    /// `net + vat == gross` holds exactly.
    pub fn vat(&self) -> Vec<TillVat> {
        let mut gross_by_rate = BTreeMap::<Decimal, Decimal>::new();
        for item in &self.items {
            *gross_by_rate.entry(item.vat_rate).or_default() += item.total();
        }
        gross_by_rate.into_iter().map(|(rate, gross)| TillVat::of(rate, gross)).collect()
    }

    /// The customer's name as people write it.
    pub fn customer_name(&self) -> Option<String> {
        self.customer.as_ref().map(TillCustomer::name)
    }
}

impl TillItem {
    /// The line's amount, VAT included, to the cent.
    pub fn total(&self) -> Decimal {
        cents(self.quantity * self.unit_price)
    }
}

impl TillCustomer {
    /// First and last name, or the company's.
    pub fn name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name).trim().to_owned()
    }
}

impl TillVat {
    fn of(rate: Decimal, gross: Decimal) -> Self {
        let vat = cents(gross * rate / (Decimal::ONE_HUNDRED + rate));
        Self { rate, net: gross - vat, vat, gross }
    }
}

/// Rounds to the cent, halves away from zero, and writes both decimals.
pub(super) fn cents(amount: Decimal) -> Decimal {
    let mut rounded = amount.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    rounded.rescale(2);
    rounded
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, tz::TimeZone};

    use super::*;
    use crate::till::sample_order;

    #[test]
    fn the_documented_menu_has_the_vat_that_an_accountant_computes() {
        let ten = Decimal::from(10);
        let line = TillVat::of(ten, Decimal::new(2580, 2));
        assert_eq!((line.vat, line.net), (Decimal::new(235, 2), Decimal::new(2345, 2)));
        let back = TillVat::of(ten, Decimal::new(-2580, 2));
        assert_eq!(back.vat, -line.vat, "a refund gives back what was paid");
    }

    #[test]
    fn the_sums_of_a_thousand_orders_are_exact() {
        for seed in 0..1000 {
            let order = sample_order(seed, &TimeZone::UTC, Timestamp::UNIX_EPOCH, seed % 5 == 0);
            let (lines, rates) = (&order.items, order.vat());
            assert!(!lines.is_empty() && lines.iter().all(|line| line.total() == line.quantity * line.unit_price));
            assert_eq!(rates.iter().map(|rate| rate.gross).sum::<Decimal>(), order.total());
            assert_eq!(rates.iter().map(|rate| rate.net).sum::<Decimal>() + order.total_vat(), order.total());
            assert!(rates.iter().all(|rate| rate.net + rate.vat == rate.gross && rate.vat.scale() == 2));
            assert_eq!(order.total().is_sign_negative(), order.is_refund);
        }
    }
}

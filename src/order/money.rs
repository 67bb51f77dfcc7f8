//! Exact numbers: money with the currency's decimals, and plain numbers without trailing zeros.
//!
//! **Invariant:** both types are canonical from birth, so equal values have equal texts and comparing texts is
//! comparing values.

use std::fmt;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

/// An exact amount, written with a dot and at least the currency's decimals: `20.4` → `20.40`, `1.005` → `1.005`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Money(Decimal);

impl Money {
    /// An amount in a currency with `minor_digits` decimals (2 for the euro). Nothing is rounded.
    pub fn new(value: Decimal, minor_digits: u32) -> Self {
        let mut value = value.normalize();
        if value.scale() < minor_digits {
            value.rescale(minor_digits);
        }
        Self(value)
    }

    /// The amount as a decimal.
    pub fn value(self) -> Decimal {
        self.0
    }

    /// The decimals that were written; at least the currency's.
    pub fn scale(self) -> u32 {
        self.0.scale()
    }

    /// The amount in whole units of `minor_digits` decimals, halves away from zero as tills round.
    pub fn rounded(self, minor_digits: u32) -> Self {
        Self::new(self.0.round_dp_with_strategy(minor_digits, RoundingStrategy::MidpointAwayFromZero), minor_digits)
    }

    /// The same amount below zero, or above; nothing has no sign.
    pub fn towards(self, is_back: bool) -> Self {
        if is_back && !self.0.is_zero() { Self(-self.0.abs()) } else { self.abs() }
    }

    /// The same amount without its sign.
    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// Whether the amount is below zero.
    pub fn is_negative(self) -> bool {
        self.0.is_sign_negative() && !self.0.is_zero()
    }

    /// `self + other`; `None` where 28 digits do not suffice.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let digits = self.scale().min(other.scale());
        self.0.checked_add(other.0).map(|sum| Self::new(sum, digits))
    }

    /// `self − other`; `None` where 28 digits do not suffice.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        let digits = self.scale().min(other.scale());
        self.0.checked_sub(other.0).map(|difference| Self::new(difference, digits))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Money {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Money {
    /// Reads what [`Serialize`] wrote, decimals and all.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Decimal::from_str_exact(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// An exact quantity or rate, written without trailing zeros: `10.00` → `10`, `5.50` → `5.5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number(Decimal);

impl Number {
    /// The value, brought to its shortest text.
    pub fn new(value: Decimal) -> Self {
        Self(value.normalize())
    }

    /// The number as a decimal.
    pub fn value(self) -> Decimal {
        self.0
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Decimal::from_str_exact(&text).map(Self::new).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::from_str_exact(text).expect("a decimal")
    }

    #[test]
    fn money_has_at_least_the_decimals_of_its_currency_and_loses_none() {
        for (given, written) in
            [("20.4", "20.40"), ("20.400", "20.40"), ("1.005", "1.005"), ("-3", "-3.00"), ("0", "0.00")]
        {
            assert_eq!(Money::new(decimal(given), 2).to_string(), written);
        }
        assert_eq!(Money::new(decimal("500.0"), 0).to_string(), "500");
    }

    #[test]
    fn an_amount_is_rounded_as_tills_round_and_nothing_has_no_sign() {
        for (given, written) in
            [("5.975", "5.98"), ("-5.975", "-5.98"), ("8.3333", "8.33"), ("-0.001", "0.00"), ("7", "7.00")]
        {
            assert_eq!(Money::new(decimal(given), 2).rounded(2).to_string(), written);
        }
        assert_eq!(Money::new(decimal("0.00"), 2).towards(true).to_string(), "0.00");
        assert_eq!(Money::new(decimal("5"), 2).towards(true).to_string(), "-5.00");
    }

    #[test]
    fn equal_amounts_are_equal_however_they_were_written() {
        assert_eq!(Money::new(decimal("1.5"), 2), Money::new(decimal("1.5000"), 2));
        assert_eq!(Number::new(decimal("5.50")).to_string(), "5.5");
        assert_eq!(Number::new(decimal("20.00")).to_string(), "20");
        assert_eq!(Number::new(decimal("100")).to_string(), "100");
    }
}

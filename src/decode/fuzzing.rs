//! Doors for the fuzz targets (`fuzz/`) to what nobody else calls: the decoder without its safety net, and the readers of
//! single values, which would take a fuzzer ages to find through a whole body. No part of the program's interface.

use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::{Input, Unreadable};
use crate::json::{Budget, CALL, Fault};
use crate::order::{Moment, Notification, Shop};

/// [`super::decode`], but a panic is seen.
///
/// # Errors
/// As there.
pub fn read(input: &Input<'_>, shop: &Shop) -> Result<Notification, Unreadable> {
    super::read(input, shop)
}

/// Pairs with brackets in their keys as a tree.
///
/// # Errors
/// When they make more than a call may hold.
pub fn nest(pairs: Vec<(String, String)>) -> Result<Map<String, Value>, Fault> {
    super::brackets::nest(pairs, &Budget::new(CALL))
}

/// An amount or a quantity.
pub fn decimal(value: &Value) -> Option<Decimal> {
    super::number::decimal(value)
}

/// A rate in percent.
pub fn rate(value: &Value) -> Option<Decimal> {
    super::number::rate(value)
}

/// A date.
pub fn moment(value: &Value, zone: &TimeZone) -> Option<Moment> {
    super::date::moment(value, zone)
}

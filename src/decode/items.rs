//! `items` → the lines of an order.
//!
//! The till's documentation does not say whether a price is for one or for the line, so the order's total decides, for
//! all lines together (contract §5, Reading).

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::{
    fields::{Fields, is_empty, money},
    json, names,
};
use crate::order::{Item, Money, Number, Shop};

/// How far a sum may be off for each line, because the till rounds each to the cent; and at least by a cent.
const ROUNDING_PER_LINE: Decimal = Decimal::from_parts(5, 0, 0, false, 3);
const ROUNDING: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

/// The decimals that the price for one may have when it was divided out of a line's total.
const MAX_UNIT_DECIMALS: u32 = 4;

/// Takes the lines out of a value; `None`, and nothing taken, when it is no list of objects.
pub(super) fn take(value: &mut Value, total: Option<Money>, shop: &Shop) -> Option<Vec<Item>> {
    let mut items: Vec<Item> = rows(value)?.into_iter().map(|row| item(row, shop)).collect();
    let reading = reading(&items, total);
    for item in &mut items {
        complete(item, reading, shop);
    }
    Some(items)
}

/// The lines as objects: a list, an object keyed by position, or a single line.
fn rows(value: &mut Value) -> Option<Vec<Map<String, Value>>> {
    let rows = match value {
        Value::Array(rows) => {
            rows.iter_mut().for_each(json::unpack);
            rows.iter().all(is_row).then(|| std::mem::take(rows))?
        }
        Value::Object(map) if map.iter().all(|(key, row)| key.parse::<u64>().is_ok() && is_row(row)) => {
            let mut rows: Vec<_> = std::mem::take(map).into_iter().collect();
            rows.sort_by_key(|(key, _)| key.parse::<u64>().unwrap_or(u64::MAX));
            rows.into_iter().map(|(_, row)| row).collect()
        }
        Value::Object(map) if map.keys().any(|key| names::LABEL.iter().any(|name| names::same(key, name))) => {
            vec![std::mem::take(value)]
        }
        _ => return None,
    };
    *value = Value::Null;
    let row = |row| if let Value::Object(row) = row { Some(row) } else { None };
    Some(rows.into_iter().filter_map(row).collect())
}

fn is_row(value: &Value) -> bool {
    value.is_object() || is_empty(value)
}

fn item(row: Map<String, Value>, shop: &Shop) -> Item {
    let mut fields = Fields::new(row);
    Item {
        id: fields.text(names::ITEM_ID),
        label: fields.text(names::LABEL),
        quantity: fields.number(names::QUANTITY),
        unit_price: fields.money(names::UNIT_PRICE, shop),
        total: fields.money(names::LINE_TOTAL, shop),
        vat_rate: fields.rate(names::ITEM_RATE),
        extra: fields.into_extra(),
    }
}

/// What the prices of an order's lines are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// For one.
    PerUnit,
    /// For the line.
    PerLine,
}

/// Per unit, unless only the other reading adds up to the order's total.
fn reading(items: &[Item], total: Option<Money>) -> Reading {
    let adds_up = |reading| {
        let sum = items.iter().try_fold(Decimal::ZERO, |sum, item| sum.checked_add(contribution(item, reading)?));
        let slack = (ROUNDING_PER_LINE * Decimal::from(items.len())).max(ROUNDING);
        // Without its sign: a refund may list what was sold.
        sum.zip(total).is_some_and(|(sum, total)| (sum.abs() - total.value().abs()).abs() <= slack)
    };
    if !adds_up(Reading::PerUnit) && adds_up(Reading::PerLine) { Reading::PerLine } else { Reading::PerUnit }
}

/// What a line adds to the order; a total that was sent stands.
fn contribution(item: &Item, reading: Reading) -> Option<Decimal> {
    match (item.total, item.unit_price, reading) {
        (Some(total), _, _) => Some(total.value()),
        (None, Some(price), Reading::PerLine) => Some(price.value()),
        (None, Some(price), Reading::PerUnit) => times(price, item.quantity),
        (None, None, _) => Some(Decimal::ZERO),
    }
}

/// Works out the total of a line, or the price for one, where it was not sent.
fn complete(item: &mut Item, reading: Reading, shop: &Shop) {
    let (Some(price), None) = (item.unit_price, item.total) else { return };
    match reading {
        Reading::PerUnit => item.total = times(price, item.quantity).map(|total| money(total, shop)),
        Reading::PerLine => {
            item.total = Some(price);
            item.unit_price = divided(price, item.quantity).map(|unit| money(unit, shop));
        }
    }
}

/// The product, in all its digits. A quantity that was not sent is one.
fn times(price: Money, quantity: Option<Number>) -> Option<Decimal> {
    let quantity = quantity.map_or(Decimal::ONE, Number::value);
    let fits = price.scale() + quantity.scale() <= Decimal::MAX_SCALE;
    price.value().checked_mul(quantity).filter(|_| fits)
}

/// The price for one, where it can be written down exactly.
fn divided(price: Money, quantity: Option<Number>) -> Option<Decimal> {
    let quantity = quantity.map_or(Decimal::ONE, Number::value);
    let unit = price.value().checked_div(quantity)?.normalize();
    (unit.scale() <= MAX_UNIT_DECIMALS && unit.checked_mul(quantity) == Some(price.value())).then_some(unit)
}

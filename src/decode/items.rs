//! `items` → the lines of an order.
//!
//! The till's documentation does not say whether a price is for one or for the line, so the order's total decides, for
//! all lines together (contract §5, Reading).

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::{
    fields::{Fields, is_empty, money},
    names, number,
    order::Parts,
};
use crate::order::{Item, Money, Number, Shop};

/// How far a sum may be off for each line, because the till rounds each to the cent; and at least by a cent.
const ROUNDING_PER_LINE: Decimal = Decimal::from_parts(5, 0, 0, false, 3);
const ROUNDING: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

/// The decimals that the price for one may have when it was divided out of a line's total.
const MAX_UNIT_DECIMALS: u32 = 4;

/// Takes the lines out of a value; `None`, and nothing taken, when it is no list of objects.
pub(super) fn take(value: &mut Value, total: Option<Money>, shop: &Shop) -> Option<Parts<Vec<Item>>> {
    let mut lines: Vec<Line> = rows(value)?.into_iter().map(|row| line(row, shop)).collect();
    let reading = reading(&lines, total);
    for line in &mut lines {
        complete(line, reading, shop);
    }
    let is_partial = lines.iter().any(|line| line.is_partial);
    Some(Parts { value: lines.into_iter().map(|line| line.item).collect(), is_partial })
}

/// The lines as objects: a list, an object keyed by position, or a single line.
fn rows(value: &mut Value) -> Option<Vec<Map<String, Value>>> {
    let rows = match value {
        Value::Array(rows) => rows.iter().all(is_row).then(|| std::mem::take(rows))?,
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

/// A line.
struct Line {
    item: Item,
    /// Whether an amount, a quantity or a rate was sent and not understood.
    is_partial: bool,
    /// Whether that is the quantity: what the line comes to is not known then.
    is_uncounted: bool,
}

fn line(row: Map<String, Value>, shop: &Shop) -> Line {
    let mut fields = Fields::new(row);
    let mut item = Item {
        id: fields.text(names::ITEM_ID),
        label: fields.text(names::LABEL),
        quantity: fields.quantity(names::QUANTITY),
        unit_price: fields.money(names::UNIT_PRICE, shop),
        total: fields.money(names::LINE_TOTAL, shop),
        vat_rate: fields.rate(names::ITEM_RATE),
        extra: Map::new(),
    };
    let is_uncounted = fields.holds_unread(names::QUANTITY, |value| number::quantity(value).is_some());
    let is_partial = is_uncounted
        || fields.holds_unread_amount(names::UNIT_PRICE)
        || fields.holds_unread_amount(names::LINE_TOTAL)
        || fields.holds_unread_rate(names::ITEM_RATE);
    item.extra = fields.into_extra();
    Line { item, is_partial, is_uncounted }
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
fn reading(lines: &[Line], total: Option<Money>) -> Reading {
    let adds_up = |reading| {
        let sum = lines.iter().try_fold(Decimal::ZERO, |sum, line| sum.checked_add(contribution(line, reading)?));
        let slack = (ROUNDING_PER_LINE * Decimal::from(lines.len())).max(ROUNDING);
        // Without its sign: a refund may list what was sold.
        let apart = sum.zip(total).and_then(|(sum, total)| sum.abs().checked_sub(total.value().abs()));
        apart.is_some_and(|apart| apart.abs() <= slack)
    };
    if !adds_up(Reading::PerUnit) && adds_up(Reading::PerLine) { Reading::PerLine } else { Reading::PerUnit }
}

/// What a line adds to the order; a total that was sent stands.
fn contribution(line: &Line, reading: Reading) -> Option<Decimal> {
    let item = &line.item;
    match (item.total, item.unit_price, reading) {
        (Some(total), _, _) => Some(total.value()),
        _ if line.is_uncounted => None,
        (None, Some(price), Reading::PerLine) => Some(price.value()),
        (None, Some(price), Reading::PerUnit) => times(price, item.quantity),
        (None, None, _) => Some(Decimal::ZERO),
    }
}

/// Works out the total of a line, or the price for one, where it was not sent.
fn complete(line: &mut Line, reading: Reading, shop: &Shop) {
    let item = &mut line.item;
    let (Some(price), None, false) = (item.unit_price, item.total, line.is_uncounted) else { return };
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::tests::content, *};

    #[test]
    fn a_price_is_for_one_unless_only_the_other_reading_adds_up() {
        let two = json!([{"titre": "A", "qte": 2, "prix": "10"}, {"titre": "B", "qte": "4", "prix": "6"}]);
        for (total, items, units, totals) in [
            ("44", &two, ["10.00", "6.00"], ["20.00", "24.00"]),
            ("16", &two, ["5.00", "1.50"], ["10.00", "6.00"]),
            ("-16", &two, ["5.00", "1.50"], ["10.00", "6.00"]),
            ("99", &two, ["10.00", "6.00"], ["20.00", "24.00"]),
            ("", &two, ["10.00", "6.00"], ["20.00", "24.00"]),
        ] {
            let read = content(json!({"price": total, "items": items}));
            for n in 0..2 {
                assert_eq!(read["items"][n]["unit_price"], units[n], "{total}");
                assert_eq!(read["items"][n]["total"], totals[n], "{total}");
            }
        }
    }

    #[test]
    fn a_line_is_completed_exactly_or_not_at_all() {
        for (total, item, unit, line) in [
            ("10", json!({"prix": 10, "qte": 3}), json!(null), json!("10.00")),
            ("4.30", json!({"prix": "12.90", "qte": "0.333"}), json!("12.90"), json!("4.2957")),
            ("5", json!({"prix": "5"}), json!("5.00"), json!("5.00")),
            ("5", json!({"total": "5", "qte": 2}), json!(null), json!("5.00")),
            ("15", json!({"prix": "10", "qte": 2, "total": "15"}), json!("10.00"), json!("15.00")),
            ("5", json!({"titre": "x", "qte": 0, "prix": "5"}), json!(null), json!("5.00")),
        ] {
            let read = content(json!({"price": total, "items": [item]}));
            assert_eq!((&read["items"][0]["unit_price"], &read["items"][0]["total"]), (&unit, &line), "{item}");
        }
        assert_eq!(content(json!({"items": [{"prix": 5}]}))["items"][0]["quantity"], json!(null));
    }

    #[test]
    fn items_are_read_in_every_shape_and_kept_when_they_are_none() {
        let labels = |items: Value| -> Vec<Value> {
            let read = content(json!({ "articles": items }));
            read["items"]
                .as_array()
                .map(|list| list.iter().map(|item| item["label"].clone()).collect())
                .unwrap_or_default()
        };
        for items in [
            json!([{"titre": "A"}, {"libellé": "B"}]),
            json!({"10": {"name": "B"}, "2": {"Label": "A"}}),
            json!([r#"{"titre":"A"}"#, {"nom": "B"}, null]),
        ] {
            assert_eq!(labels(items.clone()), ["A", "B"], "{items}");
        }
        assert_eq!(labels(json!({"titre": "A", "prix": 1})), ["A"]);
        for odd in [json!(["12_2_Pizza"]), json!({"3": "q"}), json!("two pizzas"), json!({"a": {"b": 1}}), json!(3)] {
            let read = content(json!({ "items": odd }));
            assert_eq!((&read["items"], &read["extra"]["items"]), (&json!(null), &odd));
        }
    }
}

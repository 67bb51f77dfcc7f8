//! `VATs` → the VAT of an order by rate.
//!
//! Its shape is not documented, so every shape that PHP makes of such a table is read: a list of objects, an object keyed
//! by rate with amounts or objects in it, a list of pairs.

use serde_json::{Map, Value};

use super::{
    fields::{Fields, money},
    names, number,
    order::Parts,
};
use crate::order::{Number, Shop, VatLine};

/// Takes the lines out of a value. `None`, and nothing taken, when it is none of the known shapes; where a line holds more
/// than a [`VatLine`] can, the value stays as it was sent.
pub(super) fn take(value: &mut Value, shop: &Shop) -> Option<Parts<Vec<VatLine>>> {
    let lines = match &*value {
        Value::Array(list) => {
            list.iter().map(|entry| entry_of_list(entry, list.len(), shop)).collect::<Option<Vec<_>>>()?
        }
        Value::Object(map) => keyed_by_rate(map, shop).or_else(|| Some(vec![from_object(map, None, shop)?]))?,
        _ => return None,
    };
    if lines.iter().all(|line| line.complete) {
        *value = Value::Null;
    }
    let is_partial = lines.iter().any(|line| line.is_partial);
    Some(Parts { value: lines.into_iter().map(|line| line.line).collect(), is_partial })
}

/// A line.
struct Read {
    line: VatLine,
    /// Whether it holds everything that was sent.
    complete: bool,
    /// Whether an amount or a rate was sent and not understood.
    is_partial: bool,
}

impl Read {
    fn amount(rate: Number, amount: &Value, shop: &Shop) -> Option<Self> {
        let vat = Some(money(number::decimal(amount)?, shop));
        Some(Self { line: VatLine { rate: Some(rate), vat, ..VatLine::default() }, complete: true, is_partial: false })
    }
}

fn entry_of_list(entry: &Value, entries: usize, shop: &Shop) -> Option<Read> {
    match entry {
        Value::Object(map) => from_object(map, None, shop),
        Value::Array(pair) => match pair.as_slice() {
            [rate, amount] => Read::amount(Number::new(number::rate(rate)?), amount, shop),
            _ => None,
        },
        // PHP writes an array with the only key 0 as a list: the rate of 0 %, which has no VAT.
        scalar if entries == 1 && number::decimal(scalar)?.is_zero() => {
            Read::amount(Number::new(rust_decimal::Decimal::ZERO), scalar, shop)
        }
        _ => None,
    }
}

/// `{"20": "4.00", "5.5": {"ht": …}}`, by ascending rate, since the order of keys says nothing.
fn keyed_by_rate(map: &Map<String, Value>, shop: &Shop) -> Option<Vec<Read>> {
    let mut lines = Vec::new();
    for (key, value) in map {
        let rate = Number::new(number::rate_text(key)?);
        let line = match value {
            Value::Object(map) => from_object(map, Some(rate), shop)?,
            amount => Read::amount(rate, amount, shop)?,
        };
        lines.push(line);
    }
    lines.sort_by_key(|line| line.line.rate);
    Some(lines)
}

fn from_object(map: &Map<String, Value>, key: Option<Number>, shop: &Shop) -> Option<Read> {
    let mut fields = Fields::new(map.clone());
    let mut line = VatLine {
        rate: fields.rate(names::RATE),
        net: fields.money(names::NET, shop),
        vat: None,
        gross: fields.money(names::GROSS, shop),
    };
    if line.rate.is_some() || key.is_some() || !fields.has(names::VAT_AMOUNT) {
        line.vat = fields.money(names::VAT_OR_RATE, shop);
    } else {
        line.rate = fields.rate(names::VAT_OR_RATE);
    }
    line.vat = line.vat.or_else(|| fields.money(names::VAT_AMOUNT, shop));
    line.rate = line.rate.or(key);
    let says_something = line.net.or(line.vat).or(line.gross).is_some();
    let amounts = [names::NET, names::GROSS, names::VAT_OR_RATE, names::VAT_AMOUNT];
    let is_partial =
        amounts.iter().any(|names| fields.holds_unread_amount(names)) || fields.holds_unread_rate(names::RATE);
    says_something.then(|| Read { line, complete: fields.are_empty(), is_partial })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::content;

    #[test]
    fn vat_is_read_in_every_shape() {
        let ten = json!({"rate": "10", "net": null, "vat": "2.35", "gross": null});
        let twenty = json!({"rate": "20", "net": "15.00", "vat": "3.00", "gross": "18.00"});
        for (sent, expected) in [
            (json!({"20": {"ht": 15, "tva": 3, "ttc": 18}, "10": "2,35 €"}), json!([ten, twenty])),
            (json!([[10, 2.35]]), json!([ten])),
            (json!([{"tva": "10", "montant": "2.35"}]), json!([ten])),
            (json!([{"tva": "2.35", "taux": "10 %"}]), json!([ten])),
            (json!({"rate": 20, "net": 15, "vat": 3, "gross": 18}), json!([twenty])),
            (json!({"0": {"taux": 20, "ht": 15, "tva": 3, "ttc": 18}}), json!([twenty])),
            (json!(["0.00"]), json!([{"rate": "0", "net": null, "vat": "0.00", "gross": null}])),
        ] {
            let read = content(json!({ "VATs": sent }));
            assert_eq!((&read["vat"], &read["extra"]), (&expected, &json!({})), "{sent}");
        }
        for odd in [json!(["4.00"]), json!({"a": 1}), json!("20%"), json!([[1, 2, 3]]), json!([{"taux": 20}])] {
            let read = content(json!({ "VATs": odd }));
            assert_eq!((&read["vat"], &read["extra"]["VATs"]), (&json!(null), &odd));
        }
        let more = json!([{"taux": 10, "tva": "2.35", "code": "B"}]);
        let read = content(json!({ "VATs": more }));
        assert_eq!((&read["vat"], &read["extra"]["VATs"]), (&json!([ten]), &more), "what a line cannot hold stays");
    }
}

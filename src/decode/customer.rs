//! `customer` or `client` → who bought.

use serde_json::{Map, Value};

use super::{
    fields::{Fields, flag, is_empty, text},
    names,
};
use crate::order::{Address, Customer};

/// Whether a value says that there is no customer, as PHP does with `false` and `0`.
pub(super) fn is_none(value: &Value) -> bool {
    is_empty(value) || flag(value) == Some(false) || text(value).is_some_and(|text| text.eq_ignore_ascii_case("null"))
}

/// Takes the customer out of a value; `None`, and nothing taken, when it is neither an object nor a list of one. The inner
/// `None` is a customer without any data. `id` is the number that stands beside the data (`clientID`); it wins over one
/// within.
pub(super) fn take(value: &mut Value, id: Option<&str>) -> Option<Option<Customer>> {
    let object = match value {
        Value::Object(object) => object,
        Value::Array(list) => match list.as_mut_slice() {
            [Value::Object(object)] => object,
            _ => return None,
        },
        _ => return None,
    };
    let customer = read(std::mem::take(object), id);
    *value = Value::Null;
    Some(customer)
}

fn read(object: Map<String, Value>, id: Option<&str>) -> Option<Customer> {
    let mut fields = Fields::new(object);
    let has_number = fields.has(names::COMPANY_NUMBER) || fields.has(names::COMPANY);
    let name = name(&mut fields);
    let customer = Customer {
        id: number(&mut fields, id),
        is_company: if has_number { Some(true) } else { name.as_ref().map(|_| false) },
        name,
        email: fields.text(names::EMAIL),
        phone: fields.text(names::PHONE),
        address: address(&mut fields),
        extra: fields.into_extra(),
    };
    let says_nothing = customer.extra.values().all(is_empty)
        && Customer { extra: Map::new(), ..customer.clone() } == Customer::default();
    (!says_nothing).then_some(customer)
}

/// The customer's number: the outer one, else the inner. An inner one that differs stays where it is.
fn number(fields: &mut Fields, outer: Option<&str>) -> Option<String> {
    let Some(outer) = outer else { return fields.id(names::PERSON_ID) };
    fields.take(names::PERSON_ID, |inner| text(inner).filter(|inner| inner == outer));
    Some(outer.to_owned())
}

/// First and last name, else the company's.
fn name(fields: &mut Fields) -> Option<String> {
    match (fields.text(names::FIRST_NAME), fields.text(names::LAST_NAME)) {
        (Some(first), Some(last)) => Some(format!("{first} {last}")),
        (first, last) => first.or(last).or_else(|| fields.text(names::COMPANY)),
    }
}

fn address(fields: &mut Fields) -> Option<Address> {
    let address = Address {
        line1: fields.text(names::LINE_1),
        line2: fields.text(names::LINE_2),
        note: fields.text(names::NOTE),
        postcode: fields.text(names::POSTCODE),
        city: fields.text(names::CITY),
        country: fields.text(names::COUNTRY),
    };
    (address != Address::default()).then_some(address)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::tests::content, *};

    #[test]
    fn a_customer_is_read_in_french_and_english_or_is_none() {
        let customer = |fields: Value| content(fields)["customer"].clone();
        for none in [
            json!({"customer": [], "clientID": "0"}),
            json!({"client": "", "clientID": ""}),
            json!({"client": "[]"}),
            json!({"customer": {"nom": "", "numtva": null, "id": 0}}),
            json!({"client": false}),
            json!({"client": "false", "clientID": 0}),
            json!({"client": "0"}),
            json!({"customer": "null"}),
            json!({}),
        ] {
            assert_eq!(customer(none.clone()), json!(null), "{none}");
        }
        let full = customer(json!({"client": {
            "firstname": "Zoé", "lastname": "Durand", "company": "Durand SARL", "Phone": 612345678, "address": "10 rue", "zip": "75005",
            "city": "Paris", "country": "FR", "siret": "123", "id": "9", "telephone2": "x"
        }}));
        assert_eq!(full["name"], "Zoé Durand");
        assert_eq!(full["is_company"], true);
        assert_eq!(full["phone"], "612345678");
        assert_eq!(full["address"]["postcode"], "75005");
        assert_eq!(full["id"], "9");
        assert_eq!(full["extra"], json!({"company": "Durand SARL", "siret": "123", "telephone2": "x"}));
        let company = customer(json!({"customer": {"societe": "Durand SARL"}, "clientID": 9}));
        assert_eq!(
            (&company["name"], &company["is_company"], &company["id"]),
            (&json!("Durand SARL"), &json!(true), &json!("9"))
        );
        let nameless = customer(json!({"clientID": 512, "customer": []}));
        assert_eq!((&nameless["id"], &nameless["is_company"]), (&json!("512"), &json!(null)));
        let two_ids = customer(json!({"clientID": 512, "customer": {"id": 7, "nom": "X"}}));
        assert_eq!((&two_ids["id"], &two_ids["extra"]), (&json!("512"), &json!({"id": 7})));
    }
}

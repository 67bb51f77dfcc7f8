//! `customer` or `client` → who bought.

use serde_json::{Map, Value};

use super::{
    fields::{Fields, is_empty, text},
    names,
};
use crate::order::{Address, Customer};

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

//! The orders of a period, which is what shows whether one was never announced.
//!
//! How an order is written in the till's answer is documented nowhere. It is handed on as the till wrote it, and read by
//! whoever needs it with the names of an announcement.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    ApiError,
    records::{self, Unread},
};
use crate::{json::Budget, order::DeliveryMethod};

/// Which orders.
#[derive(Clone, Debug, PartialEq)]
pub struct OrdersQuery {
    /// Those from then on.
    pub from: Timestamp,
    /// Those until then. Whether the till counts the end in is not documented.
    pub to: Timestamp,
    /// Only those whose invoice is issued, or only those whose is not.
    pub validated: Option<bool>,
    /// Only those that are handed over like this.
    pub delivery_method: Option<DeliveryMethod>,
}

impl OrdersQuery {
    /// All orders of a period.
    pub fn between(from: Timestamp, to: Timestamp) -> Self {
        Self { from, to, validated: None, delivery_method: None }
    }

    /// The parameters, in the order of the documentation.
    pub(super) fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut parameters = Vec::new();
        parameters.extend(self.validated.map(|validated| ("validatedOrders", validated.to_string())));
        parameters.push(("from_date_ISO8601", written(self.from)));
        parameters.push(("to_date_ISO8601", written(self.to)));
        parameters.extend(self.delivery_method.as_ref().map(|method| ("filterDeliveryMethod", method.code.clone())));
        parameters
    }
}

/// `2025-01-01T00:00:00Z`, as the vendor's own program writes it.
fn written(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The orders as far as they could be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrdersAnswer {
    /// Each order as the till wrote it, in the till's order.
    pub orders: Vec<Map<String, Value>>,
    /// What stood among them and is no order.
    pub unread: Vec<Unread>,
}

impl OrdersAnswer {
    /// How many could not be read.
    pub fn unread_count(&self) -> usize {
        self.unread.iter().map(|unread| unread.count).sum()
    }
}

/// Reads the orders of a period.
pub(super) fn read(answer: Value, budget: &Budget) -> Result<OrdersAnswer, ApiError> {
    let (orders, unread) = records::objects(records::records(answer)?, budget);
    Ok(OrdersAnswer { orders, unread })
}

/// Names under which one order may be wrapped.
const ENVELOPES: &[&str] = &["order", "data", "result", "commande"];

/// Reads one order: an object, alone in a list, or in an envelope.
pub(super) fn read_one(answer: Value) -> Result<Value, ApiError> {
    match answer {
        Value::Array(mut list) => match list.len() {
            0 => Err(ApiError::Refused("there is no such order".to_owned())),
            1 => read_one(list.remove(0)),
            _ => Err(ApiError::Unreadable("it holds several orders in place of one")),
        },
        Value::Object(mut fields) => {
            let wrapped =
                ENVELOPES.iter().find(|name| fields.get(**name).is_some_and(|v| v.is_object() || v.is_array()));
            match wrapped.and_then(|name| fields.remove(*name)) {
                Some(inner) => read_one(inner),
                None if fields.is_empty() => Err(ApiError::Unreadable("it is an order without fields")),
                None => Ok(Value::Object(fields)),
            }
        }
        _ => Err(ApiError::Unreadable("there is no order in it")),
    }
}

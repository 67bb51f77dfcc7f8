//! What became of a sale: the till's answer to a sale or an edit, or the lack of one.
//!
//! **Invariant:** an answer that does not say whether the sale was recorded is [`ApiError::MaybeRecorded`], so that nobody
//! sends it a second time unawares.

use serde_json::{Map, Value};

use super::{
    ApiError,
    answer::{self, is_done},
};
use crate::{
    json::{Budget, CALL},
    sink::client::{ClientError, Fetched},
};

/// A sale that the till has.
#[derive(Clone, Debug, PartialEq)]
pub struct SaleAnswer {
    /// The till's internal id of the order, where it says it.
    pub order_id: Option<String>,
    /// What was recorded.
    pub recorded: Recorded,
    /// Where the customer can pay.
    pub payment_link: Option<String>,
    /// Where the PDF of the quote or the invoice is.
    pub document: Option<String>,
    /// What else the till says, under its names.
    pub extra: Map<String, Value>,
}

/// How far an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Neither validated nor paid.
    Quote,
    /// Validated and not paid.
    Unpaid,
    /// Validated and paid.
    Paid,
    /// The till does not say.
    Unsaid,
}

/// What the till answered to a sale that was sent.
pub(super) fn read(answer: Result<Fetched, ClientError>, key: &str) -> Result<SaleAnswer, ApiError> {
    let answer = answer.map_err(|error| match error {
        ClientError::Blocked(_) | ClientError::Connect(_) | ClientError::NoCertificates(_) | ClientError::Loop => {
            ApiError::Unreachable(error)
        }
        other => maybe(other),
    })?;
    match answer::data(&answer, key, &Budget::new(CALL)) {
        Ok(Value::Object(fields)) if is_done(&fields) || has_id(&fields) => Ok(recorded(fields)),
        Ok(_) => Err(maybe("the till's answer does not say whether it has it")),
        Err(refused @ ApiError::Refused(_)) => Err(refused),
        // Turned away before anybody looked at the sale.
        Err(away) if matches!(answer.status, 300..=499) && answer.status != 408 => Err(away),
        Err(unclear) => Err(maybe(unclear)),
    }
}

fn maybe(why: impl ToString) -> ApiError {
    let why = why.to_string();
    let why = why.split_once("; ").map_or(why.as_str(), |(why, _)| why);
    ApiError::MaybeRecorded(why.to_owned())
}

const ORDER_ID: &str = "orderID";

fn has_id(fields: &Map<String, Value>) -> bool {
    fields.get(ORDER_ID).is_some_and(|id| scalar(id).is_some())
}

fn recorded(mut fields: Map<String, Value>) -> SaleAnswer {
    let mut take = |name: &str| {
        let text = fields.get(name).and_then(scalar);
        text.inspect(|_| drop(fields.remove(name)))
    };
    let order_id = take(ORDER_ID);
    let payment_link = take("paymentLink");
    let (quote, invoice) = (take("quote"), take("invoice"));
    let recorded = match (&quote, &invoice, &payment_link) {
        (Some(_), None, _) => Recorded::Quote,
        (_, Some(_), Some(_)) => Recorded::Unpaid,
        (_, Some(_), None) => Recorded::Paid,
        (None, None, _) => Recorded::Unsaid,
    };
    fields.retain(|name, _| !["success", "result"].contains(&name.as_str()));
    SaleAnswer { order_id, recorded, payment_link, document: invoice.or(quote), extra: fields }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

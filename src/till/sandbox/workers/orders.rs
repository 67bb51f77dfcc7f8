//! `getOrders.php` and `getOrder.php`: orders, with the field names of the webhook.
//!
//! The shape of the till's own answers is unknown. Decided here: `getOrders` answers a JSON list; each order has exactly
//! the fields of an announcement, in English, and `type` is the latest announcement it would have had (a quote has none).
//! `validatedOrders=false` lists the quotes, anything else the validated orders. Both ends of the period belong to it; an
//! order is in it when it was validated then, a quote when it was begun then. `getOrder` takes the internal id as
//! `order_id` and also tells the payments and notes.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    super::{
        answer::Answer,
        book::Book,
        params::Params,
        refusal::Refusal,
        ticket::{Stage, Ticket},
    },
    moment,
};
use crate::{
    order::{Locale, Phase},
    till::fields::fields,
};

/// The orders of a period.
pub(super) fn several(book: &Book, params: &Params) -> Result<Answer, Refusal> {
    let from = moment(book, params, "from_date_ISO8601")?.unwrap_or(Timestamp::MIN);
    let to = moment(book, params, "to_date_ISO8601")?.unwrap_or(Timestamp::MAX);
    let method = params.integer::<u8>("filterDeliveryMethod")?;
    let quotes = match params.text("validatedOrders") {
        None | Some("true" | "1") => false,
        Some("false" | "0") => true,
        Some(other) => return Err(Refusal::new(format!("validatedOrders: `{other}` is neither true nor false"))),
    };
    let is_wanted = |ticket: &&Ticket| {
        let at = if quotes { &ticket.order.created } else { &ticket.order.validated };
        (ticket.stage == Stage::Quote) == quotes
            && at.as_ref().is_some_and(|at| (from..=to).contains(&at.timestamp()))
            && method.is_none_or(|method| method == ticket.order.delivery_method)
    };
    let tickets: Vec<&Ticket> = match quotes {
        true => book.sales.tickets().collect(),
        false => book.sales.orders().filter_map(|order| book.sales.ticket(&order.internal_id)).collect(),
    };
    let orders: Vec<Value> = tickets.into_iter().filter(is_wanted).map(|ticket| Value::Object(told(ticket))).collect();
    Ok(Answer::json(&Value::Array(orders)))
}

/// One order, with all that is known about it.
pub(super) fn one(book: &Book, params: &Params) -> Result<Answer, Refusal> {
    let id = params.text("order_id").ok_or_else(|| Refusal::new("order_id: it is required"))?;
    let ticket = book.sales.ticket(id).ok_or_else(|| Refusal::unknown("order", id))?;
    let mut order = told(ticket);
    let notes = &ticket.notes;
    let payment = |it: &super::super::ticket::Payment| {
        json!({"id": it.method.id, "titre": it.method.title, "amount": it.amount.to_string(),
               "date": it.at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()})
    };
    let more = json!({
        "state": ticket.stage.as_str(),
        "payments": ticket.payments.iter().map(payment).collect::<Vec<_>>(),
        "remaining": ticket.owed().to_string(),
        "idUser": notes.user,
        "idtable": notes.table,
        "numcouverts": notes.covers,
        "pagerNum": notes.pager,
        "publicComment": notes.public_comment,
        "privateComment": notes.private_comment,
        "refundedBy": ticket.refunded_by,
    });
    if let Value::Object(more) = more {
        order.extend(more);
    }
    Ok(Answer::json(&Value::Object(order)))
}

/// The fields of the announcement that an order had last.
fn told(ticket: &Ticket) -> Map<String, Value> {
    let phase = if ticket.stage == Stage::Paid { Phase::Terminated } else { Phase::Validated };
    let mut fields = fields(&ticket.order, phase, Locale::En);
    if ticket.stage == Stage::Quote {
        fields.shift_remove("type");
        fields.shift_remove("orderID");
    }
    fields
}

//! The workers API (pos-api §2): which endpoint answers what.
//!
//! **Invariant:** nothing is answered, but to a sign-in, without the shop's id and key.

mod lists;
mod orders;
mod reports;
mod table;

pub(super) use table::separated;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Counter,
    answer::Answer,
    book::Book,
    params::Params,
    record::Recorded,
    refusal::Refusal,
    ticket::{Stage, Ticket},
    wanted::Wanted,
};

/// How an endpoint is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// With a query.
    Get,
    /// With a form.
    Post,
}

/// How the endpoint of this name is called; `None` when there is none.
pub fn verb(endpoint: &str) -> Option<Verb> {
    match endpoint {
        "getAuthToken.php" | "webapp.php" | "editOrder.php" => Some(Verb::Post),
        "getSales.php" | "getOrders.php" | "getOrder.php" => Some(Verb::Get),
        other => lists::NAMES.contains(&other).then_some(Verb::Get),
    }
}

/// Does what is asked.
pub fn answer(counter: &Counter, endpoint: &str, params: &Params) -> Answer {
    if endpoint == "getAuthToken.php" {
        return sign_in(counter, params);
    }
    let answer = counter.account.admit(params).and_then(|()| admitted(counter, endpoint, params));
    answer.unwrap_or_else(Answer::from)
}

fn admitted(counter: &Counter, endpoint: &str, params: &Params) -> Result<Answer, Refusal> {
    let now = counter.clock.now();
    match endpoint {
        "webapp.php" => {
            let wanted = Wanted::read(params)?;
            write(counter, |book| book.record(&wanted, now))
        }
        "editOrder.php" => {
            let wanted = Wanted::read(params)?;
            let id = params.text("orderID").ok_or_else(|| Refusal::new("orderID: it is required"))?;
            write(counter, |book| book.edit(id, &wanted, now))
        }
        "getOrders.php" => orders::several(&counter.book(), params),
        "getOrder.php" => orders::one(&counter.book(), params),
        "getSales.php" => reports::report(&counter.book(), params, now),
        list => lists::list(&counter.book(), list, params),
    }
}

fn sign_in(counter: &Counter, params: &Params) -> Answer {
    let given = |name| params.text(name).unwrap_or_default();
    let account = &counter.account;
    let answer = match account.knows(given("login"), given("password")) {
        true => json!({"result": "OK", "APIKEY": account.key, "SHOPID": account.shop_id}),
        false => json!({"result": "ERROR", "message": "unknown login or wrong password"}),
    };
    Answer::json(&answer)
}

/// Changes the books, has the webhook told, and answers as documented (seed 001).
fn write(counter: &Counter, change: impl FnOnce(&mut Book) -> Result<Recorded, Refusal>) -> Result<Answer, Refusal> {
    let mut book = counter.book();
    let Recorded { id, announcements } = change(&mut book)?;
    let answer = book.sales.ticket(&id).map(|ticket| state(ticket, book.sales.origin())).unwrap_or_default();
    // The announcements are queued before anybody else can write, so they are made in the order of the numbers.
    announcements.into_iter().for_each(|(order, phase)| counter.announce(order, phase));
    Ok(Answer::json(&answer))
}

/// Where an order stands, with the links that belong to it.
fn state(ticket: &Ticket, origin: &str) -> Value {
    let id = &ticket.order.internal_id;
    let mut answer = json!({"success": true, "orderID": id.parse::<u64>().map_or(json!(id), Value::from)});
    if ticket.stage != Stage::Paid {
        answer["paymentLink"] = format!("{origin}/pay/{id}").into();
    }
    match ticket.stage {
        Stage::Quote => answer["quote"] = format!("{origin}/quote/{id}.pdf").into(),
        _ => answer["invoice"] = ticket.order.pdf_url.clone().into(),
    }
    answer
}

/// When a time of the API is: ISO 8601, and without an offset the shop's own.
fn moment(book: &Book, params: &Params, name: &str) -> Result<Option<Timestamp>, Refusal> {
    let Some(text) = params.text(name) else { return Ok(None) };
    // A plus that somebody forgot to encode arrives as a space.
    let text = if text.contains('T') { text.replace(' ', "+") } else { text.to_owned() };
    let local = || text.parse::<jiff::civil::DateTime>().and_then(|at| at.to_zoned(book.sales.zone().clone()));
    let read = text.parse().or_else(|_| local().map(|at| at.timestamp()));
    read.map(Some)
        .map_err(|_| Refusal::new(format!("{name}: `{text}` is no ISO 8601 time like `2025-01-01T00:00:00Z`")))
}

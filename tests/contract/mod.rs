//! Every sentence of the contract's §5 is a test whose name says it, and so is what §6 to §8 promise of alerts and sinks.
//!
//! | paragraph | file |
//! |---|---|
//! | §5 Finding the order | `finding` |
//! | §5 Identity, Equality, State, Receipts, Cash box, Reading | `identity`, `equality`, `state`, `receipts`, `cash_box`, `reading` |
//! | §5 `per_order`, Deliveries, Tests, Invoice | `per_order`, `deliveries`, `pauses`, `test_orders`, `invoice` |
//! | §6, the alerts | `alerts` |
//! | §7, what an HTTP answer means | `http_sink` |
//! | §8, what a mail server's answer means; what machines get | `email_sink`, `email_recipients`, `machines` |
//!
//! Nothing here looks inside: the till calls the webhook, and what is asserted is what the till, a subscriber or an
//! operator can see.

use std::time::Duration;

use tillhook::{order::Phase, till::TillOrder};

use crate::{
    far::http::{Answer, HttpFar},
    harness::App,
};

mod alerts;
mod cash_box;
mod deliveries;
mod email_recipients;
mod email_sink;
mod equality;
mod finding;
mod http_sink;
mod identity;
mod invoice;
mod machines;
mod pauses;
mod per_order;
mod reading;
mod receipts;
mod state;
mod test_orders;

/// A sink that gets each event, at a far side that does as it is told.
fn erp(far: &HttpFar) -> String {
    format!("alerts = []\n[sink.erp]\ntype = \"http\"\nurl = \"{}\"\n", far.url())
}

/// Keys of a sink that gives a delivery up after one retry.
const MORTAL: &str = "retry = [\"10s\"]\npause_after = \"9s\"\n";

/// Lets the deliveries of this announcement to the sink at `far` ([`MORTAL`]) die. Another order goes through in between,
/// so that it is the delivery that fails and not the sink.
async fn let_die(app: &App, far: &HttpFar, order: &TillOrder, phase: Phase) {
    far.then([Answer::status(500)]);
    app.announce(order, phase).await;
    app.settle().await;
    app.clock.advance(Duration::from_secs(1));
    app.sell(Phase::Validated).await;
    far.then([Answer::status(500)]);
    app.advance(Duration::from_secs(12)).await;
    app.event("sink.failing", 1).await;
}

/// What a shop's own till cannot do: the same order, corrected.
fn with_cash_box(order: &TillOrder, cash_box: &str) -> TillOrder {
    TillOrder { cash_box_id: cash_box.to_owned(), ..order.clone() }
}

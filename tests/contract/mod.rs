//! Every sentence of the contract's §5 is a test whose name says it, and so is what §6 to §8 promise of alerts and sinks.
//!
//! | paragraph | file |
//! |---|---|
//! | §5 Identity, Equality, State, Receipts, Cash box, Reading | `identity`, `equality`, `state`, `receipts`, `cash_box`, `reading` |
//! | §5 `per_order`, Deliveries, Tests, Invoice | `per_order`, `deliveries`, `test_orders`, `invoice` |
//! | §6, the alerts | `alerts` |
//! | §7, what an HTTP answer means | `http_sink` |
//! | §8, what a mail server's answer means | `email_sink` |
//!
//! Nothing here looks inside: the till calls the webhook, and what is asserted is what the till, a subscriber or an
//! operator can see.

mod cash_box;
mod equality;
mod identity;
mod per_order;
mod reading;
mod receipts;
mod state;

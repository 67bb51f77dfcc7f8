//! The till, seen from its own side: what it announces, and a stand-in that announces it.
//!
//! `send-test`, `demo` and the tests act as the till. They sell an [`order`], put it into one of the ways the till may
//! speak in ([`announce`]) and call a webhook with it ([`call`]). The [`sandbox`] does so on its own, and serves the
//! invoices of what it sold.
//!
//! The till that a shop really has is asked by [`api`], compared with what we have by [`reconcile`], and watched by [`watch`].
//!
//! **Invariant:** the till's field names stand in `fields.rs` alone. Nothing here reads a call: that is `decode/`, and
//! the two agree only by what the till documents.

pub mod announce;
pub mod api;
pub mod call;
pub mod cash_box;
pub mod dice;
mod fields;
pub mod goods;
pub mod names;
pub mod order;
pub mod reconcile;
pub mod reports;
pub mod sandbox;
pub mod state;
#[cfg(test)]
mod tests;
pub mod watch;

pub use announce::{Announcement, Charset, Encoding, Voice, encode, encode_cash_box};
pub use call::{Answer, CallError, post};
pub use cash_box::{CashBoxCall, CashBoxClosing};
pub use goods::sample_order;
pub use order::{TillCustomer, TillItem, TillOrder, TillVat};

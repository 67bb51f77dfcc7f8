//! The till's own API: asking it for its lists, reports and orders, and recording sales with it (contract §9).
//!
//! A [`Client`] knows one shop's till and how to be polite to it (`polite.rs`); each file beside it holds the question and
//! the answer of one endpoint. The till documents what it is asked with, and hardly anything of what it answers, so
//! answers are read tolerantly (`answer.rs`): what is not understood is counted or told, never guessed.
//!
//! The order id that this API takes and gives is the till's *internal* one: a quote has no number in the books yet.
//!
//! **Invariant:** the key is in no error, no log and no `Debug` output; a sale is never sent twice.

mod answer;
mod client;
mod error;
mod lists;
mod orders;
mod polite;
mod records;
mod report;
mod sale;
mod sale_answer;
mod sign_in;
#[cfg(test)]
mod tests;

pub use client::{Client, Document};
pub use error::ApiError;
pub use lists::{Entry, List, ListFormat, Listing};
pub use orders::{OrdersAnswer, OrdersQuery};
pub use records::Unread;
pub use report::ReportFormat;
pub use sale::{Buyer, CustomerField, Line, Payment, Sale, SaleError};
pub use sale_answer::{Recorded, SaleAnswer};
pub use sign_in::sign_in;

pub use crate::config::ApiCredentials as Credentials;

//! What happens to the whole service: a day's sales, outages, far sides that lie, customers with hostile names.

mod abuse;
mod answers;
mod authenticity;
mod backup;
mod books;
mod dialogues;
mod digests;
mod door;
mod encryption;
mod erasure;
mod file_handles;
mod files;
mod foreign_server;
mod forty_orders;
mod hostile;
pub mod migrations;
mod nightly;
mod outage;
mod poison;
mod private_addresses;
mod restart;
mod restore;
mod retention;
mod secrets_in_errors;
mod secrets_in_logs;
mod till_lists;

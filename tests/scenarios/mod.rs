//! What happens to the whole service: a day's sales, outages, far sides that lie, customers with hostile names.

mod abuse;
mod answers;
mod authenticity;
mod backup;
mod books;
mod bounds;
mod conversations;
mod dialogues;
mod digests;
mod door;
mod encryption;
mod erasure;
mod extremes;
mod file_handles;

mod files;
mod foreign_server;
mod forty_orders;
mod held_back;
mod hostile;
pub mod migrations;
mod missing;
mod nightly;
mod odd_lists;
mod outage;
mod poison;
mod private_addresses;
mod reconciliation;
mod restart;
mod restore;
mod retention;
mod secrets_in_errors;
mod secrets_in_logs;
mod shared_folder;
mod till_lists;
mod unreadable;
mod unreadable_commands;

//! What happens to the whole service: a day's sales, outages, far sides that lie, customers with hostile names.

mod answers;
mod dialogues;
mod door;
mod erasure;
mod forty_orders;
mod hostile;
mod outage;
mod poison;
mod private_addresses;
mod restart;
mod retention;
mod secrets_in_logs;

//! tillhook receives the webhooks of a kash.click till, stores them durably, merges the two announcements of each
//! order, and passes every sale on: by e-mail to an accountant, to Slack, to any HTTP system.
//!
//! The modules below stand in the order in which an order travels:
//! receive → decode → record → route → deliver → sink, after the vocabulary they share.

pub mod json;

pub mod order;

pub mod clock;

pub mod pool;

pub mod decode;

pub mod route;

pub mod sink;

pub mod store;

pub mod invoice;

pub mod digest;

pub mod config;

pub mod record;

pub mod deliver;

pub mod verify;

pub mod receive;

pub mod till;

pub mod upkeep;

pub mod app;

pub mod cli;

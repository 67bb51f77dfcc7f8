//! What a service needs to live for years: what is old goes, and a person can be forgotten.

mod erasure;
mod plain;
mod retention;

pub use erasure::{EraseError, Erasure, Found};
pub use retention::{EVERY, Keep, Pruned, Retention};

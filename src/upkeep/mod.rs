//! What a service needs to live for years: what is old goes.

mod retention;

pub use retention::{EVERY, Keep, Pruned, Retention};

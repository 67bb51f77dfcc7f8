//! Where everything is put together: the only module that knows all others.

pub mod allocator;
pub mod assemble;
pub mod demo;
mod door;
mod nightly;
mod outages;
pub mod output;
mod service;
mod space;
pub mod telemetry;

pub use service::{Running, StartError, base_path, serve};

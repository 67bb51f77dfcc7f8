//! `tillhook demo`: the whole service with a simulated till and local sinks.

use super::{Exit, Stop};

/// Runs the demonstration until it is interrupted.
///
/// # Errors
/// Always, for now: the demonstration is not put together yet.
pub async fn run() -> anyhow::Result<Exit> {
    Err(Stop::with_fix(Exit::Failed, "the demonstration is not in this build", "use a later version"))
}

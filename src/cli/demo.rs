//! `tillhook demo`: the whole service with a simulated till and local sinks.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Exit, args::Demo};
use crate::app::demo;

/// Runs the demonstration until it is interrupted, or has shown what it was asked for.
///
/// # Errors
/// When a port or a directory cannot be had.
pub async fn run(wanted: &Demo) -> anyhow::Result<Exit> {
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = CancellationToken::new();
    let options = demo::Options { sales: wanted.sales, seed: wanted.seed };
    let mut running = std::pin::pin!(demo::run(options, stop.clone()));
    loop {
        tokio::select! {
            ended = &mut running => return ended.map(|()| Exit::Ok),
            _ = interrupted.recv() => stop.cancel(),
            _ = terminated.recv() => stop.cancel(),
        }
    }
}

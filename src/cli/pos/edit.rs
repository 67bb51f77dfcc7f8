//! `tillhook pos edit`: changes an order that is not validated, or records a payment. What may still be changed is the
//! till's to decide, and its words are shown.

use std::{io::Write, sync::Arc};

use clap::Args;

use super::sale::NewSale;
use crate::{cli::Exit, clock::Clock, config::Config};

/// What to change about which order.
#[derive(Debug, Args)]
pub struct Edit {
    /// The order: the till's internal id, as `pos sale` and `pos orders` print it
    #[arg(value_name = "ORDER", value_parser = internal_id)]
    order: u64,
    #[command(flatten)]
    change: NewSale,
}

/// Edits the order.
///
/// # Errors
/// When no till is meant, something about the edit is wrong, or the till refuses.
pub async fn run(wanted: &Edit, config: &Config, clock: &Arc<dyn Clock>, out: &mut dyn Write) -> anyhow::Result<Exit> {
    wanted.change.send(Some(&wanted.order.to_string()), config, clock, out).await
}

/// The till takes a whole number (seed 000).
fn internal_id(text: &str) -> Result<u64, String> {
    text.trim().parse().map_err(|_| {
        format!(
            "`{text}` is no internal id: write the number that `tillhook pos sale` answered with; \
             `tillhook pos orders --from today` shows it in its first column"
        )
    })
}

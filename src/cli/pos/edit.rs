//! `tillhook pos edit`: changes an order that is not validated, or records a payment. What may still be changed is the
//! till's to decide, and its words are shown.

use std::{io::Write, sync::Arc};

use clap::Args;

use super::{
    flags::SaleFlags,
    sale::{show, tell},
    shop::Whose,
};
use crate::{cli::Exit, clock::Clock, config::Config};

/// What to change about which order.
#[derive(Debug, Args)]
pub struct Edit {
    /// The order: the till's internal id, as `pos sale` and `pos orders` print it
    #[arg(value_name = "ORDER", value_parser = clap::value_parser!(u64))]
    order: u64,
    #[command(flatten)]
    said: SaleFlags,
    /// Show what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    whose: Whose,
}

/// Edits the order.
///
/// # Errors
/// When no till is meant, something about the edit is wrong, or the till refuses.
pub async fn run(wanted: &Edit, config: &Config, clock: &Arc<dyn Clock>, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let till = wanted.whose.till(config, clock)?;
    let sale = wanted.said.sale(&till.shop.shop.timezone, clock.now())?;
    let order = wanted.order.to_string();
    if wanted.dry_run {
        return show(&till.client, &sale, Some(&order), out);
    }
    tell(till.client.edit_order(&order, &sale).await, Some(&order), out)
}

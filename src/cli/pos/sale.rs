//! `tillhook pos sale`: records a sale, and shows what a sale or an edit would send or has become.

use std::{io::Write, sync::Arc};

use clap::Args;

use super::{
    flags::SaleFlags,
    shop::{Asked, Whose, stop},
};
use crate::{
    cli::{Exit, Stop, print::harmless},
    clock::Clock,
    config::Config,
    till::api::{ApiError, Client, Recorded, Sale, SaleAnswer},
};

/// What is sold, or added to an order; and to whose till it is said.
#[derive(Debug, Args)]
pub struct NewSale {
    #[command(flatten)]
    said: SaleFlags,
    /// Show what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    whose: Whose,
}

/// Records the sale.
///
/// # Errors
/// When no till is meant, something about the sale is wrong, or the till refuses.
pub async fn run(
    wanted: &NewSale,
    config: &Config,
    clock: &Arc<dyn Clock>,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    wanted.send(None, config, clock, out).await
}

impl NewSale {
    /// Sends it as a sale, or as an edit of this `order`, and says what became of it.
    ///
    /// # Errors
    /// When no till is meant, something about it is wrong, or the till refuses.
    pub(super) async fn send(
        &self,
        order: Option<&str>,
        config: &Config,
        clock: &Arc<dyn Clock>,
        out: &mut dyn Write,
    ) -> anyhow::Result<Exit> {
        let Asked { shop, client } = self.whose.till(config, clock)?;
        let sale = self.said.sale(&shop.shop.timezone, clock.now())?;
        if order.is_none() {
            sale.demand_lines().map_err(|error| stop(error.into()))?;
        }
        if self.dry_run {
            return show(&client, &sale, order, out);
        }
        let answer = match order {
            Some(id) => client.edit_order(id, &sale).await,
            None => client.record_sale(&sale).await,
        };
        tell(&answer.map_err(not_recorded)?, order, out)
    }
}

/// Nobody took the sale: it can be sent again.
fn not_recorded(error: ApiError) -> anyhow::Error {
    match error {
        ApiError::Unreachable(_) => {
            Stop::with_fix(Exit::Failed, error, "nothing was recorded: send it again when the till answers")
        }
        other => stop(other),
    }
}

/// Shows what would be sent.
fn show(client: &Client, sale: &Sale, order: Option<&str>, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let (address, fields) = client.request_shown(sale, order).map_err(stop)?;
    writeln!(out, "POST {address}")?;
    for (name, value) in fields {
        writeln!(out, "  {name:<24}{}", harmless(&value))?;
    }
    writeln!(out, "Nothing was sent.")?;
    Ok(Exit::Ok)
}

/// Says what became of it.
fn tell(answer: &SaleAnswer, order: Option<&str>, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let state = match answer.recorded {
        Recorded::Quote => "quote, not validated and not paid",
        Recorded::Unpaid => "invoice issued, not paid in full",
        Recorded::Paid => "invoice issued, paid",
        Recorded::Unsaid => "the till does not say whether it is validated or paid",
    };
    match answer.order_id.as_deref().or(order) {
        Some(id) => writeln!(out, "Order {} is recorded: {state}", harmless(id))?,
        None => writeln!(out, "The order is recorded, and the till does not say under which id: {state}")?,
    }
    for (what, link) in [("PDF", &answer.document), ("pay at", &answer.payment_link)] {
        if let Some(link) = link {
            writeln!(out, "  {what:<8}{}", harmless(link))?;
        }
    }
    if answer.recorded == Recorded::Quote {
        writeln!(out, "  A quote has no number yet; `tillhook pos orders --from today --validated false` lists it.")?;
    }
    Ok(Exit::Ok)
}

//! `tillhook pos`: the till's own API (contract §9), one file a subcommand.
//!
//! `shop.rs` finds the till that is meant, and says how a command ends when it gives nothing; `flags.rs` is how a sale is
//! typed, and `typed.rs` how words and numbers are; `document.rs` says whether what the till sent may be what it was asked
//! for.

mod document;
mod edit;
mod flags;
mod list;
mod login;
mod orders;
mod password;
mod report;
mod sale;
mod sandbox;
mod shop;
mod typed;

use std::{io::Write, sync::Arc};

use clap::Subcommand;

use super::{Exit, print::notes};
use crate::{clock::Clock, config::Config};

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Pos {
    /// Ask the till for the id and the key that the other commands need
    #[command(after_help = "Example: tillhook pos login --login owner@example.com --write till_key\n\n\
                            The password is asked for, and not shown; without a terminal it is the first line of the \
                            input. It is kept nowhere.")]
    Login(login::Login),
    /// List articles, customers, payment methods or something else that the till knows
    #[command(after_help = "Example: tillhook pos list payment-methods\n\
                            For a spreadsheet: tillhook pos list articles --format csv > articles.csv")]
    List(list::List),
    /// List the orders that the till has of some days
    #[command(after_help = "Example: tillhook pos orders --from yesterday --to today\n\n\
                            Beside it, `tillhook orders list` shows those that were announced.")]
    Orders(orders::Orders),
    /// Get the till's own report of a day's sales, byte for byte
    #[command(after_help = "Example: tillhook pos report --day 2026-11-21 --format pdf -o report.pdf")]
    Report(report::Report),
    /// Record a sale
    #[command(
        after_help = "Examples:\n  tillhook pos sale --payment invoice --item 12:2 --free 9.99:\"Vente libre\"\n  \
                            tillhook pos sale --payment 2 --item \"12:2:Pizza 4 fromages:14.50:3,8\" --customer 123\n\n\
                            --dry-run shows what would be sent. A sale is sent once, and never a second time by itself."
    )]
    Sale(sale::NewSale),
    /// Edit an order that is not validated, or record a payment of one that is
    #[command(after_help = "Examples:\n  tillhook pos edit 123456 --payment invoice --free 12.99:Item\n  \
                            tillhook pos edit 123456 --payment 2\n\n\
                            ORDER is the till's internal id. Lines are added to those that are there.")]
    Edit(edit::Edit),
    /// Run a stand-in for the till: its API, its invoices and reports, and the calls to a webhook
    #[command(after_help = "Example: tillhook pos sandbox --webhook \"$(tillhook url)\" --sell\n\n\
                            The shop that is called has to list the sandbox in `till_hosts`, as it is printed.\n\
                            Everything is invented and kept in memory only. Ctrl-C ends it.")]
    Sandbox(sandbox::Sandbox),
}

/// Carries a subcommand out. `config` is asked for where one is needed.
///
/// # Errors
/// When it cannot.
pub async fn run(
    command: &Pos,
    config: impl FnOnce() -> anyhow::Result<Config>,
    clock: &Arc<dyn Clock>,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let notes = &mut notes();
    match command {
        Pos::Login(wanted) => login::run(wanted, clock, out, notes).await,
        Pos::List(wanted) => list::run(wanted, &config()?, clock, out, notes).await,
        Pos::Orders(wanted) => orders::run(wanted, &config()?, clock, out, notes).await,
        Pos::Report(wanted) => report::run(wanted, &config()?, clock, out, notes).await,
        Pos::Sale(wanted) => sale::run(wanted, &config()?, clock, out).await,
        Pos::Edit(wanted) => edit::run(wanted, &config()?, clock, out).await,
        Pos::Sandbox(wanted) => sandbox::run(wanted, clock, out).await,
    }
}

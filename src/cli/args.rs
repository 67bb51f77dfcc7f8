//! What can be typed: the commands and their options (contract §2).

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::app::telemetry;

use super::{
    backup::Backup, customers::Customers, deliveries::Deliveries, digest::Digest, export::Export, invoices::Invoices,
    orders::Orders, pos::Pos, quarantine::Quarantine, render::Render, restore::Restore, send_test::SendTest,
    sinks::Sinks, verify::Verify,
};

/// Receives the webhooks of a kash.click till and passes every sale on: by e-mail, to Slack, to any HTTP system.
#[derive(Debug, Parser)]
#[command(name = "tillhook", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// The configuration [default: $TILLHOOK_CONFIG, ./tillhook.toml, /data/tillhook.toml, else what is built in]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Whether it goes on until somebody ends it, and takes whatever comes.
    pub fn is_service(&self) -> bool {
        matches!(self.command, Command::Serve | Command::Demo(_))
    }

    /// What is logged where `TILLHOOK_LOG` does not say: the service tells what happens, a command has its own answer.
    pub fn log_filter(&self) -> &'static str {
        if matches!(self.command, Command::Serve) { telemetry::SERVICE } else { telemetry::QUIET }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service
    #[command(after_help = "Example: tillhook serve --config /etc/tillhook.toml\n\n\
                            SIGTERM or Ctrl-C ends it; SIGHUP makes it read its configuration again.")]
    Serve,
    /// Run it with a simulated till that keeps selling; no account, no configuration, throw-away data
    #[command(after_help = "Example: tillhook demo --sales 20")]
    Demo(Demo),
    /// Write a commented configuration with a fresh token
    #[command(after_help = "Example: tillhook init && tillhook config check")]
    Init(Init),
    /// Print the webhook address that the till is given
    #[command(after_help = "Example: tillhook url --shop dupont")]
    Url(Url),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(Config),
    /// Act as the till: send a test order to the webhook
    #[command(after_help = "Example: tillhook send-test --phase both\n\n\
                            What it sends is marked as a test.")]
    SendTest(SendTest),
    /// Make secrets
    #[command(subcommand)]
    Secrets(Secrets),
    /// Check the signature of a call that was received (Standard Webhooks)
    #[command(after_help = "Example: tillhook verify body.json --secret whsec_… --headers headers.txt\n\n\
                            The call's headers webhook-id, webhook-timestamp and webhook-signature are needed: in a \
                            file (--headers), or one by one (--id, --timestamp and --signature).")]
    Verify(Verify),
    /// Ask the running service whether it could store a call; for Docker
    #[command(
        after_help = "Example: tillhook healthcheck\n\nExit code 0: it could. 1: it could not, or does not answer."
    )]
    Healthcheck,
    /// Put a backup back; the service must not run
    #[command(after_help = "Example: tillhook restore backups/tillhook-20261121-130500.tar.gz\n\n\
                            Sinks for which deliveries were open are paused: these may have been sent since.")]
    Restore(Restore),
    /// The till's own API, and a stand-in for the till
    #[command(subcommand)]
    Pos(Box<Pos>),
    #[command(flatten)]
    AtDesk(AtDesk),
}

/// The commands that work on the database, also beside a running service.
#[derive(Debug, Subcommand)]
pub enum AtDesk {
    /// List and show orders
    #[command(subcommand)]
    Orders(Orders),
    /// List, show, retry and skip deliveries
    #[command(subcommand)]
    Deliveries(Deliveries),
    /// List, try, pause and resume sinks, and recover what they missed
    #[command(subcommand)]
    Sinks(Sinks),
    /// Print the message that a sink would send about an order, or its summary of a period
    #[command(after_help = "Example: tillhook render accountant --order 20261121042\n\
                            A sink's summary of a day: tillhook render accountant --day 2026-11-21")]
    Render(Render),
    /// List, show, read again and dismiss what could not be read
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// List, fetch, verify and import invoices
    #[command(subcommand)]
    Invoices(Invoices),
    /// Write the orders of some days as a table or as JSON, or both tables and the PDFs as an archive
    #[command(after_help = "Example: tillhook export --from 2026-11-01 --to 2026-11-30 --as zip -o november.zip\n\n\
                            Orders count for their value date. Tests are left out.")]
    Export(Export),
    /// Copy database and invoices to one file, also while the service runs
    #[command(after_help = "Example: tillhook backup /mnt/backups/tillhook.tar.gz")]
    Backup(Backup),
    /// Send a summary on purpose
    #[command(subcommand)]
    Digest(Digest),
    /// Remove a person from what is stored
    #[command(subcommand)]
    Customers(Customers),
}

#[derive(Debug, Args)]
pub struct Demo {
    /// End after so many sales [default: with Ctrl-C]
    #[arg(long, value_name = "N")]
    pub sales: Option<u64>,
    /// Where chance begins: the same number makes the same sales
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

#[derive(Debug, Args)]
pub struct Init {
    /// The file to write
    #[arg(default_value = "tillhook.toml", value_name = "PATH")]
    pub path: PathBuf,
    /// Replace a file that is there, and its token
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct Url {
    /// The shop, where there are several
    #[arg(long, value_name = "SHOP")]
    pub shop: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Config {
    /// Say everything that is wrong with the configuration, with line and hint
    #[command(after_help = "Example: tillhook config check --config new.toml")]
    Check,
    /// Show the values in force and where each comes from, secrets masked
    #[command(after_help = "Example: tillhook config show")]
    Show,
    /// Print the JSON Schema of the file, for editors
    #[command(after_help = "Example: tillhook config schema > tillhook.schema.json")]
    Schema,
}

#[derive(Debug, Subcommand)]
pub enum Secrets {
    /// Print a new signing secret (Standard Webhooks), or a token for a webhook address
    #[command(after_help = "Example: tillhook secrets new > /run/secrets/erp_whsec")]
    New {
        /// A token for a webhook address instead
        #[arg(long)]
        token: bool,
    },
}

/// How a listing is printed.
#[derive(Clone, Copy, Debug, Args)]
pub struct Listing {
    /// At most so many, from the top of the list
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
}

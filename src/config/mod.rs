//! What the operator writes: one TOML file, the environment over it, the defaults under it.
//!
//! The file becomes a tree whose values know their line (`node`), the environment is laid over it (`environment`),
//! secrets are fetched (`secret`), the defaults of `config/default.toml` are laid under it (`load`), and only then is
//! it read into types (`read`), table by table, so that all problems are told at once.
//!
//! **Invariant:** a [`Config`] exists only when nothing is wrong with it, and neither it nor a problem shows a secret.

mod advice;
mod api;
mod build;
mod check;
mod de;
mod environment;
mod fault;
mod load;
mod loops;
mod node;
mod problem;
mod read;
mod schema;
mod secret;
mod show;
mod sinks;
mod tables;
mod values;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use jiff::{Span, civil};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

pub use advice::advice;
pub use api::{ApiCredentials, key_host};
pub use environment::Environment;
pub use load::{Loaded, Source, load};
pub use problem::{Place, Problem, Problems, unreadable_file};
pub use schema::schema;
pub use secret::{ensure_token, new_token};
pub use show::{Setting, show};

use crate::{
    order::{self, ShopId, SinkName},
    route,
    sink::{self, TillHost, email},
};

/// Everything that the operator decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the service listens and how it is reached.
    pub server: Server,
    /// Where things are kept, and for how long.
    pub storage: Storage,
    /// The shops; at least one.
    pub shops: BTreeMap<ShopId, ShopConfig>,
    /// The mail server; there where a sink needs it.
    pub smtp: Option<email::Smtp>,
    /// What every sink starts from.
    pub delivery: Delivery,
    /// Which accounts sales are entered into; there where a sink needs them.
    pub accounting: Option<order::Accounting>,
    /// The sinks.
    pub sinks: BTreeMap<SinkName, SinkConfig>,
}

/// Where the service listens and how it is reached (`[server]`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The address and port to listen on.
    #[serde(deserialize_with = "values::listen")]
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// The address under which the till reaches the service; it may carry a path, and never ends in `/` behind one.
    #[serde(default, deserialize_with = "values::public_url")]
    #[schemars(with = "Option<String>")]
    pub public_url: Option<Url>,
    /// Networks whose `X-Forwarded-For` is believed.
    #[serde(deserialize_with = "values::networks")]
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<IpNet>,
    /// The largest body that is accepted: bytes, written as a size such as "2MiB".
    #[serde(deserialize_with = "values::size")]
    #[schemars(with = "String")]
    pub body_limit: u64,
}

/// Where things are kept, and for how long (`[storage]`). Spans are calendar spans: ten years are ten years.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// The folder of the database, the invoices and the backups.
    pub path: PathBuf,
    /// Space set aside for a full disk: bytes, written as a size such as "4MiB".
    #[serde(deserialize_with = "values::size")]
    #[schemars(with = "String")]
    pub reserve: u64,
    /// How long raw bodies are kept; they are personal data.
    #[serde(deserialize_with = "values::retention")]
    #[schemars(with = "String")]
    pub keep_raw: Span,
    /// How long the record of each attempt is kept.
    #[serde(deserialize_with = "values::retention")]
    #[schemars(with = "String")]
    pub keep_attempts: Span,
    /// How long orders, events and deliveries are kept.
    #[serde(deserialize_with = "values::retention")]
    #[schemars(with = "String")]
    pub keep_events: Span,
    /// How long invoices are kept.
    #[serde(deserialize_with = "values::retention")]
    #[schemars(with = "String")]
    pub keep_invoices: Span,
    /// When the nightly backup is made, in the time of the first shop by id: "daily 03:30", or "off".
    #[serde(deserialize_with = "values::daily")]
    #[schemars(with = "String", regex(pattern = "^(off|daily ([01][0-9]|2[0-3]):[0-5][0-9])$"))]
    pub backup: Option<civil::Time>,
    /// How many nightly backups stay.
    #[serde(deserialize_with = "values::kept")]
    #[schemars(with = "usize", range(min = 1))]
    pub keep_backups: usize,
}

/// A shop with its secrets (`[shop.NAME]`).
#[derive(Clone, Debug)]
pub struct ShopConfig {
    /// The shop as everything after the door knows it.
    pub shop: order::Shop,
    /// The secret part of its webhook address; no other shop has it.
    pub token: SecretString,
    /// A token that is still accepted.
    pub previous_token: Option<SecretString>,
    /// Whether invoice PDFs are downloaded.
    pub fetch_invoices: bool,
    /// How long a delivery waits for the PDF that it attaches.
    pub invoice_wait: Duration,
    /// After what time a missing order number is told; `None` where it is not.
    pub gap_after: Option<Duration>,
    /// After what time a silent till is told; `None` where it is not.
    pub silent_after: Option<Duration>,
    /// Hosts that invoices may be fetched from, and that confirm calls.
    pub till_hosts: Vec<TillHost>,
    /// Whether the till is asked to confirm its calls.
    pub verify: order::Verify,
    /// The till's own API, where the shop has it.
    pub api: Option<ApiCredentials>,
}

/// What every sink starts from (`[delivery]`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// The waits before each further attempt, ±20 %; empty for a single attempt.
    #[serde(deserialize_with = "values::waits")]
    #[schemars(with = "Vec<values::Interval>")]
    pub retry: Vec<Duration>,
    /// How long one attempt may take. E-mail keeps its "5m" where that is longer.
    #[serde(deserialize_with = "values::wait")]
    #[schemars(with = "values::Interval")]
    pub timeout: Duration,
    /// How many messages of one sink are on their way at once.
    #[serde(deserialize_with = "values::at_least_one")]
    #[schemars(with = "usize", range(min = 1))]
    pub concurrency: usize,
    /// Failing that long pauses a sink; less than the sum of `retry`.
    #[serde(deserialize_with = "values::wait")]
    #[schemars(with = "values::Interval")]
    pub pause_after: Duration,
    /// Sinks that are told when something needs a person; every e-mail and Slack sink where not set.
    #[schemars(with = "Option<Vec<String>>")]
    pub alerts: Option<Vec<SinkName>>,
    /// Networks that HTTP and Slack sinks may reach besides the public internet.
    #[serde(deserialize_with = "values::networks")]
    #[schemars(with = "Vec<String>")]
    pub allow_private: Vec<IpNet>,
}

/// A sink (`[sink.NAME]`).
#[derive(Clone, Debug)]
pub struct SinkConfig {
    /// The keys of its kind.
    pub options: sink::Options,
    /// What it wants; `alerts` says whether it is told of them.
    pub rule: route::Rule,
    /// The waits before each further attempt; empty for a single attempt.
    pub retry: Vec<Duration>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How many messages are on their way at once; at least 1.
    pub concurrency: usize,
    /// Failing that long pauses the sink; less than the sum of `retry`.
    pub pause_after: Duration,
}

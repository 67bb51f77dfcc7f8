//! The tables of the file as they are written, where that differs from what the program wants to know.
//!
//! The doc comments of their fields, and of those in `config/mod.rs`, are the descriptions in the JSON Schema.

use std::time::Duration;

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use super::{
    ApiCredentials,
    values::{self, Interval},
};
use crate::{
    order::{Currency, Locale, Pattern, Verify},
    route::{Only, PerOrder, ShopPattern},
    sink::TillHost,
};

/// A shop (`[shop.NAME]`).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShopTable {
    /// The name that people read; the table's own name where not set.
    pub(super) name: Option<String>,
    /// Where its wall clock hangs: a name of the IANA time zone database.
    #[serde(deserialize_with = "values::timezone")]
    #[schemars(with = "String")]
    pub(super) timezone: TimeZone,
    /// What its amounts are in: an ISO 4217 code.
    #[schemars(with = "String", regex(pattern = "^[A-Z]{3}$"))]
    pub(super) currency: Currency,
    /// The language of what it sends to people.
    #[schemars(with = "String", extend("enum" = ["fr", "en"]))]
    pub(super) locale: Locale,
    /// The secret part of the webhook address: at least 16 letters, digits, `-` or `_`.
    #[schemars(with = "String")]
    pub(super) token: SecretString,
    /// A token that is still accepted while the till's setting is changed.
    #[schemars(with = "Option<String>")]
    pub(super) previous_token: Option<SecretString>,
    /// Whether invoice PDFs are downloaded.
    pub(super) fetch_invoices: bool,
    /// How long a delivery waits for the PDF that it attaches.
    #[serde(deserialize_with = "values::interval")]
    #[schemars(with = "Interval")]
    pub(super) invoice_wait: Duration,
    /// After what time a missing order number is told, or "off".
    #[serde(deserialize_with = "values::told_after_or_off")]
    #[schemars(with = "Interval")]
    pub(super) gap_after: Option<Duration>,
    /// After what time it is told that a till is silent which is open or usually sells then, or "off".
    #[serde(deserialize_with = "values::told_after_or_off")]
    #[schemars(with = "Interval")]
    pub(super) silent_after: Option<Duration>,
    /// Hosts that invoices may be fetched from, and that confirm calls: host names (https, with subdomains), or exact origins.
    #[schemars(with = "Vec<String>")]
    pub(super) till_hosts: Vec<TillHost>,
    /// Whether the till is asked to confirm its calls, and whether messages about an order wait for that.
    pub(super) verify: Verify,
    /// The till's own API: with it orders that were never announced are found, and `tillhook pos` works.
    #[serde(rename = "api", default, deserialize_with = "values::read_elsewhere")]
    #[schemars(with = "ApiCredentials")]
    pub(super) _api: (),
}

/// The keys that every sink has.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SinkTable {
    /// What kind of sink it is.
    #[serde(rename = "type")]
    pub(super) _kind: String,
    /// Event types that it is told of; `*` as the last segment.
    #[schemars(with = "Vec<String>")]
    pub(super) on: Vec<Pattern>,
    /// Shops that it is told of, by id; `*` for all.
    #[schemars(with = "Vec<String>")]
    pub(super) shops: Vec<ShopPattern>,
    /// What an order must be like for the sink to be told of it.
    #[serde(default)]
    pub(super) only: Only,
    /// How the announcements of an order are merged.
    pub(super) per_order: PerOrder,
    /// How long to wait after an order's first selected event for its second.
    #[serde(deserialize_with = "values::interval")]
    #[schemars(with = "Interval")]
    pub(super) settle: Duration,
    /// The waits before each further attempt; empty for a single attempt.
    #[serde(deserialize_with = "values::waits")]
    #[schemars(with = "Vec<Interval>")]
    pub(super) retry: Vec<Duration>,
    /// How long one attempt may take.
    #[serde(deserialize_with = "values::wait")]
    #[schemars(with = "Interval")]
    pub(super) timeout: Duration,
    /// How many messages are on their way at once.
    #[serde(deserialize_with = "values::at_least_one")]
    #[schemars(with = "usize", range(min = 1))]
    pub(super) concurrency: usize,
    /// Failing that long pauses the sink; less than the sum of `retry`.
    #[serde(deserialize_with = "values::wait")]
    #[schemars(with = "Interval")]
    pub(super) pause_after: Duration,
}

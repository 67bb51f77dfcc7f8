//! The kinds of sinks: one list from which the configuration, its schema and `config check` follow.
//!
//! What differs between the kinds stands behind [`Kind`], which the options of each implement in the kind's own file;
//! nobody else matches on a kind.
//!
//! **Invariant:** secrets, and addresses that hold one, are `SecretString`, so that neither `Debug` nor an error shows them.

use std::{path::PathBuf, sync::Arc, time::Duration};

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use url::Url;

use super::{Handle, email, folder, guard::Guard, http, slack, stdout};
use crate::{
    clock::Clock,
    order::{Cadence, Csv, ReportFile, SinkName},
};

/// What a sink is built with, besides its own options.
#[derive(Clone)]
pub struct Context {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// The mail server; `None` where `[smtp]` is not configured.
    pub smtp: Option<email::Smtp>,
    /// Networks that may be called besides the public internet (`delivery.allow_private`).
    pub allow_private: Vec<IpNet>,
    /// How long one attempt may take in all.
    pub timeout: Duration,
    /// A folder whose templates replace the built-in ones.
    pub templates: Option<PathBuf>,
}

/// Why a sink cannot be built from its options.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {fix}")]
pub struct BuildError {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

impl BuildError {
    /// Says what is wrong and what to do about it.
    pub fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), fix: fix.into() }
    }
}

/// What a message can carry besides its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Attach {
    /// The invoice PDF, byte for byte.
    Invoice,
}

/// The summaries of a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summaries {
    /// When they are sent in place of messages about single orders; `None` where these are sent.
    pub cadence: Option<Cadence>,
    /// Above how many messages the rest of the day comes in a summary.
    pub limit: Option<Limit>,
    /// The files that go with them.
    pub files: Vec<ReportFile>,
    /// The till's own reports that go with them.
    pub reports: Vec<ReportFile>,
    /// How tables are written; as the shop's language has it where not set.
    pub csv: Option<Csv>,
}

/// How many messages about orders a sink is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// In an hour.
    pub per_hour: Option<u32>,
    /// In a day on the shop's wall.
    pub per_day: Option<u32>,
}

/// How long an attempt may take where neither the configuration nor the kind says.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// What the options of one kind of sink know about it.
pub trait Kind: JsonSchema {
    /// How the announcements of an order are merged where `per_order` is not set: `each`, `once` or `follow`.
    const PER_ORDER: &'static str = "each";

    /// How long one attempt may take where `timeout` is not set.
    const TIMEOUT: Duration = TIMEOUT;

    /// Whether messages carry the invoice PDF.
    fn attaches_invoice(&self) -> bool {
        false
    }

    /// Whether a message without the invoice PDF is of no use, so that none is sent.
    fn needs_invoice(&self) -> bool {
        false
    }

    /// The key of the address that is called, and the address, which is a secret; `None` where it cannot be just any.
    fn address(&self) -> Option<(&'static str, &str)> {
        None
    }

    /// The summaries that it gets in place of messages about single orders, or above a limit.
    fn summaries(&self) -> Option<Summaries> {
        None
    }

    /// What works but should be known: advice for `config check`, each as `WHAT: FIX`, a key in backticks first.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }

    /// Makes the sink. Nothing is contacted.
    ///
    /// # Errors
    /// When the options contradict themselves, or miss something that cannot be guessed.
    fn build(&self, name: &SinkName, context: &Context) -> Result<Handle, BuildError>;
}

macro_rules! kinds {
    ($($variant:ident = $module:ident,)*) => {
        /// The keys of a sink's table, beyond those that every sink has.
        #[derive(Clone, Debug)]
        pub enum Options {
            $(#[doc = concat!("`type = \"", stringify!($module), "\"`")] $variant($module::Options),)*
        }

        impl Options {
            /// Every `type` there is.
            pub const KINDS: &[&str] = &[$(stringify!($module)),*];

            /// The `type`.
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$variant(_) => stringify!($module),)* }
            }

            /// Reads the keys of a sink of this `type`.
            ///
            /// # Errors
            /// What serde says, and for an unknown `type` the list of those that exist.
            pub fn parse<'de, D: Deserializer<'de>>(kind: &str, from: D) -> Result<Self, D::Error> {
                match kind {
                    $(stringify!($module) => $module::Options::deserialize(from).map(Self::$variant),)*
                    _ => Err(D::Error::unknown_variant(kind, Self::KINDS)),
                }
            }

            /// The JSON Schema of the keys that [`Options::parse`] reads; `None` for an unknown `type`.
            pub fn schema(kind: &str) -> Option<Schema> {
                match kind {
                    $(stringify!($module) => Some(inline_schema::<$module::Options>()),)*
                    _ => None,
                }
            }

            /// How the announcements of an order are merged where `per_order` is not set: `each`, `once` or `follow`.
            pub fn default_per_order(&self) -> &'static str {
                match self { $(Self::$variant(_) => <$module::Options as Kind>::PER_ORDER,)* }
            }

            /// How long one attempt may take where `timeout` is not set.
            pub fn default_timeout(&self) -> Duration {
                match self { $(Self::$variant(_) => <$module::Options as Kind>::TIMEOUT,)* }
            }

            /// Whether messages carry the invoice PDF.
            pub fn attaches_invoice(&self) -> bool {
                match self { $(Self::$variant(options) => options.attaches_invoice(),)* }
            }

            /// Whether a message without the invoice PDF is of no use, so that none is sent.
            pub fn needs_invoice(&self) -> bool {
                match self { $(Self::$variant(options) => options.needs_invoice(),)* }
            }

            /// The key of the address that is called, and the address, which is a secret; `None` where it cannot be just any.
            pub fn address(&self) -> Option<(&'static str, &str)> {
                match self { $(Self::$variant(options) => options.address(),)* }
            }

            /// The summaries that it gets in place of messages about single orders, or above a limit.
            pub fn summaries(&self) -> Option<Summaries> {
                match self { $(Self::$variant(options) => options.summaries(),)* }
            }

            /// What works but should be known: advice for `config check`.
            pub fn problems(&self) -> Vec<String> {
                match self { $(Self::$variant(options) => options.problems(),)* }
            }
        }

        /// Makes the sink that the options describe. Nothing is contacted.
        ///
        /// # Errors
        /// When the options contradict themselves, or miss something that cannot be guessed.
        pub fn build(options: &Options, name: &SinkName, context: &Context) -> Result<Handle, BuildError> {
            match options { $(Options::$variant(options) => options.build(name, context),)* }
        }
    };
}

kinds! {
    Email = email,
    Slack = slack,
    Http = http,
    Folder = folder,
    Stdout = stdout,
}

/// An address that an operator wrote, where it may be called.
pub(super) fn callable(key: &str, text: &SecretString, guard: &Guard) -> Result<Url, BuildError> {
    let url = Url::parse(text.expose_secret().trim()).map_err(|error| {
        BuildError::new(
            format!("`{key}` is no address ({error})"),
            "write it in full, as in https://erp.example.com/hook",
        )
    })?;
    guard.check_url(&url).map_err(|blocked| {
        BuildError::new(
            format!("`{key}` cannot be called: {blocked}"),
            "use a public https address, or list its network in `delivery.allow_private`",
        )
    })?;
    Ok(url)
}

/// A schema without references, so that it can be put inside another one.
fn inline_schema<T: JsonSchema>() -> Schema {
    let settings = schemars::generate::SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    SchemaGenerator::new(settings).into_root_schema_for::<T>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: &str, keys: &str) -> Result<Options, String> {
        let table: toml::Table = keys.parse().expect("TOML");
        Options::parse(kind, table).map_err(|error| error.to_string())
    }

    #[test]
    fn every_kind_has_a_schema_that_refers_to_nothing_outside_itself() {
        for kind in Options::KINDS {
            let schema = Options::schema(kind).expect("a schema").to_value().to_string();
            assert!(schema.contains("\"additionalProperties\":false") && !schema.contains("$ref"), "{kind}: {schema}");
        }
        assert!(Options::schema("fax").is_none());
    }

    #[test]
    fn an_unknown_kind_or_key_is_refused_by_name() {
        assert!(parse("fax", "").expect_err("unknown").contains("`fax`"));
        assert!(parse("stdout", "prety = true").expect_err("unknown").contains("`prety`"));
        assert!(parse("http", "").expect_err("required").contains("`url`"));
        let format = parse("http", "url = 'https://erp.example'\nformat = 'xml'").expect_err("unknown");
        assert!(format.contains("`xml`") && format.contains("`standard`"), "{format}");
    }

    #[test]
    fn debug_shows_no_secret() {
        let slack = parse("slack", "url = \"https://hooks.example/SECRET\"\ntoken = \"SECRET\"").expect("options");
        let http = "url = \"https://u/SECRET\"\nsecret = \"SECRET\"\nheaders = { authorization = \"SECRET\" }";
        let http = parse("http", http).expect("options");
        assert!(!format!("{slack:?} {http:?}").contains("SECRET"));
    }

    #[test]
    fn mails_are_sent_once_an_order_chat_messages_follow_it_and_machines_get_each_event() {
        let defaults = |kind, keys| parse(kind, keys).expect("options").default_per_order();
        assert_eq!(defaults("email", "to = [\"a@example.com\"]"), "once");
        assert_eq!(defaults("slack", "url = \"https://hooks.example/x\""), "follow");
        assert_eq!(defaults("http", "url = \"https://erp.example\""), "each");
        assert_eq!(defaults("folder", "path = \"/tmp/x\""), "each");
        assert_eq!(defaults("stdout", ""), "each");
    }
}

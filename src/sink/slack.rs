//! Sales in a Slack channel.

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use super::{BuildError, Context, Handle, Kind};
use crate::order::{Locale, SinkName};

/// Slack's own Web API.
const API: &str = "https://slack.com/api";

/// What a message shows of an order besides its number and state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Show {
    /// The total and its VAT.
    Total,
    /// The articles.
    Items,
    /// The customer's name.
    Customer,
}

/// The keys of a Slack sink: `url` of an incoming webhook, or `token` of a bot with `channel`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The address of an incoming webhook.
    #[schemars(with = "Option<String>")]
    pub url: Option<SecretString>,
    /// A bot's token (`xoxb-…`) with the right `chat:write`.
    #[schemars(with = "Option<String>")]
    pub token: Option<SecretString>,
    /// The channel that the bot writes to: its id, or `#name`.
    pub channel: Option<String>,
    /// What a message shows of an order besides its number and state.
    pub show: Vec<Show>,
    /// The language; the shop's where not set.
    #[schemars(with = "Option<String>", extend("enum" = ["fr", "en", null]))]
    pub locale: Option<Locale>,
    /// Where Slack's Web API is.
    pub api: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            url: None,
            token: None,
            channel: None,
            show: vec![Show::Total, Show::Items],
            locale: None,
            api: API.to_owned(),
        }
    }
}

impl Kind for Options {
    const PER_ORDER: &'static str = "follow";

    fn build(&self, _: &SinkName, _: &Context) -> Result<Handle, BuildError> {
        Err(BuildError::new("this sink is not built yet", "use another `type`"))
    }
}

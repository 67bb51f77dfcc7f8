//! Sales to any HTTP system, as Standard Webhooks or CloudEvents.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use super::{BuildError, Context, Handle, Kind};
use crate::order::SinkName;

/// The shape of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Standard Webhooks: the event as JSON.
    #[default]
    Standard,
    /// CloudEvents 1.0, structured: the event inside an `application/cloudevents+json` envelope.
    Cloudevents,
    /// CloudEvents 1.0, binary: the event's data as the body, the rest in `ce-` headers.
    CloudeventsBinary,
}

/// The keys of an HTTP sink.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The address to call; it may hold a secret, so it is treated as one.
    #[schemars(with = "String")]
    pub url: SecretString,
    /// The secret that calls are signed with (`whsec_…`).
    #[schemars(with = "Option<String>")]
    pub secret: Option<SecretString>,
    /// The secret before that one: calls carry both signatures while the far side changes over.
    #[schemars(with = "Option<String>")]
    pub previous_secret: Option<SecretString>,
    /// Headers to add, such as `authorization`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub headers: BTreeMap<String, SecretString>,
    /// Whether the customer's e-mail, telephone, address and extra fields are sent too.
    #[serde(default)]
    pub include_customer: bool,
    /// The shape of a call.
    #[serde(default)]
    pub format: Format,
}

impl Kind for Options {
    fn problems(&self) -> Vec<String> {
        if self.secret.is_some() {
            return Vec::new();
        }
        vec!["has no `secret`, so its calls are unsigned: make one with `tillhook secrets new`".to_owned()]
    }

    fn build(&self, _: &SinkName, _: &Context) -> Result<Handle, BuildError> {
        Err(BuildError::new("this sink is not built yet", "use another `type`"))
    }
}

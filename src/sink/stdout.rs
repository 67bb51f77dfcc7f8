//! Sales on standard output, one JSON line each.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{BuildError, Context, Handle, Kind};
use crate::order::SinkName;

/// The keys of a standard output sink.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Whether the customer's e-mail, telephone, address and extra fields are printed too.
    pub include_customer: bool,
    /// Whether the JSON is spread over indented lines.
    pub pretty: bool,
}

impl Kind for Options {
    fn build(&self, _: &SinkName, _: &Context) -> Result<Handle, BuildError> {
        Err(BuildError::new("this sink is not built yet", "use another `type`"))
    }
}

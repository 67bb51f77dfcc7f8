//! Sales as files in a folder.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Attach, BuildError, Context, Handle, Kind};
use crate::order::SinkName;

/// The keys of a folder sink.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The folder; it must exist.
    pub path: PathBuf,
    /// What is written beside the event.
    #[serde(default)]
    pub attach: Vec<Attach>,
    /// Whether the customer's e-mail, telephone, address and extra fields are written too.
    #[serde(default)]
    pub include_customer: bool,
}

impl Kind for Options {
    fn attaches_invoice(&self) -> bool {
        self.attach.contains(&Attach::Invoice)
    }

    fn build(&self, _: &SinkName, _: &Context) -> Result<Handle, BuildError> {
        Err(BuildError::new("this sink is not built yet", "use another `type`"))
    }
}

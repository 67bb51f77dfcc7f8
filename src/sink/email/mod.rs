//! Sales by e-mail: the options of a mail sink, and the mail server that all of them share.

use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use super::{Attach, BuildError, Context, Handle, Kind};
use crate::order::{Locale, SinkName};

/// The mail server (`[smtp]`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    /// Its name: `ssl0.ovh.net`.
    pub host: String,
    /// Its port: 465 for implicit TLS, 587 for STARTTLS.
    pub port: u16,
    /// How the connection is encrypted.
    #[serde(default)]
    pub tls: Tls,
    /// The account.
    pub username: Option<String>,
    /// The account's password.
    #[schemars(with = "Option<String>")]
    pub password: Option<SecretString>,
    /// Who the mails are from: `Boulangerie Dupont <caisse@dupont.fr>`.
    pub from: String,
}

/// How the connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// From the first byte.
    #[default]
    Implicit,
    /// After the greeting, and never without.
    Starttls,
    /// Not at all.
    None,
}

/// What a mail looks like, by who reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// A person.
    #[default]
    Human,
    /// A machine that takes exactly one PDF.
    OnePdf,
    /// Pennylane's inbox.
    Pennylane,
    /// Dext's inbox.
    Dext,
}

/// The keys of a mail sink.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Who gets it.
    pub to: Vec<String>,
    /// Who gets a copy.
    pub cc: Vec<String>,
    /// Who gets a copy without the others' knowing.
    pub bcc: Vec<String>,
    /// Where answers go.
    pub reply_to: Option<String>,
    /// Who it is from, where that is not `smtp.from`.
    pub from: Option<String>,
    /// The language; the shop's where not set.
    #[schemars(with = "Option<String>", extend("enum" = ["fr", "en", null]))]
    pub locale: Option<Locale>,
    /// What goes with it.
    pub attach: Vec<Attach>,
    /// Who reads it.
    pub profile: Profile,
}

impl Kind for Options {
    const PER_ORDER: &'static str = "once";

    /// RFC 5321 §4.5.3.2 asks for minutes of patience; less makes duplicates.
    const TIMEOUT: Duration = Duration::from_secs(5 * 60);

    fn attaches_invoice(&self) -> bool {
        self.attach.contains(&Attach::Invoice)
    }

    fn build(&self, _: &SinkName, _: &Context) -> Result<Handle, BuildError> {
        Err(BuildError::new("this sink is not built yet", "use another `type`"))
    }
}

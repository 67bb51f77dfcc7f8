//! Mail providers by name, so that a shopkeeper writes `preset = "ovh"` instead of a host, a port and a way to encrypt.
//!
//! **Invariant:** what stands here encrypts from the first byte where the provider offers that, else with STARTTLS; it is
//! a default, and a key that is written wins over it.

use serde::{Deserialize, Serialize};

use super::Tls;

/// A mail provider whose server is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// The mailboxes of OVHcloud (MX Plan): <https://help.ovhcloud.com>, "E-mail: the servers' names".
    Ovh,
    /// Gmail and Google Workspace, with an app password: <https://support.google.com/a/answer/176600>.
    Gmail,
    /// Brevo's relay, with an SMTP key: <https://developers.brevo.com/docs/smtp-integration>.
    Brevo,
    /// Scaleway's Transactional Email, with a project's id and a secret key:
    /// <https://www.scaleway.com/en/docs/transactional-email/reference-content/smtp-configuration/>.
    Scaleway,
}

impl Preset {
    /// Every one there is.
    pub const ALL: [Self; 4] = [Self::Ovh, Self::Gmail, Self::Brevo, Self::Scaleway];

    /// The key's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ovh => "ovh",
            Self::Gmail => "gmail",
            Self::Brevo => "brevo",
            Self::Scaleway => "scaleway",
        }
    }

    /// Its server: host, port and how the connection is encrypted.
    pub fn server(self) -> (&'static str, u16, Tls) {
        match self {
            Self::Ovh => ("ssl0.ovh.net", 465, Tls::Implicit),
            Self::Gmail => ("smtp.gmail.com", 465, Tls::Implicit),
            Self::Brevo => ("smtp-relay.brevo.com", 587, Tls::Starttls),
            Self::Scaleway => ("smtp.tem.scaleway.com", 465, Tls::Implicit),
        }
    }
}

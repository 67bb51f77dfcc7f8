//! Whether the till confirms that it made the calls about an order (`signatureVerificationURL`), and what a shop makes of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a shop does about `signatureVerificationURL`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// Nothing.
    #[default]
    Off,
    /// The till is asked, and what it says is written down.
    Record,
    /// And the order's messages wait until it says yes.
    Require,
}

/// What the till said when it was asked, over all calls about an order: the word that is furthest from `verified`. A person
/// may have answered in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verification {
    /// It was not asked yet, or did not answer and is asked again.
    Pending,
    /// It made the call.
    Verified,
    /// It did not confirm the call, and a person answered for it.
    Accepted,
    /// It did not make the call; or the URL leads to somebody else.
    Refused,
    /// It answered, and neither with yes nor with no.
    Unknown,
    /// It did not answer for a day, and is not asked again.
    Unreachable,
}

impl Verification {
    /// The word in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Verified => "verified",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Unreachable => "unreachable",
        }
    }

    /// The reverse of [`Verification::as_str`]; `None` for anything else.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Pending, Self::Verified, Self::Accepted, Self::Refused, Self::Unknown, Self::Unreachable];
        all.into_iter().find(|one| one.as_str() == word)
    }
}

//! Whether the till confirms that it made the calls about an order (`signatureVerificationURL`), and what a shop makes of it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::Url;

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

/// What a URL is recognised by when another order brings it, however it is spelled: host, port, the parts of the path and the
/// fields of the query, decoded and in the order of their names, without what follows `#`. Half of a SHA-256. `None` for what
/// is no URL.
///
/// Whoever adds a field of their own makes another URL of it: which fields count is up to the till.
pub fn url_digest(url: &str) -> Option<[u8; 16]> {
    let url = Url::parse(url.trim()).ok()?;
    let mut hash = Sha256::new();
    // Lengths keep what stands beside each other apart.
    let mut add = |kind: u8, text: &[u8]| {
        hash.update([kind]);
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    add(b'h', url.host_str()?.as_bytes());
    add(b'p', &url.port_or_known_default()?.to_be_bytes());
    for part in url.path().split('/').filter(|part| !part.is_empty()) {
        add(b'/', &Cow::from(percent_decode_str(part)));
    }
    let mut fields: Vec<(Cow<'_, str>, Cow<'_, str>)> = url.query_pairs().collect();
    fields.sort();
    for (name, value) in &fields {
        add(b'?', name.as_bytes());
        add(b'=', value.as_bytes());
    }
    hash.finalize().first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_recognised_in_every_spelling_and_another_is_another() {
        let known = url_digest("https://kash.click/v/a%20b?order=1&sig=x%2Fy");
        assert!(known.is_some());
        for same in [
            " https://KASH.click:443/v/a%20b?order=1&sig=x%2Fy\n",
            "https://kash.click/v/./a b?sig=x/y&order=1#part",
            "https://kash.click//%76//a%20b/?sig=%78/y&&order=1",
        ] {
            assert_eq!(url_digest(same), known, "{same}");
        }
        for other in [
            "https://eu.kash.click/v/a%20b?order=1&sig=x%2Fy",
            "https://kash.click:8443/v/a%20b?order=1&sig=x%2Fy",
            "https://kash.click/v/a+b?order=1&sig=x%2Fy",
            "https://kash.click/V/a%20b?order=1&sig=x%2Fy",
            "https://kash.click/v/a%20b?order=1&sig=X%2Fy",
            "https://kash.click/v/a%20b?order=1sig&=x%2Fy",
            "https://kash.click/v/a%20b",
        ] {
            assert!(url_digest(other).is_some() && url_digest(other) != known, "{other}");
        }
        for none in ["", "no link", "mailto:a@b.example", "file:///v"] {
            assert_eq!(url_digest(none), None, "{none}");
        }
    }
}

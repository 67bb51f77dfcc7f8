//! Whether the till confirms that it made the calls about an order (`signatureVerificationURL`), and what a shop makes of it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::{Url, form_urlencoded};

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
/// What many servers read alike is the same here: `%2F` and `/`, `;` and `&` between fields, a path with `;x` or without, and
/// what follows a NUL or is blank at an end. Whoever adds a field of their own makes another URL of it: which fields count is
/// up to the till.
pub fn url_digest(url: &str) -> Option<[u8; 16]> {
    let url = Url::parse(url.trim()).ok()?;
    let mut hash = Sha256::new();
    // Lengths keep what stands beside each other apart.
    let mut add = |kind: u8, text: &[u8]| {
        hash.update([kind]);
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    add(b'h', url.host_str()?.trim_end_matches('.').as_bytes());
    add(b'p', &url.port_or_known_default()?.to_be_bytes());
    let path = Cow::from(percent_decode_str(url.path()));
    for part in parts(&path) {
        add(b'/', part);
    }
    for (name, value) in &fields(url.query().unwrap_or_default()) {
        add(b'?', name.as_bytes());
        add(b'=', value.as_bytes());
    }
    hash.finalize().first_chunk().copied()
}

/// The parts of a decoded path, without those that lead nowhere.
fn parts(path: &[u8]) -> Vec<&[u8]> {
    let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut parts = Vec::new();
    for part in path.split(|byte| matches!(byte, b'/' | b'\\')) {
        match part.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii() {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts
}

/// The fields of a query, decoded, sorted, each once.
fn fields(query: &str) -> Vec<(String, String)> {
    let bare = |text: &str| text.split('\0').next().unwrap_or_default().trim().to_owned();
    let query = query.replace(';', "&");
    let fields = form_urlencoded::parse(query.as_bytes()).map(|(name, value)| (bare(&name), bare(&value)));
    let mut fields: Vec<_> = fields.filter(|(name, value)| !(name.is_empty() && value.is_empty())).collect();
    fields.sort();
    fields.dedup();
    fields
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
            "https://kash.click/v%2fa%20b?order=1&sig=x%2Fy",
            "https://kash.click/v%5Ca%20b?order=1&sig=x%2Fy",
            "https://kash.click/x%2F..%2fv/a%20b?order=1&sig=x%2Fy",
            "https://kash.click/v;x/a%20b;y=1?order=1&sig=x%2Fy",
            "https://kash.click/v%3Bx/a%20b?order=1&sig=x%2Fy",
            "https://kash.click/v/a%20b%00?order=1&sig=x%2Fy",
            "https://kash.click/v/a%20b%20?order=1&sig=x%2Fy",
            "https://kash.click/v/a%20b?order=1;&sig=x%2Fy",
            "https://kash.click/v/a%20b?sig=x%2Fy;order=1",
            "https://kash.click/v/a%20b?order=1&sig=x%2Fy&",
            "https://kash.click/v/a%20b?order=1&sig=x%2Fy;",
            "https://kash.click/v/a%20b?order=1&sig=x%2Fy%00",
            "https://kash.click/v/a%20b?order=1&sig=x%2Fy%00z",
            "https://kash.click/v/a%20b?order=1&sig=x%2Fy&%00",
            "https://kash.click/v/a%20b?order=1&sig=x%2Fy+",
            "https://kash.click/v/a%20b?order=1&sig=x%2Fy&order=1",
            "https://kash.click./v/a%20b?order=1&sig=x%2Fy",
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
            "https://kash.click/v/a%20b/c?order=1&sig=x%2Fy",
            "https://kash.click/v/a%20b?order=1%26sig=x%2Fy",
            "https://kash.click/v/a%20b?order=1&sig=x%2Fy&more=1",
        ] {
            assert!(url_digest(other).is_some() && url_digest(other) != known, "{other}");
        }
        for none in ["", "no link", "mailto:a@b.example", "file:///v"] {
            assert_eq!(url_digest(none), None, "{none}");
        }
    }
}

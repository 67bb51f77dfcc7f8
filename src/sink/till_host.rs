//! Which hosts are the till's own: the only ones that a link from a notification is followed to (contract §4, `till_hosts`).

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::guard::Guard;

/// A host that is the till's: `kash.click`, or an origin such as `http://127.0.0.1:9000`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum TillHost {
    /// This host and its subdomains, by https on the usual port, at public addresses.
    Domain(String),
    /// Exactly this origin, at whatever address.
    Origin(Url),
}

/// How an admitted link may be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// At public addresses only.
    Public,
    /// At whatever address: the operator wrote the origin down in full.
    Origin,
}

impl Admission {
    /// The guard to follow the link with.
    pub fn guard(self) -> Guard {
        match self {
            Self::Public => Guard::public(),
            Self::Origin => Guard::anywhere(),
        }
    }
}

/// Why a text is no till host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no till host: write a host such as `kash.click`, or an origin such as `http://127.0.0.1:9000`")]
pub struct TillHostError(String);

impl TillHost {
    /// Whether, and how, this link may be followed.
    pub fn admits(&self, url: &Url) -> Option<Admission> {
        if !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        match self {
            Self::Domain(domain) => {
                let usual = url.scheme() == "https" && url.port().is_none();
                (usual && url.host_str().is_some_and(|host| is_within(host, domain))).then_some(Admission::Public)
            }
            Self::Origin(origin) => (url.origin() == origin.origin()).then_some(Admission::Origin),
        }
    }
}

impl FromStr for TillHost {
    type Err = TillHostError;

    fn from_str(text: &str) -> Result<Self, TillHostError> {
        let parsed = if text.contains("://") { parse_origin(text) } else { parse_domain(text) };
        parsed.ok_or_else(|| TillHostError(text.to_owned()))
    }
}

impl TryFrom<String> for TillHost {
    type Error = TillHostError;

    fn try_from(text: String) -> Result<Self, TillHostError> {
        text.parse()
    }
}

impl From<TillHost> for String {
    fn from(host: TillHost) -> Self {
        host.to_string()
    }
}

impl fmt::Display for TillHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => f.write_str(domain),
            Self::Origin(origin) => f.write_str(&origin.origin().ascii_serialization()),
        }
    }
}

fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// An origin has nothing after its port.
fn parse_origin(text: &str) -> Option<TillHost> {
    let url = Url::parse(text).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let web = matches!(url.scheme(), "http" | "https") && url.password().is_none();
    (bare && web).then_some(TillHost::Origin(url))
}

/// A name of at least two labels: a whole top-level domain is nobody's till.
fn parse_domain(text: &str) -> Option<TillHost> {
    match Host::parse(text).ok()? {
        Host::Domain(name) if name.contains('.') && !name.starts_with('.') && !name.ends_with('.') => {
            Some(TillHost::Domain(name))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(host: &str, url: &str) -> Option<Admission> {
        host.parse::<TillHost>().expect("a till host").admits(&Url::parse(url).expect("a URL"))
    }

    #[test]
    fn a_host_admits_itself_and_its_subdomains_by_https() {
        for url in ["https://kash.click/f.pdf", "https://KASH.click:443/f.pdf", "https://eu.kash.click/f.pdf?a=1"] {
            assert_eq!(admits("kash.click", url), Some(Admission::Public), "{url}");
        }
        for url in [
            "http://kash.click/f.pdf",
            "https://kash.click:8443/f.pdf",
            "https://notkash.click/f.pdf",
            "https://kash.click.evil.example/f.pdf",
            "https://kash.click@evil.example/f.pdf",
            "https://user:pass@kash.click/f.pdf",
            "ftp://kash.click/f.pdf",
        ] {
            assert_eq!(admits("kash.click", url), None, "{url}");
        }
    }

    #[test]
    fn an_origin_admits_exactly_itself() {
        assert_eq!(admits("http://127.0.0.1:9000", "http://127.0.0.1:9000/f.pdf"), Some(Admission::Origin));
        assert_eq!(admits("http://127.0.0.1:9000", "http://0x7f.1:9000/f.pdf"), Some(Admission::Origin));
        for url in ["http://127.0.0.1:9001/f.pdf", "https://127.0.0.1:9000/f.pdf", "http://a@127.0.0.1:9000/f.pdf"] {
            assert_eq!(admits("http://127.0.0.1:9000", url), None, "{url}");
        }
    }

    #[test]
    fn what_is_neither_a_host_nor_an_origin_is_refused() {
        for text in
            ["", "click", "127.0.0.1", "kash.click/x", "kash.click:443", "https://kash.click/x", "ftp://kash.click"]
        {
            assert!(text.parse::<TillHost>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_till_host_is_a_string_in_the_configuration() {
        for text in ["kash.click", "http://127.0.0.1:9000"] {
            let json = format!("\"{text}\"");
            let host: TillHost = serde_json::from_str(&json).expect("a till host");
            assert_eq!(serde_json::to_string(&host).expect("JSON"), json);
        }
    }
}

//! Follows a link that a call of the till brought, on the till's own hosts only.
//!
//! The link comes with a notification, that is, from whoever knows the webhook's address. So it is followed only where
//! the operator said the till is, and a redirect is a link like any other.
//!
//! **Invariant:** no request is made to a URL that no [`TillHost`] admits; no error holds a URL.

use std::time::Duration;

use url::Url;

use super::{
    Admission, TillHost,
    client::{Client, ClientError, Fetched},
};

/// How many redirects are followed.
const MAX_HOPS: usize = 3;

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The link is none that is ever followed: another host, http, a user name in it.
    #[error("the link does not lead to the till: check `till_hosts`")]
    Refused,
    /// A redirect leads away from the till, or in circles.
    #[error("the till redirects elsewhere; is it asking for a password?")]
    Redirected,
    /// No answer, half an answer, or too much of one.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Downloads at most `cap` bytes from behind a link. Each request may take `timeout`.
///
/// # Errors
/// Why nothing came back; [`LinkError::Refused`] never changes.
pub async fn follow(hosts: &[TillHost], link: &str, cap: usize, timeout: Duration) -> Result<Fetched, LinkError> {
    follow_noting(hosts, link, cap, timeout).await.map(|(fetched, _)| fetched)
}

/// The same, with the URLs that were asked after the link itself, in order: where the redirects led.
///
/// # Errors
/// As [`follow`].
pub async fn follow_noting(
    hosts: &[TillHost],
    link: &str,
    cap: usize,
    timeout: Duration,
) -> Result<(Fetched, Vec<Url>), LinkError> {
    let mut url = Url::parse(link.trim()).map_err(|_| LinkError::Refused)?;
    let mut admission = admit(hosts, &url).ok_or(LinkError::Refused)?;
    let mut hops = Vec::new();
    for _ in 0..=MAX_HOPS {
        let fetched = Client::new(admission.guard(), timeout).get(&url, cap).await?;
        if !(300..400).contains(&fetched.status) {
            return Ok((fetched, hops));
        }
        let next = fetched.location.and_then(|location| url.join(&location).ok()).ok_or(LinkError::Redirected)?;
        admission = admit(hosts, &next).ok_or(LinkError::Redirected)?;
        hops.push(next.clone());
        url = next;
    }
    Err(LinkError::Redirected)
}

fn admit(hosts: &[TillHost], url: &Url) -> Option<Admission> {
    hosts.iter().find_map(|host| host.admits(url))
}

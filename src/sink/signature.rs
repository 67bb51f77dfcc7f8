//! Signatures of calls: Standard Webhooks 1.0, made and checked.
//!
//! A subscriber that knows the secret can tell that a call is ours, is whole, and is not an old one sent again.

use std::{fmt, io, str::FromStr, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use sha2::Sha256;

/// The header that names the event.
pub const ID: &str = "webhook-id";
/// The header with the attempt's time, in Unix seconds.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header with the signatures.
pub const SIGNATURE: &str = "webhook-signature";

/// How far a call's time may be from ours: what the standard's own libraries allow.
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// What every secret begins with.
const PREFIX: &str = "whsec_";

/// How long a key may be, in bytes; the standard's bounds.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A signing secret (`whsec_…`).
#[derive(Clone)]
pub struct Secret(SecretSlice<u8>);

/// Why a text is no signing secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret is `whsec_` and 24 to 64 bytes in base64")]
pub struct SecretError;

/// Why a call is not taken for genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A header is missing or not text.
    #[error("the header `{0}` is missing or unreadable")]
    Header(&'static str),
    /// The call's time is further in the past than tolerated.
    #[error("the call is too old")]
    TooOld,
    /// The call's time is further in the future than tolerated.
    #[error("the call is dated in the future")]
    TooNew,
    /// No signature is ours.
    #[error("no signature fits: the secret is another one, or the body was changed")]
    NoMatch,
}

impl Secret {
    /// The signature of a call: `v1,…`.
    pub fn sign(&self, id: &str, at: i64, body: &[u8]) -> String {
        format!("v1,{}", STANDARD.encode(self.mac(id, at, body).finalize().into_bytes()))
    }

    fn mac(&self, id: &str, at: i64, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{at}.").as_bytes());
        mac.update(body);
        mac
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let key = text.trim().strip_prefix(PREFIX).and_then(|key| STANDARD.decode(key).ok()).ok_or(SecretError)?;
        if KEY_BYTES.contains(&key.len()) { Ok(Self(key.into())) } else { Err(SecretError) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A fresh secret of 32 random bytes.
///
/// # Errors
/// When the system has no randomness to give.
pub fn new_secret() -> io::Result<SecretString> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(format!("{PREFIX}{}", STANDARD.encode(key)).into())
}

/// Checks that a call was signed with one of `secrets` within `tolerance` of `now`. Takes as long for a wrong signature
/// as for a right one.
///
/// # Errors
/// Why the call is not taken for genuine.
pub fn verify(
    secrets: &[Secret],
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), VerifyError> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).ok_or(VerifyError::Header(name));
    let (id, signatures) = (header(ID)?, header(SIGNATURE)?);
    let at: i64 = header(TIMESTAMP)?.parse().map_err(|_| VerifyError::Header(TIMESTAMP))?;
    let tolerance = i64::try_from(tolerance.as_secs()).unwrap_or(i64::MAX);
    let age = now.as_second().saturating_sub(at);
    if age > tolerance {
        return Err(VerifyError::TooOld);
    }
    if age < tolerance.saturating_neg() {
        return Err(VerifyError::TooNew);
    }
    let given = || signatures.split(' ').filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
    let genuine = secrets.iter().any(|secret| given().any(|one| secret.mac(id, at, body).verify_slice(&one).is_ok()));
    if genuine { Ok(()) } else { Err(VerifyError::NoMatch) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"total":"43.80"}"#;

    fn secret() -> (Secret, String) {
        let text = new_secret().expect("randomness").expose_secret().to_owned();
        (text.parse().expect("a secret"), text)
    }

    fn headers(id: &str, at: i64, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [(ID, id), (TIMESTAMP, &at.to_string()), (SIGNATURE, signature)] {
            headers.insert(name, value.parse().expect("a header value"));
        }
        headers
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn the_reference_library_makes_the_same_signature() {
        let (ours, text) = secret();
        let theirs = standardwebhooks::Webhook::new(&text).expect("a secret");
        let signature = theirs.sign("evt_1", 1_795_000_000, BODY).expect("a signature");
        assert_eq!(ours.sign("evt_1", 1_795_000_000, BODY), signature);
    }

    #[test]
    fn the_reference_library_accepts_our_call_today() {
        let (ours, text) = secret();
        let now = crate::clock::Clock::now(&crate::clock::SystemClock).as_second();
        let call = headers("evt_1", now, &ours.sign("evt_1", now, BODY));
        let theirs = standardwebhooks::Webhook::new(&text).expect("a secret");
        assert!(theirs.verify(BODY, &call).is_ok());
    }

    #[test]
    fn either_of_two_secrets_suffices_while_they_are_changed_over() {
        let ((new, _), (old, _), (other, _)) = (secret(), secret(), secret());
        let both = format!("{} {}", new.sign("evt_1", 1_000, BODY), old.sign("evt_1", 1_000, BODY));
        let call = headers("evt_1", 1_000, &both);
        assert_eq!(verify(&[old], &call, BODY, at(1_000), TOLERANCE), Ok(()));
        assert_eq!(verify(&[new], &call, BODY, at(1_000), TOLERANCE), Ok(()));
        assert_eq!(verify(&[other], &call, BODY, at(1_000), TOLERANCE), Err(VerifyError::NoMatch));
    }

    #[test]
    fn a_changed_body_id_or_time_and_an_old_call_are_refused() {
        let (secret, _) = secret();
        let signature = secret.sign("evt_1", 1_000, BODY);
        let check = |id, sent, body: &[u8], now| {
            verify(std::slice::from_ref(&secret), &headers(id, sent, &signature), body, at(now), TOLERANCE)
        };
        assert_eq!(check("evt_1", 1_000, BODY, 1_300), Ok(()));
        assert_eq!(check("evt_1", 1_000, BODY, 1_301), Err(VerifyError::TooOld));
        assert_eq!(check("evt_1", 1_000, BODY, 699), Err(VerifyError::TooNew));
        assert_eq!(check("evt_2", 1_000, BODY, 1_000), Err(VerifyError::NoMatch));
        assert_eq!(check("evt_1", 1_001, BODY, 1_000), Err(VerifyError::NoMatch));
        assert_eq!(check("evt_1", 1_000, b"{}", 1_000), Err(VerifyError::NoMatch));
        assert_eq!(verify(&[secret], &HeaderMap::new(), BODY, at(0), TOLERANCE), Err(VerifyError::Header(ID)));
    }

    #[test]
    fn a_short_long_or_unmarked_secret_is_refused() {
        for (bytes, good) in [(23, false), (24, true), (64, true), (65, false)] {
            let text = format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
            assert_eq!(text.parse::<Secret>().is_ok(), good, "{bytes}");
        }
        assert!(STANDARD.encode([7; 32]).parse::<Secret>().is_err());
    }
}

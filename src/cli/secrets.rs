//! `tillhook secrets new`: a fresh secret, to sign calls with or for a webhook address.

use std::io::Write;

use secrecy::ExposeSecret;

use super::Exit;
use crate::{config::new_token, sink::signature::new_secret};

/// Prints a new Standard Webhooks secret, or with `token` the secret part of a webhook address.
///
/// # Errors
/// When the system has no randomness or the output cannot be written.
pub fn run(token: bool, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let secret = if token { new_token()? } else { new_secret()? };
    writeln!(out, "{}", secret.expose_secret())?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_secret_is_new_and_of_its_kind() {
        let printed = |token| {
            let mut out = Vec::new();
            run(token, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(standardwebhooks::Webhook::new(printed(false).trim()).is_ok());
        assert_eq!(printed(true).trim().len(), 43);
        assert_ne!(printed(true), printed(true));
    }
}

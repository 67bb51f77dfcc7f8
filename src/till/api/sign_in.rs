//! Signing in: a login and a password for a shop's id and key.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{
    ApiError, Credentials, answer,
    client::{TIMEOUT, base, encode, guard, post_form},
    polite::Manners,
};
use crate::{
    clock::Clock,
    json::{Budget, CALL},
    sink::{TillHost, client},
};

/// Asks the till for the shop's id and key. It is asked once: a wrong password sent three times may lock the account.
///
/// # Errors
/// When the till refuses, cannot be asked, or gives no key.
pub async fn sign_in(
    host: &TillHost,
    login: &str,
    password: &SecretString,
    clock: Arc<dyn Clock>,
) -> Result<Credentials, ApiError> {
    let url = base(host)?.join("getAuthToken.php").map_err(|_| ApiError::Unreadable("`host` makes no address"))?;
    let http = client::Client::new(guard(host), TIMEOUT);
    let secret = password.expose_secret();
    let fields = [("login", login), ("password", secret)].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let manners = Manners::new(clock);
    let answer = manners.turn().await.once(post_form(&http, &url, encode(fields))).await;
    let answer = answer::data(&answer.map_err(ApiError::Unreachable)?, secret, &Budget::new(CALL))?;
    let text = |name: &str| match answer.get(name) {
        Some(Value::String(text)) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    match (text("SHOPID"), text("APIKEY")) {
        (Some(shop_id), Some(key)) => Ok(Credentials { host: host.clone(), shop_id, key: key.into() }),
        _ => Err(ApiError::Unreadable("it holds no SHOPID and APIKEY")),
    }
}

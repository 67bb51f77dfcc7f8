//! Sales to any HTTP system, as Standard Webhooks (contract §7).

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    BuildError, Context, Delivery, Handle, Kind, Outgoing, Payload, Receipt, Sink, SinkError,
    answer::judge,
    client::Client,
    guard::Guard,
    kinds::callable,
    signature::{self, Secret},
    verdict::Reason,
};
use crate::{clock::Clock, order::SinkName};

/// The shape of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Standard Webhooks: the event as JSON.
    #[default]
    Standard,
}

/// The keys of an HTTP sink.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The address to call; it may hold a secret, so it is treated as one.
    #[schemars(with = "String")]
    pub url: SecretString,
    /// The secret that calls are signed with (`whsec_…`).
    #[schemars(with = "Option<String>")]
    pub secret: Option<SecretString>,
    /// The secret before that one: calls carry both signatures while the far side changes over.
    #[schemars(with = "Option<String>")]
    pub previous_secret: Option<SecretString>,
    /// Headers to add, such as `authorization`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub headers: BTreeMap<String, SecretString>,
    /// Whether the customer's e-mail, telephone, address and extra fields are sent too.
    #[serde(default)]
    pub include_customer: bool,
    /// The shape of a call.
    #[serde(default)]
    pub format: Format,
}

/// Headers that are ours or the protocol's to set.
const RESERVED: &[&str] = &[
    signature::ID,
    signature::TIMESTAMP,
    signature::SIGNATURE,
    "content-type",
    "content-length",
    "user-agent",
    "tillhook-instance",
    "host",
    "connection",
    "transfer-encoding",
];

impl Kind for Options {
    fn address(&self) -> Option<(&'static str, &str)> {
        Some(("url", self.url.expose_secret()))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.secret.is_none() {
            problems
                .push("has no `secret`, so its calls are unsigned: make one with `tillhook secrets new`".to_owned());
        }
        if self.url.expose_secret().trim_start().starts_with("http://") {
            problems.push("calls a plain http `url`, so anybody on the way can read the sales: use https".to_owned());
        }
        problems
    }

    fn build(&self, _: &SinkName, context: &Context) -> Result<Handle, BuildError> {
        let guard = Guard::public_and(context.allow_private.clone());
        let url = callable("url", &self.url, &guard)?;
        if self.secret.is_none() && self.previous_secret.is_some() {
            return Err(BuildError::new("`previous_secret` is set without `secret`", "set `secret` to the new one"));
        }
        let secrets = [("secret", &self.secret), ("previous_secret", &self.previous_secret)]
            .into_iter()
            .filter_map(|(key, secret)| secret.as_ref().map(|secret| parse_secret(key, secret)))
            .collect::<Result<_, _>>()?;
        Ok(Arc::new(Http {
            client: Client::new(guard, context.timeout),
            clock: context.clock.clone(),
            url,
            secrets,
            headers: parse_headers(&self.headers)?,
            include_customer: self.include_customer,
        }))
    }
}

fn parse_secret(key: &str, secret: &SecretString) -> Result<Secret, BuildError> {
    secret.expose_secret().parse().map_err(|error| {
        BuildError::new(format!("`{key}` cannot sign: {error}"), "make one with `tillhook secrets new`")
    })
}

fn parse_headers(headers: &BTreeMap<String, SecretString>) -> Result<HeaderMap, BuildError> {
    headers.iter().map(|(name, value)| parse_header(name, value)).collect()
}

fn parse_header(name: &str, value: &SecretString) -> Result<(HeaderName, HeaderValue), BuildError> {
    let header = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| BuildError::new(format!("`{name}` is no header name"), "use letters, digits and `-`"))?;
    if RESERVED.contains(&header.as_str()) {
        return Err(BuildError::new(
            format!("the header `{name}` is set by tillhook itself"),
            "remove it from `headers`",
        ));
    }
    let mut value = HeaderValue::from_str(value.expose_secret())
        .map_err(|_| BuildError::new(format!("the header `{name}` holds a line break or the like"), "remove it"))?;
    value.set_sensitive(true);
    Ok((header, value))
}

struct Http {
    client: Client,
    clock: Arc<dyn Clock>,
    url: Url,
    secrets: Vec<Secret>,
    headers: HeaderMap,
    include_customer: bool,
}

#[async_trait]
impl Sink for Http {
    fn render(&self, outgoing: &Outgoing) -> Result<Payload, SinkError> {
        Ok(Payload {
            content_type: "application/json".to_owned(),
            body: outgoing.event.to_json(self.include_customer).to_string(),
            attachments: Vec::new(),
            made: Vec::new(),
        })
    }

    async fn send(&self, delivery: &Delivery) -> Result<Receipt, SinkError> {
        let answer = self.client.post(&self.url, self.sign(delivery)?, delivery.payload.body.clone()).await?;
        judge(&answer, self.clock.now())?;
        Ok(Receipt { status: answer.status.to_string(), excerpt: answer.excerpt(), ..Receipt::default() })
    }

    /// Any answer will do: a system that takes only signed calls has no other way to show that it is there.
    async fn check(&self) -> Result<String, SinkError> {
        let answer = self.client.head(&self.url).await?;
        Ok(format!("the far side answers (HTTP {} to HEAD)", answer.status))
    }
}

impl Http {
    fn sign(&self, delivery: &Delivery) -> Result<HeaderMap, SinkError> {
        let (id, at) = (delivery.event_id.to_string(), delivery.at.as_second());
        let body = delivery.payload.body.as_bytes();
        let signatures: Vec<String> = self.secrets.iter().map(|secret| secret.sign(&id, at, body)).collect();
        let mut headers = self.headers.clone();
        headers.insert(header::CONTENT_TYPE, value(&delivery.payload.content_type)?);
        headers.insert(signature::ID, value(&id)?);
        headers.insert(signature::TIMESTAMP, at.into());
        if !signatures.is_empty() {
            headers.insert(signature::SIGNATURE, value(&signatures.join(" "))?);
        }
        Ok(headers)
    }
}

fn value(text: &str) -> Result<HeaderValue, SinkError> {
    HeaderValue::from_str(text).map_err(|_| SinkError::retry(Reason::Local, "a header value holds a control character"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::{
        build,
        signature::{TOLERANCE, new_secret, verify},
        testing::{FarSide, context, delivery, now, options, sale, sink},
    };

    fn refused(keys: &str) -> String {
        let built = build(&options("http", keys), &"erp".parse().expect("a name"), &context());
        built.err().expect("refused").to_string()
    }

    #[tokio::test]
    async fn a_call_is_the_event_signed_with_both_secrets() {
        let far_side = FarSide::start().await;
        let [new, old] = [(); 2].map(|()| new_secret().expect("randomness"));
        let erp = sink(
            "http",
            &format!(
                "url = '{}'\nsecret = '{}'\nprevious_secret = '{}'\nheaders = {{ Authorization = 'Bearer x' }}",
                far_side.url("/hooks/till?a=1"),
                new.expose_secret(),
                old.expose_secret()
            ),
        );
        let sale = sale();
        let receipt = erp.send(&delivery(&sale, erp.render(&sale).expect("a payload"))).await.expect("delivered");
        assert_eq!((receipt.status.as_str(), receipt.excerpt.as_deref()), ("200", Some("ok")));

        let [call] = &far_side.requests()[..] else { panic!("one call") };
        assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/hooks/till"));
        assert_eq!(call.header("content-type"), "application/json");
        assert_eq!(call.header("user-agent"), concat!("tillhook/", env!("CARGO_PKG_VERSION")));
        assert_eq!(call.header("webhook-id"), sale.event.id.to_string());
        assert_eq!(call.header("webhook-timestamp"), now().as_second().to_string());
        assert_eq!(call.header("authorization"), "Bearer x");
        assert_eq!(call.json(), sale.event.to_json(false));
        assert!(call.json()["data"]["customer"].get("email").is_none());
        for secret in [new, old] {
            let secret = secret.expose_secret().parse().expect("a secret");
            assert_eq!(verify(&[secret], &call.headers, &call.body, now(), TOLERANCE), Ok(()));
        }
    }

    #[tokio::test]
    async fn a_call_without_a_secret_is_unsigned_and_config_check_says_so() {
        let far_side = FarSide::start().await;
        let keys = format!("url = '{}'\ninclude_customer = true", far_side.url("/"));
        let erp = sink("http", &keys);
        erp.send(&delivery(&sale(), erp.render(&sale()).expect("a payload"))).await.expect("delivered");
        let call = &far_side.requests()[0];
        assert!(!call.headers.contains_key("webhook-signature") && call.headers.contains_key("webhook-id"));
        assert_eq!(call.json()["data"]["customer"]["email"], "zoe@example.com");
        assert!(options("http", &keys).problems().iter().any(|problem| problem.contains("unsigned")));
    }

    #[tokio::test]
    async fn the_answer_is_the_verdict() {
        let far_side = FarSide::start().await;
        let erp = sink("http", &format!("url = '{}'", far_side.url("/")));
        let message = delivery(&sale(), erp.render(&sale()).expect("a payload"));
        far_side.answers(410, &[], "");
        assert!(matches!(erp.send(&message).await, Err(SinkError::Pause { reason: Reason::Gone, .. })));
        far_side.answers(503, &[("retry-after", "Sat, 21 Nov 2026 13:06:40 GMT")], "");
        let Err(SinkError::Retry { after: Some(after), .. }) = erp.send(&message).await else { panic!("asks to wait") };
        assert_eq!(after.as_secs(), 59);
        far_side.answers(405, &[], "");
        assert_eq!(erp.check().await.as_deref(), Ok("the far side answers (HTTP 405 to HEAD)"));
    }

    #[test]
    fn a_table_that_cannot_work_is_refused_without_showing_what_is_secret() {
        for (keys, said) in [
            ("url = 'SECRET'", "is no address"),
            ("url = 'https://10.0.0.1/SECRET'", "public internet (private)"),
            ("url = 'http://169.254.169.254/SECRET'", "metadata"),
            ("url = 'https://SECRET:SECRET@example.com/'", "user name or password"),
            ("url = 'https://example.com/'\nsecret = 'SECRET'", "`secret` cannot sign"),
            ("url = 'https://example.com/'\nheaders = { Webhook-Id = 'SECRET' }", "set by tillhook itself"),
            ("url = 'https://example.com/'\nheaders = { Content-Type = 'SECRET' }", "set by tillhook itself"),
            ("url = 'https://example.com/'\nheaders = { x = \"SECRET\\n\" }", "line break"),
        ] {
            let error = refused(keys);
            assert!(error.contains(said) && !error.contains("SECRET"), "{keys}: {error}");
        }
    }
}

//! Sales in a Slack channel: through an incoming webhook, or as a bot that can also change what it said.
//!
//! The payload is the JSON that Slack is sent. A `ts` in it names the message to change (`chat.update`); without one it
//! is a new message.
//!
//! **Invariant:** a check posts nothing that anybody sees.

mod answer;
mod message;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, header};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    BuildError, Context, Delivery, Handle, Kind, Outgoing, Payload, Receipt, Sink, SinkError, client::Client,
    guard::Guard, kinds::callable,
};
use crate::{
    clock::Clock,
    json,
    order::{Locale, SinkName},
};
use answer::{Said, judge_webhook, read_api};

/// Slack's own Web API.
const API: &str = "https://slack.com/api";

/// Slack takes one message a second and channel.
const INTERVAL: Duration = Duration::from_secs(1);

/// What every body that Slack is sent is.
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// What a message shows of an order besides its number and state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Show {
    /// The total and its VAT.
    Total,
    /// The articles.
    Items,
    /// The customer's name.
    Customer,
}

/// The keys of a Slack sink: `url` of an incoming webhook, or `token` of a bot with `channel`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The address of an incoming webhook.
    #[schemars(with = "Option<String>")]
    pub url: Option<SecretString>,
    /// A bot's token (`xoxb-…`) with the right `chat:write`.
    #[schemars(with = "Option<String>")]
    pub token: Option<SecretString>,
    /// The channel that the bot writes to: its id, or `#name`.
    pub channel: Option<String>,
    /// What a message shows of an order besides its number and state.
    pub show: Vec<Show>,
    /// The language; the shop's where not set.
    #[schemars(with = "Option<String>", extend("enum" = ["fr", "en", null]))]
    pub locale: Option<Locale>,
    /// Where Slack's Web API is.
    pub api: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            url: None,
            token: None,
            channel: None,
            show: vec![Show::Total, Show::Items],
            locale: None,
            api: API.to_owned(),
        }
    }
}

impl Kind for Options {
    const PER_ORDER: &'static str = "follow";

    fn address(&self) -> Option<(&'static str, &str)> {
        self.url.as_ref().map(|url| ("url", url.expose_secret()))
    }

    fn build(&self, _: &SinkName, context: &Context) -> Result<Handle, BuildError> {
        let guard = Guard::public_and(context.allow_private.clone());
        let far_side = match (&self.url, &self.token, &self.channel) {
            (Some(url), None, None) => FarSide::Webhook(callable("url", url, &guard)?),
            (None, Some(token), Some(channel)) => {
                FarSide::Bot(Box::new(Bot::new(&self.api, token, channel.trim().to_owned(), &guard)?))
            }
            _ => {
                return Err(BuildError::new(
                    "Slack is reached in one of two ways",
                    "set `url` (an incoming webhook), or `token` and `channel` (a bot)",
                ));
            }
        };
        Ok(Arc::new(Slack {
            client: Client::new(guard, context.timeout),
            clock: context.clock.clone(),
            far_side,
            show: self.show.clone(),
            locale: self.locale,
        }))
    }
}

struct Slack {
    client: Client,
    clock: Arc<dyn Clock>,
    far_side: FarSide,
    show: Vec<Show>,
    locale: Option<Locale>,
}

enum FarSide {
    Webhook(Url),
    Bot(Box<Bot>),
}

struct Bot {
    post: Url,
    update: Url,
    test: Url,
    authorization: HeaderValue,
    channel: String,
}

#[async_trait]
impl Sink for Slack {
    fn render(&self, outgoing: &Outgoing) -> Result<Payload, SinkError> {
        let locale = self.locale.or(outgoing.shop.as_ref().map(|shop| shop.locale)).unwrap_or_default();
        let thread = outgoing.thread.as_ref().and_then(|thread| thread.reference.as_deref()?.split_once(':'));
        let mut body = message::make(outgoing, locale, &self.show, thread.is_some());
        if let FarSide::Bot(bot) = &self.far_side {
            let (channel, ts) = thread.unzip();
            body["channel"] = channel.unwrap_or(&bot.channel).into();
            if let Some(ts) = ts {
                body["ts"] = ts.into();
            }
        }
        Ok(Payload {
            content_type: "application/json".to_owned(),
            body: body.to_string(),
            attachments: Vec::new(),
            made: Vec::new(),
        })
    }

    async fn send(&self, delivery: &Delivery) -> Result<Receipt, SinkError> {
        let body = &delivery.payload.body;
        match &self.far_side {
            FarSide::Webhook(url) => {
                let answer = self.client.post(url, headers(None), body.clone()).await?;
                judge_webhook(&answer, self.clock.now())?;
                Ok(Receipt { status: answer.status.to_string(), excerpt: answer.excerpt(), ..Receipt::default() })
            }
            FarSide::Bot(bot) => self.say(bot, body).await,
        }
    }

    /// A webhook says whether it exists when it is sent nothing; a bot can ask who it is.
    async fn check(&self) -> Result<String, SinkError> {
        match &self.far_side {
            FarSide::Webhook(url) => {
                let answer = self.client.post(url, headers(None), "{}").await?;
                if answer.status != 400 {
                    judge_webhook(&answer, self.clock.now())?;
                }
                Ok("the webhook exists".to_owned())
            }
            FarSide::Bot(bot) => {
                self.call(bot, &bot.test, "{}".to_owned()).await?.accepted()?;
                Ok("Slack knows the bot".to_owned())
            }
        }
    }

    fn min_interval(&self) -> Option<Duration> {
        Some(INTERVAL)
    }
}

impl Slack {
    /// Changes the message that the body names, or posts a new one: also where that message can no longer be changed,
    /// so that the news is told all the same.
    async fn say(&self, bot: &Bot, body: &str) -> Result<Receipt, SinkError> {
        let mut json = json::ours(body)
            .map_err(|error| SinkError::retry(super::Reason::Local, format!("the stored message: {error}")))?;
        if json.get("ts").is_some() {
            let said = self.call(bot, &bot.update, body.to_owned()).await?;
            if !said.message_is_out_of_reach() {
                return said.accepted();
            }
            json.as_object_mut().and_then(|message| message.shift_remove("ts"));
        }
        self.call(bot, &bot.post, json.to_string()).await?.accepted()
    }

    async fn call(&self, bot: &Bot, method: &Url, body: String) -> Result<Said, SinkError> {
        let answer = self.client.post(method, headers(Some(&bot.authorization)), body).await?;
        read_api(&answer, self.clock.now())
    }
}

impl Bot {
    fn new(api: &str, token: &SecretString, channel: String, guard: &Guard) -> Result<Self, BuildError> {
        let method = |name: &str| callable("api", &format!("{}/{name}", api.trim_end_matches('/')).into(), guard);
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret().trim()))
            .map_err(|_| BuildError::new("`token` is no Slack token", "copy it again: it begins with xoxb-"))?;
        authorization.set_sensitive(true);
        Ok(Self {
            post: method("chat.postMessage")?,
            update: method("chat.update")?,
            test: method("auth.test")?,
            authorization,
            channel,
        })
    }
}

fn headers(authorization: Option<&HeaderValue>) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, CONTENT_TYPE)]);
    if let Some(value) = authorization {
        headers.insert(header::AUTHORIZATION, value.clone());
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        order::{EventData, EventType, State},
        sink::{
            Purpose, Reason, Thread, build,
            testing::{FarSide, context, delivery, options, order, outgoing, sale, sink},
        },
    };

    const POSTED: &str = r#"{"ok":true,"channel":"C1","ts":"1795.1","message":{"text":"…"}}"#;

    fn webhook(far_side: &FarSide) -> Handle {
        sink("slack", &format!("url = '{}'", far_side.url("/services/T/B/x")))
    }

    fn bot(far_side: &FarSide) -> Handle {
        let api = far_side.url("/api");
        sink("slack", &format!("token = 'xoxb-1'\nchannel = '#caisse'\napi = '{api}'"))
    }

    async fn send(sink: &Handle, outgoing: &Outgoing) -> Result<Receipt, SinkError> {
        sink.send(&delivery(outgoing, sink.render(outgoing)?)).await
    }

    /// The order changed after this receipt for its first message.
    fn change(receipt: &Receipt, payload: Payload) -> Outgoing {
        let thread = Some(Thread { reference: receipt.reference.clone(), payload });
        Outgoing { purpose: Purpose::Change, thread, ..sale() }
    }

    #[tokio::test]
    async fn a_webhook_gets_a_message_and_then_a_short_line() {
        let far_side = FarSide::start().await;
        let slack = webhook(&far_side);
        let mut first = order();
        first.state = State::Invoiced;
        let first = outgoing(EventType::OrderValidated, EventData::Order(Box::new(first)));
        let receipt = send(&slack, &first).await.expect("delivered");
        assert_eq!(receipt.reference, None);
        send(&slack, &change(&receipt, slack.render(&first).expect("a payload"))).await.expect("delivered");

        let [message, line] = &far_side.requests()[..] else { panic!("two messages") };
        let title = "Facture 20261121042 – émise, non soldée";
        assert_eq!(message.json()["text"], format!("{title} – 43,80\u{a0}€"));
        let total = "43,80\u{a0}€ TTC (dont TVA 5,35\u{a0}€)";
        assert_eq!(message.json()["blocks"][0]["text"]["text"], format!("*{title}*\n{total}"));
        assert_eq!(message.json()["blocks"][1]["text"]["text"], "1,5 × Menu &lt;midi&gt; &amp; café – 25,80\u{a0}€");
        let place = "Boulangerie Dupont · 21/11/2026 à 14:03 · caisse 1 · sur place";
        assert_eq!(message.json()["blocks"][2]["elements"][0]["text"], place);
        assert_eq!(line.json()["text"], "Facture 20261121042\u{a0}: payée");
        assert!(line.json().get("blocks").is_none());
    }

    #[tokio::test]
    async fn a_bot_changes_the_message_it_posted() {
        let far_side = FarSide::start().await;
        let slack = bot(&far_side);
        far_side.answers(200, &[], POSTED);
        far_side.answers(200, &[], POSTED);
        let receipt = send(&slack, &sale()).await.expect("delivered");
        assert_eq!(receipt.reference.as_deref(), Some("C1:1795.1"));
        send(&slack, &change(&receipt, slack.render(&sale()).expect("a payload"))).await.expect("delivered");

        let [post, update] = &far_side.requests()[..] else { panic!("two calls") };
        assert_eq!((post.path.as_str(), update.path.as_str()), ("/api/chat.postMessage", "/api/chat.update"));
        assert_eq!(post.header("authorization"), "Bearer xoxb-1");
        assert_eq!((&post.json()["channel"], post.json().get("ts")), (&"#caisse".into(), None));
        assert_eq!((&update.json()["channel"], &update.json()["ts"]), (&"C1".into(), &"1795.1".into()));
        assert!(update.json()["blocks"].is_array());
    }

    #[tokio::test]
    async fn news_of_a_message_that_is_gone_is_posted_anew() {
        let far_side = FarSide::start().await;
        let slack = bot(&far_side);
        far_side.answers(200, &[], r#"{"ok":false,"error":"message_not_found"}"#);
        far_side.answers(200, &[], r#"{"ok":true,"channel":"C1","ts":"1796.1"}"#);
        let earlier = Receipt { reference: Some("C1:1795.1".into()), ..Receipt::default() };
        let change = change(&earlier, slack.render(&sale()).expect("a payload"));
        let receipt = send(&slack, &change).await.expect("delivered");
        assert_eq!(receipt.reference.as_deref(), Some("C1:1796.1"));
        let post = &far_side.requests()[1];
        assert_eq!((post.path.as_str(), post.json().get("ts")), ("/api/chat.postMessage", None));
    }

    #[tokio::test]
    async fn a_dead_webhook_or_token_pauses_the_sink() {
        let far_side = FarSide::start().await;
        far_side.answers(404, &[], "no_service");
        let sent = send(&webhook(&far_side), &sale()).await;
        assert!(matches!(sent, Err(SinkError::Pause { reason: Reason::Gone, .. })), "{sent:?}");
        far_side.answers(200, &[], r#"{"ok":false,"error":"invalid_auth"}"#);
        let sent = send(&bot(&far_side), &sale()).await;
        assert!(matches!(sent, Err(SinkError::Pause { reason: Reason::Credentials, .. })), "{sent:?}");
    }

    #[tokio::test]
    async fn a_check_posts_no_message() {
        let far_side = FarSide::start().await;
        far_side.answers(400, &[], "no_text");
        assert!(webhook(&far_side).check().await.is_ok());
        far_side.answers(404, &[], "no_service");
        assert!(webhook(&far_side).check().await.is_err());
        far_side.answers(200, &[], r#"{"ok":true}"#);
        assert!(bot(&far_side).check().await.is_ok());
        let asked: Vec<_> = far_side.requests().iter().map(|call| (call.path.clone(), call.body.to_vec())).collect();
        assert_eq!(asked[2], ("/api/auth.test".to_owned(), b"{}".to_vec()));
        assert!(asked.iter().all(|(_, body)| body == b"{}"));
    }

    #[test]
    fn slack_is_told_one_message_a_second() {
        let slack = sink("slack", "url = 'https://hooks.slack.com/services/T/B/x'");
        assert_eq!(slack.min_interval(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn a_table_with_both_ways_or_neither_is_refused() {
        let name = "team".parse().expect("a name");
        for keys in [
            "",
            "token = 'xoxb-1'",
            "channel = '#x'",
            "url = 'https://hooks.slack.com/x'\nchannel = '#x'",
            "url = 'https://hooks.slack.com/x'\ntoken = 'x'\nchannel = '#x'",
            "url = 'http://10.0.0.1/x'",
            "token = \"a\\nb\"\nchannel = '#x'",
        ] {
            assert!(build(&options("slack", keys), &name, &context()).is_err(), "{keys}");
        }
    }
}

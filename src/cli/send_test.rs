//! `tillhook send-test`: acts as the till, so that the whole way can be tried before the till is set up.

use std::{io::Write, sync::Arc};

use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;

use super::{Exit, Stop, find, url::webhook_url};
use crate::{
    clock::Clock,
    config::{Config, ShopConfig},
    json,
    order::Phase,
    till::{self, Answer, CallError, Voice},
};

/// What to send, and where to.
#[derive(Debug, Args)]
pub struct SendTest {
    /// To this shop's address, where there are several
    #[arg(long, value_name = "SHOP")]
    pub shop: Option<String>,
    /// To this webhook address in place of the shop's
    #[arg(long, value_name = "URL")]
    pub to: Option<String>,
    /// Which of the two announcements of an order
    #[arg(long, value_enum, default_value_t = Which::Both)]
    phase: Which,
    /// A refund
    #[arg(long)]
    refund: bool,
}

/// Which announcements are sent.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// Invoice issued
    Validated,
    /// Paid
    Terminated,
    /// One after the other
    Both,
}

impl Which {
    fn phases(self) -> &'static [Phase] {
        match self {
            Self::Validated => &[Phase::Validated],
            Self::Terminated => &[Phase::Terminated],
            Self::Both => &[Phase::Validated, Phase::Terminated],
        }
    }
}

/// Sends the announcements of an invented order, marked as a test, and says what was answered. Where `to` is given, no
/// configuration is needed.
///
/// # Errors
/// When there is no such shop, or nobody answers. An answer that is not 200 exits with 1.
pub async fn run(
    wanted: &SendTest,
    config: Option<&Config>,
    clock: &Arc<dyn Clock>,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let shop = config.map(|config| shop(config, wanted.shop.as_deref()).map(|shop| (config, shop))).transpose()?;
    let zone = shop.map_or_else(TimeZone::system, |(_, shop)| shop.shop.timezone.clone());
    let address = match (&wanted.to, shop) {
        (Some(to), _) => to.clone(),
        (None, Some((config, shop))) => webhook_url(&config.server, shop),
        (None, None) => return Err(Stop::with_fix(Exit::Usage, "there is nowhere to send to", "give --to URL")),
    };
    let now = clock.now();
    let seed = u64::try_from(now.as_microsecond()).unwrap_or_default();
    let order = till::sample_order(seed, &zone, now, wanted.refund);
    let kind = if order.is_refund { "refund" } else { "order" };
    writeln!(out, "Test {kind} {}, {}", order.order_id, order.total())?;
    let mut exit = Exit::Ok;
    for phase in wanted.phase.phases() {
        let answer = till::post(&till::encode(&order, *phase, Voice::default()), &address).await.map_err(|error| {
            let fix = match error {
                CallError::Refused(_) => "`tillhook serve` must run there; `--to URL` sends to another address",
                _ => "start `tillhook serve`, or look at server.public_url and its proxy",
            };
            Stop::with_fix(Exit::Failed, error, fix)
        })?;
        let said = match phase {
            Phase::Validated => "invoice issued",
            Phase::Terminated => "paid",
        };
        writeln!(out, "  {said:<16}{}", in_words(&answer))?;
        if answer.status != 200 {
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}

fn shop<'a>(config: &'a Config, name: Option<&str>) -> anyhow::Result<&'a ShopConfig> {
    match name {
        Some(name) => Ok(&config.shops[&find::shop(config, name)?]),
        None if config.shops.len() == 1 => {
            config.shops.values().next().ok_or_else(|| anyhow::anyhow!("no shop is configured"))
        }
        None => {
            let names: Vec<&str> = config.shops.keys().map(|id| id.as_str()).collect();
            Err(Stop::with_fix(
                Exit::Usage,
                "there are several shops",
                format!("give --shop, one of: {}", names.join(", ")),
            ))
        }
    }
}

/// The answer of the service; of another program no more than its number, because its words may be anything.
fn in_words(answer: &Answer) -> String {
    let body = json::read(&answer.body, json::CALL).unwrap_or_default();
    let receipt = body["id"].as_str().filter(|id| id.starts_with("rcp_")).unwrap_or_default();
    match (answer.status, body["status"].as_str()) {
        (200, Some("stored")) => format!("stored as {receipt}"),
        (200, Some("duplicate")) => format!("known already ({receipt})"),
        (200, Some("quarantined")) => format!("stored, but not understood: see `tillhook quarantine show {receipt}`"),
        (200, _) => "answered with 200, but not by tillhook: is this the right address?".to_owned(),
        (404, _) => "refused: there is no such address; `tillhook url` prints the right one".to_owned(),
        (413, _) => "refused: too large; see server.body_limit".to_owned(),
        (503, _) => "not stored: the service cannot write now; see its log".to_owned(),
        (status, _) => format!("answered with {status}: is there a proxy in the way?"),
    }
}

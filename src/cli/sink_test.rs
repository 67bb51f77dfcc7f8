//! `tillhook sinks test`: tries a sink for real, past the queue, and says how each step went.
//!
//! It needs no database, so a new configuration can be tried before the service ever ran.

use std::{io::Write, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Exit, Stop, find, print};
use crate::{
    app::assemble,
    clock::Clock,
    config::Config,
    deliver::Lane,
    order::{DeliveryId, Event, EventData, EventId, EventType, Shop, ShopRef},
    sink::{Delivery, Outgoing, Payload, Purpose, Reason, SinkError},
};

/// What the test message says.
const MESSAGE: &str = "This is a test: the sink works. / Ceci est un essai : la destination fonctionne.";

/// Checks the sink, then sends it a `test.ping`, whatever its `on`.
///
/// # Errors
/// When there is no such sink (exit 3), or a step fails (exit 1).
pub async fn run(name: &str, config: &Config, clock: &Arc<dyn Clock>, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let name = find::sink(config, name)?;
    let lane = assemble::lane(config, &name, clock)?;
    writeln!(out, "{name} ({})", config.sinks[&name].options.kind())?;
    let failed = |what: &str, error: &SinkError| failed(what, error, lane.sink.advice(error));
    let found = within(lane.timeout, lane.sink.check()).await.map_err(|error| failed("is not reachable", &error))?;
    writeln!(out, "  reachable  {found}")?;
    let now = clock.now();
    let outgoing = ping(config, &lane, now);
    let payload = lane.sink.render(&outgoing).map_err(|error| failed("cannot make a message", &error))?;
    writeln!(out, "  message    made, {}", print::size(payload.body.len() as u64))?;
    let delivery = delivery(&outgoing, payload, now);
    let receipt =
        within(lane.timeout, lane.sink.send(&delivery)).await.map_err(|error| failed("did not take it", &error))?;
    let excerpt = receipt.excerpt.map(|text| format!(": {}", print::excerpt(&text, 80))).unwrap_or_default();
    if receipt.refused.is_empty() {
        writeln!(out, "  sent       the far side took it ({}{excerpt})", receipt.status)?;
        return Ok(Exit::Ok);
    }
    for recipient in &receipt.taken {
        writeln!(
            out,
            "  sent       the far side took it for {} ({})",
            print::harmless(&recipient.address),
            receipt.status
        )?;
    }
    for (recipient, error) in &receipt.refused {
        let detail = print::excerpt(error.detail(), 200);
        writeln!(out, "  refused    {}: {detail}", print::harmless(&recipient.address))?;
    }
    let advice = receipt.refused.iter().find_map(|(_, error)| lane.sink.advice(error));
    let fix = advice.unwrap_or_else(|| "it may pass by itself; the service would try again".to_owned());
    Err(Stop::with_fix(Exit::Failed, "the far side does not take the message for every address", fix))
}

/// As patient as the service is.
async fn within<T>(limit: Duration, step: impl Future<Output = Result<T, SinkError>>) -> Result<T, SinkError> {
    tokio::time::timeout(limit, step)
        .await
        .unwrap_or_else(|_| Err(SinkError::retry(Reason::TimeOut, format!("no answer within {} s", limit.as_secs()))))
}

/// The advice is the sink's, who knows its far side best; else it is what the verdict means for any.
fn failed(what: &str, error: &SinkError, advice: Option<String>) -> anyhow::Error {
    let fix = match error {
        SinkError::Retry { .. } if advice.is_some() => "it may also pass by itself; the service would try again",
        _ if advice.is_some() => "",
        SinkError::Retry { reason: Reason::Local, .. } => {
            "put it right on this machine; until then the service keeps the messages and tries again"
        }
        SinkError::Retry { .. } => "it may pass by itself; the service would try again",
        SinkError::Reject { .. } => "the far side refuses the message: look at the sink's settings there and here",
        SinkError::Pause { .. } => "the far side refuses us: look at the address and the credentials",
    };
    let fix = advice.iter().map(String::as_str).chain(Some(fix).filter(|fix| !fix.is_empty())).collect::<Vec<_>>();
    Stop::with_fix(Exit::Failed, format!("the sink {what}: {}", error.detail()), fix.join("; "))
}

fn ping(config: &Config, lane: &Lane, now: Timestamp) -> Outgoing {
    let shop: Option<Shop> =
        config.shops.values().map(|settings| settings.shop.clone()).find(|shop| lane.rule.admits(Some(&shop.id)));
    let facts = Map::from_iter([("message".to_owned(), Value::from(MESSAGE))]);
    Outgoing {
        order: None,
        delivery: DeliveryId::new(now),
        event: Event {
            id: EventId::new(now),
            kind: EventType::TestPing,
            at: now,
            test: true,
            shop: shop.as_ref().map(|shop| ShopRef { id: shop.id.clone(), name: shop.name.clone() }),
            data: EventData::Facts(facts),
        },
        shop,
        purpose: Purpose::First,
        thread: None,
        invoice: None,
        invoice_absent: false,
        names: Default::default(),
        now,
    }
}

fn delivery(outgoing: &Outgoing, payload: Payload, at: Timestamp) -> Delivery {
    Delivery {
        id: outgoing.delivery,
        event_id: outgoing.event.id,
        event_type: outgoing.event.kind,
        attempt: 1,
        at,
        payload,
        attachments: Vec::new(),
        settled: Vec::new(),
    }
}

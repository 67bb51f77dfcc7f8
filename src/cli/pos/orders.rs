//! `tillhook pos orders`: the orders that the till has, announced or not.

use std::{io::Write, sync::Arc};

use clap::Args;
use jiff::{ToSpan as _, civil::Date, tz::TimeZone};
use serde_json::{Map, Value};

use super::shop::{Asked, Whose, note_unread, stop};
use crate::{
    cli::{
        Exit, Stop,
        day::Day,
        print::{self, Table, or_dash},
    },
    clock::Clock,
    config::Config,
    decode::{self, Input},
    order::{Notification, OrderContent, Shop, day_of, midnight},
    till::{
        api::{OrdersQuery, Unread},
        state::State,
    },
};

/// Which orders.
#[derive(Debug, Args)]
pub struct Orders {
    /// The first day: 2026-11-21, today, yesterday
    #[arg(long, value_name = "D")]
    from: Day,
    /// The last day
    #[arg(long, value_name = "D", default_value = "today")]
    to: Day,
    /// Only those whose invoice is issued (true), or only the quotes (false); without it the till decides, and may leave
    /// the quotes out
    #[arg(long, value_name = "true|false")]
    validated: Option<bool>,
    /// As JSON: each order as the till writes it, and what we take its state for as `tillhook_state`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whose: Whose,
}

/// Prints the orders.
///
/// # Errors
/// When no till is meant, or it gives no orders.
pub async fn run(
    wanted: &Orders,
    config: &Config,
    clock: &Arc<dyn Clock>,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let Asked { shop, client } = wanted.whose.till(config, clock)?;
    let shop = &shop.shop;
    let query = wanted.query(&shop.timezone, day_of(clock.now(), &shop.timezone))?;
    let answer = client.orders(&query).await.map_err(stop)?;
    let orders: Vec<Listed> = answer.orders.into_iter().map(|fields| wanted.read(fields, shop)).collect();
    if wanted.json {
        print::page(&orders.into_iter().map(Listed::json).collect::<Vec<_>>(), out)?;
    } else {
        let strange = table(&orders, out)?;
        note_unread(&strange, "orders", notes)?;
        if orders.is_empty() && wanted.validated.is_none() {
            writeln!(notes, "note: a till may list its quotes only when asked for them: --validated false")?;
        }
    }
    note_unread(&answer.unread, "orders", notes)?;
    Ok(Exit::Ok)
}

impl Orders {
    fn query(&self, zone: &TimeZone, today: Date) -> anyhow::Result<OrdersQuery> {
        let (first, last) = (self.from.seen_from(today), self.to.seen_from(today));
        if first > last {
            let what = format!("{first} is after {last}");
            return Err(Stop::with_fix(Exit::Usage, what, "give the earlier day with --from"));
        }
        let period = OrdersQuery::between(midnight(first, zone), midnight(last.saturating_add(1.day()), zone));
        Ok(OrdersQuery { validated: self.validated, ..period })
    }

    fn read(&self, fields: Map<String, Value>, shop: &Shop) -> Listed {
        let content = announced(&fields, shop);
        // Quotes that were asked for need not say that they are; what has a number is none.
        let is_quote = |content: &OrderContent| self.validated == Some(false) && content.order_id.is_none();
        let state = content
            .as_ref()
            .and_then(|content| State::of(&fields, content).or_else(|| is_quote(content).then_some(State::Quote)));
        Listed { fields, content, state }
    }
}

/// An order of the till's list.
struct Listed {
    /// As the till wrote it.
    fields: Map<String, Value>,
    /// What we understand of it; nothing without one of its two numbers.
    content: Option<OrderContent>,
    /// How far it is, where that is known.
    state: Option<State>,
}

impl Listed {
    fn json(mut self) -> Value {
        self.fields.insert("tillhook_state".to_owned(), self.state.map(State::word).into());
        self.fields.into()
    }
}

/// Writes a line an order, and counts those that are none to us.
fn table(orders: &[Listed], out: &mut dyn Write) -> anyhow::Result<Vec<Unread>> {
    let mut table = Table::new(&["INTERNAL ID", "ORDER", "STATE", "DATE", ">TOTAL", "CASH BOX", "DELIVERY"]);
    let mut read = 0;
    for Listed { content, state, .. } in orders {
        let Some(order) = content else { continue };
        read += 1;
        let date = order.dates.value.or(order.dates.validated).or(order.dates.created);
        table.row([
            or_dash(order.internal_id.clone()),
            or_dash(order.order_id.clone()),
            state.map_or("?", State::word).to_owned(),
            or_dash(date.map(|date| date.civil().strftime("%Y-%m-%d %H:%M").to_string())),
            or_dash(order.total.map(|total| total.to_string())),
            or_dash(order.cash_box_id.clone()),
            or_dash(order.delivery_method.as_ref().map(|method| method.name.clone())),
        ]);
    }
    if read > 0 {
        table.write("", out)?;
    } else {
        writeln!(out, "no orders")?;
    }
    let reason = "neither of an order's two numbers is in it; --json shows it";
    let strange = orders.len() - read;
    Ok(if strange > 0 { vec![Unread { reason, count: strange }] } else { Vec::new() })
}

/// The order as if it had been announced: nobody documents its fields, and those of an announcement are the likeliest.
fn announced(order: &Map<String, Value>, shop: &Shop) -> Option<OrderContent> {
    let mut call = order.clone();
    call.insert("type".to_owned(), "validated".into());
    let body = Value::Object(call).to_string();
    match decode::decode(&Input { body: body.as_bytes(), ..Input::default() }, shop) {
        Ok(Notification::Order(notice)) => Some(notice.content),
        _ => None,
    }
}

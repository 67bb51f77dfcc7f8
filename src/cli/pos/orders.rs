//! `tillhook pos orders`: the orders that the till has, announced or not.

use std::{io::Write, sync::Arc};

use clap::Args;
use jiff::ToSpan as _;
use serde_json::{Map, Value};

use super::shop::{Whose, note_unread, stop};
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
    till::api::{OrdersQuery, Unread},
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
    /// Only those whose invoice is issued (true), or only those whose is not (false)
    #[arg(long, value_name = "true|false")]
    validated: Option<bool>,
    /// As JSON, as the till writes each order
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
    let till = wanted.whose.till(config, clock)?;
    let (zone, shop) = (&till.shop.shop.timezone, &till.shop.shop);
    let today = day_of(clock.now(), zone);
    let (first, last) = (wanted.from.seen_from(today), wanted.to.seen_from(today));
    if first > last {
        return Err(Stop::with_fix(
            Exit::Usage,
            format!("{first} is after {last}"),
            "give the earlier day with --from",
        ));
    }
    let query = OrdersQuery {
        validated: wanted.validated,
        ..OrdersQuery::between(midnight(first, zone), midnight(last.saturating_add(1.day()), zone))
    };
    let answer = till.client.orders(&query).await.map_err(stop)?;
    if wanted.json {
        print::page(&answer.orders, out)?;
    } else {
        let strange = table(&answer.orders, shop, out)?;
        note_unread(&strange, "orders", notes)?;
    }
    note_unread(&answer.unread, "orders", notes)?;
    Ok(Exit::Ok)
}

/// Writes a line an order, and counts those that are none to us.
fn table(orders: &[Map<String, Value>], shop: &Shop, out: &mut dyn Write) -> anyhow::Result<Vec<Unread>> {
    let mut table = Table::new(&["INTERNAL ID", "ORDER", "DATE", ">TOTAL", "CASH BOX", "DELIVERY"]);
    let (mut read, mut strange) = (0, 0);
    for order in orders {
        let Some(order) = announced(order, shop) else {
            strange += 1;
            continue;
        };
        read += 1;
        let date = order.dates.value.or(order.dates.validated).or(order.dates.created);
        table.row([
            or_dash(order.internal_id),
            or_dash(order.order_id),
            or_dash(date.map(|date| date.civil().strftime("%Y-%m-%d %H:%M").to_string())),
            or_dash(order.total.map(|total| total.to_string())),
            or_dash(order.cash_box_id),
            or_dash(order.delivery_method.map(|method| method.name)),
        ]);
    }
    if read > 0 {
        table.write("", out)?;
    } else {
        writeln!(out, "no orders")?;
    }
    let reason = "neither of an order's two numbers is in it; --json shows it";
    Ok(if strange > 0 { vec![Unread { reason, count: strange }] } else { Vec::new() })
}

/// The order as if it had been announced: nobody documents its fields, and those of an announcement are the likeliest.
fn announced(order: &Map<String, Value>, shop: &Shop) -> Option<OrderContent> {
    let mut call = order.clone();
    call.insert("type".to_owned(), "validated".into());
    let body = Value::Object(call).to_string();
    match decode::decode(&Input { content_type: None, query: None, body: body.as_bytes() }, shop) {
        Ok(Notification::Order(notice)) => Some(notice.content),
        _ => None,
    }
}

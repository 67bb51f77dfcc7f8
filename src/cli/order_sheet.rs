//! `tillhook orders show`: one order on one sheet.

use std::io::Write;

use jiff::tz::TimeZone;
use serde_json::json;

use super::{
    Exit,
    delivery_sheet::{attempted, outcome, short_ids},
    desk::Desk,
    print::{self, Table},
};
use crate::{
    deliver, json,
    order::{EventType, InvoiceStatus, Moment, Order, Verification},
    store::{DeliveryFilter, DeliveryLine, StoredEvent, StoredOrder},
};

/// Deliveries of one order that are shown; more would be a mistake somewhere.
const DELIVERIES: u32 = 200;

/// Writes everything that is known about an order.
///
/// # Errors
/// When the database or the output fails.
pub async fn show(desk: &Desk, mut stored: StoredOrder, as_json: bool, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let invoice = desk.invoice(stored.key).await?;
    stored.order.invoice = deliver::invoice_view(invoice.as_ref(), desk.config.server.public_url.as_ref());
    stored.order.verification = stored.verification;
    let events = desk.readable(desk.store.events_of(stored.key).await?);
    let filter = DeliveryFilter { order: Some(stored.key.to_string()), limit: DELIVERIES, ..DeliveryFilter::default() };
    let mut deliveries = desk.readable(desk.store.list_deliveries(&filter, desk.now()).await?);
    deliveries.reverse();
    if as_json {
        let events: Vec<_> = events.iter().map(event_json).collect();
        let order = stored.order.to_json(true);
        print::json(&json!({ "order": order, "events": events, "deliveries": deliveries }), out)?;
        return Ok(Exit::Ok);
    }
    head(desk, &stored, &events, out)?;
    for why in desk.store.why_unconfirmed(stored.key).await? {
        writeln!(out, "  {:<16}{}", "", print::harmless(&why))?;
    }
    invoice_lines(&stored.order, invoice.and_then(|row| row.last_error), out)?;
    lines(&stored.order, out)?;
    history(desk, &stored, &events, out)?;
    told(desk, &stored, &deliveries, out).await?;
    Ok(Exit::Ok)
}

/// An event's envelope without its data, which is the order as it stood then.
fn event_json(event: &StoredEvent) -> serde_json::Value {
    json!({ "id": event.id, "type": event.kind, "timestamp": format!("{:.3}", event.at), "test": event.test })
}

fn head(desk: &Desk, stored: &StoredOrder, events: &[StoredEvent], out: &mut dyn Write) -> anyhow::Result<()> {
    let order = &stored.order;
    let shop = desk.config.shops.get(&stored.shop).map(|settings| settings.shop.name.as_str());
    let kind = if order.refund() { "Refund" } else { "Order" };
    writeln!(out, "{kind} {}{}", print::harmless(order.number()), if stored.test { " (test)" } else { "" })?;
    let mut fact = |name: &str, value: Option<String>| match value {
        Some(value) => writeln!(out, "  {name:<16}{}", print::harmless(&value)),
        None => Ok(()),
    };
    fact("shop", Some(shop.map_or_else(|| stored.shop.to_string(), |name| format!("{name} ({})", stored.shop))))?;
    fact("internal id", order.internal_id.clone())?;
    fact("state", Some(order.state.as_str().to_owned()))?;
    fact("total", amounts(order))?;
    fact("customer", order.customer.as_ref().map(customer))?;
    fact("till", order.cash_box_id.clone())?;
    fact("handed over", order.delivery_method.as_ref().map(|method| method.name.replace('_', " ")))?;
    let zone = &desk.zone(Some(stored.shop.as_str()));
    fact("begun", order.dates.created.map(moment))?;
    fact(
        "invoice issued",
        order.dates.validated.map(moment).or_else(|| heard(events, EventType::OrderValidated, zone)),
    )?;
    fact("paid", heard(events, EventType::OrderTerminated, zone))?;
    fact("value date", order.dates.value.map(moment))?;
    let warnings: Vec<String> = order
        .warnings
        .iter()
        .filter_map(|warning| Some(serde_json::to_value(warning).ok()?.as_str()?.replace('_', " ")))
        .collect();
    let held = if stored.held { ", and held back for it" } else { "" };
    fact(
        "verification",
        match stored.verification {
            Some(Verification::Accepted) => Some("accepted by hand: the till did not confirm it".to_owned()),
            Some(known) => Some(format!("{}{held}", known.as_str())),
            None => {
                stored.held.then(|| "a call brought no URL to verify it at, and it is held back for that".to_owned())
            }
        },
    )?;
    fact("warnings", (!warnings.is_empty()).then(|| warnings.join(", ")))?;
    Ok(())
}

/// As the books count them; the rates below are as they were sent.
fn amounts(order: &Order) -> Option<String> {
    let counted = order.counted();
    let vat = counted.total_vat.map(|vat| format!(", VAT {vat}")).unwrap_or_default();
    let net = counted.total_net.map(|net| format!(", net {net}")).unwrap_or_default();
    Some(format!("{} {}{vat}{net}", counted.total?, order.currency))
}

fn customer(customer: &crate::order::Customer) -> String {
    let name = customer.name.clone().unwrap_or_else(|| "without a name".to_owned());
    let id = customer.id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
    let company = if customer.is_company == Some(true) { ", company" } else { "" };
    format!("{name}{id}{company}")
}

fn moment(moment: Moment) -> String {
    moment.civil().strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// When an announcement came, for what the till gives no date of.
fn heard(events: &[StoredEvent], kind: EventType, zone: &TimeZone) -> Option<String> {
    let event = events.iter().find(|event| event.kind == kind)?;
    let how = if is_found(event) { "found in the till's list" } else { "as announced" };
    Some(format!("{}, {how}", moment(Moment::new(event.at, zone))))
}

fn invoice_lines(order: &Order, last_error: Option<String>, out: &mut dyn Write) -> anyhow::Result<()> {
    let invoice = &order.invoice;
    let text = match invoice.status {
        InvoiceStatus::None => "the till sent no link".to_owned(),
        InvoiceStatus::Stored => {
            let size = invoice.bytes.map(print::size).unwrap_or_default();
            format!("{}, {size}", invoice.filename.clone().unwrap_or_default())
        }
        InvoiceStatus::Pending => format!("not here yet{}", because(last_error)),
        InvoiceStatus::Missing => format!("missing{}", because(last_error)),
    };
    writeln!(out, "  {:<16}{}", "invoice", print::harmless(&text))?;
    Ok(())
}

fn because(reason: Option<String>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

fn lines(order: &Order, out: &mut dyn Write) -> anyhow::Result<()> {
    let text = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    if let Some(items) = order.items.as_ref().filter(|items| !items.is_empty()) {
        writeln!(out, "\nItems")?;
        let mut table = Table::new(&[">quantity", "", ">price", ">total", ">VAT %"]);
        for item in items {
            table.row([
                text(item.quantity.map(|quantity| quantity.to_string())),
                text(item.label.clone()),
                text(item.unit_price.map(|price| price.to_string())),
                text(item.total.map(|total| total.to_string())),
                text(item.vat_rate.map(|rate| rate.to_string())),
            ]);
        }
        table.write("  ", out)?;
    }
    if let Some(rates) = order.vat.as_ref().filter(|rates| !rates.is_empty()) {
        writeln!(out, "\nVAT")?;
        let mut table = Table::new(&[">rate %", ">net", ">VAT", ">gross"]);
        for rate in rates {
            table.row([
                text(rate.rate.map(|rate| rate.to_string())),
                text(rate.net.map(|net| net.to_string())),
                text(rate.vat.map(|vat| vat.to_string())),
                text(rate.gross.map(|gross| gross.to_string())),
            ]);
        }
        table.write("  ", out)?;
    }
    Ok(())
}

fn history(desk: &Desk, stored: &StoredOrder, events: &[StoredEvent], out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "\nWhat happened")?;
    let mut table = Table::new(&["", "", ""]);
    for event in events {
        let at = Moment::new(event.at, &desk.zone(Some(stored.shop.as_str())));
        let found = if is_found(event) { ", found in the till's list" } else { "" };
        table.row([moment(at), format!("{}{found}", in_words(event.kind)), event.kind.to_string()]);
    }
    table.write("  ", out)?;
    Ok(())
}

/// Whether the till never announced it, and it was taken from the till's own list.
fn is_found(event: &StoredEvent) -> bool {
    json::ours(&event.data).is_ok_and(|data| data["source"] == "reconciliation")
}

fn in_words(kind: EventType) -> &'static str {
    match kind {
        EventType::OrderValidated => "invoice issued",
        EventType::OrderTerminated => "paid",
        EventType::OrderUpdated => "announced again, with changes",
        EventType::InvoiceStored => "invoice stored here",
        EventType::InvoiceMissing => "invoice given up",
        _ => "",
    }
}

async fn told(
    desk: &Desk,
    stored: &StoredOrder,
    deliveries: &[DeliveryLine],
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if deliveries.is_empty() {
        writeln!(out, "\nNo sink wants this order.")?;
        return Ok(());
    }
    writeln!(out, "\nWho is told")?;
    let ids = short_ids(deliveries);
    let mut table = Table::new(&["", "", "", ""]);
    for line in deliveries {
        let outcome = outcome(desk, line, &ids);
        table.row([ids.cut(&line.id), line.sink.to_string(), line.event_type.clone(), outcome]);
    }
    for (line, row) in deliveries.iter().zip(table.lines()) {
        writeln!(out, "  {row}")?;
        let delivery = desk.delivery(line.id).await?;
        for attempt in delivery.iter().flat_map(|delivery| &delivery.attempts) {
            writeln!(out, "    {}", attempted(desk, attempt, Some(stored.shop.as_str())))?;
        }
    }
    Ok(())
}

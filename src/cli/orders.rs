//! `tillhook orders`: what was sold, and everything that is known about one order.

use std::io::Write;

use clap::{Args, Subcommand};

use super::{
    Exit, Stop,
    args::Listing,
    desk::Desk,
    find, order_sheet,
    print::{self, Table},
};
use crate::{
    order::{ShopId, Verification, reckon},
    store::{Accepted, MissingOrder, OrderFilter, OrderLine, UnlistedOrder},
};

/// How much is shown of a number that stands as an example, in characters.
const EXAMPLE: usize = 60;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Orders {
    /// List orders, newest first
    #[command(after_help = "Example: tillhook orders list --limit 10")]
    List(List),
    /// Show everything about an order: amounts, what happened, who was told
    #[command(after_help = "Example: tillhook orders show 20261121042")]
    Show(Show),
    /// List the orders that the till made and that did not reach us
    #[command(after_help = "Example: tillhook orders missing\n\n\
                            Order numbers follow each other without holes, so one that is left open is an order whose calls \
                            were lost. It is listed until the order arrives, or for 62 days after somebody was told. Where \
                            the till's own list is compared, also the orders that are here and not in it.")]
    Missing(List),
    /// Ask the till again to confirm an order, or let an order go that it does not confirm
    #[command(after_help = "Examples: tillhook orders verify 20261121042\n          \
                            tillhook orders verify 20261121042 --accept")]
    Verify(Verify),
}

/// Which orders to list, and how.
#[derive(Debug, Args)]
pub struct List {
    /// Of this shop alone
    #[arg(long, value_name = "SHOP")]
    shop: Option<String>,
    #[command(flatten)]
    listing: Listing,
}

/// Which order to show, and how.
#[derive(Debug, Args)]
pub struct Show {
    /// Its internal id, else its number; of one shop of several also SHOP/NUMBER
    #[arg(value_name = "ORDER")]
    order: String,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// Which order is to be confirmed, and by whom.
#[derive(Debug, Args)]
pub struct Verify {
    /// Its internal id, else its number; of one shop of several also SHOP/NUMBER
    #[arg(value_name = "ORDER")]
    order: String,
    /// Answer for it yourself: what is held back goes out
    #[arg(long)]
    accept: bool,
}

/// Carries out one of them.
///
/// # Errors
/// When something is not found, or the database or the output fails.
pub async fn run(command: &Orders, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        Orders::List(wanted) => list(wanted, desk, out).await,
        Orders::Missing(wanted) => missing(wanted, desk, out).await,
        Orders::Show(wanted) => {
            let order = find::order(desk, &wanted.order).await?;
            order_sheet::show(desk, order, wanted.json, out).await
        }
        Orders::Verify(wanted) => verify(wanted, desk, out).await,
    }
}

async fn list(wanted: &List, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let shop = wanted.shop.as_deref().map(|shop| find::shop(&desk.config, shop)).transpose()?;
    let filter = OrderFilter { shop: shop.map(String::from), limit: wanted.listing.limit };
    let orders = desk.readable(desk.store.list_orders(&filter).await?);
    if wanted.listing.json {
        print::page(&orders, out)?;
    } else if orders.is_empty() {
        writeln!(out, "no orders yet: `tillhook send-test` sends one")?;
    } else {
        let mut table = Table::new(&["RECEIVED", "SHOP", "ORDER", "INTERNAL ID", "STATE", ">TOTAL", "REMARKS"]);
        for order in &orders {
            table.row([
                desk.time(order.received_at, Some(&order.shop)),
                order.shop.clone(),
                print::or_dash(order.order_id.clone()),
                print::or_dash(order.internal_id.clone()),
                order.state.clone(),
                print::or_dash(order.total.clone()),
                remarks(order),
            ]);
        }
        table.write("", out)?;
    }
    Ok(Exit::Ok)
}

async fn missing(wanted: &List, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let shop = wanted.shop.as_deref().map(|shop| find::shop(&desk.config, shop)).transpose()?;
    let mut missing = desk.readable(desk.store.missing_orders(shop.as_ref()).await?);
    let mut unlisted = desk.readable(desk.store.unlisted_orders(shop.as_ref()).await?);
    let most = wanted.listing.limit as usize;
    if wanted.listing.json {
        missing.truncate(most);
        unlisted.truncate(most - missing.len());
        let missing = missing.iter().map(serde_json::to_value);
        let rows = missing.chain(unlisted.iter().map(unlisted_row)).collect::<Result<Vec<_>, _>>()?;
        print::page(&rows, out)?;
        return Ok(Exit::Ok);
    }
    match missing.is_empty() {
        true => writeln!(out, "no order is missing, as far as the numbers tell")?,
        false => missing_table(&mut missing, most, desk, out)?,
    }
    if !unlisted.is_empty() {
        unlisted_table(&mut unlisted, most, desk, out)?;
    }
    unwatched(desk, shop.as_ref(), out).await?;
    compared(desk, shop.as_ref(), out).await
}

/// An order that the till's list does not have, beside those that are missing here.
fn unlisted_row(order: &UnlistedOrder) -> serde_json::Result<serde_json::Value> {
    let mut row = serde_json::to_value(order)?;
    row["source"] = "not_in_the_list".into();
    Ok(row)
}

fn missing_table(missing: &mut Vec<MissingOrder>, most: usize, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<()> {
    let all = missing.len();
    missing.truncate(most);
    let mut table = Table::new(&["NOTICED", "SHOP", "ORDER", "TOLD", "REMARKS"]);
    for order in missing.iter() {
        let time = |at| desk.time(at, Some(order.shop.as_str()));
        let told = order.told_at.map_or_else(|| "not yet".to_owned(), time);
        let numbers = order.last.iter().map(|last| format!("{} to {last}", order.number)).next();
        let till = order.till.iter().map(|till| format!("till {till}"));
        let step = order
            .last
            .iter()
            .map(|_| format!("{} numbers that are skipped: missing, or another sequence", order.count));
        let remarks: Vec<String> = till.chain(step).collect();
        let numbers = numbers.unwrap_or_else(|| order.number.clone());
        table.row([time(order.since), order.shop.to_string(), numbers, told, remarks.join(", ")]);
    }
    table.write("", out)?;
    if all > missing.len() {
        writeln!(out, "and {} more: --limit {all} lists them all", all - missing.len())?;
    }
    Ok(())
}

fn unlisted_table(
    unlisted: &mut Vec<UnlistedOrder>,
    most: usize,
    desk: &Desk,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let all = unlisted.len();
    unlisted.truncate(most);
    writeln!(
        out,
        "orders that are here and that the till's own list does not have: somebody else may have made the calls, or the \
         till cancelled them; look at them in the till"
    )?;
    let mut table = Table::new(&["NOTICED", "SHOP", "ORDER", "REMARKS"]);
    for order in unlisted.iter() {
        let remark = if order.cancelled { "cancelled at the till" } else { "not in the till's list" };
        let noticed = desk.time(order.since, Some(order.shop.as_str()));
        table.row([noticed, order.shop.to_string(), order.number.clone(), remark.to_owned()]);
    }
    table.write("", out)?;
    if all > unlisted.len() {
        writeln!(out, "and {} more: --limit {all} lists them all", all - unlisted.len())?;
    }
    Ok(())
}

/// Which numbers of late follow no other, so that nobody can know what is missing between them.
async fn unwatched(desk: &Desk, only: Option<&ShopId>, out: &mut dyn Write) -> anyhow::Result<()> {
    for shop in desk.config.shops.keys().filter(|shop| only.is_none_or(|only| only == *shop)) {
        let numbers = desk.store.numbers_lately(shop).await?;
        let loose = reckon(&numbers.counted).loose.into_iter().map(|order| order.number.to_string());
        let numbers: Vec<String> = numbers.uncounted.into_iter().map(|(_, number)| number).chain(loose).collect();
        let Some(newest) = numbers.last() else { continue };
        let (count, newest) = (numbers.len(), print::harmless(&print::excerpt(newest, EXAMPLE)));
        writeln!(
            out,
            "{shop}: {count} of the newest numbers are in no sequence that is understood, such as {newest}: what is missing \
             between them cannot be seen"
        )?;
    }
    Ok(())
}

/// What the comparison with the till's own list came to, of shops whose till can be asked.
async fn compared(desk: &Desk, only: Option<&ShopId>, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let shops =
        desk.config.shops.iter().filter(|(id, settings)| settings.api.is_some() && only.is_none_or(|only| only == *id));
    for (shop, _) in shops {
        let state = desk.store.reconciliation(shop).await?;
        let Some(state) = state else {
            writeln!(out, "{shop}: not compared yet with the till's own list; `tillhook serve` does it")?;
            continue;
        };
        match state.ended_at.map(|at| desk.time(at, Some(shop.as_str()))) {
            Some(at) => writeln!(out, "{shop}: last compared with the till's own list {at}")?,
            None => writeln!(
                out,
                "{shop}: not compared yet with the till's own list: only what is older than five minutes is compared"
            )?,
        }
        if let Some(trouble) = &state.trouble {
            let since = desk.time(trouble.since, Some(shop.as_str()));
            writeln!(out, "  since {since} it was not possible: {}", trouble.reason)?;
        }
        if state.unread > 0 {
            writeln!(
                out,
                "  {} orders in it could not be read, and were left; look at them in the till, or with `tillhook pos orders`",
                state.unread
            )?;
        }
    }
    Ok(Exit::Ok)
}

async fn verify(wanted: &Verify, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let order = find::order(desk, &wanted.order).await?;
    let number = order.order.in_command(order.key);
    if wanted.accept {
        match desk.store.accept_order(order.key).await? {
            Accepted::LetGo => writeln!(out, "{number} is accepted: the running service delivers it now")?,
            Accepted::Noted => writeln!(out, "{number} is accepted; it was not held back")?,
            Accepted::Nothing => writeln!(out, "{number} waits for nobody's word: nothing to do")?,
        }
        return Ok(Exit::Ok);
    }
    let (asked, mute) = desk.store.verify_again(order.key, desk.now()).await?;
    if asked > 0 {
        writeln!(out, "the running service asks the till now; `tillhook orders show {number}` tells what it says")?;
    }
    if mute > 0 {
        let calls = print::counted(mute, "call about it", "calls about it");
        let what = format!("{calls} brought no address at which the till could be asked");
        let fix = format!("compare with the till, then `tillhook orders verify {number} --accept`");
        return Err(Stop::with_fix(Exit::Failed, what, fix));
    }
    if asked == 0 {
        writeln!(
            out,
            "{number} has nothing to ask the till about: it is confirmed or accepted, or `verify` was off when it came"
        )?;
    }
    Ok(Exit::Ok)
}

/// What is out of the ordinary about an order, in words.
fn remarks(order: &OrderLine) -> String {
    let mut remarks = Vec::new();
    if order.test {
        remarks.push("test".to_owned());
    }
    if order.refund {
        remarks.push("refund".to_owned());
    }
    if order.held {
        remarks.push("held back".to_owned());
    }
    match order.verification {
        None | Some(Verification::Verified) => {}
        Some(Verification::Accepted) => remarks.push("accepted by hand".to_owned()),
        Some(known) => remarks.push(format!("verification {}", known.as_str())),
    }
    let warnings = order.warnings.as_array().into_iter().flatten();
    remarks.extend(warnings.filter_map(|warning| warning.as_str()).map(|warning| warning.replace('_', " ")));
    remarks.join(", ")
}

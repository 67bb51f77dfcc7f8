//! Reads what the till calls its cash boxes and delivery methods, at start and once a day, for people to read in place of
//! numbers.
//!
//! The till's lists of customers and users are not read. An order brings its customer's name with it, and a list would
//! bring back whoever was erased; who stood at the till is in no call, so nothing could be told of them.
//!
//! **Invariant:** no message waits for a name, and a till that does not answer leaves the names as they were.

use std::{collections::BTreeMap, time::Duration};

use tokio_util::sync::CancellationToken;

use super::api::{Client, Entry, List};
use crate::{
    deliver::Outbox,
    order::ShopId,
    sink::words::{breaks_line, is_hidden},
    store::{NameList, StoreError},
};

/// How often the lists are read.
pub const EVERY: Duration = Duration::from_hours(24);

/// How long to wait before a list that could not be read is read again.
pub const AGAIN: Duration = Duration::from_hours(1);

/// The longest name that is kept, in characters.
const LONGEST: usize = 60;

/// How many names of a list are kept: a till has a few.
const MOST: usize = 500;

/// Reads the lists of these shops' tills until `stop`.
pub async fn run(outbox: Outbox, tills: BTreeMap<ShopId, Client>, stop: CancellationToken) {
    if tills.is_empty() {
        return;
    }
    let reading = async {
        loop {
            let mut all = true;
            for (shop, till) in &tills {
                all &= read(&outbox, shop, till).await;
            }
            outbox.clock.sleep(if all { EVERY } else { AGAIN }).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = reading => {}
    }
}

/// Reads every list of a till. Returns whether all of them could be read.
async fn read(outbox: &Outbox, shop: &ShopId, till: &Client) -> bool {
    let mut all = true;
    for list in NameList::ALL {
        if let Err(reason) = read_one(outbox, shop, till, list).await {
            let name = list.as_str();
            tracing::warn!(shop.id = %shop, list.name = name, list.reason = %reason, "a list of the till could not be read; its names stay as they were");
            all = false;
        }
    }
    all
}

async fn read_one(outbox: &Outbox, shop: &ShopId, till: &Client, list: NameList) -> Result<(), String> {
    let wanted = match list {
        NameList::CashBoxes => List::CashBoxes,
        NameList::DeliveryMethods => List::DeliveryMethods,
    };
    let listing = till.list(wanted).await.map_err(|error| error.for_log())?;
    let says_something = !listing.entries.is_empty() || !listing.unread.is_empty();
    let names: Vec<_> = listing.entries.into_iter().filter_map(named).take(MOST).collect();
    if names.is_empty() && says_something {
        return Err("nothing in it is understood".to_owned());
    }
    keep(outbox, shop, list, names).await.map_err(|error| error.to_string())
}

async fn keep(outbox: &Outbox, shop: &ShopId, list: NameList, names: Vec<(String, String)>) -> Result<(), StoreError> {
    outbox.store.save_names(shop, list, names).await?;
    let known = outbox.store.till_names().await?;
    let known = known.into_iter().find(|(of, _)| of == shop).map(|(_, names)| names);
    outbox.names.set(shop, known.unwrap_or_default());
    Ok(())
}

/// An id and a name, fit to stand in a line of text.
fn named(entry: Entry) -> Option<(String, String)> {
    let name = entry.name?;
    let words = name.split(|c: char| c.is_whitespace() || breaks_line(c) || is_hidden(c));
    let name: String = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let name: String = name.chars().take(LONGEST).collect();
    Some((entry.id?, name)).filter(|(_, name)| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_short_line_without_what_nobody_sees() {
        let entry = |id: Option<&str>, name: Option<&str>| Entry {
            id: id.map(Into::into),
            name: name.map(Into::into),
            fields: Default::default(),
        };
        let long = "x".repeat(500);
        for (id, name, expected) in [
            (Some("1"), Some(" Comptoir\r\n\u{202e}bar\0 "), Some("Comptoir bar")),
            (Some("1"), Some(long.as_str()), Some(&long[..LONGEST])),
            (Some("1"), Some(" \u{feff}"), None),
            (Some("1"), None, None),
            (None, Some("Comptoir"), None),
        ] {
            assert_eq!(named(entry(id, name)).map(|(_, name)| name).as_deref(), expected);
        }
    }
}

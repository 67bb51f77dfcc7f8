//! Orders that are here and that the till's own list does not have: it cancelled them, or somebody else made the calls.
//!
//! Which of its dates the till lists an order by is documented nowhere, and an old invoice may be paid today. So an order that
//! is not among the days that were compared is asked for once more, around the time at which it was sold.
//!
//! **Invariant:** nothing is said where the list is not known to be this shop's, or may have left something out.

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    Reconciler, Trouble,
    read::{self, Listed, Unfit},
};
use crate::{
    order::{OrderKey, Shop},
    record::was_found,
    store::Announced,
    till::api::{Client, OrdersQuery},
};

/// How far around the time at which it was sold an order is asked for.
const AROUND: Duration = Duration::from_hours(24);

/// How many questions more a comparison asks at the most; what is beyond that is left to the next.
const QUESTIONS: usize = 8;

/// What the till's list names.
#[derive(Debug, Default)]
pub(super) struct Roll {
    /// The internal and the accounting numbers of the orders that can be read.
    internal_ids: HashSet<String>,
    order_ids: HashSet<String>,
    /// The values of each order that cannot, and whether it is cancelled.
    others: Vec<(HashSet<String>, bool)>,
    /// Whether something in it is no order.
    pub(super) is_partial: bool,
}

impl Roll {
    /// Reads an order of the list, and remembers that it is in it.
    pub(super) fn read(&mut self, order: Map<String, Value>, shop: &Shop) -> Result<Listed, Unfit> {
        let (values, is_cancelled) = (values(&order), read::is_cancelled(&order));
        let read = read::read(order, shop);
        match &read {
            Ok(Listed { numbers, .. }) => {
                self.internal_ids.insert(numbers.internal_id.clone());
                self.order_ids.insert(numbers.order_id.clone());
            }
            Err(_) => self.others.push((values, is_cancelled)),
        }
        read
    }

    /// Whether an order is in it, and is cancelled there; `None` where it is not.
    fn says_of(&self, order: &Announced) -> Option<bool> {
        let (number, known) = match (&order.internal_id, &order.order_id) {
            (Some(number), _) => (number, &self.internal_ids),
            (None, Some(number)) => (number, &self.order_ids),
            // Nobody can know which it is.
            (None, None) => return Some(false),
        };
        if known.contains(number) {
            return Some(false);
        }
        let mut named =
            self.others.iter().filter(|(values, _)| values.contains(number)).map(|(_, cancelled)| *cancelled);
        let first = named.next()?;
        Some(first && named.all(|cancelled| cancelled))
    }
}

/// The numbers and texts of an order.
fn values(order: &Map<String, Value>) -> HashSet<String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    order.values().filter_map(text).collect()
}

/// Notes which orders that came in a period the till's list does not have. `roll` is what it listed of these days.
pub(super) async fn look(
    reconciler: &Reconciler,
    shop: &Shop,
    client: &Client,
    roll: &Roll,
    (from, to): (Timestamp, Timestamp),
) -> Result<(), Trouble> {
    if roll.is_partial {
        return Ok(());
    }
    let store = &reconciler.store;
    let announced = store.announced_between(&shop.id, from, to, was_found()).await?;
    let known: HashSet<OrderKey> =
        store.unlisted_orders(Some(&shop.id)).await?.iter().map(|unlisted| unlisted.order).collect();
    let (mut listed, mut unlisted, mut doubtful) = (Vec::new(), Vec::new(), Vec::new());
    for order in &announced {
        match roll.says_of(order) {
            Some(false) => listed.push(order.order),
            Some(true) => unlisted.push((order.order, true)),
            None if known.contains(&order.order) => {}
            None => doubtful.push(order),
        }
    }
    for order in ask_again(shop, client, doubtful).await? {
        match order {
            (order, Some(false)) => listed.push(order),
            (order, cancelled) => unlisted.push((order, cancelled.is_some())),
        }
    }
    let new = store.note_unlisted(&shop.id, &listed, &unlisted, reconciler.clock.now()).await?;
    if new > 0 {
        tracing::warn!(shop.id = %shop.id, orders = new, "orders are here that the till's own list does not have; see `tillhook orders missing`");
    }
    Ok(())
}

/// What the till's list says of each of these orders around the time at which it was sold; of those that a few questions are
/// about.
async fn ask_again(
    shop: &Shop,
    client: &Client,
    mut orders: Vec<&Announced>,
) -> Result<Vec<(OrderKey, Option<bool>)>, Trouble> {
    orders.sort_by_key(|order| order.sold_at);
    let mut said = Vec::new();
    for _ in 0..QUESTIONS {
        let Some(first) = orders.first().map(|order| order.sold_at) else { break };
        let (now, later) = orders.into_iter().partition::<Vec<_>, _>(|order| order.sold_at <= first + AROUND);
        orders = later;
        let answer = client.orders(&OrdersQuery::between(first - AROUND, first + 2 * AROUND)).await?;
        let mut roll = Roll { is_partial: answer.unread_count() > 0, ..Roll::default() };
        for order in answer.orders {
            // Also what is no invoice yet, or cannot be read, is the till's.
            let _ = roll.read(order, shop);
        }
        if !roll.is_partial {
            said.extend(now.into_iter().map(|order| (order.order, roll.says_of(order))));
        }
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use serde_json::json;

    use super::*;
    use crate::order::{Currency, Locale};

    #[test]
    fn the_list_has_what_it_names_also_where_it_cannot_be_read_and_says_what_is_cancelled() {
        let shop = Shop {
            id: "dupont".parse().unwrap(),
            name: "Dupont".to_owned(),
            timezone: TimeZone::UTC,
            currency: Currency::EUR,
            locale: Locale::Fr,
        };
        let mut roll = Roll::default();
        for order in [
            json!({ "orderID": "41", "orderInternalID": 7, "price": "5,50", "validationDate": "2026-11-21 14:03:10" }),
            json!({ "orderID": "42", "orderInternalID": "8", "price": "5,50", "cancelled": "1" }),
            json!({ "orderID": "43", "orderInternalID": 9, "status": "annulée" }),
            json!({ "orderID": "44", "orderInternalID": 10, "price": "a lot" }),
        ] {
            let Value::Object(order) = order else { panic!("an object") };
            let _ = roll.read(order, &shop);
        }
        let said = |internal_id: Option<&str>, order_id: Option<&str>| {
            let [internal_id, order_id] = [internal_id, order_id].map(|id| id.map(str::to_owned));
            let sold_at = Timestamp::UNIX_EPOCH;
            roll.says_of(&Announced { order: OrderKey::new(sold_at), internal_id, order_id, sold_at })
        };
        assert_eq!(said(Some("7"), Some("41")), Some(false));
        assert_eq!(said(None, Some("41")), Some(false));
        assert_eq!(said(Some("8"), Some("42")), Some(true), "cancelled");
        assert_eq!(said(Some("9"), Some("43")), Some(true), "cancelled, by its state");
        assert_eq!(said(Some("10"), Some("44")), Some(false), "it is there, whatever it says");
        assert_eq!(said(Some("31337"), Some("41")), None, "another order with the number of one");
        assert_eq!(said(None, Some("99")), None);
    }
}

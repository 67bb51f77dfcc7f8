//! The numbers of a shop's orders, with when each was sold and by which till: what shows which of them are missing.

use jiff::{Timestamp, civil::Date};
use sqlx::{Row, sqlite::SqliteRow};

use super::{
    Store, StoreError, parse,
    rows::{lossy, nearest},
};
use crate::order::{NumberedOrder, OrderNumber, Period, ShopId};

/// Of how many of a shop's newest events the orders are looked at together.
const WINDOW: i64 = 5_000;

/// Of a larger order it is not read when it was sold, nor by which till, in bytes: hundreds are looked at together.
const LARGEST: i64 = 64 * 1024;

/// How many orders are read that have one of some numbers: a till may give many the same.
const CALLED: i64 = 10_000;

/// What is read of each order, as `o`, with its newest event as `l`; of its number as much as may be one, or is shown.
macro_rules! numbered {
    () => {
        "SELECT o.seq, substr(o.order_id, 1, 200), o.received_at, o.booked_on,
             CASE WHEN octet_length(l.data) <= $3 AND json_valid(l.data) THEN l.data ->> '$.dates.validated' END,
             CASE WHEN octet_length(l.data) <= $3 AND json_valid(l.data) THEN l.data ->> '$.cash_box_id' END "
    };
}

/// The orders that the newest events of a shop are about, but for those that came before these events.
const LATELY: &str = concat!(
    "WITH recent AS (SELECT at, order_key FROM event
                     WHERE shop = $1 AND order_key IS NOT NULL ORDER BY seq DESC LIMIT $2) ",
    numbered!(),
    "FROM (SELECT DISTINCT order_key FROM recent) r CROSS JOIN customer_order o ON o.key = r.order_key
     LEFT JOIN event l ON l.id = o.last_event
     WHERE o.test = 0 AND o.order_id IS NOT NULL AND o.received_at >= (SELECT min(at) FROM recent) ORDER BY o.seq"
);

const OF_DAYS: &str = concat!(
    numbered!(),
    "FROM customer_order o LEFT JOIN event l ON l.id = o.last_event
     WHERE o.shop = $1 AND o.booked_on BETWEEN $2 AND $4 AND o.test = 0 AND o.order_id IS NOT NULL ORDER BY o.seq"
);

const CALLED_SO: &str = concat!(
    numbered!(),
    "FROM json_each($2) n CROSS JOIN customer_order o ON o.shop = $1 AND o.order_id = n.value AND o.test = 0
     LEFT JOIN event l ON l.id = o.last_event ORDER BY o.seq LIMIT $4"
);

/// The numbers of some orders.
#[derive(Clone, Debug, Default)]
pub struct OrderNumbers {
    /// Those that a sequence may go on from, in the order of arrival.
    pub counted: Vec<NumberedOrder>,
    /// The others, each with the day that its order counts for.
    pub uncounted: Vec<(Date, String)>,
}

impl Store {
    /// The numbers of the orders of a shop that came last; of tests there are none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn numbers_lately(&self, shop: &ShopId) -> Result<OrderNumbers, StoreError> {
        let rows = sqlx::query(LATELY).bind(shop.as_str()).bind(WINDOW).bind(LARGEST);
        Ok(numbers(&rows.fetch_all(self.readers()).await?))
    }

    /// The numbers of a shop's orders of these days; of tests there are none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn numbers_of(&self, shop: &ShopId, days: Period) -> Result<OrderNumbers, StoreError> {
        let rows = sqlx::query(OF_DAYS).bind(shop.as_str()).bind(days.first.to_string()).bind(LARGEST);
        Ok(numbers(&rows.bind(days.last.to_string()).fetch_all(self.readers()).await?))
    }

    /// The orders of a shop that have one of these numbers, whatever their day.
    ///
    /// # Errors
    /// What the database says.
    pub async fn numbers_called(&self, shop: &ShopId, wanted: &[String]) -> Result<OrderNumbers, StoreError> {
        if wanted.is_empty() {
            return Ok(OrderNumbers::default());
        }
        let rows = sqlx::query(CALLED_SO).bind(shop.as_str()).bind(serde_json::json!(wanted).to_string());
        Ok(numbers(&rows.bind(LARGEST).bind(CALLED).fetch_all(self.readers()).await?))
    }

    /// The place of the newest order of all, and that of the newest event about an order of a shop; 0 where there is none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn newest_places(&self, shop: &ShopId) -> Result<(i64, i64), StoreError> {
        const NEWEST: &str = "SELECT coalesce((SELECT max(seq) FROM customer_order), 0),
            coalesce((SELECT seq FROM event WHERE shop = $1 AND order_key IS NOT NULL ORDER BY seq DESC LIMIT 1), 0)";
        Ok(sqlx::query_as(NEWEST).bind(shop.as_str()).fetch_one(self.readers()).await?)
    }
}

fn numbers(rows: &[SqliteRow]) -> OrderNumbers {
    let mut numbers = OrderNumbers::default();
    for row in rows {
        // What cannot be read of an order is named where its day is summed up.
        let Some(number) = lossy(row, 1) else { continue };
        match OrderNumber::parse(&number).and_then(|number| numbered(row, number)) {
            Some(order) => numbers.counted.push(order),
            None => numbers.uncounted.push((day(row), number)),
        }
    }
    numbers
}

fn numbered(row: &SqliteRow, number: OrderNumber) -> Option<NumberedOrder> {
    let came_at = nearest(row.try_get(2).ok()?);
    let sold_at: Option<Timestamp> = lossy(row, 4).and_then(|at| at.parse().ok());
    Some(NumberedOrder {
        number,
        sold_at: sold_at.unwrap_or(came_at),
        came_at,
        seq: row.try_get(0).ok()?,
        day: day(row),
        till: lossy(row, 5).map(|till| till.chars().take(64).collect()),
    })
}

fn day(row: &SqliteRow) -> Date {
    lossy(row, 3).and_then(|day| parse(&day).ok()).unwrap_or_default()
}

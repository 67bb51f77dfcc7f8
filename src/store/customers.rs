//! Who is in what is stored: what orders and calls say of customers, for an erasure.
//!
//! **Invariant:** it is read by pages, so that however much there is, little of it is held.

use serde::Deserialize;
use sqlx::{Row, sqlite::SqliteRow};

use super::{
    Rows, Store, StoreError, from_json,
    pages::page,
    parse,
    rows::{Name, id_of, lossy},
};
use crate::order::{Address, Customer, OrderKey, ShopId};

/// The largest text that may be read whatever it is, in bytes; an alert never has as much.
const LARGE: i64 = 2 << 20;

/// The largest order, and the largest call, in bytes. With the default `server.body_limit` an order takes up 5 MiB at the most.
const LARGEST: i64 = 8 << 20;

/// How many lists, objects and commas may be in an order of more than [`LARGE`], each of which takes many times its size of
/// memory: a call has 20,000 values at the most ([`crate::json::CALL`]), and an order is made of few.
const MOST_PARTS: i64 = 200_000;

/// Whether a column of an order's JSON is too large.
macro_rules! too_large {
    ($column:literal) => {
        concat!(
            "octet_length(",
            $column,
            ") > $1 AND (octet_length(",
            $column,
            ") > $2 OR 3 * octet_length(",
            $column,
            ") - octet_length(replace(",
            $column,
            ", ',', '')) - octet_length(replace(",
            $column,
            ", '[', '')) - octet_length(replace(",
            $column,
            ", '{', '')) > $3)"
        )
    };
}

/// What an order says of its customer, once for each event and each phase.
#[derive(Clone, Debug)]
pub struct CustomerLine {
    /// Ask for what is after this.
    pub seq: i64,
    /// The order.
    pub order: OrderKey,
    /// Its shop.
    pub shop: ShopId,
    /// What it says.
    pub customers: Vec<Customer>,
}

/// A call whose bytes are still here.
#[derive(Clone, Debug)]
pub struct KeptBody {
    /// Ask for what is after this.
    pub seq: i64,
    /// Its id, as it stands there.
    pub id: String,
    /// The shop.
    pub shop: ShopId,
    /// Whether it waits in quarantine.
    pub quarantined: bool,
    /// The order that it is about; the bytes are not read then.
    pub order: Option<OrderKey>,
    /// Whether that order's customer is erased.
    pub erased: bool,
    /// Query and body, of a call that is about no order we know.
    pub bytes: Vec<u8>,
}

impl Store {
    /// What the next events about orders say of customers.
    ///
    /// # Errors
    /// What the database says.
    pub async fn customers_of_events(&self, after: i64) -> Result<Rows<CustomerLine>, StoreError> {
        const NEXT: &str = page!(
            "t.seq, t.order_key, t.shop, iif(json_valid(t.data), t.data -> '$.customer', '')",
            "event",
            "octet_length(data)",
            "order_key IS NOT NULL"
        );
        let rows = self.page(NEXT, after).await?;
        Rows::page(&rows, 0, customer_line, |row| Name::of("event of order", row, 1))
    }

    /// What both phases of the next orders say of customers.
    ///
    /// # Errors
    /// What the database says.
    pub async fn customers_of_orders(&self, after: i64) -> Result<Rows<CustomerLine>, StoreError> {
        const NEXT: &str = page!(
            "t.seq, t.key, t.shop, iif(json_valid(t.timeline), t.timeline -> '$.validated.customer', ''),
             iif(json_valid(t.timeline), t.timeline -> '$.terminated.customer', '')",
            "customer_order",
            "octet_length(timeline)",
            "true"
        );
        let rows = self.page(NEXT, after).await?;
        Rows::page(&rows, 0, customer_line, |row| Name::of("order", row, 1))
    }

    /// The next calls whose bytes are still here.
    ///
    /// # Errors
    /// What the database says.
    pub async fn kept_bodies(&self, after: i64) -> Result<Rows<KeptBody>, StoreError> {
        const NEXT: &str = page!(
            "t.seq, t.id, t.shop, t.outcome = 'quarantined' AND t.resolution IS NULL, o.key, coalesce(o.erased, 0),
             iif(o.key IS NULL, coalesce(t.query, ''), ''), iif(o.key IS NULL, t.body, NULL)",
            "receipt",
            "octet_length(body) + coalesce(octet_length(query), 0)",
            "body IS NOT NULL",
            "LEFT JOIN event e ON e.id = t.event_id LEFT JOIN customer_order o ON o.key = e.order_key"
        );
        let rows = self.page(NEXT, after).await?;
        Rows::page(&rows, 0, kept_body, |row| Name::placed("call", row, 1, 0))
    }

    /// The next alerts and other events about no order, with what they say. Summaries and the closings of tills name nobody.
    ///
    /// # Errors
    /// What the database says.
    pub async fn plain_events(&self, after: i64) -> Result<Vec<(i64, String)>, StoreError> {
        const NEXT: &str = page!(
            "t.seq, t.data",
            "event",
            "octet_length(data)",
            "order_key IS NULL AND type NOT IN ('digest.made', 'cashbox.opened', 'cashbox.closed')"
        );
        let rows = self.page(NEXT, after).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, lossy(row, 1).unwrap_or_default()))).collect()
    }

    /// Whether a row is too large to be read as a whole where memory is short. No row of ours is, unless calls of many
    /// megabytes are taken.
    ///
    /// # Errors
    /// What the database says.
    pub async fn has_huge_rows(&self) -> Result<bool, StoreError> {
        let huge = sqlx::query_scalar(concat!(
            "SELECT EXISTS (SELECT 1 FROM event WHERE order_key IS NULL AND octet_length(data) > $1)
             OR EXISTS (SELECT 1 FROM event WHERE order_key IS NOT NULL AND ",
            too_large!("data"),
            ") OR EXISTS (SELECT 1 FROM customer_order WHERE ",
            too_large!("timeline"),
            ") OR EXISTS (SELECT 1 FROM receipt WHERE octet_length(body) > $2 OR octet_length(query) > $1)"
        ));
        Ok(huge.bind(LARGE).bind(LARGEST).bind(MOST_PARTS).fetch_one(self.readers()).await?)
    }
}

/// A row whose fourth column, and every one after it, is a customer as JSON, or nothing.
/// What a customer can be known by. What else is said of them is not held: it may be anything, and much.
#[derive(Deserialize)]
struct Named {
    id: Option<String>,
    name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    address: Option<Address>,
}

impl Named {
    fn customer(self) -> Customer {
        let Self { id, name, email, phone, address } = self;
        Customer { id, name, email, phone, address, ..Customer::default() }
    }
}

fn customer_line(row: &SqliteRow) -> Result<CustomerLine, StoreError> {
    let mut customers = Vec::new();
    for column in 3..row.len() {
        if let Some(customer) = row.try_get::<Option<String>, _>(column)? {
            customers.extend(from_json::<Option<Named>>(&customer)?.map(Named::customer));
        }
    }
    Ok(CustomerLine { seq: row.try_get(0)?, order: parse(row.try_get(1)?)?, shop: parse(row.try_get(2)?)?, customers })
}

fn kept_body(row: &SqliteRow) -> Result<KeptBody, StoreError> {
    let order: Option<String> = row.try_get(4)?;
    let query = lossy(row, 6).unwrap_or_default();
    let body: Option<Vec<u8>> = row.try_get(7)?;
    Ok(KeptBody {
        seq: row.try_get(0)?,
        id: id_of(row, 1).unwrap_or_default(),
        shop: parse(row.try_get(2)?)?,
        quarantined: row.try_get(3)?,
        order: order.as_deref().map(parse).transpose()?,
        erased: row.try_get::<i64, _>(5)? > 0,
        bytes: [query.into_bytes(), vec![b'\n'], body.unwrap_or_default()].concat(),
    })
}

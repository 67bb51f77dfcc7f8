//! Rows about orders that cannot be read, for an erasure: only their bytes can say whether they name somebody.

use sqlx::{Row as _, sqlite::SqliteRow};

use super::{
    Store, StoreError, UnreadableRow,
    erasure::{PAGE, PAGE_BYTES},
    from_json, parse,
    rows::{Name, lossy},
};
use crate::order::{Order, OrderKey, ShopId, Timeline};

/// A row of which it can only be seen whether its bytes name the person.
#[derive(Clone, Debug)]
pub struct Opaque {
    /// Which row.
    pub row: UnreadableRow,
    /// All that stands in it.
    pub text: Vec<u8>,
}

impl Store {
    /// The next events about orders that cannot be read, of which only the bytes are known.
    ///
    /// # Errors
    /// What the database says.
    pub async fn opaque_events(&self, after: i64) -> Result<(Option<i64>, Vec<Opaque>), StoreError> {
        let rows = sqlx::query(
            "SELECT e.seq, e.order_key, e.data, e.id, e.shop FROM (
                 SELECT seq, sum(size) OVER (ORDER BY seq) - size AS before FROM (
                     SELECT seq, octet_length(data) AS size FROM event
                     WHERE seq > $1 AND order_key IS NOT NULL ORDER BY seq LIMIT $2)) p
             CROSS JOIN event e ON e.seq = p.seq WHERE p.before < $3 ORDER BY e.seq",
        );
        let rows = rows.bind(after).bind(PAGE).bind(PAGE_BYTES).fetch_all(self.readers()).await?;
        let read = |row: &SqliteRow| {
            let (_, _): (OrderKey, ShopId) = (parse(row.try_get(1)?)?, parse(row.try_get(4)?)?);
            from_json::<Order>(row.try_get(2)?).map(drop)
        };
        opaque(&rows, read, |row| Name::of_order("event", row, [3, 3, 3], 4))
    }

    /// The same of the next orders.
    ///
    /// # Errors
    /// What the database says.
    pub async fn opaque_orders(&self, after: i64) -> Result<(Option<i64>, Vec<Opaque>), StoreError> {
        let rows = sqlx::query(
            "SELECT o.seq, o.key, o.timeline, o.order_id, o.internal_id, o.shop FROM (
                 SELECT seq, sum(size) OVER (ORDER BY seq) - size AS before FROM (
                     SELECT seq, octet_length(timeline) AS size FROM customer_order WHERE seq > $1 ORDER BY seq LIMIT $2)) p
             CROSS JOIN customer_order o ON o.seq = p.seq WHERE p.before < $3 ORDER BY o.seq",
        );
        let rows = rows.bind(after).bind(PAGE).bind(PAGE_BYTES).fetch_all(self.readers()).await?;
        let read = |row: &SqliteRow| {
            let (_, _): (OrderKey, ShopId) = (parse(row.try_get(1)?)?, parse(row.try_get(5)?)?);
            from_json::<Timeline>(row.try_get(2)?).map(drop)
        };
        opaque(&rows, read, |row| Name::of_order("order", row, [3, 4, 1], 5))
    }
}

/// The rows of a page that cannot be read, and where the page ends. The third column is what they hold.
fn opaque(
    rows: &[SqliteRow],
    read: impl Fn(&SqliteRow) -> Result<(), StoreError>,
    name: impl Fn(&SqliteRow) -> Name,
) -> Result<(Option<i64>, Vec<Opaque>), StoreError> {
    let last = rows.last().map(|row| row.try_get(0)).transpose()?;
    let mut found = Vec::new();
    for row in rows {
        match read(row) {
            Ok(()) => {}
            Err(StoreError::Corrupt(reason)) => {
                let text = lossy(row, 2).unwrap_or_default().into_bytes();
                found.push(Opaque { row: name(row).because(reason), text });
            }
            Err(other) => return Err(other),
        }
    }
    Ok((last, found))
}

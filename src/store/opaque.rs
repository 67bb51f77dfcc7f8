//! Rows about orders that cannot be read, for an erasure: only their bytes can say whether they name somebody.

use sqlx::{Row as _, sqlite::SqliteRow};

use super::{
    Store, StoreError, UnreadableRow, from_json,
    pages::page,
    parse,
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
        const NEXT: &str =
            page!("t.seq, t.order_key, t.data, t.id, t.shop", "event", "octet_length(data)", "order_key IS NOT NULL");
        let rows = self.page(NEXT, after).await?;
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
        const NEXT: &str = page!(
            "t.seq, t.key, t.timeline, t.order_id, t.internal_id, t.shop",
            "customer_order",
            "octet_length(timeline)",
            "true"
        );
        let rows = self.page(NEXT, after).await?;
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
        if let Err(error) = read(row) {
            let row_name = name(row).because(error.corrupt_only()?);
            found.push(Opaque { row: row_name, text: lossy(row, 2).unwrap_or_default().into_bytes() });
        }
    }
    Ok((last, found))
}

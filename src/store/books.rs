//! Orders as the books count them, by the day they count for, and the closings of tills.

use jiff::{Timestamp, civil::Date};
use sqlx::{Row, sqlite::SqliteRow};

use super::{Store, StoreError, StoredEvent, from_json, parse, view::invoice_status};
use crate::order::{BookedPdf, Booking, InvoiceStatus, Order, OrderKey, Period, ShopId};

/// An order in the books, with what names its customer.
#[derive(Clone, Debug)]
pub struct Booked {
    /// Its shop.
    pub shop: ShopId,
    /// What the books count.
    pub booking: Booking,
    /// The order as it stands.
    pub order: Order,
    /// The invoice PDF, where it is in the archive.
    pub pdf: Option<BookedFile>,
}

/// An invoice PDF in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookedFile {
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// The name people see.
    pub filename: String,
    /// Where it is, relative to the data directory.
    pub path: String,
}

const BOOKED: &str = "
    SELECT o.key, o.shop, e.data, i.status, i.sha256, i.bytes, i.filename, i.path
    FROM customer_order o JOIN event e ON e.id = o.last_event LEFT JOIN invoice i ON i.order_key = o.key
    WHERE o.shop = $1 AND o.booked_on BETWEEN $2 AND $3 AND o.test = 0 AND o.booked_on IS NOT NULL
    ORDER BY o.booked_on, o.seq";

/// By their time. Without the plus SQLite reads every event that the shop ever had.
pub(super) const CASH_BOX_EVENTS: &str = "
    SELECT seq, id, type, shop, shop_name, order_key, at, test, data FROM event
    WHERE id >= $2 AND id < $3 AND +shop = $1 AND type IN ('cashbox.opened', 'cashbox.closed') ORDER BY seq";

impl Store {
    /// A shop's orders whose day is one of these, both included, by day and in order of arrival. Tests are none of them,
    /// nor is what was pruned.
    ///
    /// # Errors
    /// What the database says.
    pub async fn booked(&self, shop: &ShopId, first: Date, last: Date) -> Result<Vec<Booked>, StoreError> {
        let rows = sqlx::query(BOOKED).bind(shop.as_str()).bind(first.to_string()).bind(last.to_string());
        rows.fetch_all(self.readers()).await?.iter().map(booked).collect()
    }

    /// A shop's orders with these keys, by day and in order of arrival.
    ///
    /// # Errors
    /// What the database says.
    pub async fn booked_orders(&self, shop: &ShopId, orders: &[OrderKey]) -> Result<Vec<Booked>, StoreError> {
        let rows = sqlx::query(
            "SELECT o.key, o.shop, e.data, i.status, i.sha256, i.bytes, i.filename, i.path
             FROM json_each($2) k CROSS JOIN customer_order o ON o.key = k.value JOIN event e ON e.id = o.last_event
             LEFT JOIN invoice i ON i.order_key = o.key
             WHERE o.shop = $1 AND o.test = 0 AND o.booked_on IS NOT NULL ORDER BY o.booked_on, o.seq",
        );
        let rows = rows.bind(shop.as_str()).bind(serde_json::json!(orders).to_string());
        rows.fetch_all(self.readers()).await?.iter().map(booked).collect()
    }

    /// Which of these days, both included, a shop has orders on, ascending. A long time is read day by day with it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn booked_days(&self, shop: &ShopId, first: Date, last: Date) -> Result<Vec<Date>, StoreError> {
        let days = sqlx::query_scalar::<_, String>(
            "SELECT DISTINCT booked_on FROM customer_order
             WHERE shop = $1 AND booked_on BETWEEN $2 AND $3 AND test = 0 AND booked_on IS NOT NULL ORDER BY booked_on",
        );
        let days = days.bind(shop.as_str()).bind(first.to_string()).bind(last.to_string());
        days.fetch_all(self.readers()).await?.iter().map(|day| parse(day)).collect()
    }

    /// The accounting numbers of a shop's orders of these days.
    ///
    /// # Errors
    /// What the database says.
    pub async fn numbers_of(&self, shop: &ShopId, period: Period) -> Result<Vec<String>, StoreError> {
        let numbers = sqlx::query_scalar(
            "SELECT order_id FROM customer_order
             WHERE shop = $1 AND booked_on BETWEEN $2 AND $3 AND test = 0 AND order_id IS NOT NULL",
        );
        let numbers = numbers.bind(shop.as_str()).bind(period.first.to_string()).bind(period.last.to_string());
        Ok(numbers.fetch_all(self.readers()).await?)
    }

    /// The openings and closings of a shop's tills that were recorded from one time up to another, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn cash_box_events(
        &self,
        shop: &ShopId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let rows = sqlx::query(CASH_BOX_EVENTS);
        // An id begins with its millisecond.
        let id = |at: Timestamp, more: i64| format!("evt_{:012x}", at.as_millisecond().max(0) + more);
        let rows = rows.bind(shop.as_str()).bind(id(from, 0)).bind(id(to, 1)).fetch_all(self.readers()).await?;
        rows.iter().map(|row| super::reading::event(row, 0)).collect()
    }

    /// Of these order numbers of a shop those that are with us, whatever their day.
    ///
    /// # Errors
    /// What the database says.
    pub async fn known_numbers(&self, shop: &ShopId, numbers: &[String]) -> Result<Vec<String>, StoreError> {
        let numbers = serde_json::to_string(numbers).unwrap_or_default();
        let known = sqlx::query_scalar(
            "SELECT n.value FROM json_each($2) n CROSS JOIN customer_order o
             ON o.shop = $1 AND o.order_id = n.value AND o.test = 0",
        );
        Ok(known.bind(shop.as_str()).bind(numbers).fetch_all(self.readers()).await?)
    }
}

fn booked(row: &SqliteRow) -> Result<Booked, StoreError> {
    let key: OrderKey = parse(row.try_get(0)?)?;
    let order: Order = from_json(row.try_get(2)?)?;
    let status: Option<String> = row.try_get(3)?;
    let status = status.as_deref().map_or(InvoiceStatus::None, invoice_status);
    let sha256: Option<String> = row.try_get(4)?;
    let path: Option<String> = row.try_get(7)?;
    let pdf = match (status, sha256, path) {
        (InvoiceStatus::Stored, Some(sha256), Some(path)) => Some(BookedFile {
            sha256,
            bytes: row.try_get::<Option<i64>, _>(5)?.unwrap_or(0).unsigned_abs(),
            filename: row.try_get::<Option<String>, _>(6)?.unwrap_or_default(),
            path,
        }),
        _ => None,
    };
    let booked = BookedPdf {
        status,
        sha256: pdf.as_ref().map(|file| file.sha256.clone()),
        bytes: pdf.as_ref().map(|file| file.bytes),
    };
    Ok(Booked { shop: parse(row.try_get(1)?)?, booking: Booking::new(key, &order, booked), order, pdf })
}

//! Orders as the books count them, by the day they count for, and the closings of tills.

use jiff::{Timestamp, civil::Date};
use sqlx::{Row, sqlite::SqliteRow};

use super::{
    Rows, Store, StoreError, UnreadableRow, from_json,
    pages::pages,
    parse,
    rows::{Name, texts},
    timestamp,
    view::invoice_status,
};
use crate::order::{
    BookedPdf, Booking, CashBoxNotice, Customer, DeliveryMethod, EventType, InvoiceStatus, Order, OrderKey, ShopId,
    by_number,
};

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

/// An opening or a closing of a till.
#[derive(Clone, Debug)]
pub struct CashBoxEvent {
    /// Its place in the order of commit.
    pub seq: i64,
    /// Which of the two.
    pub kind: EventType,
    /// When it was recorded.
    pub at: Timestamp,
    /// What the till said, but for what we do not understand.
    pub notice: CashBoxNotice,
}

/// What is asked of a shop's orders of some days, by day and in order of arrival; of one without its event, which is not
/// pruned, to name it as unreadable.
macro_rules! of_days {
    ($select:literal) => {
        concat!(
            $select,
            " FROM customer_order o LEFT JOIN event e ON e.id = o.last_event LEFT JOIN invoice i ON i.order_key = o.key
             WHERE o.shop = $1 AND o.booked_on BETWEEN $2 AND $3 AND o.test = 0 AND o.booked_on IS NOT NULL
               AND (e.id IS NOT NULL OR o.told IS NULL) ORDER BY o.booked_on, o.seq"
        )
    };
}

const BOOKED: &str = of_days!(
    "SELECT o.key, o.shop, e.data, i.status, i.sha256, i.bytes, i.filename, i.path, o.order_id, o.internal_id"
);

/// The same orders by their place, each with the size of its text.
const BOOKED_SIZES: &str = of_days!("SELECT o.seq, coalesce(octet_length(e.data), 0)");

/// The same with the number that people know the order by.
const BOOKED_NUMBERS: &str =
    of_days!("SELECT o.seq, coalesce(octet_length(e.data), 0), coalesce(o.order_id, o.internal_id)");

/// How many characters of a name or a number a summary has.
const LONGEST_NAME: usize = 200;

/// Found in the index of days.
pub(super) const MISDATED: &str = "
    SELECT order_id, internal_id, key, shop FROM customer_order
    WHERE shop = $1 AND test = 0 AND booked_on IS NOT NULL AND date(booked_on) IS NOT booked_on ORDER BY seq";

/// By their time. Without the plus SQLite reads every event that the shop ever had.
pub(super) const CASH_BOX_EVENTS: &str = "
    SELECT seq, octet_length(data) FROM event
    WHERE id >= $2 AND id < $3 AND +shop = $1 AND type IN ('cashbox.opened', 'cashbox.closed') ORDER BY seq";

impl Store {
    /// A shop's orders whose day is one of these, both included, by day and in order of arrival. Tests are none of them,
    /// nor is what was pruned.
    ///
    /// # Errors
    /// What the database says.
    pub async fn booked(&self, shop: &ShopId, first: Date, last: Date) -> Result<Rows<Booked>, StoreError> {
        let rows = sqlx::query(BOOKED).bind(shop.as_str()).bind(first.to_string()).bind(last.to_string());
        self.books(&rows.fetch_all(self.readers()).await?)
    }

    /// The same as a summary needs them: without lines and what we do not understand, and with names of a usual length. All
    /// of them are held at a time, and an order may be a thousand times a usual one.
    ///
    /// # Errors
    /// What the database says.
    pub async fn booked_in_short(&self, shop: &ShopId, first: Date, last: Date) -> Result<Rows<Booked>, StoreError> {
        let sizes = sqlx::query_as(BOOKED_SIZES).bind(shop.as_str()).bind(first.to_string()).bind(last.to_string());
        self.in_short(shop, &sizes.fetch_all(self.readers()).await?).await
    }

    /// A shop's orders with these keys, by day and in order of arrival, as a summary needs them.
    ///
    /// # Errors
    /// What the database says.
    pub async fn booked_orders(&self, shop: &ShopId, orders: &[OrderKey]) -> Result<Rows<Booked>, StoreError> {
        let sizes = sqlx::query_as(
            "SELECT o.seq, coalesce(octet_length(e.data), 0) FROM json_each($2) k CROSS JOIN customer_order o ON o.key = k.value
             LEFT JOIN event e ON e.id = o.last_event WHERE o.shop = $1 ORDER BY o.booked_on, o.seq",
        );
        let sizes = sizes.bind(shop.as_str()).bind(serde_json::json!(orders).to_string());
        self.in_short(shop, &sizes.fetch_all(self.readers()).await?).await
    }

    /// Reads orders, each with the size of its text, a few large ones at a time.
    async fn in_short(&self, shop: &ShopId, sizes: &[(i64, i64)]) -> Result<Rows<Booked>, StoreError> {
        let mut all = Rows::default();
        for places in pages(sizes) {
            all.append(self.page_of_books(shop, &places, in_short).await?);
        }
        Ok(self.log(all))
    }

    /// Where a shop's orders of some days are, in the order of their numbers, a few large ones at a time: what a table has
    /// need not be held as a whole to be written.
    ///
    /// # Errors
    /// What the database says.
    pub async fn booked_places(&self, shop: &ShopId, first: Date, last: Date) -> Result<Vec<Vec<i64>>, StoreError> {
        let rows = sqlx::query(BOOKED_NUMBERS).bind(shop.as_str()).bind(first.to_string()).bind(last.to_string());
        let mut found = Vec::new();
        for row in rows.fetch_all(self.readers()).await? {
            // An order whose number cannot be read is named when it is.
            let number: Option<String> = row.try_get(2).unwrap_or_default();
            found.push((number.unwrap_or_default(), (row.try_get(0)?, row.try_get(1)?)));
        }
        // Stable: orders of one number stay in the order of their arrival.
        found.sort_by(|(one, _), (other, _)| by_number(one, other));
        let sizes: Vec<(i64, i64)> = found.into_iter().map(|(_, size)| size).collect();
        Ok(pages(&sizes).collect())
    }

    /// The orders at these places, in their order.
    ///
    /// # Errors
    /// What the database says.
    pub async fn booked_at(&self, shop: &ShopId, places: &[i64]) -> Result<Rows<Booked>, StoreError> {
        Ok(self.log(self.page_of_books(shop, places, |order| order).await?))
    }

    async fn page_of_books(
        &self,
        shop: &ShopId,
        places: &[i64],
        part: fn(Order) -> Order,
    ) -> Result<Rows<Booked>, StoreError> {
        let rows = sqlx::query(
            "SELECT o.key, o.shop, e.data, i.status, i.sha256, i.bytes, i.filename, i.path, o.order_id, o.internal_id
             FROM json_each($2) k CROSS JOIN customer_order o ON o.seq = k.value
             LEFT JOIN event e ON e.id = o.last_event LEFT JOIN invoice i ON i.order_key = o.key
             WHERE o.shop = $1 AND o.test = 0 AND o.booked_on IS NOT NULL
               AND (e.id IS NOT NULL OR o.told IS NULL) ORDER BY k.key",
        );
        let rows = rows.bind(shop.as_str()).bind(serde_json::json!(places).to_string());
        Rows::read(&rows.fetch_all(self.readers()).await?, |row| booked(row, part), name)
    }

    /// Which of these days, both included, a shop has orders on, ascending. A long time is read day by day with it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn booked_days(&self, shop: &ShopId, first: Date, last: Date) -> Result<Vec<Date>, StoreError> {
        let days = sqlx::query(
            "SELECT DISTINCT booked_on FROM customer_order
             WHERE shop = $1 AND booked_on BETWEEN $2 AND $3 AND test = 0 AND booked_on IS NOT NULL ORDER BY booked_on",
        );
        let days = days.bind(shop.as_str()).bind(first.to_string()).bind(last.to_string());
        // A day that is none is among the misdated.
        let days = days.fetch_all(self.readers()).await?;
        Ok(texts(&days, 0).iter().filter_map(|day| parse(day).ok()).collect())
    }

    /// The orders of a shop whose day cannot be read, so that they are in no books; tests are none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn misdated(&self, shop: &ShopId) -> Result<Vec<UnreadableRow>, StoreError> {
        let rows = sqlx::query(MISDATED).bind(shop.as_str()).fetch_all(self.readers()).await?;
        let name =
            |row| Name::of_order("order", row, [0, 1, 2], 3).because("the day that it counts for is none".to_owned());
        Ok(rows.iter().map(name).collect())
    }

    /// Orders in the books, and the log of those that cannot be read.
    fn books(&self, rows: &[SqliteRow]) -> Result<Rows<Booked>, StoreError> {
        Ok(self.log(Rows::read(rows, |row| booked(row, |order| order), name)?))
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
    ) -> Result<Rows<CashBoxEvent>, StoreError> {
        let sizes = sqlx::query_as(CASH_BOX_EVENTS);
        // An id begins with its millisecond.
        let id = |at: Timestamp, more: i64| format!("evt_{:012x}", at.as_millisecond().max(0) + more);
        let sizes: Vec<(i64, i64)> =
            sizes.bind(shop.as_str()).bind(id(from, 0)).bind(id(to, 1)).fetch_all(self.readers()).await?;
        let mut all = Rows::default();
        for places in pages(&sizes) {
            let rows = sqlx::query(
                "SELECT e.seq, e.id, e.type, e.at, e.data FROM json_each($1) k CROSS JOIN event e ON e.seq = k.value
                 ORDER BY e.seq",
            );
            let rows = rows.bind(serde_json::json!(places).to_string()).fetch_all(self.readers()).await?;
            all.append(Rows::read(&rows, cash_box_event, |row| Name::placed("event", row, 1, 0))?);
        }
        Ok(self.log(all))
    }
}

fn cash_box_event(row: &SqliteRow) -> Result<CashBoxEvent, StoreError> {
    let notice: CashBoxNotice = from_json(row.try_get(4)?)?;
    Ok(CashBoxEvent {
        seq: row.try_get(0)?,
        kind: parse(row.try_get(2)?)?,
        at: timestamp(row.try_get(3)?)?,
        notice: CashBoxNotice { cash_box_id: short(notice.cash_box_id), extra: Default::default(), ..notice },
    })
}

fn name(row: &SqliteRow) -> Name {
    Name::of_order("order", row, [8, 9, 0], 1)
}

fn short(text: Option<String>) -> Option<String> {
    text.map(|text| text.chars().take(LONGEST_NAME).collect())
}

/// An order without what no summary needs.
fn in_short(order: Order) -> Order {
    let customer = order.customer.map(|customer| Customer {
        id: short(customer.id),
        name: short(customer.name),
        is_company: customer.is_company,
        ..Customer::default()
    });
    let method =
        order.delivery_method.map(|method| DeliveryMethod::from_code(&short(Some(method.code)).unwrap_or_default()));
    Order {
        order_id: short(order.order_id),
        internal_id: short(order.internal_id),
        cash_box_id: short(order.cash_box_id),
        delivery_method: method,
        customer,
        items: None,
        extra: Default::default(),
        ..order
    }
}

/// A row of the books; `part` takes the part of the order that is kept.
fn booked(row: &SqliteRow, part: impl Fn(Order) -> Order) -> Result<Booked, StoreError> {
    let key: OrderKey = parse(row.try_get(0)?)?;
    let order: Order = from_json(row.try_get(2)?)?;
    // The order is in the books whatever becomes of its PDF.
    let (status, pdf) = invoice_of(row).unwrap_or((InvoiceStatus::Missing, None));
    let booked = BookedPdf {
        status,
        sha256: pdf.as_ref().map(|file| file.sha256.clone()),
        bytes: pdf.as_ref().map(|file| file.bytes),
    };
    // The lines of an order say what was sold at each rate, so the books count it before it is cut short.
    let booking = Booking::new(key, &order, booked);
    let order = part(order);
    let booking = Booking { number: order.number().to_owned(), till: order.cash_box_id.clone(), ..booking };
    Ok(Booked { shop: parse(row.try_get(1)?)?, booking, order, pdf })
}

/// Whether there is a PDF, and which.
fn invoice_of(row: &SqliteRow) -> Result<(InvoiceStatus, Option<BookedFile>), StoreError> {
    let status: Option<String> = row.try_get(3)?;
    let status = status.as_deref().map_or(Ok(InvoiceStatus::None), invoice_status)?;
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
    Ok((status, pdf))
}

//! Invoices: which are to be fetched, and how fetching ended.

use jiff::Timestamp;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    Changes, Store, StoreError, UnreadableRow, micros, parse,
    rows::{Name, bytes, nearest},
    timestamp,
    view::invoice_status,
};
use crate::order::{InvoiceStatus, OrderKey, ShopId};

/// A link that is to be followed now.
#[derive(Clone, Debug)]
pub struct DueInvoice {
    /// The order.
    pub order: OrderKey,
    /// Its shop.
    pub shop: ShopId,
    /// The link.
    pub url: String,
    /// How often it was tried.
    pub attempts: u32,
    /// How often only the beginning of a PDF came.
    pub cut_off: u32,
    /// When the first link was seen.
    pub first_seen_at: Timestamp,
}

/// A PDF in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// The name people see.
    pub filename: String,
    /// Where it is, relative to the data directory.
    pub path: String,
    /// The random name under which subscribers can fetch it.
    pub capability: String,
}

/// Why a link did not give a PDF this time.
#[derive(Clone, Debug)]
pub struct FetchFailure {
    /// The link; another one may have come meanwhile.
    pub url: String,
    /// What happened, for people.
    pub reason: String,
    /// When to try again.
    pub again_at: Timestamp,
    /// Whether only the beginning of a PDF came.
    pub is_cut_off: bool,
}

/// A link that gave no PDF and is not followed any more.
#[derive(Clone, Debug)]
pub struct GivenUp {
    /// The order.
    pub order: OrderKey,
    /// The link; where another one has come meanwhile, that one is still followed.
    pub url: String,
    /// What happened, for people.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// All that is known of an order's invoice.
#[derive(Clone, Debug)]
pub struct InvoiceRow {
    /// The order.
    pub order: OrderKey,
    /// Whether it is with us.
    pub status: InvoiceStatus,
    /// The file, once it is.
    pub file: Option<StoredFile>,
    /// Why not, else.
    pub last_error: Option<String>,
}

/// Where a row is that cannot be read. Its key is what stands there, which need not be a text; its number may be another's
/// once the file was rewritten, which an erasure does in a process of its own.
#[derive(Clone)]
struct Place {
    rowid: i64,
    key: Option<Vec<u8>>,
}

impl Store {
    /// The links to follow at `now`, oldest first. One that cannot be read is given up: it would be found again and again,
    /// before all others.
    ///
    /// # Errors
    /// What the database says.
    pub async fn due_invoices(&self, now: Timestamp, limit: usize) -> Result<Vec<DueInvoice>, StoreError> {
        let rows = sqlx::query(
            "SELECT order_key, shop, url, attempts, first_seen_at, rowid,
                    EXISTS (SELECT 1 FROM customer_order o WHERE o.key = order_key), cut_off
             FROM invoice
             WHERE status = 'pending' AND next_attempt_at <= $1 AND url IS NOT NULL ORDER BY next_attempt_at LIMIT $2",
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = rows.bind(micros(now)).bind(limit).fetch_all(self.readers()).await?;
        let due = |row: &SqliteRow| {
            if !row.try_get::<bool, _>(6)? {
                return Err(StoreError::Corrupt("there is no such order".to_owned()));
            }
            Ok(DueInvoice {
                order: parse(row.try_get(0)?)?,
                shop: parse(row.try_get(1)?)?,
                url: row.try_get(2)?,
                attempts: row.try_get(3)?,
                first_seen_at: timestamp(row.try_get(4)?)?,
                cut_off: row.try_get(7)?,
            })
        };
        let (mut readable, mut unreadable) = (Vec::new(), Vec::new());
        for row in &rows {
            match due(row) {
                Ok(due) => readable.push(due),
                Err(error) => {
                    let name = Name::of_order("invoice of order", row, [0, 0, 0], 1);
                    let place = Place { rowid: row.try_get(5)?, key: bytes(row, 0) };
                    unreadable.push((place, name.because(error.corrupt_only()?)));
                }
            }
        }
        if !unreadable.is_empty() {
            self.give_up_invoices(unreadable).await?;
        }
        Ok(readable)
    }

    /// Follows the links in these rows no more. One that is in another place by now is found again.
    async fn give_up_invoices(&self, rows: Vec<(Place, UnreadableRow)>) -> Result<(), StoreError> {
        rows.iter().for_each(|(_, row)| self.log_row(row));
        let rows: Vec<(Place, String)> = rows.into_iter().map(|(place, row)| (place, row.reason)).collect();
        self.write(move |conn| {
            let rows = rows.clone();
            Box::pin(async move {
                for (place, reason) in rows {
                    // A message waits until `invoice_until` at the most, and then goes without.
                    let give_up = "UPDATE invoice SET status = 'missing', next_attempt_at = NULL, last_error = $2
                                   WHERE rowid = $1 AND CAST(order_key AS BLOB) IS $3 AND status = 'pending'";
                    let reason = format!("what is stored of it cannot be read: {reason}");
                    sqlx::query(give_up).bind(place.rowid).bind(reason).bind(place.key).execute(&mut *conn).await?;
                }
                Ok::<_, sqlx::Error>(())
            })
        })
        .await
    }

    /// When the next link is to be followed.
    ///
    /// # Errors
    /// What the database says.
    pub async fn next_invoice_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let next: Option<i64> =
            sqlx::query_scalar("SELECT min(next_attempt_at) FROM invoice WHERE status = 'pending' AND url IS NOT NULL")
                .fetch_one(self.readers())
                .await?;
        Ok(next.map(nearest))
    }

    /// Notes a failure and when to try again. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn invoice_failed(&self, order: OrderKey, failure: FetchFailure) -> Result<(), StoreError> {
        self.write(move |conn| {
            let failure = failure.clone();
            Box::pin(async move {
                sqlx::query(
                    "UPDATE invoice SET attempts = attempts + 1, last_error = $2, next_attempt_at = $3,
                         cut_off = cut_off + $5
                     WHERE order_key = $1 AND status = 'pending' AND url IS $4",
                )
                .bind(order.to_string())
                .bind(failure.reason)
                .bind(micros(failure.again_at))
                .bind(failure.url)
                .bind(failure.is_cut_off)
                .execute(conn)
                .await
                .map(drop)
            })
        })
        .await
    }

    /// Makes a link that was given up, or waits for its next try, due at once. Returns whether there is one. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn refetch_invoice(&self, order: OrderKey, now: Timestamp) -> Result<bool, StoreError> {
        self.write(move |conn| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE invoice SET status = 'pending', next_attempt_at = $2, cut_off = 0
                     WHERE order_key = $1 AND status <> 'stored' AND url IS NOT NULL",
                )
                .bind(order.to_string())
                .bind(micros(now))
                .execute(conn)
                .await
                .map(|done| done.rows_affected() > 0)
            })
        })
        .await
    }

    /// The invoice of an order, once a link was seen or a file imported.
    ///
    /// # Errors
    /// What the database says.
    pub async fn invoice(&self, order: OrderKey) -> Result<Option<InvoiceRow>, StoreError> {
        let row = sqlx::query(
            "SELECT order_key, status, sha256, bytes, filename, path, capability, last_error
             FROM invoice WHERE order_key = $1",
        );
        let row = row.bind(order.to_string()).fetch_optional(self.readers()).await?;
        row.as_ref().map(invoice_row).transpose()
    }

    /// The file behind a random name.
    ///
    /// # Errors
    /// What the database says.
    pub async fn invoice_by_capability(&self, capability: &str) -> Result<Option<StoredFile>, StoreError> {
        let row = sqlx::query(
            "SELECT order_key, status, sha256, bytes, filename, path, capability, last_error
             FROM invoice WHERE capability = $1",
        );
        let row = row.bind(capability).fetch_optional(self.readers()).await?;
        Ok(row.as_ref().map(invoice_row).transpose()?.and_then(|row| row.file))
    }

    /// The file with this digest.
    ///
    /// # Errors
    /// What the database says.
    pub async fn invoice_by_sha256(&self, sha256: &str) -> Result<Option<StoredFile>, StoreError> {
        let row = sqlx::query(
            "SELECT order_key, status, sha256, bytes, filename, path, capability, last_error
             FROM invoice WHERE sha256 = $1 LIMIT 1",
        );
        let row = row.bind(sha256).fetch_optional(self.readers()).await?;
        Ok(row.as_ref().map(invoice_row).transpose()?.and_then(|row| row.file))
    }
}

fn invoice_row(row: &SqliteRow) -> Result<InvoiceRow, StoreError> {
    let status = invoice_status(row.try_get(1)?)?;
    let sha256: Option<String> = row.try_get(2)?;
    let file = match sha256 {
        Some(sha256) if status == InvoiceStatus::Stored => Some(StoredFile {
            sha256,
            bytes: row.try_get::<i64, _>(3)?.unsigned_abs(),
            filename: row.try_get(4)?,
            path: row.try_get(5)?,
            capability: row.try_get(6)?,
        }),
        _ => None,
    };
    Ok(InvoiceRow { order: parse(row.try_get(0)?)?, status, file, last_error: row.try_get(7)? })
}

/// Writes how fetching ended and lets the deliveries go that waited for it, inside the caller's transaction.
pub(super) async fn apply_ends(conn: &mut SqliteConnection, changes: &Changes) -> Result<(), sqlx::Error> {
    for (order, file, at) in &changes.arrived {
        sqlx::query(
            "INSERT INTO invoice (order_key, shop, status, first_seen_at, wait_until, sha256, bytes, filename, path,
                 capability, stored_at)
             SELECT key, shop, 'stored', $7, $7, $2, $3, $4, $5, $6, $7 FROM customer_order WHERE key = $1
             ON CONFLICT (order_key) DO UPDATE SET status = 'stored', sha256 = $2, bytes = $3, filename = $4, path = $5,
                 capability = $6, stored_at = $7, attempts = attempts + 1, last_error = NULL, next_attempt_at = NULL",
        )
        .bind(order.to_string())
        .bind(&file.sha256)
        .bind(i64::try_from(file.bytes).unwrap_or(i64::MAX))
        .bind(&file.filename)
        .bind(&file.path)
        .bind(&file.capability)
        .bind(micros(*at))
        .execute(&mut *conn)
        .await?;
        release_waiting(conn, *order, *at).await?;
    }
    for GivenUp { order, url, reason, at } in &changes.given_up {
        sqlx::query(
            "UPDATE invoice SET status = 'missing', attempts = attempts + 1, last_error = $2, next_attempt_at = NULL
             WHERE order_key = $1 AND status <> 'stored' AND url IS $3",
        )
        .bind(order.to_string())
        .bind(reason)
        .bind(url)
        .execute(&mut *conn)
        .await?;
        release_waiting(conn, *order, *at).await?;
    }
    Ok(())
}

/// Lets the messages go that waited, and has every one that is being made without the invoice made anew.
async fn release_waiting(conn: &mut SqliteConnection, order: OrderKey, at: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE delivery SET version = version + 1, invoice_until = min(invoice_until, $2),
             due_at = CASE WHEN status = 'pending' THEN max(settle_until, min(invoice_until, $2)) ELSE due_at END
         WHERE order_key = $1 AND open = 1 AND payload IS NULL AND status <> 'sending'",
    )
    .bind(order.to_string())
    .bind(micros(at))
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Access;

    /// A store with four invoices in the archive and one that is to be fetched, and what their places are.
    async fn invoices(directory: &std::path::Path) -> Store {
        let store = Store::open(directory, Access::Service).await.unwrap();
        let rows = "INSERT INTO invoice (rowid, order_key, shop, status, first_seen_at, wait_until, url, path) VALUES
            (1, 'c', 'dupont', 'stored', 1, 1, NULL, 'c'), (2, 'a', 'dupont', 'stored', 1, 1, NULL, 'a'),
            (3, CAST(x'62ff' AS TEXT), 'dupont', 'stored', 1, 1, NULL, 'b'), (4, 'd', 'dupont', 'stored', 1, 1, NULL, 'd'),
            (5, 'e', 'dupont', 'pending', 1, 1, 'https://till.example/e', NULL)";
        change(&store, rows).await;
        store
    }

    async fn change(store: &Store, sql: &'static str) {
        store.write(move |conn| Box::pin(async move { sqlx::query(sql).execute(conn).await.map(drop) })).await.unwrap();
    }

    #[tokio::test]
    async fn no_other_link_is_given_up_where_the_file_was_rewritten_meanwhile() {
        let home = tempfile::tempdir().unwrap();
        let store = invoices(home.path()).await;
        let unreadable = || Name::plain("invoice", "x").because("cut off".to_owned());
        for (key, waiting) in [("x", true), ("e", false)] {
            let place = Place { rowid: 5, key: Some(key.into()) };
            store.give_up_invoices(vec![(place, unreadable())]).await.unwrap();
            let waits: bool = sqlx::query_scalar("SELECT status = 'pending' FROM invoice WHERE rowid = 5")
                .fetch_one(store.readers())
                .await
                .unwrap();
            assert_eq!(waits, waiting, "{key}");
        }
        store.close().await;
    }

    #[tokio::test]
    async fn every_invoice_is_read_once_where_the_file_is_rewritten_in_between() {
        let home = tempfile::tempdir().unwrap();
        let store = invoices(home.path()).await;
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let (page, last) = store.stored_invoices(after, 1).await.unwrap();
            if last.is_none() {
                break;
            }
            after = last;
            // Their keys are none, so that each is named by what stands there.
            seen.extend(page.unreadable.into_iter().map(|row| row.name));
            change(&store, "UPDATE invoice SET rowid = -rowid").await;
        }
        assert_eq!(seen, ["a", "b\u{fffd}", "c", "d"]);
        store.close().await;
    }
}

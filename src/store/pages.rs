//! Reading a whole table where memory is short: by pages of so many rows, and of so many bytes.
//!
//! **Invariant:** a page reads one row at the least, so that whoever asks for the next one comes to the end; and none beyond
//! the one with which it is full.

use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError};

/// Rows of a page.
const PAGE: u32 = 500;

/// How many bytes of rows a page reads; the last one may go beyond.
const PAGE_BYTES: i64 = 2 << 20;

/// The columns of the next page of a table, which is `t`: the rows after `$1` for which something holds, measured by a size.
macro_rules! page {
    ($columns:literal, $table:literal, $size:literal, $holds:literal) => {
        page!($columns, $table, $size, $holds, "")
    };
    ($columns:literal, $table:literal, $size:literal, $holds:literal, $joined:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM (SELECT seq, sum(size) OVER (ORDER BY seq) - size AS before FROM (SELECT seq, ",
            $size,
            " AS size FROM ",
            $table,
            " WHERE seq > $1 AND ",
            $holds,
            " ORDER BY seq LIMIT $2)) p CROSS JOIN ",
            $table,
            " t ON t.seq = p.seq ",
            $joined,
            " WHERE p.before < $3 ORDER BY t.seq"
        )
    };
}

pub(super) use page;

impl Store {
    /// The rows of a [`page!`].
    pub(super) async fn page(&self, page: &'static str, after: i64) -> Result<Vec<SqliteRow>, StoreError> {
        let rows = sqlx::query(page).bind(after).bind(PAGE).bind(PAGE_BYTES);
        Ok(rows.fetch_all(self.readers()).await?)
    }
}

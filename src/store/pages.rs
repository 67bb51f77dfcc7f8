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

/// Splits rows that are wanted, each by its place and with its size, into such pages.
pub(super) fn pages(sizes: &[(i64, i64)]) -> impl Iterator<Item = Vec<i64>> {
    let mut bytes = 0;
    // A row begins a page where the one before has filled it.
    let pages = sizes.chunk_by(move |(_, size), _| {
        bytes += size;
        let is_full = bytes >= PAGE_BYTES;
        if is_full {
            bytes = 0;
        }
        !is_full
    });
    let places = |page: &[(i64, i64)]| page.iter().map(|(place, _)| *place).collect::<Vec<_>>();
    pages.flat_map(|page| page.chunks(PAGE as usize)).map(places)
}

impl Store {
    /// The rows of a [`page!`].
    pub(super) async fn page(&self, page: &'static str, after: i64) -> Result<Vec<SqliteRow>, StoreError> {
        let rows = sqlx::query(page).bind(after).bind(PAGE).bind(PAGE_BYTES);
        Ok(rows.fetch_all(self.readers()).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_one_row_at_the_least_and_is_full_at_a_size_and_at_a_number() {
        let sizes = |sizes: &[i64]| -> Vec<(i64, i64)> { (1..).zip(sizes.iter().copied()).collect() };
        let of = |all: &[i64]| pages(&sizes(all)).collect::<Vec<_>>();
        assert_eq!(of(&[]), Vec::<Vec<i64>>::new());
        assert_eq!(of(&[1, 2]), [vec![1, 2]]);
        assert_eq!(of(&[1, 3 * PAGE_BYTES, 1, PAGE_BYTES, 1]), [vec![1, 2], vec![3, 4], vec![5]]);
        assert_eq!(pages(&sizes(&vec![1; 1200])).map(|page| page.len()).collect::<Vec<_>>(), [500, 500, 200]);
    }
}

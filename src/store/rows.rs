//! Reading many rows of which one may be unreadable.
//!
//! What is stored was written by us, and all the same a row may not be what this version can read: an older one took more,
//! a disk lost a bit, somebody edited the file. Such a row says so and stops nothing: whoever reads several gets the others,
//! and the names of those that are left out.
//!
//! **Invariant:** a row is unreadable where a value of it is ([`StoreError::Corrupt`]); that the database does not answer
//! is never taken for that. What is said of an unreadable row quotes no text of it but its id and its order's number.

use std::{
    collections::HashSet,
    fmt,
    ops::{Deref, DerefMut},
    sync::Mutex,
};

use jiff::Timestamp;
use sqlx::{ColumnIndex, Row as _, sqlite::SqliteRow};

use super::{Store, StoreError};

/// How much of an id is shown. Ours are shorter.
const SHOWN: usize = 60;

/// How many rows are remembered as logged.
const REMEMBERED: usize = 10_000;

/// A row that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRow {
    /// What it is: `order`, `delivery`, …
    pub what: &'static str,
    /// Its id, or where it is about an order and has a number, that.
    pub name: String,
    /// Its shop, as far as that can be read.
    pub shop: Option<String>,
    /// Why. It quotes nothing that is stored.
    pub reason: String,
}

impl fmt::Display for UnreadableRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, name, shop, reason } = self;
        match shop {
            Some(shop) => write!(f, "{what} {name} of {shop}: {reason}"),
            None => write!(f, "{what} {name}: {reason}"),
        }
    }
}

/// Rows that were read, and those that could not be.
#[derive(Clone, Debug)]
pub struct Rows<T> {
    rows: Vec<T>,
    /// Those that are left out.
    pub unreadable: Vec<UnreadableRow>,
    /// The place of the last row, readable or not, where they are read page by page; ask for what is after it.
    pub last: Option<i64>,
}

impl<T> Rows<T> {
    /// Reads each row; `name` names one that cannot be read.
    pub(super) fn read(
        found: &[SqliteRow],
        read: impl Fn(&SqliteRow) -> Result<T, StoreError>,
        name: impl Fn(&SqliteRow) -> Name,
    ) -> Result<Self, StoreError> {
        let mut rows = Self::default();
        for row in found {
            match read(row) {
                Ok(readable) => rows.rows.push(readable),
                Err(error) => rows.unreadable.push(name(row).because(error.corrupt_only()?)),
            }
        }
        Ok(rows)
    }

    /// The same of a page, whose rows have their place in this column.
    pub(super) fn page(
        found: &[SqliteRow],
        place: usize,
        read: impl Fn(&SqliteRow) -> Result<T, StoreError>,
        name: impl Fn(&SqliteRow) -> Name,
    ) -> Result<Self, StoreError> {
        let last = found.last().map(|row| row.try_get(place)).transpose()?;
        Ok(Self { last, ..Self::read(found, read, name)? })
    }

    /// Rows that could be read.
    pub(super) fn of(rows: impl Into<Vec<T>>) -> Self {
        Self { rows: rows.into(), ..Self::default() }
    }

    /// Adds the rows of another page.
    pub(super) fn append(&mut self, page: Self) {
        self.rows.extend(page.rows);
        self.unreadable.extend(page.unreadable);
    }

    /// The readable ones, and those that are left out.
    pub fn into_parts(self) -> (Vec<T>, Vec<UnreadableRow>) {
        (self.rows, self.unreadable)
    }
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), unreadable: Vec::new(), last: None }
    }
}

impl<T> Deref for Rows<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.rows
    }
}

impl<T> DerefMut for Rows<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.rows
    }
}

impl<T> IntoIterator for Rows<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Rows<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.iter()
    }
}

/// How a row is named that cannot be read.
pub(super) struct Name {
    what: &'static str,
    name: String,
    shop: Option<String>,
}

impl Name {
    /// By the id in a column.
    pub fn of<I: ColumnIndex<SqliteRow>>(what: &'static str, row: &SqliteRow, id: I) -> Self {
        Self { what, name: id_of(row, id).unwrap_or_else(|| "?".to_owned()), shop: None }
    }

    /// By the id in a column; one whose id is none by its place, in another column.
    pub fn placed<I: ColumnIndex<SqliteRow>>(what: &'static str, row: &SqliteRow, id: I, place: I) -> Self {
        let place =
            || row.try_get::<i64, _>(place).map_or_else(|_| "?".to_owned(), |place| format!("in place {place}"));
        Self { what, name: id_of(row, id).unwrap_or_else(place), shop: None }
    }

    /// An order's: by its number, else by its internal number, else by its key, in these columns, and by its shop.
    pub fn of_order<I: ColumnIndex<SqliteRow>>(what: &'static str, row: &SqliteRow, names: [I; 3], shop: I) -> Self {
        let name = names.into_iter().find_map(|column| text(row, column)).unwrap_or_else(|| "?".to_owned());
        Self { what, name, shop: text(row, shop) }
    }

    /// By these words.
    pub fn plain(what: &'static str, name: impl Into<String>) -> Self {
        Self { what, name: shown(&name.into()), shop: None }
    }

    /// The row, with why it cannot be read.
    pub fn because(self, reason: String) -> UnreadableRow {
        UnreadableRow { what: self.what, name: self.name, shop: self.shop, reason }
    }
}

/// What stands in a column of ids. What does not look like one may be anything, and is not shown.
pub(super) fn id_of<I: ColumnIndex<SqliteRow>>(row: &SqliteRow, column: I) -> Option<String> {
    text(row, column).filter(|id| id.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)))
}

/// What stands in a column of text, readable or not; `None` where nothing does.
fn text<I: ColumnIndex<SqliteRow>>(row: &SqliteRow, column: I) -> Option<String> {
    let text = bytes(row, column)?;
    Some(shown(&String::from_utf8_lossy(&text))).filter(|text| !text.is_empty())
}

/// All that stands in a column of text, with `\u{FFFD}` for what is none.
pub(super) fn lossy<I: ColumnIndex<SqliteRow>>(row: &SqliteRow, column: I) -> Option<String> {
    bytes(row, column).map(|text| String::from_utf8_lossy(&text).into_owned())
}

/// The bytes of a column of text, which need not be UTF-8.
pub(super) fn bytes<I: ColumnIndex<SqliteRow>>(row: &SqliteRow, column: I) -> Option<Vec<u8>> {
    row.try_get_unchecked::<Option<Vec<u8>>, _>(column).ok().flatten()
}

/// The texts of a column; those that are none are left out.
pub(super) fn texts(rows: &[SqliteRow], column: usize) -> Vec<String> {
    rows.iter().filter_map(|row| row.try_get::<Option<String>, _>(column).ok().flatten()).collect()
}

/// A time, where one that cannot be is as good as the first or the last that can.
pub(super) fn nearest(micros: i64) -> Timestamp {
    let outermost = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(micros).unwrap_or(outermost)
}

/// The beginning of an id on one line: it may be anything.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

/// Which unreadable rows were spoken of: whoever looks every second must not say the same again.
#[derive(Default)]
pub(super) struct Logged(Mutex<HashSet<String>>);

impl Logged {
    fn is_new(&self, row: &UnreadableRow) -> bool {
        let Ok(mut logged) = self.0.lock() else { return false };
        if logged.len() >= REMEMBERED {
            logged.clear();
        }
        logged.insert(format!("{} {} {}", row.what, row.name, row.reason))
    }
}

impl Store {
    /// Says in the log which rows cannot be read, each once.
    pub(super) fn log<T>(&self, rows: Rows<T>) -> Rows<T> {
        rows.unreadable.iter().for_each(|row| self.log_row(row));
        rows
    }

    /// Says in the log that a row cannot be read, once.
    pub(super) fn log_row(&self, row: &UnreadableRow) {
        if self.inner.logged.is_new(row) {
            let UnreadableRow { what, name, shop, reason } = row;
            tracing::warn!(
                row.kind = what,
                row.id = name,
                shop.id = shop,
                error = reason,
                "a stored row cannot be read, and is left out; restore a backup, or report it"
            );
        }
    }

    /// A row that is read by itself and that can do without: one that cannot be read is none, and the log says so.
    pub(super) fn or_none<T>(
        &self,
        read: Result<Option<T>, StoreError>,
        what: &'static str,
        name: &str,
    ) -> Result<Option<T>, StoreError> {
        read.or_else(|error| {
            self.log_row(&Name::plain(what, name).because(error.corrupt_only()?));
            Ok(None)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_found_again_and_again_is_said_once() {
        let logged = Logged::default();
        let row = |id: &str| Name::plain("order", id).because("cut off".to_owned());
        assert!(logged.is_new(&row("1")) && logged.is_new(&row("2")));
        assert!(!logged.is_new(&row("1")) && !logged.is_new(&row("2")));
    }

    #[test]
    fn a_time_that_cannot_be_is_the_nearest_that_can() {
        assert_eq!(nearest(i64::MAX), Timestamp::MAX);
        assert_eq!(nearest(i64::MIN), Timestamp::MIN);
        assert_eq!(nearest(1_000_000), Timestamp::from_second(1).expect("a time"));
    }
}

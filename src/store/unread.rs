//! Orders, and calls about no order, of which something stored cannot be read: as far as a call has to know of them.
//!
//! Nothing can be decided of a call about such an order: whether it is a repeat, what is new, who was told. It is kept until
//! somebody has seen to the row, and every other call of the same commit goes on.
//!
//! **Invariant:** a call that may be about such an order is never taken for a new order: that would tell everybody twice.

use std::collections::HashMap;

use sqlx::{Row as _, sqlite::SqliteRow};

use super::{KnownOrder, intake::Numbered, rows::lossy};
use crate::order::ShopId;

/// What cannot be read, of all that a group of calls is about.
#[derive(Default)]
pub(super) struct Unread {
    orders: Vec<UnreadOrder>,
    notices: HashMap<(ShopId, String, [u8; 32]), String>,
}

/// An order of which something cannot be read.
pub(super) struct UnreadOrder {
    key: String,
    shop: String,
    test: bool,
    internal_id: Option<String>,
    order_id: Option<String>,
    reason: String,
}

impl UnreadOrder {
    /// One whose row cannot be read; its columns are those of `view/load.rs`.
    pub fn from_row(row: &SqliteRow, reason: String) -> Self {
        Self {
            key: lossy(row, 0).unwrap_or_default(),
            shop: lossy(row, 1).unwrap_or_default(),
            test: row.try_get(2).unwrap_or_default(),
            internal_id: lossy(row, 3),
            order_id: lossy(row, 4),
            reason: format!("order: {reason}"),
        }
    }

    /// One whose row can be read, but not what belongs to it.
    pub fn of(known: &KnownOrder, reason: String) -> Self {
        Self {
            key: known.key.to_string(),
            shop: known.shop.to_string(),
            test: known.test,
            internal_id: known.internal_id.clone(),
            order_id: known.order_id.clone(),
            reason,
        }
    }

    /// Whether a call with these numbers is about it, or may be: by contract §5 (Identity), as far as its numbers are known.
    fn may_be(&self, numbers: &Numbered, is_another: bool) -> bool {
        if self.shop != numbers.shop.as_str() || self.test != numbers.test {
            return false;
        }
        let has_its_number = numbers.order_id.is_some() && self.order_id == numbers.order_id;
        match (&numbers.internal_id, &self.internal_id) {
            (Some(said), Some(known)) => said == known,
            // It was founded by a call without an internal id, and would be adopted.
            (Some(_), None) => has_its_number && !is_another,
            (None, _) => has_its_number,
        }
    }
}

impl Unread {
    pub fn add(&mut self, order: UnreadOrder) {
        self.orders.push(order);
    }

    pub fn add_notice(&mut self, key: (ShopId, String, [u8; 32]), reason: String) {
        self.notices.insert(key, reason);
    }

    /// Why a call with these numbers cannot be judged; `is_another`: an order with its internal id is known.
    pub fn order(&self, numbers: &Numbered, is_another: bool) -> Option<&str> {
        self.orders.iter().find(|order| order.may_be(numbers, is_another)).map(|order| order.reason.as_str())
    }

    pub fn order_of_key(&self, key: &str) -> Option<&str> {
        self.orders.iter().find(|order| order.key == key).map(|order| order.reason.as_str())
    }

    pub fn notice(&self, shop: &ShopId, kind: &str, digest: &[u8; 32]) -> Option<&str> {
        self.notices.get(&(shop.clone(), kind.to_owned(), *digest)).map(String::as_str)
    }
}

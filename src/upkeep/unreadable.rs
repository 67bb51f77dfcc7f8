//! Rows about orders that cannot be read, looked into for people who are erased: their bytes alone can say whether they name
//! one of them.
//!
//! **Invariant:** however many people are looked for together, each row is read once.

use serde_json::Value;

use super::plain::plain;
use crate::{
    order::{Person, ShopId, Traces},
    store::{Opaque, Store, StoreError, UnreadableRow},
};

/// Somebody who is looked for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Whom.
    pub person: &'a Person,
    /// Where; in every shop, else.
    pub shop: Option<&'a ShopId>,
    /// How they are called.
    pub traces: &'a Traces,
}

/// Passes on each unreadable row that names one of these people. Returns how many rows cannot be read at all.
pub(super) async fn look_into_unreadable(
    store: &Store,
    people: &[Wanted<'_>],
    pass_on: &mut impl FnMut(UnreadableRow),
) -> Result<u64, StoreError> {
    let mut unreadable = 0;
    let mut look = |rows: Vec<Opaque>| {
        unreadable += rows.len() as u64;
        rows.into_iter().filter(|one| name_one(one, people)).for_each(|one| pass_on(one.row));
    };
    let mut after = 0;
    while let (Some(last), rows) = store.opaque_events(after).await? {
        after = last;
        look(rows);
    }
    after = 0;
    while let (Some(last), rows) = store.opaque_orders(after).await? {
        after = last;
        look(rows);
    }
    Ok(unreadable)
}

fn name_one(row: &Opaque, people: &[Wanted<'_>]) -> bool {
    let text = plain(&row.text);
    let stored = String::from_utf8_lossy(&row.text).to_lowercase();
    people.iter().any(|wanted| {
        wanted.concerns(&row.row) && (wanted.traces.are_surely_in(&text) || stored.contains(&wanted.as_stored()))
    })
}

impl Wanted<'_> {
    fn concerns(&self, row: &UnreadableRow) -> bool {
        match (self.shop, &row.shop) {
            (Some(wanted), Some(shop)) => wanted.as_str() == shop,
            _ => true,
        }
    }

    /// The person's number or address as it stands in JSON of ours, in small letters.
    fn as_stored(&self) -> String {
        match self.person {
            Person::Client(id) => format!("\"customer\":{{\"id\":{}", Value::from(id.as_str())).to_lowercase(),
            Person::Email(email) => email.to_lowercase(),
        }
    }
}

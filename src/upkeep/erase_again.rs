//! Erases again, in a database that was restored, who was erased since it was copied.
//!
//! The list of erasures ([`Erasures`]) knows nobody, so everybody whom the database names is looked up in it: the customers
//! of orders, and whatever looks like a customer's number or an e-mail address in calls and alerts about no order.
//!
//! **Invariant:** whatever the database holds, only a bounded piece of it is in memory, and what stands in the way of one
//! erasure stands in the way of no other.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    erased::Erasures,
    erasure::Erasure,
    plain::plain,
    unreadable::{Wanted, look_into_unreadable},
};
use crate::{
    clock::Clock,
    order::{Person, Shop, ShopId, Traces},
    store::{CustomerLine, Rows, Store, StoreError, UnreadableRow},
};

/// How many orders of a person are erased at a time.
const ORDERS: usize = 10_000;

/// How often that is repeated: nobody has more than half a million orders.
const PIECES: usize = 50;

/// For how many people what cannot be read is looked into at a time.
const PEOPLE: usize = 100;

/// How much may be known of them then, in bytes.
const TRACES: usize = 1 << 20;

/// How many rows are named that cannot be read.
const NAMED: usize = 100;

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Again {
    /// How many people were found and erased.
    pub people: u64,
    /// How many erasures have to be repeated by hand, because the database holds rows that are too large to be looked at, or
    /// more rows of a person than anybody has.
    pub to_repeat: u64,
    /// How many rows cannot be read and name one of them, or may.
    pub unreachable: u64,
    /// The first of these.
    pub named: Vec<UnreadableRow>,
}

impl Again {
    fn cannot_reach(&mut self, row: UnreadableRow) {
        self.unreachable += 1;
        if self.named.len() < NAMED {
            self.named.push(row);
        }
    }
}

/// People by what tells them apart, and where each was erased.
type Whom = BTreeMap<(u8, String, Option<ShopId>), Person>;

/// Erases everybody who is in the list. `shops` are those that are configured, for the names of invoices.
///
/// # Errors
/// What the database says.
pub(super) async fn again(
    store: &Store,
    clock: &Arc<dyn Clock>,
    erasures: &Erasures,
    shops: &[Shop],
) -> Result<Again, StoreError> {
    let mut again = Again::default();
    if store.has_huge_rows().await? {
        again.to_repeat = erasures.len() as u64;
        return Ok(again);
    }
    let whom = Search { store, erasures, whom: Whom::new(), again: &mut again }.run().await?;
    let mut erased = Vec::new();
    let mut all_readable = false;
    let mut whom = whom.into_iter().peekable();
    while let Some(((.., shop), person)) = whom.next() {
        let erasure = Erasure::new(store.clone(), clock.clone(), person.clone(), shop.clone()).in_pieces_of(ORDERS);
        let traces = one(&erasure, shops, &mut again).await?;
        erased.push((person, shop, traces));
        let size: usize = erased.iter().map(|(.., traces)| traces.size()).sum();
        if whom.peek().is_none() || erased.len() == PEOPLE || size >= TRACES {
            // Erasing makes none unreadable.
            all_readable = all_readable || unreadable(store, &erased, &mut again).await? == 0;
            erased.clear();
        }
    }
    Ok(again)
}

/// Looks for people in what cannot be read. Returns how many rows that are.
async fn unreadable(
    store: &Store,
    erased: &[(Person, Option<ShopId>, Traces)],
    again: &mut Again,
) -> Result<u64, StoreError> {
    let wanted = erased.iter().map(|(person, shop, traces)| Wanted { person, shop: shop.as_ref(), traces });
    look_into_unreadable(store, &wanted.collect::<Vec<_>>(), &mut |row| again.cannot_reach(row)).await
}

/// Erases one person from all that can be read. Returns how they are called.
async fn one(erasure: &Erasure, shops: &[Shop], again: &mut Again) -> Result<Traces, StoreError> {
    let shop_of = |id: &ShopId| shops.iter().find(|shop| shop.id == *id).cloned();
    let mut traces = None;
    for piece in 0..PIECES {
        let found = erasure.find_readable().await?;
        if !found.is_empty() {
            erasure.erase(&found, shop_of).await?;
            again.people += u64::from(piece == 0);
        }
        let whole = found.whole;
        let known = traces.get_or_insert(found.traces);
        if whole {
            return Ok(std::mem::take(known));
        }
    }
    again.to_repeat += 1;
    Ok(traces.unwrap_or_default())
}

/// Looks everybody up in the list.
struct Search<'a> {
    store: &'a Store,
    erasures: &'a Erasures,
    whom: Whom,
    again: &'a mut Again,
}

impl Search<'_> {
    async fn run(mut self) -> Result<Whom, StoreError> {
        let mut after = 0;
        while let Some(last) = self.customers(&self.store.customers_of_events(after).await?) {
            after = last;
        }
        after = 0;
        while let Some(last) = self.customers(&self.store.customers_of_orders(after).await?) {
            after = last;
        }
        self.calls().await?;
        self.alerts().await?;
        Ok(self.whom)
    }

    fn customers(&mut self, page: &Rows<CustomerLine>) -> Option<i64> {
        for line in page {
            for customer in &line.customers {
                let people = [customer.id.clone().map(Person::Client), customer.email.clone().map(Person::Email)];
                people.into_iter().flatten().for_each(|person| self.look_up(&person, Some(&line.shop)));
            }
        }
        page.last
    }

    async fn calls(&mut self) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let page = self.store.kept_bodies(after).await?;
            let Some(last) = page.last else { return Ok(()) };
            after = last;
            // Whether one that cannot be read names somebody is not known.
            page.unreadable.iter().for_each(|row| self.again.cannot_reach(row.clone()));
            for call in page.iter().filter(|call| call.order.is_none()) {
                self.text(&call.bytes, Some(&call.shop));
            }
        }
    }

    async fn alerts(&mut self) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let page = self.store.plain_events(after).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            page.iter().for_each(|(_, data)| self.text(data.as_bytes(), None));
        }
    }

    fn text(&mut self, bytes: &[u8], shop: Option<&ShopId>) {
        let text = plain(bytes).to_lowercase();
        for person in emails(&text).map(Person::Email).chain(clients(&text).map(Person::Client)) {
            self.look_up(&person, shop);
        }
    }

    fn look_up(&mut self, person: &Person, shop: Option<&ShopId>) {
        for only in self.erasures.of_person(person, shop) {
            let (kind, key) = person.key();
            self.whom.entry((kind, key, only)).or_insert_with(|| person.clone());
        }
    }
}

/// Whatever may be an e-mail address in a text.
fn emails(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_alphanumeric() && !"@._%+-".contains(c));
    words.filter(|word| word.contains('@')).map(|word| word.trim_matches('.').to_owned())
}

/// Whatever stands where a customer's number does.
fn clients(text: &str) -> impl Iterator<Item = String> {
    text.split("clientid").skip(1).filter_map(|rest| {
        let rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        rest.split(|c: char| !c.is_alphanumeric()).next().filter(|id| !id.is_empty()).map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_gives_its_addresses_and_customers_numbers() {
        let text = "clientid=512&email=zoe@durand.example&x=a@b.example. {\"clientid\":\"77\"} <c-d@e.example>";
        assert_eq!(emails(text).collect::<Vec<_>>(), ["zoe@durand.example", "a@b.example", "c-d@e.example"]);
        assert_eq!(clients(text).collect::<Vec<_>>(), ["512", "77"]);
        assert_eq!(clients("clientid").count() + emails("").count(), 0);
    }
}

//! Erases again, in a database that was restored, who was erased since it was copied.
//!
//! The list of erasures ([`Erasures`]) knows nobody, so everybody whom the database names is looked up in it: the customers
//! of orders, and whatever looks like a customer's number or an e-mail address in calls and alerts about no order.
//!
//! **Invariant:** whatever the database holds, only a bounded piece of it is in memory.

use std::{collections::BTreeMap, sync::Arc};

use super::{erased::Erasures, erasure::Erasure, plain::plain};
use crate::{
    clock::Clock,
    order::{Person, Shop, ShopId},
    store::{CustomerLine, Rows, Store, StoreError},
};

/// How many orders of a person are erased at a time.
const ORDERS: usize = 10_000;

/// How often that is repeated: nobody has more than half a million orders.
const PIECES: usize = 50;

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Again {
    /// How many people were found and erased.
    pub people: u64,
    /// How many erasures have to be repeated by hand, because the database holds rows that are too large to be looked at.
    pub to_repeat: u64,
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
    let all = Again { people: 0, to_repeat: erasures.len() as u64 };
    if store.has_huge_rows().await? {
        return Ok(all);
    }
    let whom = Search { store, erasures, whom: Whom::new() }.run().await?;
    let mut people = 0;
    for ((.., shop), person) in whom {
        let erasure = Erasure::new(store.clone(), clock.clone(), person, shop).in_pieces_of(ORDERS);
        let shop_of = |id: &ShopId| shops.iter().find(|shop| shop.id == *id).cloned();
        let mut pieces = 0;
        loop {
            let found = erasure.find().await?;
            if found.is_empty() {
                break;
            }
            if pieces == PIECES {
                return Ok(all);
            }
            erasure.erase(&found, shop_of).await?;
            pieces += 1;
        }
        people += u64::from(pieces > 0);
    }
    Ok(Again { people, to_repeat: 0 })
}

/// Looks everybody up in the list.
struct Search<'a> {
    store: &'a Store,
    erasures: &'a Erasures,
    whom: Whom,
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

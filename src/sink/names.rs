//! What the till calls things, for people: `Caisse 1 – Comptoir` in place of `caisse 1`.
//!
//! A name is never needed: what is not known is shown by its number. No person is among them. An order brings its
//! customer's name with it, and what was erased must not come back through a list; who stood at the till is in no call.
//!
//! **Invariant:** names are in what people read, and never in an event: an event says what was said.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use arc_swap::ArcSwap;

use crate::order::{DeliveryMethod, ShopId};

/// The names of one shop's till, by the till's ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Its cash boxes.
    pub cash_boxes: BTreeMap<String, String>,
    /// How orders are handed over.
    pub delivery_methods: BTreeMap<String, String>,
}

/// What a name begins with that says already that it is a till.
const SAYS_TILL: [&str; 4] = ["caisse", "till", "cash", "register"];

impl Names {
    /// A cash box where it is clear that it is one: `1`, `1 – Comptoir`, or `Caisse 2` where it is called so.
    pub fn cash_box(&self, id: &str) -> String {
        match self.cash_boxes.get(id) {
            None => id.to_owned(),
            Some(name) if name == id || says_till(name) => name.clone(),
            Some(name) => format!("{id} – {name}"),
        }
    }

    /// A cash box after our word for one: `caisse 1`, `caisse 1 – Comptoir`, or `Caisse 2` where it is called so.
    pub fn cash_box_after(&self, word: &str, id: &str) -> String {
        let known = self.cash_boxes.get(id).filter(|name| says_till(name));
        known.cloned().unwrap_or_else(|| format!("{word} {}", self.cash_box(id)))
    }

    /// What the till calls a delivery method for which we have no word. For the others ours is in the reader's language.
    pub fn delivery_method(&self, method: &DeliveryMethod) -> Option<&str> {
        let known = self.delivery_methods.get(&method.code).filter(|_| method.name == UNKNOWN);
        known.map(String::as_str)
    }
}

/// [`DeliveryMethod::name`] of one for which we have no word.
const UNKNOWN: &str = "unknown";

fn says_till(name: &str) -> bool {
    let name = name.to_lowercase();
    SAYS_TILL.iter().any(|word| name.starts_with(word))
}

/// The names of every shop's till; cheap to clone, and the same for whoever has a clone.
#[derive(Clone, Default)]
pub struct NameBook {
    shops: Arc<ArcSwap<HashMap<ShopId, Arc<Names>>>>,
}

impl NameBook {
    /// What the shop's till calls things, as far as that is known.
    pub fn of(&self, shop: Option<&ShopId>) -> Arc<Names> {
        shop.and_then(|shop| self.shops.load().get(shop).cloned()).unwrap_or_default()
    }

    /// From now on a shop's till calls things so.
    pub fn set(&self, shop: &ShopId, names: Names) {
        let names = Arc::new(names);
        self.shops.rcu(|shops| {
            let mut shops = HashMap::clone(shops);
            shops.insert(shop.clone(), names.clone());
            shops
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_beside_its_number_unless_it_says_all_by_itself() {
        let named = |name: &str| Names { cash_boxes: [("1".into(), name.into())].into(), ..Names::default() };
        for (names, alone, after) in [
            (Names::default(), "1", "caisse 1"),
            (named("Comptoir"), "1 – Comptoir", "caisse 1 – Comptoir"),
            (named("Caisse bar"), "Caisse bar", "Caisse bar"),
            (named("1"), "1", "caisse 1"),
        ] {
            assert_eq!((names.cash_box("1").as_str(), names.cash_box_after("caisse", "1").as_str()), (alone, after));
        }
    }

    #[test]
    fn only_a_delivery_method_for_which_we_have_no_word_is_called_as_the_till_does() {
        let methods = [("2".to_owned(), "Sur place".to_owned()), ("9".to_owned(), "Traiteur".to_owned())];
        let names = Names { delivery_methods: methods.into(), ..Names::default() };
        assert_eq!(names.delivery_method(&DeliveryMethod::from_code("2")), None);
        assert_eq!(names.delivery_method(&DeliveryMethod::from_code("9")), Some("Traiteur"));
    }
}

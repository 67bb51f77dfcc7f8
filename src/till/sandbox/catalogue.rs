//! What the shop of the sandbox has: articles, departments, ways to pay, people. Everything is invented.
//!
//! The ids that the vendor's examples name exist: articles 12, 15 and 42, department 5, variations 3 and 8, customer 123,
//! user 1, payment methods 2 and 123456.
//!
//! **Invariant:** what exists stays; customers and users are only added.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::till::{
    goods::{accounts, articles},
    order::TillCustomer,
};

/// The login of the user that is made for sales without one (seed 001).
const WEBSERVICE: &str = "webservice";

/// Something to sell.
#[derive(Clone, Debug)]
pub struct Article {
    /// Its id.
    pub id: u64,
    /// What the customer reads.
    pub title: &'static str,
    /// For one, VAT included.
    pub price: Decimal,
    /// Percent.
    pub rate: Decimal,
    /// Where it belongs.
    pub department: u64,
}

/// A department ("rayon").
#[derive(Clone, Copy, Debug)]
pub struct Department {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub title: &'static str,
    /// The group it belongs to.
    pub group: u64,
    /// Percent.
    pub rate: Decimal,
}

/// A way to pay, or to give money back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub title: &'static str,
    /// Whether money goes back.
    pub is_refund: bool,
}

/// The departments; free lines without one have the rate of the last.
const DEPARTMENTS: &[Department] = &[
    Department { id: 1, title: "Boulangerie", group: 1, rate: Decimal::from_parts(55, 0, 0, false, 1) },
    Department { id: 2, title: "Restauration", group: 2, rate: Decimal::from_parts(10, 0, 0, false, 0) },
    Department { id: 3, title: "Boissons alcoolisées", group: 2, rate: Decimal::from_parts(20, 0, 0, false, 0) },
    Department { id: 5, title: "Divers", group: 1, rate: Decimal::from_parts(20, 0, 0, false, 0) },
];

/// The ways to pay.
pub const METHODS: &[Method] = &[
    Method { id: 1, title: "Espèces", is_refund: false },
    Method { id: CARD, title: "Carte bancaire", is_refund: false },
    Method { id: 3, title: "Chèque", is_refund: false },
    TRANSFER,
    Method { id: 90, title: "Remboursement espèces", is_refund: true },
    Method { id: CARD_REFUND, title: "Remboursement carte", is_refund: true },
    Method { id: ONLINE, title: "Paiement en ligne", is_refund: false },
];

/// Whoever pays without saying how, pays by card.
pub const CARD: u64 = 2;

/// How companies pay.
pub const TRANSFER: Method = Method { id: 4, title: "Virement", is_refund: false };

/// Whoever follows the payment link pays like this.
pub const ONLINE: u64 = 123_456;

/// How money goes back where nobody says it.
pub const CARD_REFUND: u64 = 91;

/// Variations ("déclinaisons").
pub const VARIATIONS: &[(u64, &str)] = &[(3, "Pâte fine"), (5, "Grande taille"), (8, "Sans oignons")];

/// The ids of the cash boxes.
pub const CASH_BOXES: &[u64] = &[1, 2];

/// The tables.
pub const TABLES: std::ops::RangeInclusive<u64> = 1..=8;

/// Everything the shop has.
#[derive(Clone, Debug)]
pub struct Catalogue {
    articles: Vec<Article>,
    customers: BTreeMap<u64, TillCustomer>,
    users: BTreeMap<u64, String>,
}

impl Catalogue {
    /// The shop as it opens.
    pub fn new() -> Self {
        let known = |(id, title, price, rate)| Article { id, title, price, rate, department: department_of(rate) };
        let mut articles: Vec<Article> = articles().map(known).collect();
        let (price, rate) = (Decimal::new(1850, 2), Decimal::TEN);
        articles.push(Article { id: 42, title: "Formule du soir", price, rate, department: department_of(rate) });
        let camille = TillCustomer {
            id: "123".to_owned(),
            last_name: "Moreau".to_owned(),
            first_name: "Camille".to_owned(),
            email: "camille.moreau@example.com".to_owned(),
            phone: "+33 6 39 98 01 23".to_owned(),
            address: "5 place du Marché".to_owned(),
            postcode: "31000".to_owned(),
            city: "Toulouse".to_owned(),
            ..TillCustomer::default()
        };
        let customers = accounts().chain([camille]).filter_map(|who| Some((who.id.parse().ok()?, who))).collect();
        Self { articles, customers, users: BTreeMap::from([(1, "gerante".to_owned())]) }
    }

    /// The articles, by id.
    pub fn articles(&self) -> &[Article] {
        &self.articles
    }

    /// An article.
    pub fn article(&self, id: u64) -> Option<&Article> {
        self.articles.iter().find(|article| article.id == id)
    }

    /// The departments, by id.
    pub fn departments(&self) -> &'static [Department] {
        DEPARTMENTS
    }

    /// A department.
    pub fn department(&self, id: u64) -> Option<&'static Department> {
        DEPARTMENTS.iter().find(|department| department.id == id)
    }

    /// The VAT rate of what belongs to no department, in percent.
    pub fn free_rate(&self) -> Decimal {
        Decimal::from(20)
    }

    /// The name of a variation.
    pub fn variation(&self, id: u64) -> Option<&'static str> {
        VARIATIONS.iter().find(|(known, _)| *known == id).map(|(_, name)| *name)
    }

    /// A way to pay.
    pub fn method(&self, id: u64) -> Option<Method> {
        METHODS.iter().copied().find(|method| method.id == id)
    }

    /// A customer.
    pub fn customer(&self, id: u64) -> Option<&TillCustomer> {
        self.customers.get(&id)
    }

    /// Every customer, by id.
    pub fn customers(&self) -> impl Iterator<Item = &TillCustomer> {
        self.customers.values()
    }

    /// Gives a new customer an account.
    pub fn add_customer(&mut self, mut who: TillCustomer) -> TillCustomer {
        let id = self.customers.keys().next_back().map_or(1, |last| last + 1);
        who.id = id.to_string();
        self.customers.insert(id, who.clone());
        who
    }

    /// The login of a user.
    pub fn user(&self, id: u64) -> Option<&str> {
        self.users.get(&id).map(String::as_str)
    }

    /// Every user: id and login.
    pub fn users(&self) -> impl Iterator<Item = (u64, &str)> {
        self.users.iter().map(|(id, login)| (*id, login.as_str()))
    }

    /// The user of those who name none; made when there is none yet.
    pub fn webservice_user(&mut self) -> u64 {
        if let Some((id, _)) = self.users.iter().find(|(_, login)| *login == WEBSERVICE) {
            return *id;
        }
        let id = self.users.keys().next_back().map_or(1, |last| last + 1);
        self.users.insert(id, WEBSERVICE.to_owned());
        id
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::new()
    }
}

/// The department of an article follows from its VAT rate.
fn department_of(rate: Decimal) -> u64 {
    DEPARTMENTS.iter().find(|department| department.rate == rate).map_or(5, |department| department.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_vendors_examples_name_exists() {
        let shop = Catalogue::new();
        assert!([11, 12, 15, 42].iter().all(|id| shop.article(*id).is_some()));
        assert!([3, 8].iter().all(|id| shop.variation(*id).is_some()));
        assert!([2, 123_456].iter().all(|id| shop.method(*id).is_some_and(|method| !method.is_refund)));
        assert!(shop.department(5).is_some() && shop.customer(123).is_some() && shop.user(1).is_some());
    }

    #[test]
    fn the_webservice_user_is_made_once_and_a_customer_gets_a_number_of_its_own() {
        let mut shop = Catalogue::new();
        let (first, second) = (shop.webservice_user(), shop.webservice_user());
        assert_eq!((first, second, shop.user(first)), (2, 2, Some("webservice")));
        let (one, two) = (shop.add_customer(TillCustomer::default()), shop.add_customer(TillCustomer::default()));
        assert_eq!((one.id.as_str(), two.id.as_str()), ("603", "604"));
    }
}

//! Forgetting a customer: who is meant, what they can be known by, and an order without them.
//!
//! An order outlives its customer's wish to be forgotten: the books need its number, its amounts and its VAT. So the
//! customer is taken out of it, with every field that we do not understand (nobody knows what stands there) and every
//! label that names them.

use std::collections::BTreeSet;

use super::{Customer, Item, Order, OrderContent, Timeline};

/// The shortest name and phone number that are searched for: anything shorter is in many texts by chance.
const SHORTEST: usize = 4;

/// The digits that telephone numbers are compared by: `+33 6 55 …` and `06 55 …` end alike.
const PHONE_DIGITS: usize = 9;

/// How many bytes of names, addresses and numbers are kept of a person; nobody has as many.
const MOST_TRACES: usize = 1 << 20;

/// The shortest first line of an address that is searched for.
const SHORTEST_ADDRESS: usize = 8;

/// Whom an operator means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Person {
    /// The customer with this number at the till (`clientID`); numbers are a shop's own.
    Client(String),
    /// Whoever has this e-mail address.
    Email(String),
}

impl Person {
    /// What tells the person from others: the kind of word that it is, and the word in the one spelling that all have in
    /// common which [`Person::is`] takes for the same.
    pub fn key(&self) -> (u8, String) {
        match self {
            Self::Client(id) => (b'c', id.trim().to_owned()),
            Self::Email(email) => (b'e', folded(email)),
        }
    }

    /// Whether this is the customer.
    pub fn is(&self, customer: &Customer) -> bool {
        let sent = match self {
            Self::Client(_) => customer.id.clone().map(Self::Client),
            Self::Email(_) => customer.email.clone().map(Self::Email),
        };
        sent.is_some_and(|sent| sent.key() == self.key())
    }
}

/// What a person can be known by in a text.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    clients: BTreeSet<String>,
    /// Searched for as they are: e-mail addresses, first lines of addresses.
    phrases: BTreeSet<String>,
    phones: BTreeSet<String>,
    /// The words of each name, all of which must be there.
    names: BTreeSet<Vec<String>>,
    /// How many bytes were learnt.
    size: usize,
}

impl Traces {
    /// What is known of the person before anything was found.
    pub fn of(person: &Person) -> Self {
        let mut traces = Self::default();
        match person {
            Person::Client(id) => traces.clients.insert(folded(id)),
            Person::Email(email) => traces.phrases.insert(folded(email)),
        };
        traces
    }

    /// Adds what an order says of the customer. The number at the till is not taken over: many may share one.
    pub fn learn(&mut self, customer: &Customer) {
        let said = [&customer.name, &customer.email, &customer.phone];
        self.size += said.into_iter().flatten().map(String::len).sum::<usize>();
        if self.size > MOST_TRACES {
            return;
        }
        let address = customer.address.as_ref().and_then(|address| address.line1.as_deref());
        let address = address.map(folded).filter(|line| line.len() >= SHORTEST_ADDRESS);
        let email = customer.email.as_deref().map(folded).filter(|email| email.contains('@'));
        self.phrases.extend(address.into_iter().chain(email));
        let digits: String =
            customer.phone.iter().flat_map(|phone| phone.chars()).filter(char::is_ascii_digit).collect();
        if digits.len() >= SHORTEST {
            self.phones.insert(digits[digits.len().saturating_sub(PHONE_DIGITS)..].to_owned());
        }
        let name: Vec<String> = words(&folded(customer.name.as_deref().unwrap_or_default()));
        if name.iter().map(|word| word.chars().count()).sum::<usize>() >= SHORTEST {
            self.names.insert(name);
        }
    }

    /// How many bytes of names, addresses and numbers were learnt.
    pub fn size(&self) -> usize {
        self.size.min(MOST_TRACES)
    }

    /// Whether a text of the person's own orders names them.
    pub fn are_in(&self, text: &str) -> bool {
        self.find(text, |_| true, |_| true)
    }

    /// Whether a text that may be anybody's names the person: not by a single word, which may be a town, nor by a few
    /// digits, which may be an amount.
    pub fn are_surely_in(&self, text: &str) -> bool {
        self.find(text, |name| name.len() > 1, |phone| phone.len() == PHONE_DIGITS)
    }

    fn find(&self, text: &str, tells: impl Fn(&[String]) -> bool, rings: impl Fn(&str) -> bool) -> bool {
        let text = folded(text);
        let has_words = |name: &Vec<String>| {
            let present: BTreeSet<String> = words(&text);
            tells(name) && name.iter().all(|word| present.contains(word))
        };
        self.phrases.iter().any(|phrase| text.contains(phrase))
            || self.phones.iter().any(|phone| rings(phone) && squeezed(&text).contains(phone))
            || self.names.iter().any(has_words)
            || self.clients.iter().any(|id| has_field(&text, "clientid", id))
    }
}

impl OrderContent {
    /// Takes the customer out, and what may name them.
    pub fn forget_customer(&mut self, traces: &Traces) {
        self.customer = None;
        self.extra.clear();
        self.items.iter_mut().flatten().for_each(|item| item.forget(traces));
    }
}

impl Timeline {
    /// Takes the customer out of both phases.
    pub fn forget_customer(&mut self, traces: &Traces) {
        [&mut self.validated, &mut self.terminated].into_iter().flatten().for_each(|said| said.forget_customer(traces));
    }
}

impl Order {
    /// Takes the customer out, and what may name them.
    pub fn forget_customer(&mut self, traces: &Traces) {
        self.customer = None;
        self.extra.clear();
        self.items.iter_mut().flatten().for_each(|item| item.forget(traces));
    }
}

impl Item {
    fn forget(&mut self, traces: &Traces) {
        self.extra.clear();
        self.label = self.label.take().filter(|label| !traces.are_in(label));
    }
}

/// Small letters, and one space wherever there was any.
fn folded(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn words<C: FromIterator<String>>(text: &str) -> C {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The text without what people put between the digits of a telephone number.
fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ' ' | '.' | '-' | '/' | '(' | ')')).collect()
}

/// Whether a field of this name has this value, whatever stands between the two.
fn has_field(text: &str, name: &str, value: &str) -> bool {
    text.split(name).skip(1).any(|rest| {
        let rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        rest.strip_prefix(value).is_some_and(|after| !after.starts_with(char::is_alphanumeric))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::Address;

    fn zoe() -> Customer {
        Customer {
            id: Some("512".into()),
            name: Some("Zoé Durand".into()),
            email: Some("zoe@durand.example".into()),
            phone: Some("+33 6 55 50 01 23".into()),
            address: Some(Address { line1: Some("12 rue des Lilas".into()), ..Address::default() }),
            ..Customer::default()
        }
    }

    #[test]
    fn a_person_is_found_in_a_text_by_all_that_is_known_of_them() {
        let mut traces = Traces::of(&Person::Client("512".into()));
        traces.learn(&zoe());
        for text in [
            "nom=DURAND&prenom=Zoé",
            "to ZOE@durand.example",
            "tel 06.55.50.01.23",
            "12  rue des LILAS",
            r#"{"clientID":"512"}"#,
            "clientID=512&price=5",
            "name=\"clientID\"\r\n\r\n512\r\n",
        ] {
            assert!(traces.are_in(text), "{text}");
        }
        for text in ["clientID=5120", "orderID=512", "Durandal, Zoé", "Zoé Martin", "12 rue du Lac", "6 55 50 01"] {
            assert!(!traces.are_in(text), "{text}");
        }
    }

    #[test]
    fn a_single_word_and_a_few_digits_are_somebody_only_in_their_own_orders() {
        let mut traces = Traces::default();
        let (name, phone) = (Some("Martin".to_owned()), Some("0000".to_owned()));
        traces.learn(&Customer { name, phone, ..Customer::default() });
        for text in ["Gâteau pour Martin", "Total 1000.00"] {
            assert!(traces.are_in(text) && !traces.are_surely_in(text), "{text}");
        }
        traces.learn(&zoe());
        assert!(traces.are_surely_in("nom=DURAND&prenom=Zoé") && traces.are_surely_in("06 55 50 01 23"));
    }

    #[test]
    fn an_order_without_its_customer_keeps_its_numbers() {
        let mut traces = Traces::default();
        traces.learn(&zoe());
        let label = |text: &str| Item { label: Some(text.into()), ..Item::default() };
        let mut content = OrderContent {
            order_id: Some("7".into()),
            customer: Some(zoe()),
            items: Some(vec![label("Baguette"), label("Gâteau pour Zoé Durand")]),
            extra: serde_json::from_str(r#"{"comment":"ring twice"}"#).expect("an object"),
            ..OrderContent::default()
        };
        content.forget_customer(&traces);
        let labels: Vec<_> = content.items.iter().flatten().map(|item| item.label.as_deref()).collect();
        assert_eq!(labels, [Some("Baguette"), None]);
        assert!(content.customer.is_none() && content.extra.is_empty());
        assert_eq!(content.order_id.as_deref(), Some("7"));
    }
}

//! What `webapp.php` and `editOrder.php` are asked to do (pos-api §3): the parameters, read and checked one by one.
//!
//! Decided here, because no page says it: without `payment`, as the vendor's own client program leaves it out at times, a
//! sale stays a quote; an empty parameter counts as none, but an empty `payment` is refused, for somebody meant to say
//! something; a customer is either named by `idClient` or new, and not both.
//!
//! **Invariant:** nothing here changes anything or looks at the shop.

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::{lines::Line, params::Params, refusal::Refusal, ticket::Notes};
use crate::till::order::TillCustomer;

/// The highest code of a delivery method.
const LAST_DELIVERY_METHOD: u8 = 6;

/// The fields of a new customer that have a place of their own: as documented, and as the vendor's own client program
/// writes them.
const LAST_NAME: [&str; 2] = ["nom", "lastname"];
const FIRST_NAME: [&str; 2] = ["prenom", "firstname"];
const EMAIL: [&str; 1] = ["email"];
const PHONE: [&str; 2] = ["telephone", "phone"];
const ADDRESS: [&str; 2] = ["adresseligne1", "address"];
const POSTCODE: [&str; 2] = ["codepostal", "zip"];
const CITY: [&str; 2] = ["ville", "city"];
const COUNTRY: [&str; 2] = ["pays", "country"];
const VAT_NUMBER: [&str; 1] = ["numtva"];

/// The other documented fields.
const MORE: [&str; 7] = ["adresseligne2", "commentaireadresse", "rcs", "codeBarre", "telephone2", "lat", "lng"];

/// What is to happen with the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pay {
    /// -2: not paid, not validated.
    Quote,
    /// -1: not paid, validated.
    Invoice,
    /// Paid, or given back, with this method.
    By(u64),
}

/// Who buys.
#[derive(Clone, Debug, PartialEq)]
pub enum Buyer {
    /// Nobody is named.
    Nobody,
    /// A customer who has an account.
    Known(u64),
    /// One who gets one.
    New(Box<TillCustomer>),
}

/// A sale, or a change to one.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The money; `None` where nothing is said.
    pub pay: Option<Pay>,
    /// How much is paid; `None` is all of it.
    pub amount: Option<Decimal>,
    /// Who buys.
    pub buyer: Buyer,
    /// At which cash box.
    pub cash_box: Option<u64>,
    /// How it is handed over.
    pub delivery_method: Option<u8>,
    /// The day it counts for.
    pub value: Option<Timestamp>,
    /// The rest of it.
    pub notes: Notes,
    /// What is sold.
    pub lines: Vec<Line>,
}

impl Wanted {
    /// Reads the parameters.
    ///
    /// # Errors
    /// When one of them is not as documented; the refusal names it.
    pub fn read(params: &Params) -> Result<Self, Refusal> {
        let pay = pay(params)?;
        let amount = params.amount("paymentAmount")?;
        if amount.is_some() && !matches!(pay, Some(Pay::By(_))) {
            return Err(Refusal::new("paymentAmount: `payment` names no payment method"));
        }
        Ok(Self {
            pay,
            amount,
            buyer: buyer(params)?,
            cash_box: params.integer("idcaisse")?,
            delivery_method: delivery_method(params)?,
            value: value_date(params)?,
            notes: notes(params)?,
            lines: params.list("itemsList").map(Line::read).collect::<Result<_, _>>()?,
        })
    }

    /// Whether anything but a payment is wanted.
    pub fn changes_the_order(&self) -> bool {
        let Self { buyer, cash_box, delivery_method, value, notes, lines, .. } = self;
        *buyer != Buyer::Nobody
            || cash_box.is_some()
            || delivery_method.is_some()
            || value.is_some()
            || !lines.is_empty()
            // Who takes the money may be somebody else than who sold.
            || Notes { user: None, ..notes.clone() } != Notes::default()
    }
}

fn pay(params: &Params) -> Result<Option<Pay>, Refusal> {
    match params.integer::<i64>("payment")? {
        None if params.has("payment") => Err(Refusal::new("payment: it is empty; use -2, -1 or a payment method's id")),
        None => Ok(None),
        Some(-2) => Ok(Some(Pay::Quote)),
        Some(-1) => Ok(Some(Pay::Invoice)),
        Some(id) => match u64::try_from(id) {
            Ok(id) => Ok(Some(Pay::By(id))),
            Err(_) => Err(Refusal::unknown("payment method", id)),
        },
    }
}

fn delivery_method(params: &Params) -> Result<Option<u8>, Refusal> {
    match params.integer::<u8>("deliveryMethod")? {
        Some(code) if code > LAST_DELIVERY_METHOD => Err(Refusal::unknown("delivery method", code)),
        code => Ok(code),
    }
}

fn value_date(params: &Params) -> Result<Option<Timestamp>, Refusal> {
    let at = params.integer("dateValeur")?.map(Timestamp::from_second).transpose();
    at.map_err(|_| Refusal::new("dateValeur: it is no time in Unix seconds"))
}

fn notes(params: &Params) -> Result<Notes, Refusal> {
    Ok(Notes {
        user: params.integer("idUser")?,
        table: params.integer("idtable")?,
        covers: params.integer("numcouverts")?,
        pager: params.integer("pagerNum")?,
        public_comment: params.text("publicComment").map(str::to_owned),
        private_comment: params.text("privateComment").map(str::to_owned),
    })
}

fn buyer(params: &Params) -> Result<Buyer, Refusal> {
    let is_new = params.fields("client").next().is_some();
    match params.integer("idClient")? {
        Some(_) if is_new => Err(Refusal::new("idClient and client[…]: a customer is either known or new")),
        Some(id) => Ok(Buyer::Known(id)),
        None if is_new => Ok(Buyer::New(Box::new(new_customer(params)?))),
        None => Ok(Buyer::Nobody),
    }
}

fn new_customer(params: &Params) -> Result<TillCustomer, Refusal> {
    let find = |names: &[&str]| {
        params.fields("client").find(|(field, _)| names.contains(field)).map(|(_, text)| text.to_owned())
    };
    let text = |names: &[&str]| find(names).unwrap_or_default();
    let country = find(&COUNTRY).map(|country| ("pays".to_owned(), country));
    let more = MORE.iter().filter_map(|name| Some(((*name).to_owned(), find(&[name])?)));
    let who = TillCustomer {
        id: String::new(),
        last_name: text(&LAST_NAME),
        first_name: text(&FIRST_NAME),
        email: text(&EMAIL),
        phone: text(&PHONE),
        address: text(&ADDRESS),
        postcode: text(&POSTCODE),
        city: text(&CITY),
        vat_number: find(&VAT_NUMBER),
        more: country.into_iter().chain(more).collect(),
    };
    match who.name().is_empty() && who.email.is_empty() {
        true => Err(Refusal::new("client[…]: a new customer needs a name or an e-mail address")),
        false => Ok(who),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &str) -> Result<Wanted, Refusal> {
        Wanted::read(&Params::read(form.as_bytes()))
    }

    #[test]
    fn both_spellings_of_a_new_customer_make_the_same_one() {
        let french =
            read("client[nom]=Durand&client[prenom]=Zo%C3%A9&client[codepostal]=75005&client[pays]=FR").expect("it");
        let vendor = read("client[lastname]=Durand&client[firstname]=Zo%C3%A9&client[zip]=75005&client[country]=FR")
            .expect("it");
        assert_eq!(french.buyer, vendor.buyer);
        let Buyer::New(who) = french.buyer else { panic!("a new customer") };
        assert_eq!((who.name().as_str(), who.postcode.as_str()), ("Zoé Durand", "75005"));
        assert_eq!(who.more, [("pays".to_owned(), "FR".to_owned())]);
    }

    #[test]
    fn a_payment_is_a_state_or_a_method_and_may_be_left_out() {
        assert_eq!(read("").expect("it").pay, None);
        assert_eq!(read("payment=-2").expect("it").pay, Some(Pay::Quote));
        assert_eq!(read("payment=-1").expect("it").pay, Some(Pay::Invoice));
        assert_eq!(read("payment=2&paymentAmount=7.50").expect("it").amount, Some(Decimal::new(750, 2)));
    }

    #[test]
    fn what_is_not_as_documented_is_refused_by_name() {
        for (form, name) in [
            ("payment=", "payment"),
            ("payment=cash", "payment"),
            ("payment=-3", "payment method"),
            ("payment=-1&paymentAmount=5", "paymentAmount"),
            ("payment=2&paymentAmount=-5", "paymentAmount"),
            ("payment=2&paymentAmount=5.001", "paymentAmount"),
            ("deliveryMethod=7", "delivery method"),
            ("idUser=me", "idUser"),
            ("idClient=123&client[nom]=X", "idClient"),
            ("client[ville]=Paris", "client"),
            ("dateValeur=99999999999999", "dateValeur"),
            ("itemsList[]=x", "itemsList"),
        ] {
            let refusal = read(form).expect_err(form);
            assert!(refusal.message().contains(name), "{form}: {refusal}");
        }
    }

    #[test]
    fn only_a_payment_changes_nothing_else() {
        assert!(!read("orderID=1&payment=2&idUser=1").expect("it").changes_the_order());
        for form in ["idClient=123", "itemsList[]=12", "publicComment=x", "idcaisse=2", "deliveryMethod=0"] {
            assert!(read(form).expect("it").changes_the_order(), "{form}");
        }
    }
}

//! A sale to record, or what to change about one: every parameter of pos-api §3.
//!
//! **Invariant:** a [`Line`] can only exist when the till can read it: no `_` in a title, no negative price, at most five
//! variations. Amounts go out digit for digit as they were given.

use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::order::DeliveryMethod;

/// How many variations a line may have.
pub const VARIATIONS: usize = 5;

/// Why something cannot be sent to the till.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaleError {
    /// The till takes a line apart at `_`.
    #[error("the title `{0}` contains `_`, at which the till takes a line apart: write a space or a `-`")]
    Underscore(String),
    /// A title with nothing in it.
    #[error("a line with a price of its own needs a title: write what is sold")]
    NoTitle,
    /// A title with a line break or the like.
    #[error("the title `{0}` contains a line break or another control character: write it on one line")]
    Control(String),
    /// A price below zero.
    #[error("the price {0} is negative, which the till does not take: a refund is made at the till itself")]
    Negative(Decimal),
    /// A quantity of nothing.
    #[error("the quantity {0} is not above zero")]
    NoQuantity(Decimal),
    /// More variations than the till reads.
    #[error("{0} variations are too many: the till takes at most {VARIATIONS} a line")]
    TooManyVariations(usize),
    /// A sale of nothing.
    #[error("there is nothing in the sale: give it at least one line")]
    NoLine,
    /// An amount that is no payment.
    #[error("the amount paid, {0}, is negative: the till's refund methods take it without a sign")]
    NegativeAmount(Decimal),
}

/// A line of a sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Article { id: u64, quantity: Option<Decimal>, own: Option<Own> },
    Department { id: u64, price: Decimal, title: String },
    Free { price: Decimal, title: String },
}

/// What a line says in place of its article.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Own {
    title: String,
    price: Decimal,
    variations: Vec<u64>,
}

impl Line {
    /// So many of an article (one, where not said), at its own price.
    ///
    /// # Errors
    /// When the quantity is not above zero.
    pub fn article(id: u64, quantity: Option<Decimal>) -> Result<Self, SaleError> {
        match quantity {
            Some(quantity) if quantity <= Decimal::ZERO => Err(SaleError::NoQuantity(quantity)),
            quantity => Ok(Self(Kind::Article { id, quantity, own: None })),
        }
    }

    /// So many of an article with a title and a price (for one, VAT included) of its own, and up to five variations.
    ///
    /// # Errors
    /// When the till could not read it.
    pub fn own_article(
        id: u64,
        quantity: Decimal,
        title: &str,
        price: Decimal,
        variations: Vec<u64>,
    ) -> Result<Self, SaleError> {
        if quantity <= Decimal::ZERO {
            return Err(SaleError::NoQuantity(quantity));
        }
        if variations.len() > VARIATIONS {
            return Err(SaleError::TooManyVariations(variations.len()));
        }
        let own = Own { title: checked_title(title)?, price: checked_price(price)?, variations };
        Ok(Self(Kind::Article { id, quantity: Some(quantity), own: Some(own) }))
    }

    /// Something that is no article, in a department.
    ///
    /// # Errors
    /// When the till could not read it.
    pub fn department(id: u64, price: Decimal, title: &str) -> Result<Self, SaleError> {
        Ok(Self(Kind::Department { id, price: checked_price(price)?, title: checked_title(title)? }))
    }

    /// Something that is no article.
    ///
    /// # Errors
    /// When the till could not read it.
    pub fn free(price: Decimal, title: &str) -> Result<Self, SaleError> {
        Ok(Self(Kind::Free { price: checked_price(price)?, title: checked_title(title)? }))
    }

    /// As the till reads it: `12_2_Pizza 4 fromages_14.50_3_8`.
    fn written(&self) -> String {
        match &self.0 {
            Kind::Article { id, quantity: None, .. } => id.to_string(),
            Kind::Article { id, quantity: Some(quantity), own: None } => format!("{id}_{quantity}"),
            Kind::Article { id, quantity: Some(quantity), own: Some(own) } => {
                let variations: String = own.variations.iter().map(|variation| format!("_{variation}")).collect();
                format!("{id}_{quantity}_{}_{}{variations}", own.title, own.price)
            }
            Kind::Department { id, price, title } => format!("-{id}_{price}_{title}"),
            Kind::Free { price, title } => format!("Free_{price}_{title}"),
        }
    }
}

fn checked_title(title: &str) -> Result<String, SaleError> {
    let title = title.trim();
    if title.is_empty() {
        Err(SaleError::NoTitle)
    } else if title.contains('_') {
        Err(SaleError::Underscore(title.to_owned()))
    } else if title.contains(char::is_control) {
        Err(SaleError::Control(title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()))
    } else {
        Ok(title.to_owned())
    }
}

fn checked_price(price: Decimal) -> Result<Decimal, SaleError> {
    if price.is_sign_negative() && !price.is_zero() { Err(SaleError::Negative(price)) } else { Ok(price) }
}

/// What is said about the payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payment {
    /// Not paid and not validated: a quote.
    Quote,
    /// Not paid and validated: an invoice.
    Invoice,
    /// Paid by one of the till's methods.
    Method {
        /// The method's id; it may be one of refunds.
        id: u64,
        /// How much; all of it where not said.
        amount: Option<Decimal>,
    },
}

impl Payment {
    /// Paid by a method.
    ///
    /// # Errors
    /// When the amount is negative.
    pub fn method(id: u64, amount: Option<Decimal>) -> Result<Self, SaleError> {
        match amount {
            Some(amount) if amount < Decimal::ZERO => Err(SaleError::NegativeAmount(amount)),
            amount => Ok(Self::Method { id, amount }),
        }
    }
}

/// Who buys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Buyer {
    /// A customer whom the till knows, by id.
    Known(u64),
    /// A new customer, whom the till is to remember.
    New(Vec<(CustomerField, String)>),
}

macro_rules! customer_fields {
    ($($(#[$doc:meta])* $field:ident = $name:literal,)*) => {
        /// What can be said about a new customer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum CustomerField {
            $($(#[$doc])* $field,)*
        }

        impl CustomerField {
            /// The till's name for it.
            pub fn till_name(self) -> &'static str {
                match self {
                    $(Self::$field => $name,)*
                }
            }
        }
    };
}

customer_fields! {
    /// Last name.
    LastName = "nom",
    /// First name.
    FirstName = "prenom",
    /// E-mail address.
    Email = "email",
    /// Telephone.
    Phone = "telephone",
    /// Street and number.
    Line1 = "adresseligne1",
    /// Building, floor.
    Line2 = "adresseligne2",
    /// What to know about the address.
    AddressNote = "commentaireadresse",
    /// Postcode.
    Postcode = "codepostal",
    /// Town.
    City = "ville",
    /// Country, in two letters.
    Country = "pays",
    /// VAT number.
    VatNumber = "numtva",
    /// Number in the trade register.
    TradeRegister = "rcs",
    /// Bar code of a loyalty card.
    BarCode = "codeBarre",
    /// Second telephone.
    Phone2 = "telephone2",
    /// Latitude.
    Latitude = "lat",
    /// Longitude.
    Longitude = "lng",
}

/// A sale to record, or what to change about an order.
#[derive(Clone, Debug, PartialEq)]
pub struct Sale {
    /// The payment, which the till wants to know every time.
    pub payment: Payment,
    /// What is sold; in an edit, what is added.
    pub lines: Vec<Line>,
    /// Who buys.
    pub buyer: Option<Buyer>,
    /// Who sells: an id; without one the till takes a user called "webservice".
    pub user: Option<u64>,
    /// The table: an id.
    pub table: Option<u64>,
    /// The cash box: an id.
    pub cash_box: Option<u64>,
    /// How many people eat.
    pub covers: Option<u64>,
    /// The number of the pager that the customer was given.
    pub pager: Option<u64>,
    /// A comment that the customer sees.
    pub public_comment: Option<String>,
    /// A comment that the customer does not see.
    pub private_comment: Option<String>,
    /// How it is handed over.
    pub delivery: Option<DeliveryMethod>,
    /// The day it counts for in the books.
    pub value_date: Option<Timestamp>,
}

impl Sale {
    /// A sale of nothing yet.
    pub fn new(payment: Payment) -> Self {
        Self {
            payment,
            lines: Vec::new(),
            buyer: None,
            user: None,
            table: None,
            cash_box: None,
            covers: None,
            pager: None,
            public_comment: None,
            private_comment: None,
            delivery: None,
            value_date: None,
        }
    }

    /// Checks that there is something in it, which an edit does not need.
    ///
    /// # Errors
    /// When there is not.
    pub fn demand_lines(&self) -> Result<(), SaleError> {
        if self.lines.is_empty() { Err(SaleError::NoLine) } else { Ok(()) }
    }

    /// The parameters beside shop and key, with the order's id for an edit.
    pub fn fields(&self, order: Option<&str>) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        let mut put = |name: &str, value: Option<String>| fields.extend(value.map(|value| (name.to_owned(), value)));
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        put("orderID", order.map(str::to_owned));
        put("idUser", number(self.user));
        let (payment, amount) = match self.payment {
            Payment::Quote => ("-2".to_owned(), None),
            Payment::Invoice => ("-1".to_owned(), None),
            Payment::Method { id, amount } => (id.to_string(), amount.map(|amount| amount.to_string())),
        };
        put("payment", Some(payment));
        put("paymentAmount", amount);
        put("deliveryMethod", self.delivery.as_ref().map(|method| method.code.clone()));
        put("idtable", number(self.table));
        put("idcaisse", number(self.cash_box));
        put("numcouverts", number(self.covers));
        put("pagerNum", number(self.pager));
        put("publicComment", self.public_comment.clone());
        put("privateComment", self.private_comment.clone());
        put("dateValeur", self.value_date.map(|at| at.as_second().to_string()));
        match &self.buyer {
            Some(Buyer::Known(id)) => put("idClient", Some(id.to_string())),
            Some(Buyer::New(said)) => {
                said.iter()
                    .for_each(|(field, text)| put(&format!("client[{}]", field.till_name()), Some(text.clone())));
            }
            None => {}
        }
        self.lines.iter().for_each(|line| put("itemsList[]", Some(line.written())));
        fields
    }
}

//! A sale to record, or what to change about one: every parameter of pos-api §3.

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::{Line, SaleError};
use crate::order::DeliveryMethod;

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

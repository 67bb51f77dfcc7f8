//! A line of a sale as the till reads it, and why something cannot be one (pos-api §3).
//!
//! **Invariant:** a [`Line`] can only exist when the till can read it: no `_` in a title, no negative price, at most five
//! variations. Amounts go out digit for digit as they were given.

use rust_decimal::Decimal;

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
    pub(super) fn written(&self) -> String {
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

//! The lines of a sale, as `itemsList[]` writes them (pos-api §3), and what they become on an order.
//!
//! **Invariant:** a line is either understood whole or refused with the reason; nothing about it is guessed.

use rust_decimal::Decimal;

use super::{catalogue::Catalogue, refusal::Refusal};
use crate::till::order::TillItem;

/// How many variations a line may have.
const MOST_VARIATIONS: usize = 5;

/// The highest price and the highest quantity of a line; a typing error is far beyond.
const HIGHEST: i64 = 1_000_000;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// An article of the catalogue: `12`, `12_2`, `12_2_Title_14.50`, `12_2_Title_14.50_3_8`.
    Article {
        /// Which one.
        id: u64,
        /// How many.
        quantity: Decimal,
        /// In place of its own title.
        title: Option<String>,
        /// For one, in place of its own price.
        price: Option<Decimal>,
        /// Variations, at most five.
        variations: Vec<u64>,
    },
    /// Anything, of a department: `-5_9.99_Title`.
    Department {
        /// Which one.
        id: u64,
        /// For one.
        price: Decimal,
        /// What it is.
        title: String,
    },
    /// Anything at all: `Free_9.99_Title`.
    Free {
        /// For one.
        price: Decimal,
        /// What it is.
        title: String,
    },
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// When it is none of the documented kinds.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        let parts: Vec<&str> = text.split('_').map(str::trim).collect();
        match (parts[0].strip_prefix('-'), parts[0]) {
            (Some(department), _) => {
                let (price, title) = priced(text, &parts)?;
                Ok(Self::Department { id: id(text, department)?, price, title })
            }
            (None, "Free") => {
                let (price, title) = priced(text, &parts)?;
                Ok(Self::Free { price, title })
            }
            (None, article) => Self::read_article(text, article, &parts[1..]),
        }
    }

    fn read_article(text: &str, article: &str, rest: &[&str]) -> Result<Self, Refusal> {
        let given = |place: usize| rest.get(place).copied().filter(|part| !part.is_empty());
        let numbers = rest.get(3..).unwrap_or_default();
        // What follows the price can only be variations; a word there is the rest of a title.
        let variations: Result<Vec<u64>, _> =
            numbers.iter().filter(|part| !part.is_empty()).map(|it| it.parse()).collect();
        let Ok(variations) = variations else { return Err(underscore(text)) };
        if variations.len() > MOST_VARIATIONS {
            return Err(Refusal::new(format!("itemsList: `{text}` has more than {MOST_VARIATIONS} variations")));
        }
        Ok(Self::Article {
            id: id(text, article)?,
            quantity: given(0).map_or(Ok(Decimal::ONE), |quantity| positive(text, "quantity", quantity))?,
            title: given(1).map(str::to_owned),
            price: given(2).map(|price| amount(text, "price", price)).transpose()?,
            variations,
        })
    }

    /// What the line is on an order.
    ///
    /// # Errors
    /// When the catalogue has no such article, department or variation.
    pub fn item(&self, catalogue: &Catalogue) -> Result<TillItem, Refusal> {
        match self {
            Self::Article { id, quantity, title, price, variations } => {
                let article = catalogue.article(*id).ok_or_else(|| Refusal::unknown("article", id))?;
                let mut title = title.clone().unwrap_or_else(|| article.title.to_owned());
                // A variation has no price of its own: PRICE is for one unit as it is sold.
                let names = variations
                    .iter()
                    .map(|id| catalogue.variation(*id).ok_or_else(|| Refusal::unknown("variation", id)));
                let names = names.collect::<Result<Vec<_>, _>>()?;
                if !names.is_empty() {
                    title = format!("{title} ({})", names.join(", "));
                }
                let unit_price = price.unwrap_or(article.price);
                Ok(TillItem { id: id.to_string(), title, quantity: *quantity, unit_price, vat_rate: article.rate })
            }
            Self::Department { id, price, title } => {
                let department = catalogue.department(*id).ok_or_else(|| Refusal::unknown("department", id))?;
                Ok(free(&format!("-{id}"), *price, title, department.rate))
            }
            Self::Free { price, title } => Ok(free("Free", *price, title, catalogue.free_rate())),
        }
    }
}

fn free(id: &str, price: Decimal, title: &str, vat_rate: Decimal) -> TillItem {
    TillItem { id: id.to_owned(), title: title.to_owned(), quantity: Decimal::ONE, unit_price: price, vat_rate }
}

/// The price and the title of a line that has both.
fn priced(text: &str, parts: &[&str]) -> Result<(Decimal, String), Refusal> {
    match parts {
        [_, price, title] if !title.is_empty() => Ok((amount(text, "price", price)?, (*title).to_owned())),
        [_, _, _, ..] if parts.len() > 3 => Err(underscore(text)),
        _ => Err(Refusal::new(format!("itemsList: `{text}` needs a price and a title"))),
    }
}

fn underscore(text: &str) -> Refusal {
    Refusal::new(format!("itemsList: `{text}` has too many parts; a title may not contain `_`"))
}

fn id(text: &str, part: &str) -> Result<u64, Refusal> {
    part.parse().map_err(|_| Refusal::new(format!("itemsList: `{text}` begins with neither an id nor `Free`")))
}

fn positive(text: &str, what: &str, part: &str) -> Result<Decimal, Refusal> {
    amount(text, what, part).and_then(|it| match it.is_zero() {
        true => Err(Refusal::new(format!("itemsList: the {what} of `{text}` is zero"))),
        false => Ok(it),
    })
}

fn amount(text: &str, what: &str, part: &str) -> Result<Decimal, Refusal> {
    let fits = |it: &Decimal| !it.is_sign_negative() && *it <= Decimal::from(HIGHEST) && it.scale() <= 4;
    let plain = part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let read = plain.then(|| part.parse().ok()).flatten().filter(fits);
    read.ok_or_else(|| {
        Refusal::new(format!("itemsList: the {what} of `{text}` is no number like `14.50` between 0 and {HIGHEST}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &str) -> Result<TillItem, Refusal> {
        Line::read(text)?.item(&Catalogue::new())
    }

    fn shown(text: &str) -> (String, String, String) {
        let item = item(text).unwrap_or_else(|refusal| panic!("{text}: {}", refusal.message()));
        (item.title, item.quantity.to_string(), item.unit_price.to_string())
    }

    #[test]
    fn every_documented_kind_of_line_is_understood() {
        let expect = |text, title: &str, quantity: &str, price: &str| {
            assert_eq!(shown(text), (title.to_owned(), quantity.to_owned(), price.to_owned()), "{text}");
        };
        expect("12", "Menu midi", "1", "12.90");
        expect("12_2", "Menu midi", "2", "12.90");
        expect("42_1_Menu midi_12.90", "Menu midi", "1", "12.90");
        expect("12_2_Pizza 4 fromages_14.50_3_8", "Pizza 4 fromages (Pâte fine, Sans oignons)", "2", "14.50");
        expect("-5_9.99_Vente libre", "Vente libre", "1", "9.99");
        expect("Free_12.99_Item", "Item", "1", "12.99");
        expect("Free_19_Item", "Item", "1", "19");
        expect("3_0.25", "Pain au levain (kg)", "0.25", "6.80");
        // The vendor's own client leaves title and price empty.
        expect("11_1__", "Crème brûlée", "1", "5.50");
    }

    #[test]
    fn what_is_not_documented_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "neither an id"),
            ("pizza", "neither an id"),
            ("-x_9.99_T", "neither an id"),
            ("999", "unknown article: 999"),
            ("-9_9.99_T", "unknown department: 9"),
            ("12_1_T_1_99", "unknown variation: 99"),
            ("12_1_T_1_3_3_3_3_3_3", "more than 5 variations"),
            ("12_1_a_b_c", "may not contain `_`"),
            ("Free_9.99_a_b", "may not contain `_`"),
            ("Free_9.99", "needs a price and a title"),
            ("Free_9.99_", "needs a price and a title"),
            ("Free_-9.99_T", "no number"),
            ("Free_9,99_T", "no number"),
            ("Free_1e3_T", "no number"),
            ("12_0", "is zero"),
            ("12_-1", "no number"),
            ("12_99999999999999999999999999999999", "no number"),
        ] {
            let refusal = item(text).expect_err(text);
            assert!(refusal.message().contains(reason), "{text}: {}", refusal.message());
        }
    }
}

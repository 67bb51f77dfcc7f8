//! What is sold and to whom: a small bakery that serves lunch, and the customers who have an account there.
//!
//! Everything is invented. Names and titles have accents, because a real till's have, and stay within ISO-8859-1, so
//! that an order survives every charset an announcement can be written in.

use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;

use super::{
    dice::Dice,
    order::{TillCustomer, TillItem, TillOrder},
};

/// An article: id, title, price in cents (VAT included), VAT in tenths of a percent, and the quantities it is sold in,
/// in thousandths.
type Article = (u32, &'static str, i64, i64, &'static [i64]);

const BY_PIECE: &[i64] = &[1000, 1000, 1000, 2000, 3000];
const BY_WEIGHT: &[i64] = &[250, 500, 750];

/// The catalogue. Weighed articles cost a multiple of four cents a kilogram, so that every line is exact to the cent.
const ARTICLES: &[Article] = &[
    (1, "Baguette tradition", 130, 55, BY_PIECE),
    (2, "Croissant au beurre", 120, 55, BY_PIECE),
    (3, "Pain au levain (kg)", 680, 55, BY_WEIGHT),
    (4, "Tarte aux pommes", 390, 55, BY_PIECE),
    (5, "Comté 18 mois (kg)", 2880, 55, BY_WEIGHT),
    (11, "Crème brûlée", 550, 100, BY_PIECE),
    (12, "Menu midi", 1290, 100, BY_PIECE),
    (13, "Quiche & salade", 890, 100, BY_PIECE),
    (14, "Café allongé", 220, 100, BY_PIECE),
    (15, "Thé à la menthe", 310, 100, BY_PIECE),
    (21, "Verre de Saint-Émilion", 600, 200, BY_PIECE),
    (22, "Bière artisanale 33 cl", 480, 200, BY_PIECE),
    (31, "Sac \"Dupont\" en coton", 700, 200, BY_PIECE),
];

/// The customers: id, first name, last name, e-mail address, street, post code, town, VAT number. None exists: the
/// telephone numbers made of the ids are from the range kept for fiction, the domains are those kept for examples.
type Account = (u32, &'static str, &'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

const CUSTOMERS: &[Account] = &[
    (512, "Zoé", "Durand", "zoe.durand@example.com", "10 rue des Écoles", "75005", "Paris", ""),
    (513, "François", "Lefèvre", "f.lefevre@example.org", "3 impasse du Chêne", "69003", "Lyon", ""),
    (514, "Anaïs", "O'Brien", "anais@example.net", "27 quai de la Fosse", "44000", "Nantes", ""),
    (601, "", "Hôtel du Théâtre", "compta@hotel.example", "1 place du Théâtre", "33000", "Bordeaux", "FR00999999999"),
    (
        602,
        "",
        "Traiteur Müller & Fils",
        "achats@muller.example",
        "8 rue d'Alsace",
        "67000",
        "Strasbourg",
        "FR00888888888",
    ),
];

/// How the sample shop hands over its goods: mostly at the counter, on site or to take away.
const DELIVERY_METHODS: &[u8] = &[4, 4, 2, 2, 0, 1];

/// A plausible order for a test call: its identities begin with `TEST-`, follow from `seed` and `now`, and are marked.
/// A refund has negative amounts. There is no invoice to fetch.
pub fn sample_order(seed: u64, zone: &TimeZone, now: Timestamp, refund: bool) -> TillOrder {
    let mut dice = Dice::new(seed);
    let number = format!("TEST-{}-{:04x}", now.as_second(), seed & 0xffff);
    let mut order = any_order(&mut dice, zone, now);
    order.internal_id = format!("{number}-i");
    order.order_id = number;
    order.test = true;
    if refund { refunded(order) } else { order }
}

/// An order without identity: two in three are anonymous, the others have a customer.
pub(super) fn any_order(dice: &mut Dice, zone: &TimeZone, now: Timestamp) -> TillOrder {
    let at = Timestamp::from_second(now.as_second()).unwrap_or(now).to_zoned(zone.clone());
    TillOrder {
        order_id: String::new(),
        internal_id: String::new(),
        customer: dice.one_in(3).then(|| customer(dice, &CUSTOMERS[..3])),
        items: basket(dice),
        is_refund: false,
        cash_box_id: dice.between(1, 2).to_string(),
        delivery_method: *dice.pick(DELIVERY_METHODS),
        created: Some(at.clone()),
        validated: Some(at.clone()),
        value: Some(at),
        pdf_url: None,
        verification_url: None,
        test: false,
    }
}

/// Everything on the shelf: id, title, price and VAT rate.
pub(super) fn articles() -> impl Iterator<Item = (u64, &'static str, Decimal, Decimal)> {
    let article = |&(id, title, cents, per_mille, _): &Article| {
        (u64::from(id), title, Decimal::new(cents, 2), Decimal::new(per_mille, 1).normalize())
    };
    ARTICLES.iter().map(article)
}

/// Everybody who has an account.
pub(super) fn accounts() -> impl Iterator<Item = TillCustomer> {
    CUSTOMERS.iter().map(account)
}

/// A customer who pays later: a company.
pub(super) fn account_customer(dice: &mut Dice) -> TillCustomer {
    customer(dice, &CUSTOMERS[3..])
}

/// The same order with the money going back.
pub(super) fn refunded(mut order: TillOrder) -> TillOrder {
    order.is_refund = true;
    for item in &mut order.items {
        item.unit_price = -item.unit_price;
    }
    order
}

/// One to four different articles.
fn basket(dice: &mut Dice) -> Vec<TillItem> {
    let start = usize::try_from(dice.between(0, 100)).unwrap_or(0);
    let lines = usize::try_from(dice.between(1, 4)).unwrap_or(1);
    // 13 articles and a step of 5: the lines of a basket are never the same article.
    (0..lines).map(|line| item(dice, &ARTICLES[(start + line * 5) % ARTICLES.len()])).collect()
}

fn item(dice: &mut Dice, &(id, title, cents, per_mille, quantities): &Article) -> TillItem {
    TillItem {
        id: id.to_string(),
        title: title.to_owned(),
        quantity: Decimal::new(*dice.pick(quantities), 3).normalize(),
        unit_price: Decimal::new(cents, 2),
        vat_rate: Decimal::new(per_mille, 1).normalize(),
    }
}

fn customer(dice: &mut Dice, among: &[Account]) -> TillCustomer {
    account(dice.pick(among))
}

fn account(&(id, first_name, last_name, email, address, postcode, city, vat_number): &Account) -> TillCustomer {
    TillCustomer {
        id: id.to_string(),
        last_name: last_name.to_owned(),
        first_name: first_name.to_owned(),
        email: email.to_owned(),
        phone: format!("+33 6 39 98 {:02} {:02}", id / 100, id % 100),
        address: address.to_owned(),
        postcode: postcode.to_owned(),
        city: city.to_owned(),
        vat_number: (!vat_number.is_empty()).then(|| vat_number.to_owned()),
        more: Vec::new(),
    }
}

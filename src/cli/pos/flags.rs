//! How a sale is typed: `--item 12:2`, `--free 9.99:"Vente libre"`, `--payment invoice`.
//!
//! What can be seen to be wrong is refused here, before anything is sent.

use clap::Args;
use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;

use super::typed::whole;
use crate::{
    cli::{Exit, Stop, day::Day},
    order::{DeliveryMethod, day_of, midnight},
    till::api::{Buyer, CustomerField, Line, Payment, Sale, SaleError},
};

/// What stands above the flags of a new customer in the help.
const NEW_CUSTOMER: &str = "A new customer, in place of --customer";

/// What is said about a sale.
#[derive(Debug, Args)]
pub struct SaleFlags {
    /// An article: ID, ID:QUANTITY, or ID:QUANTITY:TITLE:PRICE[:VARIATION,…] with a title and price of its own
    #[arg(long = "item", value_name = "ID:…", value_parser = item, allow_hyphen_values = true)]
    items: Vec<Line>,
    /// Something that is no article
    #[arg(long = "free", value_name = "PRICE:TITLE", value_parser = free, allow_hyphen_values = true)]
    free: Vec<Line>,
    /// Something that is no article, in a department
    #[arg(long = "department", value_name = "ID:PRICE:TITLE", value_parser = department, allow_hyphen_values = true)]
    departments: Vec<Line>,
    /// quote (neither paid nor validated), invoice (validated and not paid), or the id of the payment method
    #[arg(long, value_name = "quote|invoice|ID", value_parser = payment)]
    payment: Option<Payment>,
    /// What was paid by the method [default: all of it]
    #[arg(long, value_name = "AMOUNT", value_parser = amount, allow_hyphen_values = true)]
    amount: Option<Decimal>,
    /// A customer whom the till knows
    #[arg(long, value_name = "ID", value_parser = whole::<u64>)]
    customer: Option<u64>,
    #[command(flatten)]
    client: NewCustomer,
    /// Who sells [default: the till's user "webservice"]
    #[arg(long, value_name = "ID", value_parser = whole::<u64>)]
    user: Option<u64>,
    /// The table
    #[arg(long, value_name = "ID", value_parser = whole::<u64>)]
    table: Option<u64>,
    /// The cash box
    #[arg(long, value_name = "ID", value_parser = whole::<u64>)]
    cash_box: Option<u64>,
    /// How many people eat
    #[arg(long, value_name = "N", value_parser = whole::<u64>)]
    covers: Option<u64>,
    /// The number of the customer's pager
    #[arg(long, value_name = "N", value_parser = whole::<u64>)]
    pager: Option<u64>,
    /// A comment that the customer sees
    #[arg(long, value_name = "TEXT")]
    public_comment: Option<String>,
    /// A comment that the customer does not see
    #[arg(long, value_name = "TEXT")]
    private_comment: Option<String>,
    /// How it is handed over: take_away, delivery, on_site, drive_thru, counter, relay_point, shipped, or 0 to 6
    #[arg(long, value_name = "METHOD", value_parser = delivery)]
    delivery: Option<DeliveryMethod>,
    /// The day it counts for in the books: 2026-11-21, today, yesterday
    #[arg(long, value_name = "D")]
    date: Option<Day>,
}

macro_rules! new_customer {
    ($($(#[$doc:meta])* $flag:ident, $long:literal => $field:ident;)*) => {
        /// A customer whom the till is to remember, under the till's own names.
        #[derive(Debug, Args)]
        struct NewCustomer {
            $(
                $(#[$doc])*
                #[arg(long = $long, value_name = "TEXT", conflicts_with = "customer", help_heading = NEW_CUSTOMER)]
                $flag: Option<String>,
            )*
        }

        impl NewCustomer {
            fn said(&self) -> Vec<(CustomerField, String)> {
                let said = [$((CustomerField::$field, &self.$flag)),*];
                said.into_iter().filter_map(|(field, text)| Some((field, text.clone()?))).collect()
            }
        }
    };
}

new_customer! {
    /// Last name
    nom, "client-nom" => LastName;
    /// First name
    prenom, "client-prenom" => FirstName;
    /// E-mail address
    email, "client-email" => Email;
    /// Telephone
    telephone, "client-telephone" => Phone;
    /// Street and number
    adresseligne1, "client-adresseligne1" => Line1;
    /// Building, floor
    adresseligne2, "client-adresseligne2" => Line2;
    /// What to know about the address
    commentaireadresse, "client-commentaireadresse" => AddressNote;
    /// Postcode
    codepostal, "client-codepostal" => Postcode;
    /// Town
    ville, "client-ville" => City;
    /// Country: FR
    pays, "client-pays" => Country;
    /// VAT number
    numtva, "client-numtva" => VatNumber;
    /// Number in the trade register
    rcs, "client-rcs" => TradeRegister;
    /// Bar code of a loyalty card
    code_barre, "client-codebarre" => BarCode;
    /// Second telephone
    telephone2, "client-telephone2" => Phone2;
    /// Latitude: 48.848
    lat, "client-lat" => Latitude;
    /// Longitude: 2.347
    lng, "client-lng" => Longitude;
}

impl SaleFlags {
    /// The sale. Days are those on the wall of `zone`.
    ///
    /// # Errors
    /// When something is missing or does not fit together.
    pub fn sale(&self, zone: &TimeZone, now: Timestamp) -> anyhow::Result<Sale> {
        let lines = [&self.items, &self.departments, &self.free].into_iter().flatten().cloned().collect();
        let new = self.client.said();
        let buyer = self.customer.map(Buyer::Known).or((!new.is_empty()).then_some(Buyer::New(new)));
        let today = day_of(now, zone);
        Ok(Sale {
            lines,
            buyer,
            user: self.user,
            table: self.table,
            cash_box: self.cash_box,
            covers: self.covers,
            pager: self.pager,
            public_comment: self.public_comment.clone(),
            private_comment: self.private_comment.clone(),
            delivery: self.delivery.clone(),
            value_date: self.date.map(|day| midnight(day.seen_from(today), zone)),
            ..Sale::new(self.payment()?)
        })
    }

    fn payment(&self) -> anyhow::Result<Payment> {
        let refuse = |what: &str, fix: &str| Err(Stop::with_fix(Exit::Usage, what, fix));
        match (self.payment, self.amount) {
            (None, _) => refuse(
                "nothing is said about the payment",
                "give --payment quote, --payment invoice, or --payment with an id from `tillhook pos list payment-methods`",
            ),
            (Some(Payment::Quote | Payment::Invoice), Some(_)) => {
                refuse("an amount is paid by no method", "give the method's id with --payment, or leave --amount out")
            }
            (Some(Payment::Method { id, .. }), amount) => {
                Payment::method(id, amount).or_else(|error| refuse(&error.to_string(), "correct --amount"))
            }
            (Some(payment), None) => Ok(payment),
        }
    }
}

fn item(text: &str) -> Result<Line, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let line = match parts[..] {
        [id] => Line::article(whole(id)?, None),
        [id, count] => Line::article(whole(id)?, Some(quantity(count)?)),
        [id, count, title, price] => Line::own_article(whole(id)?, quantity(count)?, title, amount(price)?, Vec::new()),
        [id, count, title, price, variations] => {
            let variations = variations.split(',').map(whole).collect::<Result<_, _>>()?;
            Line::own_article(whole(id)?, quantity(count)?, title, amount(price)?, variations)
        }
        [_, _, _] => return Err("a title needs a price behind it: write 12:2:TITLE:14.50".to_owned()),
        _ => {
            return Err("write 12, 12:2, 12:2:TITLE:14.50 or 12:2:TITLE:14.50:3,8, with no `:` in the title".to_owned());
        }
    };
    line.map_err(words)
}

fn free(text: &str) -> Result<Line, String> {
    let (price, title) = text.split_once(':').ok_or("write 9.99:TITLE")?;
    Line::free(amount(price)?, title).map_err(words)
}

fn department(text: &str) -> Result<Line, String> {
    let (id, rest) = text.split_once(':').ok_or("write 5:9.99:TITLE")?;
    let (price, title) = rest.split_once(':').ok_or("write 5:9.99:TITLE")?;
    Line::department(whole(id)?, amount(price)?, title).map_err(words)
}

fn payment(text: &str) -> Result<Payment, String> {
    match text {
        "quote" => Ok(Payment::Quote),
        "invoice" => Ok(Payment::Invoice),
        id => id.parse().map(|id| Payment::Method { id, amount: None }).map_err(|_| {
            "write quote, invoice, or the id of a payment method (`tillhook pos list payment-methods`)".to_owned()
        }),
    }
}

/// The method of a code from 0 to 6, or of our word for it.
fn delivery(text: &str) -> Result<DeliveryMethod, String> {
    let all = || (0..=6).map(|code| DeliveryMethod::from_code(&code.to_string()));
    let word = text.replace('-', "_");
    all().find(|method| method.code == text || method.name == word).ok_or_else(|| {
        let names: Vec<String> = all().map(|method| format!("{} ({})", method.name, method.code)).collect();
        format!("write one of {}", names.join(", "))
    })
}

/// An amount of money: a till would round what has more decimals.
fn amount(text: &str) -> Result<Decimal, String> {
    match decimal(text) {
        Some(amount) if amount.normalize().scale() <= 2 => Ok(amount),
        Some(_) => Err(format!("`{}` has more than two decimals: write an amount such as 14.50", text.trim())),
        None => Err(format!("`{}` is no amount: write one such as 14.50", text.trim())),
    }
}

/// How many, or how much.
fn quantity(text: &str) -> Result<Decimal, String> {
    decimal(text).ok_or_else(|| format!("`{}` is no quantity: write one such as 2 or 0.350", text.trim()))
}

/// A decimal with a dot, and nothing that a library might take for one besides.
fn decimal(text: &str) -> Option<Decimal> {
    let text = text.trim();
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b".-".contains(&byte));
    if plain { Decimal::from_str_exact(text).ok() } else { None }
}

fn words(error: SaleError) -> String {
    error.to_string()
}

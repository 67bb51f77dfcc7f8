//! What one call of the till says, once its bytes are understood.
//!
//! Every field may be absent: what was not sent or not understood is `None` or stays in `extra`, and nothing is invented.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{Moment, Money, Number, Verification};
use crate::json;

/// A decoded call.
#[derive(Clone, Debug, PartialEq)]
pub enum Notification {
    /// One of the two announcements of an order.
    Order(Box<OrderNotice>),
    /// A till was opened.
    CashBoxOpened(CashBoxNotice),
    /// A till was closed.
    CashBoxClosed(CashBoxNotice),
    /// A type that we do not know: kept, never refused.
    Unknown(UnknownNotice),
}

/// Which of the two announcements of an order this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The order has its number and its invoice.
    Validated,
    /// The order is paid in full.
    Terminated,
}

impl Phase {
    /// The till's word for it, which is also ours in the database: `validated` or `terminated`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validated => "validated",
            Self::Terminated => "terminated",
        }
    }
}

/// An announcement of an order. At least one of `content.order_id` and `content.internal_id` is present.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderNotice {
    /// Which announcement.
    pub phase: Phase,
    /// What it says about the order.
    pub content: OrderContent,
    /// `PDFinvoice`: where the invoice can be fetched, once. Not part of the content: two links to one invoice differ.
    pub invoice_url: Option<String>,
    /// `signatureVerificationURL`. Not part of the content either.
    pub verification_url: Option<String>,
    /// Whether `send-test` made it.
    pub test: bool,
}

/// Everything an announcement says about an order, except its phase and its links.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OrderContent {
    /// `orderID`: the number in the shop's accounting, sequential without holes.
    pub order_id: Option<String>,
    /// `orderInternalID`: the identity within the shop.
    pub internal_id: Option<String>,
    /// `isRefund`.
    pub is_refund: Option<bool>,
    /// `creationDate`, `validationDate`, `valueDate`.
    pub dates: SentDates,
    /// `price`: the total, VAT included.
    pub total: Option<Money>,
    /// `VAT`: the total VAT.
    pub total_vat: Option<Money>,
    /// `VATs`.
    pub vat: Option<Vec<VatLine>>,
    /// `items`.
    pub items: Option<Vec<Item>>,
    /// `customer` or `client`, with `clientID`; `None` for a counter sale.
    pub customer: Option<Customer>,
    /// `cashBoxID`.
    pub cash_box_id: Option<String>,
    /// `deliveryMethod`.
    pub delivery_method: Option<DeliveryMethod>,
    /// Which of these fields were sent and not understood. What was sent stays in `extra`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<SentField>,
    /// Fields that we do not understand, under the till's names.
    #[serde(default, deserialize_with = "json::map")]
    pub extra: Map<String, Value>,
}

/// A field of an order that a reader relies on, by the name that the till documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SentField {
    /// The total.
    #[serde(rename = "price")]
    Price,
    /// The total VAT.
    #[serde(rename = "VAT")]
    Vat,
    /// The VAT by rate.
    #[serde(rename = "VATs")]
    Vats,
    /// The lines, or an amount, a quantity or a rate of one.
    #[serde(rename = "items")]
    Items,
    /// Who bought.
    #[serde(rename = "customer")]
    Customer,
    /// Whether money went back.
    #[serde(rename = "isRefund")]
    IsRefund,
    /// When the order was begun.
    #[serde(rename = "creationDate")]
    CreationDate,
    /// When its invoice was made.
    #[serde(rename = "validationDate")]
    ValidationDate,
    /// The day it counts for.
    #[serde(rename = "valueDate")]
    ValueDate,
}

/// The dates the till sent, with the shop's offset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SentDates {
    /// When the order was begun.
    pub created: Option<Moment>,
    /// When its invoice was made.
    pub validated: Option<Moment>,
    /// The day it counts for in the books.
    pub value: Option<Moment>,
}

/// A VAT rate of an order and its amounts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VatLine {
    /// Percent: `10`, `5.5`.
    pub rate: Option<Number>,
    /// Without VAT.
    pub net: Option<Money>,
    /// The VAT.
    pub vat: Option<Money>,
    /// With VAT.
    pub gross: Option<Money>,
}

/// A line of an order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The article, where the line has one.
    pub id: Option<String>,
    /// What the customer reads.
    pub label: Option<String>,
    /// How many, or how much.
    pub quantity: Option<Number>,
    /// For one, VAT included.
    pub unit_price: Option<Money>,
    /// For the line, VAT included.
    pub total: Option<Money>,
    /// Percent.
    pub vat_rate: Option<Number>,
    /// Fields that we do not understand.
    #[serde(default, deserialize_with = "json::map")]
    pub extra: Map<String, Value>,
}

/// Who bought. Personal data: only `id`, `name` and `is_company` leave without being asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Customer {
    /// The till's number for the customer.
    pub id: Option<String>,
    /// First and last name, or the company's.
    pub name: Option<String>,
    /// Whether a VAT or registration number or a company name was sent.
    pub is_company: Option<bool>,
    /// E-mail address, as sent.
    #[serde(default)]
    pub email: Option<String>,
    /// Telephone number, as sent.
    #[serde(default)]
    pub phone: Option<String>,
    /// Postal address.
    #[serde(default)]
    pub address: Option<Address>,
    /// The rest, under the till's names.
    #[serde(default, deserialize_with = "json::map")]
    pub extra: Map<String, Value>,
}

/// A postal address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Address {
    /// Street and number.
    pub line1: Option<String>,
    /// Building, floor.
    pub line2: Option<String>,
    /// A word to whoever delivers.
    pub note: Option<String>,
    /// Post code.
    pub postcode: Option<String>,
    /// Town.
    pub city: Option<String>,
    /// Country, as sent.
    pub country: Option<String>,
}

/// How the customer gets the goods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryMethod {
    /// The till's number, also one that we do not know.
    pub code: String,
    /// Our word for it; `unknown` where we have none.
    pub name: String,
}

impl DeliveryMethod {
    /// The method with this code (0…6 are documented).
    pub fn from_code(code: &str) -> Self {
        let name = match code {
            "0" => "take_away",
            "1" => "delivery",
            "2" => "on_site",
            "3" => "drive_thru",
            "4" => "counter",
            "5" => "relay_point",
            "6" => "shipped",
            _ => "unknown",
        };
        Self { code: code.to_owned(), name: name.to_owned() }
    }
}

/// A till was opened or closed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CashBoxNotice {
    /// Which till.
    pub cash_box_id: Option<String>,
    /// When the period began.
    pub opened: Option<Moment>,
    /// When it ended.
    pub closed: Option<Moment>,
    /// What was taken in the period.
    pub total: Option<Money>,
    /// Fields that we do not understand.
    #[serde(default, deserialize_with = "json::map")]
    pub extra: Map<String, Value>,
    /// `signatureVerificationURL`; no part of what a subscriber is told.
    #[serde(skip)]
    pub verification_url: Option<String>,
    /// Whether the till confirms the call; `None` where it is not asked. Filled in when it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
}

/// A call whose `type` is none that we know.
#[derive(Clone, Debug, PartialEq)]
pub struct UnknownNotice {
    /// The `type` as sent.
    pub kind: String,
}

/// A digest of an announcement's content that is the same however the content was encoded.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Fingerprint {
    /// The digest of bytes as they are, part by part.
    pub fn of_bytes(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }
}

impl OrderContent {
    /// Whether a field has a value.
    pub(super) fn says(&self, field: SentField) -> bool {
        match field {
            SentField::Price => self.total.is_some(),
            SentField::Vat => self.total_vat.is_some(),
            SentField::Vats => self.vat.is_some(),
            SentField::Items => self.items.is_some(),
            SentField::Customer => self.customer.is_some(),
            SentField::IsRefund => self.is_refund.is_some(),
            SentField::CreationDate => self.dates.created.is_some(),
            SentField::ValidationDate => self.dates.validated.is_some(),
            SentField::ValueDate => self.dates.value.is_some(),
        }
    }

    /// The digest that two announcements of a phase share when they say the same (contract §5, Equality).
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(self)
    }
}

impl CashBoxNotice {
    /// What identifies a closing: `opened`, `closed` and `Total` (contract §5, Cash box). The till's number is not
    /// part of it, because the till does not always send it.
    pub fn closing(&self) -> Fingerprint {
        fingerprint(&(&self.opened, &self.closed, &self.total))
    }

    /// Whether the period is dated at all; without, [`CashBoxNotice::closing`] identifies nothing.
    pub fn says_when(&self) -> bool {
        self.opened.is_some() || self.closed.is_some()
    }
}

/// The digest of a value's canonical text: keys sorted, every scalar as text, absent and empty alike.
fn fingerprint<T: Serialize>(value: &T) -> Fingerprint {
    let value = serde_json::to_value(value).unwrap_or(Value::Null);
    let mut text = String::new();
    write_canonical(&value, &mut text);
    Fingerprint(Sha256::digest(text.as_bytes()).into())
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Null => write_scalar("", out),
        Value::Bool(flag) => write_scalar(if *flag { "true" } else { "false" }, out),
        Value::Number(number) => write_scalar(&number.to_string(), out),
        Value::String(text) => write_scalar(text, out),
        Value::Array(list) => {
            out.push('[');
            list.iter().for_each(|item| write_canonical(item, out));
            out.push(']');
        }
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for key in keys {
                write_scalar(key, out);
                write_canonical(&map[key], out);
            }
            out.push('}');
        }
    }
}

/// Length first, so that no text can imitate the structure around it.
fn write_scalar(text: &str, out: &mut String) {
    let _ = write!(out, "{}:{text}", text.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(extra: &str) -> OrderContent {
        OrderContent {
            order_id: Some("1".into()),
            extra: serde_json::from_str(extra).expect("an object"),
            ..OrderContent::default()
        }
    }

    #[test]
    fn key_order_and_the_type_of_a_scalar_in_extra_do_not_matter() {
        let sent = content(r#"{"a":1,"b":{"x":"2","y":true}}"#).fingerprint();
        assert_eq!(sent, content(r#"{"b":{"y":"true","x":2},"a":"1"}"#).fingerprint());
        assert_ne!(sent, content(r#"{"a":1,"b":{"x":"3","y":true}}"#).fingerprint());
    }

    #[test]
    fn text_cannot_imitate_structure() {
        assert_ne!(content(r#"{"a":"1:b"}"#).fingerprint(), content(r#"{"a":"1","b":""}"#).fingerprint());
    }
}

//! The order in full, as subscribers read it: the `data` of every order event (contract §6).

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Counted, Currency, Customer, DeliveryMethod, Item, Moment, Money, OrderContent, OrderKey, SentField, Timeline,
    VatLine, Verification, rates, sign,
};
use crate::json;

/// How far an order is. It never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has a number and an invoice.
    Invoiced,
    /// It is paid in full.
    Paid,
}

impl State {
    /// `invoiced` or `paid`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invoiced => "invoiced",
            Self::Paid => "paid",
        }
    }
}

/// Something about an order that does not add up. The order is passed on all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Warning {
    /// The VAT lines do not add up to the total VAT.
    VatSumMismatch,
    /// The items do not add up to the total.
    ItemsSumMismatch,
    /// The flag, the total, the VAT and its rates do not agree on whether money went back (`sign.rs`).
    RefundSignMismatch,
    /// The VAT of a rate is not that of its base.
    VatRateMismatch,
    /// The till sent a field that could not be read: `unreadable:price`.
    #[serde(untagged, with = "unreadable")]
    Unreadable(SentField),
}

/// How [`Warning::Unreadable`] is written: one word.
mod unreadable {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::value::StrDeserializer};

    use super::SentField;

    const BEGIN: &str = "unreadable:";

    pub fn serialize<S: Serializer>(field: &SentField, serializer: S) -> Result<S::Ok, S::Error> {
        let name = serde_json::to_value(field).map_err(serde::ser::Error::custom)?;
        format!("{BEGIN}{}", name.as_str().unwrap_or_default()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SentField, D::Error> {
        let word = String::deserialize(deserializer)?;
        let name = word.strip_prefix(BEGIN).ok_or_else(|| serde::de::Error::custom("no such warning"))?;
        SentField::deserialize(StrDeserializer::new(name))
    }
}

/// How an announcement came where the till's webhook did not bring it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// It was found in the till's own list of orders.
    Reconciliation,
}

/// Whether the invoice PDF is with us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InvoiceStatus {
    /// No link was sent.
    #[default]
    None,
    /// It is being fetched.
    Pending,
    /// It is in the archive.
    Stored,
    /// It could not be had.
    Missing,
}

impl InvoiceStatus {
    /// `none`, `pending`, `stored` or `missing`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pending => "pending",
            Self::Stored => "stored",
            Self::Missing => "missing",
        }
    }
}

/// The invoice as subscribers see it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InvoiceView {
    /// Whether it is with us.
    pub status: InvoiceStatus,
    /// Where a subscriber can fetch our copy; `None` until stored and without `public_url`.
    pub url: Option<String>,
    /// SHA-256 of the PDF, in hexadecimal.
    pub sha256: Option<String>,
    /// Its size.
    pub bytes: Option<u64>,
    /// The name to save it under.
    pub filename: Option<String>,
}

/// The dates of an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dates {
    /// When it was begun.
    pub created: Option<Moment>,
    /// When its invoice was made.
    pub validated: Option<Moment>,
    /// The day it counts for.
    pub value: Option<Moment>,
    /// When the announcement that this snapshot was taken at arrived here.
    pub received: Moment,
}

impl Dates {
    /// The date that reports and file names follow: value date, else validation, else arrival.
    pub fn booked(&self) -> Moment {
        self.value.or(self.validated).unwrap_or(self.received)
    }
}

/// An order in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The number in the shop's accounting.
    pub order_id: Option<String>,
    /// The identity within the shop.
    pub internal_id: Option<String>,
    /// How far it is.
    pub state: State,
    /// Whether money went back.
    pub is_refund: Option<bool>,
    /// Its dates.
    pub dates: Dates,
    /// What the amounts are in.
    pub currency: Currency,
    /// With VAT.
    pub total: Option<Money>,
    /// The VAT.
    pub total_vat: Option<Money>,
    /// Without VAT: the difference of the two, where both were sent.
    pub total_net: Option<Money>,
    /// By rate.
    pub vat: Option<Vec<VatLine>>,
    /// The lines.
    pub items: Option<Vec<Item>>,
    /// Who bought, in full; see [`Order::to_json`] for what leaves.
    pub customer: Option<Customer>,
    /// Which till.
    pub cash_box_id: Option<String>,
    /// How the customer gets the goods.
    pub delivery_method: Option<DeliveryMethod>,
    /// The PDF; filled in when the snapshot is sent.
    #[serde(default)]
    pub invoice: InvoiceView,
    /// Whether the till confirms its calls; `None` where it is not asked, or a call came without a URL to ask at. Filled in
    /// when the snapshot is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// What does not add up.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    /// What the till sent and we do not understand.
    #[serde(default, deserialize_with = "json::map")]
    pub extra: Map<String, Value>,
    /// Where this was taken from the till's list; nothing where the till announced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

impl Order {
    /// The order that a timeline tells, as it stands when `received` an announcement arrived.
    pub fn new(timeline: &Timeline, currency: Currency, received: Moment) -> Self {
        Self::of(timeline.merged(), timeline.state(), currency, received)
    }

    /// The same of both phases as one.
    pub fn of(content: OrderContent, state: State, currency: Currency, received: Moment) -> Self {
        let total_net = match (content.total, content.total_vat) {
            (Some(total), Some(vat)) => total.checked_sub(vat),
            _ => None,
        };
        let mut order = Self {
            order_id: content.order_id,
            internal_id: content.internal_id,
            state,
            is_refund: content.is_refund,
            dates: Dates {
                created: content.dates.created,
                validated: content.dates.validated,
                value: content.dates.value,
                received,
            },
            currency,
            total: content.total,
            total_vat: content.total_vat,
            total_net,
            vat: content.vat,
            items: content.items,
            customer: content.customer,
            cash_box_id: content.cash_box_id,
            delivery_method: content.delivery_method,
            invoice: InvoiceView::default(),
            verification: None,
            warnings: Vec::new(),
            extra: content.extra,
            source: None,
        };
        order.warnings = order.cross_check();
        let is_odd = order.warnings.contains(&Warning::RefundSignMismatch);
        // The difference of a total and a VAT of which one has the wrong sign is no amount of anything.
        order.total_net = order.total_net.filter(|_| !is_odd || order.is_of_one_sign());
        order.warnings.extend(content.unreadable.into_iter().map(Warning::Unreadable));
        order
    }

    /// The number people know the order by: the accounting number, else the internal one.
    pub fn number(&self) -> &str {
        self.order_id.as_deref().or(self.internal_id.as_deref()).unwrap_or("?")
    }

    /// What a person types for the order in a command: its number where that is plain, else what we call it. A number may be
    /// anybody's text, and what is shown to be copied must do nothing else.
    pub fn in_command(&self, key: OrderKey) -> String {
        let number = self.number();
        let is_plain = (1..=64).contains(&number.len())
            && number.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte))
            && number.starts_with(|first: char| first.is_ascii_alphanumeric());
        if is_plain { number.to_owned() } else { key.to_string() }
    }

    /// Whether it comes to zero, so that there is nothing to pay.
    pub fn is_of_nothing(&self) -> bool {
        self.total.is_some_and(|total| total.value().is_zero())
    }

    /// The JSON of contract §6. The customer's address, e-mail, telephone and extra fields are in it only when asked for.
    pub fn to_json(&self, include_customer: bool) -> Value {
        let mut json = serde_json::to_value(self).unwrap_or_default();
        if let (false, Some(customer)) = (include_customer, &self.customer) {
            json["customer"] = json!({ "id": customer.id, "name": customer.name, "is_company": customer.is_company });
        }
        json
    }

    /// Whether total and VAT were sent with the same sign.
    fn is_of_one_sign(&self) -> bool {
        let amounts = self.total.zip(self.total_vat).map(|(total, vat)| [total.value(), vat.value()]);
        amounts.is_none_or(|[total, vat]| {
            total.is_zero() || vat.is_zero() || total.is_sign_negative() == vat.is_sign_negative()
        })
    }

    /// What does not add up: what was noted when the order was told, and what is seen now.
    pub(super) fn doubts(&self) -> Vec<Warning> {
        let mut doubts = self.warnings.clone();
        let news: Vec<Warning> = self.cross_check().into_iter().filter(|one| !doubts.contains(one)).collect();
        doubts.extend(news);
        doubts
    }

    /// What does not add up. Only what was sent is compared.
    fn cross_check(&self) -> Vec<Warning> {
        let (counted, digits) = (self.counted(), self.currency.minor_digits());
        let vat_parts = self.vat.as_ref().and_then(|lines| lines.iter().map(|line| line.vat).collect());
        let item_parts = self.items.as_ref().and_then(|items| items.iter().map(|item| item.total).collect());
        let doubts = [
            (Warning::VatSumMismatch, differ(vat_parts, self.total_vat, digits) || exceed(&counted, digits)),
            (Warning::ItemsSumMismatch, differ(item_parts, self.total, digits)),
            (Warning::RefundSignMismatch, counted.is_contradictory),
            (Warning::VatRateMismatch, !rates::fit(self)),
        ];
        doubts.into_iter().filter_map(|(warning, is_so)| is_so.then_some(warning)).collect()
    }
}

/// Whether parts are not their whole. Signs are left out: a refund may list what was sold.
fn differ(parts: Option<Vec<Money>>, whole: Option<Money>, digits: u32) -> bool {
    let (Some(parts), Some(whole)) = (parts, whole) else { return false };
    let sum = parts.iter().try_fold(Decimal::ZERO, |sum, part| sum.checked_add(part.value()));
    let apart = sum.and_then(|sum| sum.abs().checked_sub(whole.value().abs()));
    !parts.is_empty() && apart.is_some_and(|apart| apart.abs() > rates::slack(parts.len(), digits))
}

/// Whether the rates are together more than the order: a discount on the whole that they do not know of. Less they may be,
/// for tills leave out what has no VAT.
fn exceed(counted: &Counted, digits: u32) -> bool {
    let gross = |line: &VatLine| line.gross.or_else(|| line.net?.checked_add(line.vat?));
    let of_rates = sign::sum(counted.vat.iter().map(gross)).map(Money::abs);
    let more = of_rates.zip(counted.total).and_then(|(rates, total)| rates.checked_sub(total.abs()));
    more.is_some_and(|more| more.value() > rates::slack(counted.vat.len(), digits))
}

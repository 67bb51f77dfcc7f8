//! The till's field names and ways of writing, in its two languages.
//!
//! The names of the parameters are documented (`type`, `orderID`, …); those within `items` and `VATs` are not, so a
//! French and an English till are imagined that differ in everything they may: names, decimal separator, dates,
//! booleans and whether a number is one.

use jiff::Zoned;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::{
    cash_box::CashBoxCall,
    order::{TillCustomer, TillItem, TillOrder, TillVat},
};
use crate::order::{Locale, Phase};

/// The field that marks a call of ours as a test; the till never sends it.
const TEST_MARK: &str = "tillhookTest";

/// The parameters of an announcement, in the order of the documentation.
pub(super) fn fields(order: &TillOrder, phase: Phase, language: Locale) -> Map<String, Value> {
    let words = Words(language);
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("type", phase.as_str().into());
    put("orderID", order.order_id.as_str().into());
    put("orderInternalID", order.internal_id.as_str().into());
    put("price", words.amount(order.total()));
    put("clientID", order.customer.as_ref().map_or("0", |customer| &customer.id).into());
    put(words.pick("client", "customer"), order.customer.as_ref().map_or(json!([]), |who| words.customer(who)));
    put("cashBoxID", order.cash_box_id.as_str().into());
    put("deliveryMethod", order.delivery_method.to_string().into());
    put("items", order.items.iter().map(|item| words.item(item)).collect());
    put("VATs", order.vat().iter().map(|line| words.vat(line)).collect());
    put("VAT", words.amount(order.total_vat()));
    put("isRefund", words.flag(order.is_refund));
    for (name, date) in
        [("creationDate", &order.created), ("validationDate", &order.validated), ("valueDate", &order.value)]
    {
        if let Some(date) = date {
            put(name, words.date(date));
        }
    }
    if let Some(url) = &order.pdf_url {
        put("PDFinvoice", url.as_str().into());
    }
    if let Some(url) = &order.verification_url {
        put("signatureVerificationURL", url.as_str().into());
    }
    if order.test {
        put(TEST_MARK, "1".into());
    }
    fields
}

/// The parameters of a call about a cash box: `opened`, `closed` and `Total` only when it closes (pos-api §1).
pub(super) fn cash_box_fields(call: &CashBoxCall, language: Locale) -> Map<String, Value> {
    let words = Words(language);
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("type", if call.closing.is_some() { "cashBox_close" } else { "cashBox_open" }.into());
    put("cashBoxID", call.cash_box_id.as_str().into());
    if let Some(closing) = &call.closing {
        put("Total", words.amount(closing.total));
        put("opened", words.date(&closing.opened));
        put("closed", words.date(&closing.closed));
        put("signatureVerificationURL", closing.verification_url.as_str().into());
    }
    fields
}

/// How a till of one language writes.
#[derive(Clone, Copy)]
struct Words(Locale);

impl Words {
    fn pick<T>(self, french: T, english: T) -> T {
        match self.0 {
            Locale::Fr => french,
            Locale::En => english,
        }
    }

    /// `"43,80"` as text in French, `43.80` as a number in English.
    fn amount(self, amount: Decimal) -> Value {
        self.pick(Value::String(amount.to_string().replace('.', ",")), number(amount))
    }

    fn flag(self, set: bool) -> Value {
        self.pick(Value::String(u8::from(set).to_string()), Value::Bool(set))
    }

    /// The shop's wall clock in French, ISO 8601 with the offset in English.
    fn date(self, at: &Zoned) -> Value {
        let format = self.pick("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%:z");
        Value::String(at.strftime(format).to_string())
    }

    fn item(self, item: &TillItem) -> Value {
        let mut fields = Map::new();
        fields.insert("id".to_owned(), item.id.as_str().into());
        fields.insert(self.pick("titre", "title").to_owned(), item.title.as_str().into());
        fields.insert(self.pick("quantite", "quantity").to_owned(), self.amount(item.quantity));
        fields.insert(self.pick("prix", "price").to_owned(), self.amount(item.unit_price));
        fields.insert(self.pick("tauxTVA", "vatRate").to_owned(), self.amount(item.vat_rate));
        fields.into()
    }

    fn vat(self, line: &TillVat) -> Value {
        let mut fields = Map::new();
        fields.insert(self.pick("taux", "rate").to_owned(), self.amount(line.rate));
        fields.insert(self.pick("HT", "net").to_owned(), self.amount(line.net));
        fields.insert(self.pick("TVA", "vat").to_owned(), self.amount(line.vat));
        fields.insert(self.pick("TTC", "gross").to_owned(), self.amount(line.gross));
        fields.into()
    }

    /// The French names are those with which the till's own API takes a customer (pos-api §3); the English ones those
    /// of the vendor's client program.
    fn customer(self, who: &TillCustomer) -> Value {
        let mut fields = Map::new();
        let mut put = |french: &str, english: &str, text: &str| {
            fields.insert(self.pick(french, english).to_owned(), text.into());
        };
        put("nom", "lastname", &who.last_name);
        put("prenom", "firstname", &who.first_name);
        put("email", "email", &who.email);
        put("telephone", "phone", &who.phone);
        put("adresseligne1", "address", &who.address);
        put("codepostal", "zip", &who.postcode);
        put("ville", "city", &who.city);
        if !who.more.iter().any(|(name, _)| name == "pays") {
            put("pays", "country", "FR");
        }
        if let Some(vat_number) = &who.vat_number {
            put("numtva", "numtva", vat_number);
        }
        for (name, text) in &who.more {
            put(name, if name == "pays" { "country" } else { name }, text);
        }
        fields.into()
    }
}

/// The decimal as a JSON number, digit for digit.
fn number(amount: Decimal) -> Value {
    let text = amount.to_string();
    text.parse().map_or(Value::String(text), Value::Number)
}

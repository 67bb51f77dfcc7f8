//! `validated` and `terminated` → an announcement of an order.

use serde_json::{Map, Value};

use super::{
    customer, date,
    fields::{Fields, flag},
    items, names, number, vat,
};
use crate::order::{
    Customer, DeliveryMethod, Notification, OrderContent, OrderNotice, Phase, SentDates, SentField, Shop,
};

/// Reads the fields of an order.
///
/// # Errors
/// When it has neither of its two numbers, in words.
pub(super) fn read(mut fields: Fields, phase: Phase, shop: &Shop) -> Result<Notification, String> {
    let order_id = fields.id(names::ORDER_ID);
    let internal_id = fields.id(names::INTERNAL_ID);
    if order_id.is_none() && internal_id.is_none() {
        return Err(format!(
            "the order has no number: neither `orderInternalID` nor `orderID` was sent; {}",
            fields.inventory()
        ));
    }
    let test = is_test(&mut fields);
    let invoice_url = fields.text(names::INVOICE_URL);
    let verification_url = fields.text(names::VERIFICATION_URL);
    let total = fields.money(names::ORDER_TOTAL, shop);
    let mut unreadable = Vec::new();
    let vat = fields.take_parts(names::VAT_LINES, |value| vat::take(value, shop));
    let vat = vat.map(|read| read.noting(SentField::Vats, &mut unreadable));
    let items = fields.take_parts(names::ITEMS, |value| items::take(value, total, shop));
    let items = items.map(|read| read.noting(SentField::Items, &mut unreadable));
    let customer = customer(&mut fields).map(|read| read.noting(SentField::Customer, &mut unreadable));
    let mut content = OrderContent {
        order_id,
        internal_id,
        is_refund: fields.flag(names::IS_REFUND),
        dates: SentDates {
            created: fields.moment(names::CREATED, shop),
            validated: fields.moment(names::VALIDATED, shop),
            value: fields.moment(names::VALUE_DATE, shop),
        },
        total,
        total_vat: fields.money(names::ORDER_VAT, shop),
        cash_box_id: fields.text(names::CASH_BOX_ID),
        delivery_method: fields.text(names::DELIVERY_METHOD).map(|code| DeliveryMethod::from_code(&code)),
        vat,
        items,
        customer,
        unreadable,
        extra: Map::new(),
    };
    content.unreadable.extend(unread(&fields, &content, shop));
    content.extra = fields.into_extra();
    Ok(Notification::Order(Box::new(OrderNotice { phase, content, invoice_url, verification_url, test })))
}

/// What was understood of something that has parts, and whether one of them was sent and not understood.
pub(super) struct Parts<T> {
    pub value: T,
    pub is_partial: bool,
}

impl<T> Parts<T> {
    /// What was understood; that there was more is noted.
    fn noting(self, field: SentField, unreadable: &mut Vec<SentField>) -> T {
        unreadable.extend(self.is_partial.then_some(field));
        self.value
    }
}

/// The fields that are still there and could not be read.
fn unread(fields: &Fields, content: &OrderContent, shop: &Shop) -> Vec<SentField> {
    let is_amount = |value: &Value| number::decimal(value).is_some();
    let is_date = |value: &Value| date::is_none(value) || date::moment(value, &shop.timezone).is_some();
    let is_flag = |value: &Value| flag(value).is_some();
    // A table under the name of an amount is looked for as one.
    let is_table = |value: &Value| content.vat.is_some() && !value.is_string();
    let checks = [
        (SentField::Price, fields.holds_unread_amount(names::ORDER_TOTAL)),
        (SentField::Vat, fields.holds_unread(names::ORDER_VAT, |value| is_amount(value) || is_table(value))),
        (SentField::Vats, content.vat.is_none() && fields.holds_unread(names::VAT_TABLES, |_| false)),
        (SentField::Items, content.items.is_none() && fields.holds_unread(names::ITEMS, |_| false)),
        (SentField::IsRefund, fields.holds_unread(names::IS_REFUND, is_flag)),
        (SentField::CreationDate, fields.holds_unread(names::CREATED, is_date)),
        (SentField::ValidationDate, fields.holds_unread(names::VALIDATED, is_date)),
        (SentField::ValueDate, fields.holds_unread(names::VALUE_DATE, is_date)),
    ];
    checks.into_iter().filter(|(_, unread)| *unread).map(|(field, _)| field).collect()
}

/// Whether `send-test` made the call: any value but a no.
fn is_test(fields: &mut Fields) -> bool {
    let flag = fields.flag(names::TEST);
    flag.unwrap_or_else(|| fields.take(names::TEST, |_| Some(())).is_some())
}

/// The customer's data, with the number that stands beside them. Data that are not understood go into the customer's
/// `extra`, not the order's: that one leaves without being asked for.
fn customer(fields: &mut Fields) -> Option<Parts<Customer>> {
    let id = fields.id(names::CUSTOMER_ID);
    let known = fields.take_parts(names::CUSTOMER, |value| customer::take(value, id.as_deref())).flatten();
    let unread: Map<_, _> =
        fields.take_all(names::CUSTOMER).into_iter().filter(|(_, value)| !customer::is_none(value)).collect();
    if known.is_none() && id.is_none() && unread.is_empty() {
        return None;
    }
    let is_partial = !unread.is_empty();
    let mut customer = known.unwrap_or_else(|| Customer { id, ..Customer::default() });
    customer.extra.extend(unread);
    Some(Parts { value: customer, is_partial })
}

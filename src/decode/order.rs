//! `validated` and `terminated` → an announcement of an order.

use super::{customer, fields::Fields, items, names, vat};
use crate::order::{Customer, DeliveryMethod, Notification, OrderContent, OrderNotice, Phase, SentDates, Shop};

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
    let content = OrderContent {
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
        vat: fields.take_parts(names::VAT_LINES, |value| vat::take(value, shop)),
        items: fields.take_parts(names::ITEMS, |value| items::take(value, total, shop)),
        customer: customer(&mut fields),
        cash_box_id: fields.text(names::CASH_BOX_ID),
        delivery_method: fields.text(names::DELIVERY_METHOD).map(|code| DeliveryMethod::from_code(&code)),
        extra: fields.into_extra(),
    };
    Ok(Notification::Order(Box::new(OrderNotice { phase, content, invoice_url, verification_url, test })))
}

/// Whether `send-test` made the call: any value but a no.
fn is_test(fields: &mut Fields) -> bool {
    let flag = fields.flag(names::TEST);
    flag.unwrap_or_else(|| fields.take(names::TEST, |_| Some(())).is_some())
}

/// The customer's data, with the number that stands beside them.
fn customer(fields: &mut Fields) -> Option<Customer> {
    let id = fields.id(names::CUSTOMER_ID);
    let customer = fields.take_parts(names::CUSTOMER, |value| customer::take(value, id.as_deref())).flatten();
    customer.or_else(|| id.map(|id| Customer { id: Some(id), ..Customer::default() }))
}

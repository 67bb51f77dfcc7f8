//! Everything the sandbox remembers, in one place that is locked as a whole.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};

use super::{cash_box::OpenBoxes, catalogue::Catalogue, sales::Sales, trouble::Trouble};
use crate::till::order::TillItem;

/// The order that the vendor's examples edit (seed 000): a quote until somebody validates it.
const EXAMPLE_ORDER: &str = "123456";

/// What the sandbox remembers.
#[derive(Debug)]
pub struct Book {
    /// The orders.
    pub sales: Sales,
    /// What there is to sell, and to whom.
    pub catalogue: Catalogue,
    /// How often each invoice was handed out, by internal id.
    pub downloads: BTreeMap<String, u32>,
    /// What goes wrong, by internal id or endpoint.
    pub trouble: BTreeMap<String, Trouble>,
    /// The cash boxes that are open.
    pub open_boxes: OpenBoxes,
    /// What the closings of cash boxes are called where they can be verified.
    pub closings: Vec<String>,
}

impl Book {
    /// A shop that has sold nothing, with one quote on the counter.
    pub fn new(seed: u64, zone: TimeZone, origin: &str, now: Timestamp) -> Self {
        let mut book = Self {
            sales: Sales::new(seed, zone, origin),
            catalogue: Catalogue::new(),
            downloads: BTreeMap::new(),
            trouble: BTreeMap::new(),
            open_boxes: OpenBoxes::new(),
            closings: Vec::new(),
        };
        let mut quote = book.blank(now);
        quote.items.extend(book.catalogue.article(12).map(|article| TillItem {
            id: article.id.to_string(),
            title: article.title.to_owned(),
            quantity: rust_decimal::Decimal::ONE,
            unit_price: article.price,
            vat_rate: article.rate,
        }));
        book.sales.open_as(EXAMPLE_ORDER, quote);
        book
    }
}

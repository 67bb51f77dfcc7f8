//! `only`: what an order must be like for a sink to be told of it.
//!
//! **Invariant:** an unknown value passes. A filter that cannot tell must not hide a sale.

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::order::Order;

/// The conditions of a sink's `only` table. All of them must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Only {
    /// Refunds in, out, or nothing else.
    pub refund: RefundFilter,
    /// The least absolute total.
    #[schemars(with = "Option<String>")]
    pub min_total: Option<Decimal>,
    /// The greatest absolute total.
    #[schemars(with = "Option<String>")]
    pub max_total: Option<Decimal>,
    /// Tills, by their number. Empty: all.
    pub cash_boxes: Vec<String>,
    /// Delivery methods, by code or by name. Empty: all.
    pub delivery_methods: Vec<String>,
    /// Who bought.
    pub customer: CustomerFilter,
}

/// What to do with refunds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RefundFilter {
    /// Sales and refunds.
    #[default]
    Include,
    /// Sales.
    Exclude,
    /// Refunds.
    Only,
}

/// Which customers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CustomerFilter {
    /// All, also none.
    #[default]
    Any,
    /// The order has a customer.
    Known,
    /// The customer is a company.
    Company,
}

impl Only {
    /// The condition that keeps `order` from this sink, as it is written in the configuration, or `None`.
    pub fn refuses(&self, order: &Order) -> Option<&'static str> {
        let total = order.total.map(|total| total.value().abs());
        // The amounts may say it where the till's flag does not.
        let is_refund = if order.refund() { Some(true) } else { order.is_refund };
        let refund = match (self.refund, is_refund) {
            (RefundFilter::Exclude, Some(true)) | (RefundFilter::Only, Some(false)) => Some("only.refund"),
            _ => None,
        };
        let below = self.min_total.zip(total).filter(|(least, total)| total < least);
        let above = self.max_total.zip(total).filter(|(most, total)| total > most);
        let cash_box = order.cash_box_id.as_ref().filter(|id| !admits(&self.cash_boxes, &[id]));
        let method = order.delivery_method.as_ref();
        let method = method.filter(|method| !admits(&self.delivery_methods, &[&method.code, &method.name]));
        let is_company = order.customer.as_ref().and_then(|customer| customer.is_company);
        let customer = match self.customer {
            CustomerFilter::Any => false,
            CustomerFilter::Known => order.customer.is_none(),
            CustomerFilter::Company => order.customer.is_none() || is_company == Some(false),
        };
        refund
            .or(below.map(|_| "only.min_total"))
            .or(above.map(|_| "only.max_total"))
            .or(cash_box.map(|_| "only.cash_boxes"))
            .or(method.map(|_| "only.delivery_methods"))
            .or(customer.then_some("only.customer"))
    }
}

fn admits(wanted: &[String], found: &[&str]) -> bool {
    wanted.is_empty() || wanted.iter().any(|one| found.contains(&one.as_str()))
}

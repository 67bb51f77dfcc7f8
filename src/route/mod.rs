//! Which sinks want an event, and when. Pure: rules in, decisions out.
//!
//! `on` and `shops` decide whether a delivery exists at all; `only` is asked when a delivery is due, of the snapshot
//! about to be sent; `per_order` and `settle` say how the announcements of one order become messages (contract §4, §5).

mod only;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use only::{CustomerFilter, Only, RefundFilter};

use crate::order::{EventType, OrderKey, Pattern, ShopId, SinkName};

/// What one sink wants.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The sink.
    pub sink: SinkName,
    /// Event types, or groups of them.
    pub on: Vec<Pattern>,
    /// Shop ids, or `*` for all.
    pub shops: Vec<ShopPattern>,
    /// What the order must be like when it is sent.
    pub only: Only,
    /// How the announcements of an order become messages.
    pub per_order: PerOrder,
    /// How long to wait after an order's first selected event for its second.
    pub settle: Duration,
    /// Whether its messages carry the invoice PDF, so that they wait for it.
    pub attaches_invoice: bool,
    /// Whether a message without the PDF is of no use, so that none is sent.
    pub needs_invoice: bool,
    /// Whether it is told of alerts, whatever its `on`.
    pub alerts: bool,
    /// Whether it gets summaries in place of a message about each order.
    pub digests: bool,
}

/// How the announcements of an order are merged for a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PerOrder {
    /// Every selected event, each once.
    Each,
    /// One message an order, ever.
    Once,
    /// One message an order, and a second one when the order changes afterwards.
    Follow,
}

/// A shop id, or `*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ShopPattern {
    /// `*`
    Any,
    /// This shop.
    Is(ShopId),
}

impl TryFrom<String> for ShopPattern {
    type Error = crate::order::NameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "*" { Ok(Self::Any) } else { text.try_into().map(Self::Is) }
    }
}

impl From<ShopPattern> for String {
    fn from(pattern: ShopPattern) -> Self {
        match pattern {
            ShopPattern::Any => "*".to_owned(),
            ShopPattern::Is(shop) => shop.into(),
        }
    }
}

/// What goes in order: a sink's messages about one order, or about one shop, or about none.
pub fn lane(sink: &SinkName, shop: Option<&ShopId>, order: Option<OrderKey>) -> String {
    match (order, shop) {
        (Some(order), _) => format!("{sink} {order}"),
        (None, Some(shop)) => format!("{sink} {shop}"),
        (None, None) => sink.to_string(),
    }
}

impl Rule {
    /// Whether `on` names this type.
    pub fn selects(&self, kind: EventType) -> bool {
        self.on.iter().any(|pattern| pattern.matches(kind))
    }

    /// Whether `shops` admits this shop; what concerns no shop concerns every sink.
    pub fn admits(&self, shop: Option<&ShopId>) -> bool {
        shop.is_none_or(|shop| {
            self.shops.iter().any(|pattern| match pattern {
                ShopPattern::Any => true,
                ShopPattern::Is(id) => id == shop,
            })
        })
    }

    /// Whether an event of this type begins an order's message: a selected one, and where only `order.validated` is
    /// selected and one message an order is wanted, `order.terminated` too, lest an order that was announced only as
    /// paid be told to nobody.
    pub fn begins(&self, kind: EventType) -> bool {
        self.selects(kind)
            || (self.per_order != PerOrder::Each
                && kind == EventType::OrderTerminated
                && self.selects(EventType::OrderValidated))
    }
}

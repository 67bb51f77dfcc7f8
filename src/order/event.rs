//! Events: what subscribers are told, and the patterns by which a sink chooses among them (contract §6).

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{CashBoxNotice, Digest, EventId, Order, ShopId};
use crate::json;

/// The version of the event's shape, sent as `schema`.
const SCHEMA: u32 = 1;

macro_rules! event_types {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What an event is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventType { $($(#[$doc])* $name,)* }

        impl EventType {
            /// Every type there is.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The type as subscribers read it: `order.validated`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

event_types! {
    /// The invoice exists.
    OrderValidated = "order.validated",
    /// The order is paid in full.
    OrderTerminated = "order.terminated",
    /// A phase was announced again with other content.
    OrderUpdated = "order.updated",
    /// The PDF is in the archive.
    InvoiceStored = "invoice.stored",
    /// The PDF could not be had.
    InvoiceMissing = "invoice.missing",
    /// A till was opened.
    CashBoxOpened = "cashbox.opened",
    /// A till was closed.
    CashBoxClosed = "cashbox.closed",
    /// The till sent a type that we do not know.
    TillUnknown = "till.unknown",
    /// The till sent something that we cannot read.
    TillUnreadable = "till.unreadable",
    /// The till has orders that we have not.
    TillOrderMissing = "till.order_missing",
    /// The till does not confirm calls, and what they say is held back.
    TillUnverified = "till.unverified",
    /// An open till says nothing.
    TillSilent = "till.silent",
    /// The till's own list of orders cannot be compared with ours.
    TillNotCompared = "till.not_compared",
    /// A sink keeps failing.
    SinkFailing = "sink.failing",
    /// A sink was paused, its queue kept.
    SinkPaused = "sink.paused",
    /// A failing sink works again.
    SinkRecovered = "sink.recovered",
    /// The disk is nearly full.
    StorageLow = "storage.low",
    /// A summary was made for a sink.
    DigestMade = "digest.made",
    /// A sink has had as many messages as it is to have; what follows comes in a summary.
    SinkLimited = "sink.limited",
    /// Somebody tries a sink.
    TestPing = "test.ping",
}

impl EventType {
    /// Whether this is an alert: it reaches the sinks named in `alerts` whatever their `on`.
    pub fn is_alert(self) -> bool {
        matches!(
            self,
            Self::InvoiceMissing
                | Self::TillUnreadable
                | Self::TillOrderMissing
                | Self::TillUnverified
                | Self::TillSilent
                | Self::TillNotCompared
                | Self::SinkFailing
                | Self::SinkPaused
                | Self::SinkRecovered
                | Self::SinkLimited
                | Self::StorageLow
        )
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventType {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text).ok_or_else(|| PatternError(text.to_owned()))
    }
}

impl Serialize for EventType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// No event type is called, or matches, that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no event type: use one such as `order.validated`, or a group such as `order.*`")]
pub struct PatternError(pub String);

/// One entry of a sink's `on`: an event type, or a group with `*` as its last segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

impl Pattern {
    /// Whether an event of this type is meant.
    pub fn matches(&self, kind: EventType) -> bool {
        match self.0.strip_suffix('*') {
            Some(group) => kind.as_str().starts_with(group),
            None => kind.as_str() == self.0,
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        let well_formed = text == "*" || text.ends_with(".*") || !text.contains('*');
        let pattern = Self(text);
        if well_formed && EventType::ALL.iter().any(|kind| pattern.matches(*kind)) {
            Ok(pattern)
        } else {
            Err(PatternError(pattern.0))
        }
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::try_from(text.to_owned())
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

/// The shop as an event names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShopRef {
    /// Its id in the configuration.
    pub id: ShopId,
    /// The name that people read.
    pub name: String,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The same on every attempt to every sink.
    pub id: EventId,
    /// What it is about.
    pub kind: EventType,
    /// When it was recorded.
    pub at: Timestamp,
    /// Whether `send-test` or `sinks test` made it.
    pub test: bool,
    /// The shop; `None` for what concerns the service as a whole.
    pub shop: Option<ShopRef>,
    /// The facts.
    pub data: EventData,
}

/// The facts of an event; which of them follows from its type.
#[derive(Clone, Debug, PartialEq)]
pub enum EventData {
    /// `order.*`, `invoice.*`.
    Order(Box<Order>),
    /// `cashbox.*`.
    CashBox(CashBoxNotice),
    /// `digest.made`.
    Digest(Box<Digest>),
    /// Everything else: a flat object with the keys of contract §6.
    Facts(Map<String, Value>),
}

impl Event {
    /// The order, where the event is about one.
    pub fn order(&self) -> Option<&Order> {
        match &self.data {
            EventData::Order(order) => Some(order),
            EventData::CashBox(_) | EventData::Digest(_) | EventData::Facts(_) => None,
        }
    }

    /// The envelope of contract §6, keys in its order.
    pub fn to_json(&self, include_customer: bool) -> Value {
        json!({
            "id": self.id,
            "type": self.kind,
            "timestamp": format!("{:.3}", self.at),
            "schema": SCHEMA,
            "test": self.test,
            "shop": self.shop,
            "data": self.data.to_json(include_customer),
        })
    }
}

impl EventData {
    /// The `data` of contract §6.
    pub fn to_json(&self, include_customer: bool) -> Value {
        match self {
            Self::Order(order) => order.to_json(include_customer),
            Self::CashBox(notice) => serde_json::to_value(notice).unwrap_or_default(),
            Self::Digest(digest) => serde_json::to_value(digest).unwrap_or_default(),
            Self::Facts(facts) => Value::Object(facts.clone()),
        }
    }

    /// The text of [`EventData::to_json`] with the customer in full, as it is kept.
    pub fn to_text(&self) -> String {
        let text = match self {
            Self::Order(order) => serde_json::to_string(order),
            Self::CashBox(notice) => serde_json::to_string(notice),
            Self::Digest(digest) => serde_json::to_string(digest),
            Self::Facts(facts) => serde_json::to_string(facts),
        };
        text.unwrap_or_default()
    }

    /// Reads back what [`EventData::to_text`] wrote, by the event's type.
    ///
    /// # Errors
    /// When the JSON is not of the shape that the type has.
    pub fn from_json(kind: EventType, text: &str) -> Result<Self, serde_json::Error> {
        use EventType as T;
        Ok(match kind {
            T::OrderValidated | T::OrderTerminated | T::OrderUpdated | T::InvoiceStored | T::InvoiceMissing => {
                Self::Order(Box::new(json::kept(text)?))
            }
            T::CashBoxOpened | T::CashBoxClosed => Self::CashBox(json::kept(text)?),
            T::DigestMade => Self::Digest(Box::new(json::kept(text)?)),
            _ => match json::ours(text)? {
                Value::Object(facts) => Self::Facts(facts),
                _ => return Err(serde::de::Error::custom("an object was expected")),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_a_type_or_a_group() {
        let order: Pattern = "order.*".parse().expect("a pattern");
        assert!(order.matches(EventType::OrderUpdated) && !order.matches(EventType::InvoiceStored));
        assert!("*".parse::<Pattern>().expect("a pattern").matches(EventType::TestPing));
        for bad in ["order", "order*", "*.validated", "ordr.*", ""] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
    }
}

//! Identifiers: UUIDv7 with a prefix that says what they name, and the names an operator chooses.
//!
//! We make ids ourselves, before the database is asked, so that an insert never has to return anything.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of this kind: it should look like `{prefix}0199c0de…`")]
pub struct IdError {
    text: String,
    prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh id whose first 48 bits are `now` in milliseconds, so that ids sort by age.
            pub fn new(now: Timestamp) -> Self {
                let seconds = u64::try_from(now.as_second()).unwrap_or(0);
                let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
                Self(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix($prefix)
                    .and_then(|hex| Uuid::try_parse(hex).ok())
                    .map(Self)
                    .ok_or_else(|| IdError { text: text.to_owned(), prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// Names an event; the same on every attempt to every sink, so that a subscriber can tell a repeat.
    EventId, "evt_"
);
id!(
    /// Names one call of the till, whatever became of it.
    ReceiptId, "rcp_"
);
id!(
    /// Names one delivery: an event on its way to one sink.
    DeliveryId, "dlv_"
);
id!(
    /// Names an order among ourselves: the till's two numbers for it may both come late.
    OrderKey, "ord_"
);

/// Why a text cannot name a shop or a sink.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a usable name: use a-z, 0-9, `_` and `-`, without two underscores in a row")]
pub struct NameError(String);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as the operator wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
                if text.is_empty() || text.contains("__") || !text.bytes().all(allowed) {
                    return Err(NameError(text));
                }
                Ok(Self(text))
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A shop as the configuration calls it (`[shop.dupont]`): `[a-z0-9_-]+` without `__`.
    ShopId
);
name!(
    /// A sink as the configuration calls it (`[sink.accountant]`): `[a-z0-9_-]+` without `__`.
    SinkName
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_being_written_and_read() {
        let id = EventId::new(Timestamp::UNIX_EPOCH);
        assert_eq!(id.to_string().parse::<EventId>().as_ref(), Ok(&id));
        assert!(id.to_string().parse::<ReceiptId>().is_err());
    }

    #[test]
    fn a_name_is_lower_case_without_a_double_underscore() {
        for good in ["dupont", "shop-2", "a_b", "9"] {
            assert!(good.parse::<ShopId>().is_ok(), "{good}");
        }
        for bad in ["", "Dupont", "a__b", "a b", "é", "a.b"] {
            assert!(bad.parse::<ShopId>().is_err(), "{bad}");
        }
    }
}

//! Why the tree does not fit a type, and the path to it.
//!
//! serde stops at the first error; with its path the reader can take the offending value out and go on to the next.
//!
//! **Invariant:** what serde says of a wrong value is dropped, because the value may be a secret.

use std::fmt;

use serde::de::{self, Unexpected};

use super::problem::{Place, hint, listed};

/// Why the tree does not fit a type, and where.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    /// From the innermost step to the outermost.
    pub(super) path: Vec<Step>,
    pub(super) place: Option<Place>,
}

#[derive(Debug)]
pub(super) enum FaultKind {
    Unknown {
        known: &'static [&'static str],
    },
    Missing(String),
    Wrong {
        what: String,
        fix: Option<String>,
    },
    /// The problem has been told already.
    Told,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Item(usize),
}

impl Fault {
    pub(super) fn wrong(what: impl Into<String>, fix: Option<String>) -> Self {
        FaultKind::Wrong { what: what.into(), fix }.into()
    }

    /// The same fault, seen from one step further out.
    pub(super) fn within(mut self, step: Step, place: Option<&Place>) -> Self {
        self.path.push(step);
        self.place = self.place.or_else(|| place.cloned());
        self
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        Self { kind, path: Vec::new(), place: None }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    /// Our own types say `WHAT: use FIX` or `WHAT: write FIX`.
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        let fixed = ["use ", "write "].iter().find_map(|verb| {
            let (what, fix) = message.split_once(&format!(": {verb}"))?;
            Some(Self::wrong(what, Some(format!("{verb}{fix}"))))
        });
        fixed.unwrap_or_else(|| Self::wrong(message, None))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::wrong(format!("must be {expected}"), None)
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let range = match expected.to_string().as_str() {
            "u16" => format!("a whole number from 0 to {}", u16::MAX),
            "usize" | "u32" | "u64" => "a whole number that is not negative".to_owned(),
            // What rust_decimal and ipnet call themselves.
            other if other.contains("Decimal") => "an amount such as \"20.00\"".to_owned(),
            other => other.to_owned(),
        };
        Self::wrong(format!("must be {range}"), None)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let fix = hint(variant, expected.iter().copied());
        Self::wrong(format!("`{variant}` is not one of {}", listed(expected)), Some(fix))
    }

    fn unknown_field(_: &str, known: &'static [&'static str]) -> Self {
        FaultKind::Unknown { known }.into()
    }

    fn missing_field(field: &'static str) -> Self {
        FaultKind::Missing(field.to_owned()).into()
    }
}

//! Bytes of the till → [`Notification`]: form, brackets, JSON, multipart or query, in whatever charset, under whatever name.
//!
//! Nobody documents how the till encodes a call, so nothing it declares is believed: the bytes decide (`sniff.rs`). Every
//! encoding becomes the same neutral tree, in which the fields are then looked up by their English and French names
//! (`names.rs`). What is taken out of the tree has been understood; what remains is the `extra`.
//!
//! **Invariant:** decoding is pure (no clock, no I/O), never panics outwards, and no error text holds a value that was sent.

mod brackets;
mod cashbox;
mod charset;
mod customer;
mod date;
mod fields;
mod form;
#[doc(hidden)]
pub mod fuzzing;
mod items;
mod json;
mod multipart;
mod names;
mod number;
mod order;
mod sniff;
mod vat;
mod verification;
mod weight;

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use names::same as same_name;
pub use verification::verification;
pub use weight::{LIGHT, weight};

use crate::order::{Notification, Phase, Shop, UnknownNotice};
use fields::Fields;

/// A call of the till, as far as it matters to what it says.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The `Content-Type` header. Only its charset and its boundary are used, and only where the bytes leave them open.
    pub content_type: Option<&'a str>,
    /// The raw query, without `?`. It is read when the body is empty.
    pub query: Option<&'a str>,
    /// The raw body.
    pub body: &'a [u8],
}

/// Why a call could not be decoded. It is kept all the same, in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unreadable {
    /// Words that a person can act on; names of fields at most, never a value.
    pub reason: String,
    /// The call's `type`, where it has one.
    pub kind: Option<String>,
}

impl Unreadable {
    fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), kind: None }
    }
}

/// Decodes a call of `shop`'s till. Dates without offset are on the shop's wall clock, amounts in its currency.
///
/// # Errors
/// When the bytes are of no known encoding, when there is no `type`, or when an order has neither of its two numbers.
pub fn decode(input: &Input<'_>, shop: &Shop) -> Result<Notification, Unreadable> {
    catch_unwind(AssertUnwindSafe(|| read(input, shop))).unwrap_or_else(|_| {
        Err(Unreadable::because(
            "tillhook itself failed while reading this call: please report it, then reprocess the call after an upgrade",
        ))
    })
}

/// The text of bytes that the till sent: UTF-8 if they are, else in the charset that the content type declares, else
/// Windows-1252; without byte order mark.
pub fn text(bytes: &[u8], content_type: Option<&str>) -> String {
    let declared = charset::declared(content_type);
    charset::text(&charset::unmark(bytes, declared), declared).into_owned()
}

/// [`decode`] without the safety net.
fn read(input: &Input<'_>, shop: &Shop) -> Result<Notification, Unreadable> {
    let mut fields = Fields::new(sniff::tree(input)?);
    let Some(kind) = fields.text(names::TYPE) else {
        return Err(Unreadable::because(format!(
            "the field `type` is missing: the till sends `validated` or `terminated`; {}",
            fields.inventory()
        )));
    };
    let is = |word| names::same(&kind, word);
    if is("validated") || is("terminated") {
        let phase = if is("validated") { Phase::Validated } else { Phase::Terminated };
        order::read(fields, phase, shop).map_err(|reason| Unreadable { reason, kind: Some(kind) })
    } else if is("cashboxopen") {
        Ok(Notification::CashBoxOpened(cashbox::read(fields, shop)))
    } else if is("cashboxclose") {
        Ok(Notification::CashBoxClosed(cashbox::read(fields, shop)))
    } else {
        Ok(Notification::Unknown(UnknownNotice { kind }))
    }
}

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
mod escapes;
mod fields;
mod find;
mod form;
#[doc(hidden)]
pub mod fuzzing;
mod items;
mod json;
mod multipart;
mod names;
mod number;
mod order;
mod percent;
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
#[derive(Clone, Copy, Default)]
pub struct Input<'a> {
    /// The `Content-Type` header. Only its charset and its boundary are used, and only where the bytes leave them open.
    pub content_type: Option<&'a str>,
    /// The raw query, without `?`. It is read together with the body.
    pub query: Option<&'a str>,
    /// The raw body.
    pub body: &'a [u8],
    /// How many bytes of body were announced, where that is not how many came: such a call is never read as whole.
    pub announced: Option<u64>,
}

/// Why a call could not be decoded. It is kept all the same, in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unreadable {
    /// Words that a person can act on; names of fields at most, never a value.
    pub reason: String,
    /// The call's `type`, where it has one.
    pub kind: Option<String>,
    /// Whether it has no field of the till's at all: somebody probably checks whether the address answers.
    pub is_check: bool,
}

impl Unreadable {
    fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), kind: None, is_check: false }
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

/// A call of which more or less came than its head said. What it says may end in the middle of an amount.
fn cut(announced: u64, came: usize) -> Unreadable {
    let what = if (came as u64) < announced { "is cut off" } else { "is longer than its head says" };
    let how_much = match i64::try_from(announced) {
        Ok(..i64::MAX) => format!("{announced} bytes were announced and {came} came"),
        Ok(i64::MAX) | Err(_) => format!("{came} bytes came, and more were announced"),
    };
    Unreadable::because(format!("the call {what}: {how_much}; look at it, and at the order in the till"))
}

/// [`decode`] without the safety net.
fn read(input: &Input<'_>, shop: &Shop) -> Result<Notification, Unreadable> {
    if let Some(announced) = input.announced {
        return Err(cut(announced, input.body.len()));
    }
    let mut fields = Fields::new(find::fields(input)?);
    let Some(kind) = fields.text(names::TYPE) else {
        if !fields.has(&names::CALL.concat()) {
            let what = "this is probably a check of the address: it has no field of the till's";
            return Err(Unreadable {
                is_check: true,
                ..Unreadable::because(format!("{what}; {}", fields.inventory()))
            });
        }
        return Err(Unreadable::because(format!(
            "the field `type` is missing: the till sends `validated` or `terminated`; {}",
            fields.inventory()
        )));
    };
    if !find::is_word(&kind) {
        return Err(Unreadable::because(
            "the field `type` is no plain word of at most 64 letters, digits, `_`, `.` and `-`; look at the call itself",
        ));
    }
    let is = |word| names::same(&kind, word);
    if is("validated") || is("terminated") {
        let phase = if is("validated") { Phase::Validated } else { Phase::Terminated };
        order::read(fields, phase, shop)
            .map_err(|reason| Unreadable { kind: Some(kind), ..Unreadable::because(reason) })
    } else if is("cashboxopen") {
        Ok(Notification::CashBoxOpened(cashbox::read(fields, shop)))
    } else if is("cashboxclose") {
        Ok(Notification::CashBoxClosed(cashbox::read(fields, shop)))
    } else {
        Ok(Notification::Unknown(UnknownNotice { kind }))
    }
}

//! What the till says about a cash box: that it was opened, or closed with so much in it.

use jiff::Zoned;
use rust_decimal::Decimal;

/// A call about a cash box.
#[derive(Clone, Debug, PartialEq)]
pub struct CashBoxCall {
    /// Which one.
    pub cash_box_id: String,
    /// What was found when it was closed; `None` when it was opened.
    pub closing: Option<CashBoxClosing>,
}

/// The end of a cash box's day.
#[derive(Clone, Debug, PartialEq)]
pub struct CashBoxClosing {
    /// What was received in between.
    pub total: Decimal,
    /// When it was opened.
    pub opened: Zoned,
    /// When it was closed.
    pub closed: Zoned,
    /// Where somebody may ask whether the call is genuine.
    pub verification_url: String,
}

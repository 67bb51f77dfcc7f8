//! `cashBox_open` and `cashBox_close` → what a till says about itself.

use super::{fields::Fields, names};
use crate::order::{CashBoxNotice, Shop};

/// Reads the fields of a cash box. All of them may be missing.
pub(super) fn read(mut fields: Fields, shop: &Shop) -> CashBoxNotice {
    fields.flag(names::TEST);
    CashBoxNotice {
        cash_box_id: fields.text(names::CASH_BOX_ID),
        opened: fields.moment(names::OPENED, shop),
        closed: fields.moment(names::CLOSED, shop),
        total: fields.money(names::TAKINGS, shop),
        verification_url: fields.text(names::VERIFICATION_URL),
        verification: None,
        extra: fields.into_extra(),
    }
}

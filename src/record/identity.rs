//! Which order a call is about (contract §5, Identity).
//!
//! An order is (shop, `orderInternalID`). A call without it joins the only order of the shop with its `orderID`, else
//! founds one, which is adopted by the first later call that carries both. Equal `orderID`s never merge different
//! internal ids.

use crate::{
    order::{OrderNotice, ShopId},
    store::{KnownOrder, View},
};

/// The order that `notice` is about, if it is known.
pub(super) fn find<'a>(view: &'a View, shop: &ShopId, notice: &OrderNotice) -> Option<&'a KnownOrder> {
    let content = &notice.content;
    let namesakes = || match &content.order_id {
        Some(number) => view.by_order_id(shop, notice.test, number),
        None => Vec::new(),
    };
    match &content.internal_id {
        Some(id) => view.by_internal_id(shop, notice.test, id).or_else(|| founded_without_id(&namesakes())),
        None => match namesakes().as_slice() {
            [only] => Some(only),
            several => founded_without_id(several),
        },
    }
}

/// Among orders of one number, the one that was founded by a call without internal id and not adopted yet.
fn founded_without_id<'a>(orders: &[&'a KnownOrder]) -> Option<&'a KnownOrder> {
    orders.iter().copied().find(|order| order.internal_id.is_none())
}

//! An order after it heard a call: how it stands, and the texts that are written of it.
//!
//! Making the texts is the costly part of taking in a call and the writer has only one turn at a time, so a call is heard
//! by a fresh order before its turn; only a call about an order that is known is heard again in its turn.

use std::sync::Arc;

use jiff::{Timestamp, civil::Date};

use super::{ShopPolicy, fan_out::Standing};
use crate::{
    order::{EventData, EventType, Moment, Order, OrderContent, OrderKey, OrderNotice, Phase, Source, Traces},
    store::KnownOrder,
};

#[derive(Clone)]
pub(super) struct Heard {
    pub order: KnownOrder,
    pub kind: EventType,
    /// Whether the order was heard of before.
    pub was_known: bool,
    pub standing: Standing,
    /// The snapshot, as the event carries it.
    pub data: Arc<str>,
    /// Both phases, as the order's row keeps them.
    pub timeline: Arc<str>,
    /// The day that the order counts for in the books.
    pub booked_on: Date,
}

impl Heard {
    /// What a call means for an order that nobody heard of before; `None` where its texts would be too large.
    pub fn first(
        notice: &OrderNotice,
        policy: &ShopPolicy,
        received_at: Timestamp,
        now: Timestamp,
        source: Option<Source>,
        largest: usize,
    ) -> Option<Self> {
        let order = KnownOrder {
            key: OrderKey::new(now),
            shop: policy.shop.id.clone(),
            test: notice.test,
            internal_id: None,
            order_id: None,
            timeline: Default::default(),
            received_at,
            told: Vec::new(),
            erased: false,
        };
        Some(Self { was_known: false, ..Self::next(order, notice, policy, received_at, source, largest)? })
    }

    /// What a call means for an order as it stood before; `None` where its texts would be too large.
    pub fn next(
        mut order: KnownOrder,
        notice: &OrderNotice,
        policy: &ShopPolicy,
        received_at: Timestamp,
        source: Option<Source>,
        largest: usize,
    ) -> Option<Self> {
        let kind = match notice.phase {
            phase if order.timeline.knows(phase) => EventType::OrderUpdated,
            Phase::Validated => EventType::OrderValidated,
            Phase::Terminated => EventType::OrderTerminated,
        };
        let content = content_for(&order, notice);
        let before = (order.timeline.state(), order.timeline.merged());
        Arc::make_mut(&mut order.timeline).hear(notice.phase, content);
        let now = (order.timeline.state(), order.timeline.merged());
        let changed = before != now;
        // Large orders are taken as well: no more of their copies is kept than is needed.
        drop(before);
        let timeline = order.timeline.to_text_within(largest)?;
        order.internal_id = order.internal_id.or_else(|| notice.content.internal_id.clone());
        order.order_id = order.order_id.or_else(|| notice.content.order_id.clone());
        let received = Moment::new(whole_second(received_at), &policy.shop.timezone);
        let snapshot = Order { source, ..Order::of(now.1, now.0, policy.shop.currency, received) };
        Some(Self {
            kind,
            was_known: true,
            standing: Standing { complete: order.timeline.is_complete(), changed },
            booked_on: snapshot.dates.booked().civil().date(),
            data: EventData::Order(Box::new(snapshot)).to_text().into(),
            timeline: timeline.into(),
            order,
        })
    }
}

/// What an announcement says of an order, without its customer where that one was erased.
fn content_for(order: &KnownOrder, notice: &OrderNotice) -> OrderContent {
    let mut content = notice.content.clone();
    if order.erased {
        let mut traces = Traces::default();
        content.customer.iter().for_each(|customer| traces.learn(customer));
        content.forget_customer(&traces);
    }
    content
}

/// The contract's dates carry no fractions.
fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

//! Accept exactly once: one commit with the raw bytes, the event, the order and its deliveries.
//!
//! This is where contract §5 lives: which order a call (`call.rs`) is about (`identity.rs`), whether it says anything new
//! (`announce.rs`, `heard.rs`), and which messages follow from it (`fan_out.rs`). All of it is decided inside the writer's
//! transaction, on what the database knows at that moment.
//!
//! **Invariant:** nothing here waits, asks the network, or looks at a clock; a plan is the same however often it is made
//! anew after a failed commit, but for fresh ids.

mod alert;
mod announce;
mod call;
mod fan_out;
mod found;
mod heard;
mod identity;
mod invoice;

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use serde_json::Value;

pub use alert::Alert;
pub use call::{Acceptance, Call, Origin, Outcome, Unread};
pub use fan_out::NO_INVOICE;
pub use found::was_found;
pub use invoice::Arrival;

pub use crate::store::Raw;

use crate::{
    clock::Clock,
    decode::{LIGHT, weight},
    order::{EventType, Notification, OrderKey, ReceiptId, Shop, ShopId, SinkName, Verify},
    pool::{Panicked, Pool, Turn},
    route::Rule,
    store::{Changes, Store, StoreError, StoredEvent},
};

/// From how many bytes of memory on, as its bytes tell, a call is taken in after others that are as heavy.
const HEAVY: usize = 1024 * 1024;

/// What recording has to know of the configuration.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The shops.
    pub shops: HashMap<ShopId, ShopPolicy>,
    /// One rule a sink.
    pub rules: Vec<Rule>,
    /// How many bytes of JSON an order may take up, with everything that was said of it: what is more is quarantined.
    pub largest_order: usize,
}

impl Policy {
    /// The sinks that tell of what is wrong with this one.
    pub fn tell_of<'a>(&'a self, sink: &'a SinkName) -> impl Iterator<Item = &'a SinkName> {
        let told = self.rules.iter().filter(|rule| rule.alerts || rule.selects(EventType::SinkFailing));
        told.map(|rule| &rule.sink).filter(move |name| *name != sink)
    }
}

/// What recording has to know of a shop.
#[derive(Clone, Debug)]
pub struct ShopPolicy {
    /// Who it is.
    pub shop: Shop,
    /// Whether its invoices are fetched.
    pub fetch_invoices: bool,
    /// How long a delivery waits for its PDF.
    pub invoice_wait: Duration,
    /// Whether its till is asked to confirm its calls.
    pub verify: Verify,
}

/// Writes down what happens; cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    store: Store,
    clock: Arc<dyn Clock>,
    policy: Arc<ArcSwap<Policy>>,
    /// Where calls are decoded and their texts written.
    pool: Pool,
    /// For heavy calls, and for large messages about them.
    turn: Turn,
}

impl Recorder {
    /// A recorder under this policy.
    pub fn new(store: Store, clock: Arc<dyn Clock>, policy: Policy) -> Self {
        Self {
            store,
            clock,
            policy: Arc::new(ArcSwap::from_pointee(policy)),
            pool: Pool::of_processors(),
            turn: Turn::default(),
        }
    }

    /// Everything recorded from now on follows this policy; routing that was already decided stays.
    pub fn reload(&self, policy: Policy) {
        self.policy.store(Arc::new(policy));
    }

    /// The shop as it is configured now.
    pub fn shop(&self, id: &ShopId) -> Option<ShopPolicy> {
        self.policy.load().shops.get(id).cloned()
    }

    /// The turn to make something of a large order: a call of it is taken in, or a message about it is made, one at a time.
    pub fn large_turn(&self) -> &Turn {
        &self.turn
    }

    /// The policy as it is now.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// An alert that concerns a shop and no sink, to be written with what it is about. `facts` is an object.
    pub fn alert_of_shop(&self, kind: EventType, shop: &ShopId, facts: &Value, now: Timestamp) -> Changes {
        let facts = facts.as_object().cloned().unwrap_or_default();
        let alert = Alert { kind, shop: Some(shop.clone()), about: None, also: None, facts, marks_told: None };
        alert.into_changes(&self.policy(), now)
    }

    /// Writes down a call of the till. `decode` says what its bytes mean, or why they mean nothing to us; for a heavy call it
    /// runs on a thread of its own.
    ///
    /// # Errors
    /// When nothing of the call is on disk: it must not be acknowledged.
    pub async fn accept<U: Into<Unread>>(
        &self,
        call: Call,
        decode: impl FnOnce() -> Result<Notification, U> + Send + 'static,
    ) -> Result<Acceptance, StoreError> {
        match self.take_in(call.clone(), || decode().map_err(Into::into)).await {
            // Nothing is refused for its content, not even for what it does to us.
            Err(StoreError::Bug) => {
                let reason = "tillhook failed over this body; please report it, and reprocess it after an upgrade";
                self.take_in(call, || Err(reason.to_owned().into())).await
            }
            taken => taken,
        }
    }

    async fn take_in(
        &self,
        call: Call,
        decode: impl FnOnce() -> Result<Notification, Unread> + Send + 'static,
    ) -> Result<Acceptance, StoreError> {
        let (policy, now) = (self.policy.load_full(), self.clock.now());
        let weight = weight(call.raw.query.as_deref(), &call.raw.body);
        let _turn = if weight > HEAVY { self.turn.take().await } else { None };
        let announced = move || announce::Announced::new(call, decode(), policy, now);
        // A thread of its own would cost a light call more than it saves.
        let announced = match weight <= LIGHT {
            true => catch_unwind(AssertUnwindSafe(announced)).map_err(|_| Panicked),
            false => self.pool.run(announced).await,
        };
        self.store.take_in(announced.map_err(|Panicked| StoreError::Bug)?).await
    }

    /// Records how the search for an order's invoice ended: the waiting deliveries go, those that went without it are
    /// followed by a reply, and `invoice.stored` or `invoice.missing` is told, unless the order cannot be read.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn invoice_ended(&self, order: OrderKey, arrival: Arrival) -> Result<(), StoreError> {
        let intake = invoice::Ended { order, arrival, policy: self.policy.load_full(), now: self.clock.now() };
        self.store.take_in(intake).await
    }

    /// Records an alert and enqueues it for whoever is to know, in one commit.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn alert(&self, alert: Alert) -> Result<(), StoreError> {
        self.store.take_in(alert::Told { alert, policy: self.policy.load_full(), now: self.clock.now() }).await
    }

    /// Enqueues for a sink what its present rule selects of an earlier event and it never got. Returns whether it did.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn recover(&self, rule: Rule, event: StoredEvent) -> Result<bool, StoreError> {
        if event.order_key.is_none() && self.store.was_told(&rule.sink, &event).await? {
            return Ok(false);
        }
        self.store.take_in(fan_out::Recovered { rule, event, now: self.clock.now() }).await
    }

    /// Whether [`Recorder::recover`] would enqueue something, as things are now. Writes nothing.
    ///
    /// # Errors
    /// What the database says.
    pub async fn would_recover(&self, rule: &Rule, event: &StoredEvent) -> Result<bool, StoreError> {
        let shop = event.shop.as_ref().map(|(id, _)| id);
        let is_summed_up = rule.digests && event.order_key.is_some();
        if event.kind.is_alert() || is_summed_up || !rule.admits(shop) || self.store.was_told(&rule.sink, event).await?
        {
            return Ok(false);
        }
        match event.order_key {
            Some(order) if rule.begins(event.kind) && !rule.selects(event.kind) => {
                Ok(!self.store.knows_of(&rule.sink, order).await?)
            }
            _ => Ok(rule.selects(event.kind)),
        }
    }
}

/// Marks a body that is read again after it was quarantined.
#[derive(Clone, Copy, Debug)]
pub struct Requeued {
    /// Its receipt.
    pub receipt: ReceiptId,
    /// When it came.
    pub received_at: Timestamp,
}

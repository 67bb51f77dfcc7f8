//! Alerts: events that reach the sinks named in `alerts`, whatever their `on`.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Policy, fan_out};
use crate::{
    order::{EventId, EventType, ShopId, SinkName},
    route::Rule,
    sink::Purpose,
    store::{Changes, Intake, Keys, NewEvent, View},
};

/// Something that a person has to know.
#[derive(Clone, Debug)]
pub struct Alert {
    /// Its type; one that is an alert.
    pub kind: EventType,
    /// The shop, where it concerns one.
    pub shop: Option<ShopId>,
    /// The sink that it is about, which is not told of itself.
    pub about: Option<SinkName>,
    /// A sink that is told whoever else is.
    pub also: Option<SinkName>,
    /// The facts, with the keys of contract §6.
    pub facts: Map<String, Value>,
    /// Remember that this sink's outage was told (`true`), or that its end was (`false`).
    pub marks_told: Option<bool>,
}

impl Alert {
    /// The event and its deliveries, for whoever writes them together with something else.
    pub fn into_changes(self, policy: &Policy, now: Timestamp) -> Changes {
        let mut view = View::default();
        self.plan(&mut view, policy, now);
        view.into_changes()
    }

    fn plan(&self, view: &mut View, policy: &Policy, now: Timestamp) {
        let shop = self.shop.as_ref().and_then(|id| policy.shops.get(id));
        let event = NewEvent {
            id: EventId::new(now),
            kind: self.kind,
            shop: shop.map(|policy| (policy.shop.id.clone(), policy.shop.name.clone())),
            order: None,
            at: now,
            test: false,
            data: Value::Object(self.facts.clone()).to_string().into(),
        };
        let told: Vec<Rule> =
            policy.rules.iter().filter(|rule| Some(&rule.sink) != self.about.as_ref()).cloned().collect();
        tell_also(view, &told, event, self.also.as_ref());
        if let (Some(sink), Some(told)) = (&self.about, self.marks_told) {
            view.told_of_sink(sink.clone(), told.then_some(now));
        }
    }
}

/// An alert that is written by itself.
pub(super) struct Told {
    pub alert: Alert,
    pub policy: Arc<Policy>,
    pub now: Timestamp,
}

impl Intake for Told {
    type Outcome = ();

    fn keys(&self) -> Keys {
        Keys::default()
    }

    fn plan(&self, view: &mut View) {
        self.alert.clone().plan(view, &self.policy, self.now);
    }
}

/// Records an alert and enqueues it for whoever is to know: the sinks named in `alerts`, and those that select its type.
pub(super) fn tell(view: &mut View, rules: &[Rule], event: NewEvent) {
    tell_also(view, rules, event, None);
}

fn tell_also(view: &mut View, rules: &[Rule], event: NewEvent, also: Option<&SinkName>) {
    let shop = event.shop.as_ref().map(|(id, _)| id);
    let is_told = |rule: &&Rule| rule.alerts || rule.selects(event.kind) || Some(&rule.sink) == also;
    for rule in rules.iter().filter(|rule| rule.admits(shop)).filter(is_told) {
        view.add_delivery(fan_out::delivery(rule, &event, Purpose::Alert, event.at));
    }
    view.add_event(event);
}

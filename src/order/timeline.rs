//! Both announcements of an order as one order.
//!
//! The till speaks twice, in any sequence, and may correct itself. A timeline keeps what each phase last said and
//! reads them as one: the later phase's non-null fields win, also when the earlier phase arrives last.
//!
//! **Invariant:** the state only ever moves forward.

use serde::{Deserialize, Serialize};

use super::{Customer, OrderContent, Phase, State};
use crate::json;

/// What was said of an order, by phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// What `validated` said.
    pub validated: Option<OrderContent>,
    /// What `terminated` said.
    pub terminated: Option<OrderContent>,
}

impl Timeline {
    /// Takes in what a phase says. A correction of the same phase overlays what that phase had said.
    pub fn hear(&mut self, phase: Phase, content: OrderContent) {
        let slot = match phase {
            Phase::Validated => &mut self.validated,
            Phase::Terminated => &mut self.terminated,
        };
        *slot = Some(match slot.take() {
            Some(earlier) => content.over(earlier),
            None => content,
        });
    }

    /// The JSON of both phases, as it is kept.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The same where it has at most so many bytes.
    pub fn to_text_within(&self, most: usize) -> Option<String> {
        json::written_within(self, most)
    }

    /// What a phase said.
    pub fn said(&self, phase: Phase) -> Option<&OrderContent> {
        match phase {
            Phase::Validated => self.validated.as_ref(),
            Phase::Terminated => self.terminated.as_ref(),
        }
    }

    /// Whether the phase was heard of.
    pub fn knows(&self, phase: Phase) -> bool {
        self.said(phase).is_some()
    }

    /// Whether nothing is left but which phases were heard of: the order was pruned, and its numbers are known elsewhere.
    pub fn is_hollow(&self) -> bool {
        [&self.validated, &self.terminated].into_iter().flatten().all(|said| *said == OrderContent::default())
    }

    /// Whether both announcements are in.
    pub fn is_complete(&self) -> bool {
        self.validated.is_some() && self.terminated.is_some()
    }

    /// How far the order is.
    pub fn state(&self) -> State {
        if self.terminated.is_some() { State::Paid } else { State::Invoiced }
    }

    /// Both phases as one content.
    pub fn merged(&self) -> OrderContent {
        match (self.validated.clone(), self.terminated.clone()) {
            (Some(earlier), Some(later)) => later.over(earlier),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => OrderContent::default(),
        }
    }
}

impl OrderContent {
    /// These fields, and where they are null those of `under`.
    fn over(self, under: Self) -> Self {
        // What the earlier phase said and nobody understood is no matter any more where the later one says it.
        let mut unreadable = under.unreadable.clone();
        unreadable.retain(|field| !self.says(*field) && !self.unreadable.contains(field));
        unreadable.extend(&self.unreadable);
        let mut extra = under.extra;
        extra.extend(self.extra);
        Self {
            order_id: self.order_id.or(under.order_id),
            internal_id: self.internal_id.or(under.internal_id),
            is_refund: self.is_refund.or(under.is_refund),
            dates: super::SentDates {
                created: self.dates.created.or(under.dates.created),
                validated: self.dates.validated.or(under.dates.validated),
                value: self.dates.value.or(under.dates.value),
            },
            total: self.total.or(under.total),
            total_vat: self.total_vat.or(under.total_vat),
            vat: self.vat.or(under.vat),
            items: self.items.or(under.items),
            customer: match (self.customer, under.customer) {
                (Some(later), Some(earlier)) => Some(later.over(earlier)),
                (later, earlier) => later.or(earlier),
            },
            cash_box_id: self.cash_box_id.or(under.cash_box_id),
            delivery_method: self.delivery_method.or(under.delivery_method),
            unreadable,
            extra,
        }
    }
}

impl Customer {
    /// These fields, and where they are null those of `under`: the later call often has the customer's number alone. Of
    /// somebody with another number nothing is taken over.
    fn over(self, under: Self) -> Self {
        if self.id.as_ref().zip(under.id.as_ref()).is_some_and(|(one, other)| one != other) {
            return self;
        }
        let mut extra = under.extra;
        extra.extend(self.extra);
        Self {
            id: self.id.or(under.id),
            name: self.name.or(under.name),
            is_company: self.is_company.or(under.is_company),
            email: self.email.or(under.email),
            phone: self.phone.or(under.phone),
            // Half of one address and half of another is no address.
            address: self.address.or(under.address),
            extra,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saying(cash_box: Option<&str>, internal: Option<&str>) -> OrderContent {
        OrderContent {
            cash_box_id: cash_box.map(Into::into),
            internal_id: internal.map(Into::into),
            ..OrderContent::default()
        }
    }

    #[test]
    fn the_later_phases_non_null_fields_win_also_when_the_earlier_phase_arrives_last() {
        let mut timeline = Timeline::default();
        timeline.hear(Phase::Terminated, saying(Some("2"), None));
        timeline.hear(Phase::Validated, saying(Some("1"), Some("77")));
        let merged = timeline.merged();
        assert_eq!(merged.cash_box_id.as_deref(), Some("2"));
        assert_eq!(merged.internal_id.as_deref(), Some("77"));
        assert_eq!(timeline.state(), State::Paid);
    }

    fn bought_by(id: Option<&str>, name: Option<&str>, email: Option<&str>) -> OrderContent {
        let [id, name, email] = [id, name, email].map(|text| text.map(Into::into));
        OrderContent { customer: Some(Customer { id, name, email, ..Customer::default() }), ..OrderContent::default() }
    }

    #[test]
    fn a_call_with_the_customers_number_alone_takes_nothing_away_and_another_number_is_somebody_else() {
        for (first, then, expected) in [
            (Phase::Validated, Phase::Terminated, (Some("512"), Some("Zoé"))),
            (Phase::Terminated, Phase::Validated, (Some("512"), Some("Zoé"))),
            (Phase::Validated, Phase::Validated, (Some("512"), Some("Zoé"))),
        ] {
            for known in [Some("512"), None] {
                let mut timeline = Timeline::default();
                timeline.hear(first, bought_by(known, Some("Zoé"), Some("zoe@durand.example")));
                timeline.hear(then, bought_by(Some("512"), None, None));
                let customer = timeline.merged().customer.expect("a customer");
                assert_eq!((customer.id.as_deref(), customer.name.as_deref()), expected);
                assert_eq!(customer.email.as_deref(), Some("zoe@durand.example"));
            }
        }
        let mut timeline = Timeline::default();
        timeline.hear(Phase::Validated, bought_by(Some("512"), Some("Zoé"), Some("zoe@durand.example")));
        timeline.hear(Phase::Terminated, bought_by(Some("513"), None, None));
        let other = Customer { id: Some("513".into()), ..Customer::default() };
        assert_eq!(timeline.merged().customer, Some(other));
    }
}

//! A call of the till becomes a receipt and, where it says something new, an event.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Map, json};

use super::{
    Acceptance, Call, Origin, Outcome, Policy, ShopPolicy, Unread, alert, fan_out, found, heard::Heard, identity,
};
use crate::{
    order::{
        CashBoxNotice, EventData, EventId, EventType, Fingerprint, InvoiceStatus, Notification, OrderKey, OrderNotice,
        ReceiptId, ShopId, UnknownNotice, Verify,
    },
    store::{
        Intake, Keys, KnownInvoice, KnownOrder, NewEvent, NewReceipt, NewVerification, Numbered, SavedOrder, View,
    },
};

/// How long an identical opening, undated closing, or call of an unknown type is taken for the same one (contract §5, Cash box).
const SAME_NOTICE_WITHIN: Duration = Duration::from_secs(60);

pub(super) struct Announced {
    call: Call,
    decoded: Result<Notification, Unread>,
    policy: Arc<Policy>,
    /// What an announcement says, made before its turn, because the writer has only one.
    said: Option<Said>,
    receipt: ReceiptId,
    now: Timestamp,
}

/// What an announcement of an order says, in short and, should the order be new, in full.
struct Said {
    content: Fingerprint,
    /// `None` where its texts would be too large.
    first: Option<Heard>,
}

impl Announced {
    pub fn new(call: Call, decoded: Result<Notification, Unread>, policy: Arc<Policy>, now: Timestamp) -> Self {
        let receipt = match call.origin {
            Origin::Till | Origin::Reconciliation => ReceiptId::new(now),
            Origin::Quarantine(requeued) => requeued.receipt,
        };
        let mut announced = Self { call, decoded, policy, said: None, receipt, now };
        announced.said = announced.say();
        announced
    }

    fn say(&self) -> Option<Said> {
        let (Ok(Notification::Order(notice)), Some(shop)) = (&self.decoded, self.shop()) else { return None };
        let (source, largest) = (self.call.origin.source(), self.policy.largest_order);
        let first = Heard::first(notice, shop, self.received_at(), self.now, source, largest);
        Some(Said { content: notice.content.fingerprint(), first })
    }

    /// When the till called.
    fn received_at(&self) -> Timestamp {
        match self.call.origin {
            Origin::Till | Origin::Reconciliation => self.now,
            Origin::Quarantine(requeued) => requeued.received_at,
        }
    }

    fn shop(&self) -> Option<&ShopPolicy> {
        self.policy.shops.get(&self.call.shop)
    }

    /// Shop, kind and digest of a call about no order. A closing that says neither when it opened nor when it closed has
    /// nothing to be known by but its bytes: tomorrow's must not be taken for today's.
    fn notice(&self) -> Option<(ShopId, String, [u8; 32])> {
        let raw = &self.call.raw;
        let identical = || Fingerprint::of_bytes(&[raw.query.as_deref().unwrap_or_default().as_bytes(), &raw.body]);
        let (kind, digest) = match self.decoded.as_ref().ok()? {
            Notification::Order(_) => return None,
            Notification::CashBoxClosed(notice) if notice.says_when() => (EventType::CashBoxClosed, notice.closing()),
            Notification::CashBoxClosed(_) => (EventType::CashBoxClosed, identical()),
            Notification::CashBoxOpened(_) => (EventType::CashBoxOpened, identical()),
            Notification::Unknown(_) => (EventType::TillUnknown, identical()),
        };
        Some((self.call.shop.clone(), kind.as_str().to_owned(), digest.0))
    }
}

impl Intake for Announced {
    type Outcome = Acceptance;

    fn is_call(&self) -> bool {
        true
    }

    fn keys(&self) -> Keys {
        Keys { numbered: self.numbers(), order: None, notice: self.notice() }
    }

    fn plan(&self, view: &mut View) -> Acceptance {
        let understood = match self.set_aside(view) {
            Some(unread) => Err(unread),
            None => self.understood(view),
        };
        let (outcome, event, reason) = match understood {
            Ok((outcome, event)) => (outcome, event, None),
            Err(unread) => {
                let (outcome, event) = self.unreadable(view, self.shop(), &unread);
                (outcome, event, Some(unread.reason))
            }
        };
        self.leave_receipt(view, outcome, event, reason.clone());
        Acceptance { outcome, receipt: self.receipt, reason }
    }
}

impl Announced {
    /// Does what the call says; an error where it says nothing to us, and is quarantined.
    fn understood(&self, view: &mut View) -> Result<(Outcome, Option<EventId>), Unread> {
        let notification = self.decoded.as_ref().map_err(Clone::clone)?;
        let Some(shop) = self.shop() else { return Ok((Outcome::Quarantined, None)) };
        Ok(match notification {
            Notification::Order(notice) => return self.order(view, shop, notice),
            Notification::CashBoxOpened(notice) => self.cash_box(view, shop, EventType::CashBoxOpened, notice),
            Notification::CashBoxClosed(notice) => self.cash_box(view, shop, EventType::CashBoxClosed, notice),
            Notification::Unknown(notice) => self.unknown(view, shop, notice),
        })
    }

    /// The numbers of the order that the call is about.
    fn numbers(&self) -> Option<Numbered> {
        match &self.decoded {
            Ok(Notification::Order(notice)) => Some(Numbered {
                shop: self.call.shop.clone(),
                test: notice.test,
                internal_id: notice.content.internal_id.clone(),
                order_id: notice.content.order_id.clone(),
            }),
            _ => None,
        }
    }

    /// Why the call is understood and nothing can be decided of it all the same: something that is stored of the same order
    /// cannot be read. Its content is kept whoever was erased: it is all that there is of what it says.
    fn set_aside(&self, view: &View) -> Option<Unread> {
        let of_order = self.numbers().and_then(|numbers| view.unreadable(&numbers).map(str::to_owned));
        let of_notice = || {
            self.notice()
                .and_then(|(shop, kind, digest)| view.unreadable_notice(&shop, &kind, &digest).map(str::to_owned))
        };
        let kind = match self.decoded.as_ref().ok()? {
            Notification::Order(notice) => notice.phase.as_str(),
            Notification::CashBoxOpened(_) => EventType::CashBoxOpened.as_str(),
            Notification::CashBoxClosed(_) => EventType::CashBoxClosed.as_str(),
            Notification::Unknown(_) => EventType::TillUnknown.as_str(),
        };
        let cause = of_order.or_else(of_notice)?;
        let reason = format!(
            "what is stored of the same order cannot be read ({cause}); the call is kept: repair that row or restore a \
             backup, then `tillhook quarantine reprocess`"
        );
        Some(Unread { kind: Some(kind.to_owned()), reason, is_check: false })
    }

    fn order(
        &self,
        view: &mut View,
        policy: &ShopPolicy,
        notice: &OrderNotice,
    ) -> Result<(Outcome, Option<EventId>), Unread> {
        let Some(said) = &self.said else { return Ok((Outcome::Quarantined, None)) };
        let known = identity::find(view, &policy.shop.id, notice).cloned();
        if let Some(order) = &known
            && let Some(event) = self.said_before(view, order, notice, said.content)
        {
            // The link is no part of what a call says, so a repeat may bring the one that works. A pruned order has no
            // use for one.
            if !order.timeline.is_hollow() {
                self.see_link(view, policy, order.key, notice);
                // Nor is this one: it matters only where the till did not confirm the call at the first.
                if let Some(url) = notice.verification_url.clone().filter(|_| policy.verify != Verify::Off) {
                    view.verify_elsewhere(event, url, self.now);
                }
            }
            return Ok((Outcome::Duplicate, Some(event)));
        }
        let heard = match known {
            Some(order) => {
                let (source, largest) = (self.call.origin.source(), self.policy.largest_order);
                Heard::next(order, notice, policy, self.received_at(), source, largest)
            }
            None => said.first.clone(),
        };
        let heard = heard.ok_or_else(|| self.too_large(notice))?;
        let key = heard.order.key;
        let event = self.event(policy, heard.kind, Some(key), notice.test, heard.data);
        view.announce(key, notice.phase, said.content, event.id);
        if matches!(self.call.origin, Origin::Reconciliation) {
            found::mark(view, &heard.order, notice, !heard.was_known, event.id, self.now);
        }
        self.see_link(view, policy, key, notice);
        view.save_order(SavedOrder {
            order: heard.order,
            timeline: heard.timeline,
            last_event: event.id,
            updated_at: self.now,
            booked_on: heard.booked_on,
        });
        fan_out::order_event(view, &self.policy.rules, &event, heard.standing);
        // What `send-test` sends cannot be confirmed, and says of itself that it is a test.
        if !notice.test {
            self.verify(view, policy, &event, notice.verification_url.as_ref());
        }
        let id = event.id;
        view.add_event(event);
        Ok((Outcome::Stored, Some(id)))
    }

    fn too_large(&self, notice: &OrderNotice) -> Unread {
        let most = bytesize::ByteSize(self.policy.largest_order as u64).display().iec();
        let reason = format!(
            "with this call, what was said of the order would take up more than {most}: look for what fills it, \
             `tillhook quarantine show` has the call"
        );
        Unread { kind: Some(notice.phase.as_str().to_owned()), reason, is_check: false }
    }

    /// The event that said the same of an order. Where a phase was found in the till's list, its first call afterwards
    /// says the same: it is the one that was lost. Another amount is news.
    fn said_before(
        &self,
        view: &mut View,
        order: &KnownOrder,
        notice: &OrderNotice,
        content: Fingerprint,
    ) -> Option<EventId> {
        match self.call.origin {
            Origin::Reconciliation if order.timeline.knows(notice.phase) => view.announced_any(order.key, notice.phase),
            Origin::Reconciliation => None,
            _ => {
                found::called(view, order, notice, content).or_else(|| view.announced(order.key, notice.phase, content))
            }
        }
    }

    /// The first link is fetched; another one is used only while nothing is stored.
    fn see_link(&self, view: &mut View, policy: &ShopPolicy, order: OrderKey, notice: &OrderNotice) {
        let Some(url) = notice.invoice_url.as_ref().filter(|_| policy.fetch_invoices) else { return };
        let known = view.invoice(order).cloned();
        let invoice = match known {
            None => KnownInvoice {
                status: InvoiceStatus::Pending,
                url: Some(url.clone()),
                first_seen_at: self.now,
                wait_until: self.now + policy.invoice_wait,
                was_stored: false,
            },
            Some(known) if !known.was_stored && known.url.as_ref() != Some(url) => {
                KnownInvoice { status: InvoiceStatus::Pending, url: Some(url.clone()), ..known }
            }
            Some(_) => return,
        };
        view.save_invoice(order, policy.shop.id.clone(), invoice);
    }

    /// Has the till asked, later and elsewhere, whether it made this call. Where that is required nothing about the order is
    /// sent before; a call without a URL holds it back like one that is not confirmed.
    fn verify(&self, view: &mut View, policy: &ShopPolicy, event: &NewEvent, url: Option<&String>) {
        let must_be_confirmed = match self.call.origin {
            Origin::Till | Origin::Quarantine(_) => policy.verify != Verify::Off,
            // We asked the till ourselves.
            Origin::Reconciliation => false,
        };
        if must_be_confirmed {
            view.verify(NewVerification {
                event: event.id,
                order: event.order,
                shop: policy.shop.id.clone(),
                url: url.cloned(),
                holds: policy.verify == Verify::Require && event.order.is_some(),
                at: self.now,
            });
        }
    }

    fn cash_box(
        &self,
        view: &mut View,
        policy: &ShopPolicy,
        kind: EventType,
        notice: &CashBoxNotice,
    ) -> (Outcome, Option<EventId>) {
        self.about_no_order(view, policy, kind, &EventData::CashBox(notice.clone()), notice.verification_url.as_ref())
    }

    /// Whether a repeat of this call about no order is one however late it comes.
    fn is_known_for_good(&self) -> bool {
        matches!(&self.decoded, Ok(Notification::CashBoxClosed(notice)) if notice.says_when())
    }

    fn unknown(&self, view: &mut View, policy: &ShopPolicy, notice: &UnknownNotice) -> (Outcome, Option<EventId>) {
        let mut facts = Map::new();
        facts.insert("type".to_owned(), json!(notice.kind));
        facts.insert("receipt_id".to_owned(), json!(self.receipt));
        facts.insert("reason".to_owned(), json!("the till sent a type that this version does not know"));
        self.about_no_order(view, policy, EventType::TillUnknown, &EventData::Facts(facts), None)
    }

    fn about_no_order(
        &self,
        view: &mut View,
        policy: &ShopPolicy,
        kind: EventType,
        data: &EventData,
        verification_url: Option<&String>,
    ) -> (Outcome, Option<EventId>) {
        let Some((shop, name, digest)) = self.notice() else { return (Outcome::Quarantined, None) };
        if let Some((event, at)) = view.notice(&shop, &name, &digest)
            && (self.is_known_for_good() || at.duration_since(self.now).unsigned_abs() < SAME_NOTICE_WITHIN)
        {
            return (Outcome::Duplicate, Some(event));
        }
        let event = self.event(policy, kind, None, false, data.to_text());
        view.save_notice(shop, &name, digest, event.id, self.now);
        fan_out::plain_event(view, &self.policy.rules, &event);
        if verification_url.is_some() {
            self.verify(view, policy, &event, verification_url);
        }
        let id = event.id;
        view.add_event(event);
        (Outcome::Stored, Some(id))
    }

    /// Kept, and somebody is told, once for each body (a body that is read again and still not understood tells nobody, nor
    /// does one that is probably a check of the address).
    fn unreadable(&self, view: &mut View, shop: Option<&ShopPolicy>, unread: &Unread) -> (Outcome, Option<EventId>) {
        if unread.is_check {
            tracing::warn!(shop.id = %self.call.shop, "A call with a right token is kept in quarantine: {}", unread.reason);
        } else if let (Origin::Till, Some(policy)) = (self.call.origin, shop) {
            let mut facts = Map::new();
            facts.insert("type".to_owned(), json!(unread.kind));
            facts.insert("receipt_id".to_owned(), json!(self.receipt));
            facts.insert("reason".to_owned(), json!(unread.reason));
            let event = self.event(policy, EventType::TillUnreadable, None, false, EventData::Facts(facts).to_text());
            alert::tell(view, &self.policy.rules, event);
        }
        (Outcome::Quarantined, None)
    }

    fn event(
        &self,
        policy: &ShopPolicy,
        kind: EventType,
        order: Option<OrderKey>,
        test: bool,
        data: impl Into<Arc<str>>,
    ) -> NewEvent {
        NewEvent {
            id: EventId::new(self.now),
            kind,
            shop: Some((policy.shop.id.clone(), policy.shop.name.clone())),
            order,
            at: self.now,
            test,
            data: data.into(),
        }
    }

    /// The till goes on naming a customer that was erased here; what it says of them is not kept again.
    fn is_about_somebody_erased(&self, view: &View) -> bool {
        let Ok(Notification::Order(notice)) = &self.decoded else { return false };
        identity::find(view, &self.call.shop, notice).is_some_and(|order| order.erased)
    }

    fn leave_receipt(&self, view: &mut View, outcome: Outcome, event: Option<EventId>, reason: Option<String>) {
        if let Origin::Quarantine(requeued) = self.call.origin {
            if outcome != Outcome::Quarantined {
                view.resolve_receipt(requeued.receipt, "reprocessed", self.now);
            }
            return;
        }
        if matches!(self.call.origin, Origin::Reconciliation) && outcome != Outcome::Stored {
            return;
        }
        let keeps_body = !self.is_about_somebody_erased(view);
        view.add_receipt(NewReceipt {
            id: self.receipt,
            shop: self.call.shop.clone(),
            received_at: self.now,
            raw: self.call.raw.clone(),
            keeps_content: keeps_body,
            outcome: outcome.as_str(),
            event,
            reason,
        });
    }
}

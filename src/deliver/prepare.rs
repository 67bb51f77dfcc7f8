//! From a due delivery to the message that is sent: the order as it is to be told, its invoice, its thread.

use jiff::{Timestamp, tz::TimeZone};
use url::Url;

use super::Lane;
use crate::{
    order::{Currency, Event, EventData, InvoiceStatus, InvoiceView, Locale, Shop, ShopId, ShopRef},
    record::{NO_INVOICE, Recorder},
    route::PerOrder,
    sink::{InvoiceFile, NameBook, Outgoing, Payload, Purpose, Reason, SinkError, Thread},
    store::{Candidate, InvoiceRow, Started, StoreError, StoredEvent, corrupt},
};

/// What making a message has to know beyond the delivery.
pub struct Context<'a> {
    /// The shops as they are configured.
    pub recorder: &'a Recorder,
    /// Where subscribers reach us.
    pub public_url: Option<&'a Url>,
    /// What the tills call things.
    pub names: &'a NameBook,
    /// The time.
    pub now: Timestamp,
}

/// A delivery that is to be started, and why its message could not be made, if it could not.
pub(super) struct Prepared {
    pub started: Started,
    pub failure: Option<SinkError>,
}

/// Makes the message of a candidate, or finds the condition that keeps it from being sent. A frozen message is not
/// looked at again.
///
/// # Errors
/// What was stored and cannot be read back: this delivery is to be given up.
pub(super) fn prepare(lane: &Lane, candidate: &Candidate, context: &Context<'_>) -> Result<Prepared, StoreError> {
    let started = |how, without_invoice| Started {
        id: candidate.id,
        version: candidate.version,
        how,
        without_invoice,
        at: context.now,
    };
    if candidate.payload.is_some() {
        return Ok(Prepared { started: started(Ok(candidate.payload.clone()), false), failure: None });
    }
    let unmade = |failure| Prepared { started: started(Ok(None), false), failure: Some(failure) };
    let outgoing = outgoing(lane, candidate, context)?;
    if let Some(condition) = condition(lane, &outgoing) {
        return Ok(Prepared { started: started(Err(condition.to_owned()), false), failure: None });
    }
    // Also where no link was seen yet: one may come with the next announcement.
    let without_invoice = wants_invoice(lane, outgoing.purpose) && outgoing.invoice.is_none();
    Ok(match render(lane, &outgoing) {
        Ok(payload) => Prepared { started: started(Ok(Some(payload)), without_invoice), failure: None },
        Err(error) => unmade(error),
    })
}

/// A sink that panics over a message fails that message alone.
fn render(lane: &Lane, outgoing: &Outgoing) -> Result<Payload, SinkError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| lane.sink.render(outgoing)))
        .unwrap_or_else(|_| Err(SinkError::reject(Reason::Panic, "the message could not be made: a bug in tillhook")))
}

/// The condition that the message does not meet as it stands: one of `only`, or that a machine that reads invoices gets
/// nothing else.
fn condition(lane: &Lane, outgoing: &Outgoing) -> Option<&'static str> {
    let only = match outgoing.purpose {
        Purpose::First | Purpose::Change => outgoing.event.order().and_then(|order| lane.rule.only.refuses(order)),
        Purpose::LateInvoice | Purpose::Alert => None,
    };
    // An alert goes to a machine only where an operator named it.
    let is_useless = lane.rule.needs_invoice && outgoing.invoice.is_none() && outgoing.purpose != Purpose::Alert;
    only.or_else(|| is_useless.then_some(NO_INVOICE))
}

/// All that a sink makes the message of `candidate` from.
///
/// # Errors
/// When what is stored cannot be read back.
pub fn outgoing(lane: &Lane, candidate: &Candidate, context: &Context<'_>) -> Result<Outgoing, StoreError> {
    let (purpose, thread) = continuation(candidate);
    let mut event = event(&candidate.event)?;
    if let EventData::CashBox(notice) = &mut event.data {
        notice.verification = candidate.verification;
    }
    if let EventData::Order(order) = &mut event.data {
        if tells_the_present(lane, purpose)
            && let Some(current) = candidate.current.clone()?
        {
            *order = current;
        }
        order.invoice = view(candidate.invoice.as_ref(), context.public_url);
        order.verification = candidate.verification;
    }
    let row = candidate.invoice.as_ref().filter(|_| wants_invoice(lane, purpose));
    let file = row.and_then(|row| row.file.as_ref());
    let names = context.names.of(event.shop.as_ref().map(|shop| &shop.id));
    Ok(Outgoing {
        delivery: candidate.id,
        shop: event.shop.as_ref().map(|shop| shop_of(context.recorder, shop)),
        event,
        order: candidate.order_key,
        purpose,
        thread,
        invoice: file.map(|file| InvoiceFile {
            sha256: file.sha256.clone(),
            filename: file.filename.clone(),
            bytes: file.bytes,
        }),
        invoice_absent: row.is_some() && file.is_none(),
        names,
        now: context.now,
    })
}

/// Whether a message is to carry the PDF.
fn wants_invoice(lane: &Lane, purpose: Purpose) -> bool {
    lane.rule.attaches_invoice && matches!(purpose, Purpose::First | Purpose::LateInvoice)
}

/// A change follows the first message, unless that one is dead: then it is a new first.
fn continuation(candidate: &Candidate) -> (Purpose, Option<Thread>) {
    let thread = candidate.thread.as_ref().filter(|thread| thread.status != "dead" && thread.status != "skipped");
    let thread = thread.and_then(|row| {
        let payload = row.payload.clone()?;
        Some(Thread { reference: row.reference.clone(), payload })
    });
    match candidate.purpose {
        Purpose::Change | Purpose::LateInvoice if thread.is_none() => (Purpose::First, None),
        purpose => (purpose, thread),
    }
}

/// One message an order tells the order as it stands; one message an event tells it as it stood.
fn tells_the_present(lane: &Lane, purpose: Purpose) -> bool {
    match purpose {
        Purpose::First | Purpose::Change => lane.rule.per_order != PerOrder::Each,
        Purpose::LateInvoice => true,
        Purpose::Alert => false,
    }
}

/// An event as it was recorded.
pub(crate) fn event(stored: &StoredEvent) -> Result<Event, StoreError> {
    let data = EventData::from_json(stored.kind, &stored.data).map_err(|error| corrupt(&error))?;
    Ok(Event {
        id: stored.id,
        kind: stored.kind,
        at: stored.at,
        test: stored.test,
        shop: stored.shop.clone().map(|(id, name)| ShopRef { id, name }),
        data,
    })
}

/// The invoice as subscribers see it.
pub fn view(row: Option<&InvoiceRow>, public_url: Option<&Url>) -> InvoiceView {
    let Some(row) = row else { return InvoiceView::default() };
    let Some(file) = &row.file else { return InvoiceView { status: row.status, ..InvoiceView::default() } };
    let base = public_url.map(|url| url.as_str().trim_end_matches('/'));
    InvoiceView {
        status: InvoiceStatus::Stored,
        url: base.map(|base| format!("{base}/invoices/{}", file.capability)),
        sha256: Some(file.sha256.clone()),
        bytes: Some(file.bytes),
        filename: Some(file.filename.clone()),
    }
}

/// The shop as it is configured, or, where it no longer is, as far as the event knows it.
fn shop_of(recorder: &Recorder, shop: &ShopRef) -> Shop {
    let unconfigured = |id: &ShopId| Shop {
        id: id.clone(),
        name: shop.name.clone(),
        timezone: TimeZone::UTC,
        currency: Currency::EUR,
        locale: Locale::default(),
    };
    recorder.shop(&shop.id).map_or_else(|| unconfigured(&shop.id), |policy| policy.shop)
}

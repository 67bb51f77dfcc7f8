//! From what happened to a mail: which kind of mail it is, its subject, and what its templates are given.
//!
//! There are four: the order in full, a short reply in its thread, a summary of a period, and a notice about anything else.
//!
//! **Invariant:** every foreign text is cleaned here, once, before a template or a header sees it.

use minijinja::{Value, context};

use super::{
    Correspondence, clean,
    letter::Letter,
    templates::{Templates, Words, words},
};
use crate::{
    order::{Digest, Event, EventData, EventType, InvoiceStatus, Locale, Money, Number, Order, Part, State, Warning},
    sink::{InvoiceFile, Outgoing, Payload, Purpose, Reason, SinkError, Thread, words as say},
};

/// What a payload's body is.
const CONTENT_TYPE: &str = "application/json";

/// How large the HTML of a mail may be, in bytes. Gmail hides what is beyond 102 KB, and a telephone loads all of it.
const MOST_HTML: usize = 40 * 1024;

/// How many items the HTML shows. The text has all of them, and so has the PDF.
const MOST_ITEMS: usize = 60;

/// A text and what it is called.
type Fact<'a> = (&'a str, String);

/// Makes the mail.
pub(super) fn compose(who: &Correspondence, templates: &Templates, outgoing: &Outgoing) -> Result<Payload, SinkError> {
    let composer = Composer::new(who, templates, outgoing);
    composer.attachments.iter().try_for_each(|file| who.profile.takes(file))?;
    let letter = match (&outgoing.event.data, outgoing.purpose, &outgoing.thread) {
        (_, Purpose::Alert, _) | (EventData::Facts(_) | EventData::CashBox(_), ..) => composer.notice()?,
        (EventData::Order(order), Purpose::Change | Purpose::LateInvoice, Some(thread)) => {
            composer.reply(order, thread)?
        }
        (EventData::Order(order), ..) => composer.order(order)?,
        (EventData::Digest(digest), _, thread) => composer.digest(digest, thread.as_ref())?,
    };
    let made = match &outgoing.event.data {
        EventData::Digest(digest) => digest.files.clone(),
        _ => Vec::new(),
    };
    let body = serde_json::to_string(&letter)
        .map_err(|error| SinkError::reject(Reason::Local, format!("the mail could not be written down: {error}")))?;
    Ok(Payload { content_type: CONTENT_TYPE.into(), body, attachments: composer.attachments, made })
}

struct Composer<'a> {
    who: &'a Correspondence,
    templates: &'a Templates,
    outgoing: &'a Outgoing,
    event: &'a Event,
    locale: Locale,
    w: &'static Words,
    attachments: Vec<InvoiceFile>,
}

impl<'a> Composer<'a> {
    fn new(who: &'a Correspondence, templates: &'a Templates, outgoing: &'a Outgoing) -> Self {
        let of_shop = outgoing.shop.as_ref().map(|shop| shop.locale).unwrap_or_default();
        let locale = who.locale.unwrap_or(of_shop);
        let event = &outgoing.event;
        // What the thread carries already is not sent again.
        let sent = outgoing.thread.as_ref().is_some_and(|thread| !thread.payload.attachments.is_empty());
        let attachments = outgoing.invoice.clone().filter(|_| !sent).into_iter().map(clean_name).collect();
        Self { who, templates, outgoing, event, locale, w: words(locale), attachments }
    }

    /// An order in full.
    fn order(&self, order: &Order) -> Result<Letter, SinkError> {
        let title = format!("{} {}", self.kind(order), clean::short(order.number()));
        let total = self.total(order);
        let subject = self.subject(&[&title, total.as_deref().unwrap_or_default(), &self.sender()]);
        let state = self.w(state_word(order));
        let preheader = joined(&[&title, total.as_deref().unwrap_or_default(), state]);
        let with = context! {
            title, total => total.unwrap_or_default(), state, preheader,
            notes => self.notes(order),
            facts => facts(&self.order_facts(order)),
            vat => self.vat(order),
            sums => facts(&self.sums(order)),
        };
        self.letter("order", subject, with, &self.items(order))
    }

    /// A line in the thread of the order's first mail.
    fn reply(&self, order: &Order, thread: &Thread) -> Result<Letter, SinkError> {
        let Ok(first) = serde_json::from_str::<Letter>(&thread.payload.body) else {
            return self.order(order);
        };
        let line = match (self.outgoing.purpose, self.event.kind) {
            (Purpose::LateInvoice, _) => self.w_of(order.refund(), "reply_invoice").to_owned(),
            (_, EventType::OrderUpdated) => match self.total(order) {
                Some(total) => format!("{} {total}", self.w("reply_corrected")),
                None => self.w("reply_corrected").to_owned(),
            },
            _ => format!("{}.", self.w(state_word(order))),
        };
        let title = format!("{} {}", self.kind(order), clean::short(order.number()));
        let with = context! { title, preheader => line.clone(), lines => vec![line], advice => "" };
        let mut letter = self.letter("notice", first.subject.clone(), with, &[])?;
        letter.continues(first, thread.reference.clone());
        Ok(letter)
    }

    /// A summary of a period; a correction, and every part but the first, continues the thread of the first.
    fn digest(&self, digest: &Digest, thread: Option<&Thread>) -> Result<Letter, SinkError> {
        let said = say::digest_text(digest, &self.outgoing.names, self.locale);
        let subject = self.subject(&[&said.title, &said.total, &self.sender()]);
        let sentences = |lines: &[String]| lines.iter().map(|line| clean::sentence(line)).collect::<Vec<_>>();
        let section = |(title, lines): &(String, Vec<String>)| context! { title, lines => sentences(lines) };
        let sections: Vec<Value> = said.sections.iter().map(section).collect();
        let notes = sentences(&said.notes);
        let row = |row: &say::TableRow| {
            context! { label => row.label.clone(), counts => row.counts.clone(), amounts => row.amounts.to_vec() }
        };
        let rows: Vec<Value> = said.rows.iter().map(row).collect();
        let with = context! {
            preheader => said.notes.first().unwrap_or(&said.counts).clone(), title => said.title, total => said.total, counts => said.counts, notes, columns => said.columns.to_vec(),
            rows, sections,
        };
        let mut letter = self.letter("digest", subject, with, &[])?;
        let first = thread
            .and_then(|thread| Some((serde_json::from_str(&thread.payload.body).ok()?, thread.reference.clone())));
        if let Some((first, reference)) = first {
            letter.continues(first, reference);
        }
        Ok(letter)
    }

    /// Anything else, a till's closing or an alert, in plain words with what to do.
    fn notice(&self) -> Result<Letter, SinkError> {
        let said = say::alert_text(
            self.event,
            self.outgoing.order,
            self.outgoing.shop.as_ref(),
            &self.outgoing.names,
            self.locale,
        );
        let title = clean::short(&said.title);
        let lines: Vec<String> = said.lines.iter().map(|line| clean::line(line)).collect();
        let advice = said.what_to_do.as_deref().map(clean::line).unwrap_or_default();
        let subject = self.subject(&[&title, &self.sender()]);
        let preheader = lines.first().unwrap_or(&advice).clone();
        self.letter("notice", subject, context! { title, preheader, lines, advice }, &[])
    }

    /// Fills in the templates and addresses the mail.
    fn letter(&self, template: &str, subject: String, with: Value, items: &[Value]) -> Result<Letter, SinkError> {
        let is_refund = self.event.order().is_some_and(Order::refund);
        let attached = self.attachments.first().map(|file| {
            let label = self.w_of(is_refund, "attached");
            context! { label, filename => file.filename.clone(), sha256 => file.sha256.clone() }
        });
        let common = context! {
            lang => self.locale.as_str(), test => self.event.test, sender => self.sender(), subject => subject.clone(),
            attached, w => Value::from(self.w.clone()),
        };
        let with = context! { ..with, ..common };
        let complete = context! { items, more => "", ..with.clone() };
        let text = self.templates.fill(&format!("mail/{template}.txt"), &complete)?;
        let html = match self.who.profile.is_machine() {
            true => None,
            false => Some(self.html(&format!("mail/{template}.html"), &with, items)?),
        };
        Ok(Letter {
            message_id: format!("<{}@{}>", self.outgoing.delivery, self.who.from.email.domain()),
            date: self.outgoing.now,
            subject,
            from: self.who.from.clone(),
            to: self.who.to.clone(),
            cc: self.who.cc.clone(),
            bcc: self.who.bcc.clone(),
            reply_to: self.who.reply_to.clone(),
            in_reply_to: None,
            references: Vec::new(),
            language: self.locale,
            text: clean::lines(&text),
            html: html.map(|html| clean::lines(&html)),
        })
    }

    /// The page, with as many of the items as keep it small, and a word about the others.
    fn html(&self, template: &str, with: &Value, items: &[Value]) -> Result<String, SinkError> {
        // One more line for one more item is no worse than a line that says so.
        let mut shown = if items.len() > MOST_ITEMS + 1 { MOST_ITEMS } else { items.len() };
        loop {
            let some = context! { items => &items[..shown], more => self.more(items.len() - shown), ..with.clone() };
            let page = self.templates.fill(template, &some)?;
            if page.len() <= MOST_HTML || shown == 0 {
                return Ok(page);
            }
            shown -= shown.div_ceil(4);
        }
    }

    fn more(&self, left_out: usize) -> String {
        let key = if self.attachments.is_empty() { "more" } else { "more_attached" };
        if left_out == 0 { String::new() } else { self.w(key).replace("{n}", &left_out.to_string()) }
    }

    fn w(&self, key: &str) -> &'static str {
        self.w.get(key).map_or("", String::as_str)
    }

    /// The word as it is said of an invoice, or of a refund.
    fn w_of(&self, refund: bool, key: &str) -> &'static str {
        if refund { self.w(&format!("refund_{key}")) } else { self.w(key) }
    }

    fn subject(&self, parts: &[&str]) -> String {
        // The spaces that keep an amount together are for bodies; people search subjects with the one on their keyboard.
        let plain = joined(parts).replace(['\u{a0}', '\u{202f}'], " ");
        format!("{}{plain}", if self.event.test { "[TEST] " } else { "" })
    }

    /// The shop's name; the program's for what concerns no shop.
    fn sender(&self) -> String {
        self.outgoing.shop.as_ref().map_or_else(|| "tillhook".to_owned(), |shop| clean::line(&shop.name))
    }

    fn kind(&self, order: &Order) -> &'static str {
        self.w(if order.refund() { "refund" } else { "invoice" })
    }

    fn total(&self, order: &Order) -> Option<String> {
        let total = say::money(order.counted().total?, order.currency, self.locale);
        Some(format!("{total} {}", self.w("incl_vat")).trim_end().to_owned())
    }

    /// What a reader must know besides the order.
    fn notes(&self, order: &Order) -> Vec<String> {
        let corrected = (self.event.kind == EventType::OrderUpdated).then_some("corrected");
        let absent = self.outgoing.invoice_absent.then_some(match order.invoice.status {
            InvoiceStatus::Pending => "absent_yet",
            _ => "absent",
        });
        let corrected = corrected.map(|key| self.w(key));
        let absent = absent.map(|key| self.w_of(order.refund(), key));
        let said = corrected.into_iter().chain(absent).map(str::to_owned);
        said.chain(order.warnings.iter().map(|warning| self.warning(*warning))).collect()
    }

    /// A sentence of its own.
    fn warning(&self, warning: Warning) -> String {
        format!("{}{} {}.", self.w("doubt"), self.w("colon"), say::warning(warning, self.locale))
    }

    fn order_facts(&self, order: &Order) -> Vec<Fact<'static>> {
        let customer = order.customer.as_ref().and_then(|customer| customer.name.as_deref());
        let names = &self.outgoing.names;
        let delivery = order.delivery_method.as_ref().map(|method| say::delivery_method(method, names, self.locale));
        let till = order.cash_box_id.as_deref().map(|id| names.cash_box(id));
        present([
            (self.w("date"), Some(say::date_time(order.dates.booked(), self.locale))),
            (self.w("customer"), customer.map(clean::short)),
            (self.w("delivery"), delivery.as_deref().map(clean::short)),
            (self.w("till"), till.as_deref().map(clean::short)),
        ])
    }

    fn items(&self, order: &Order) -> Vec<Value> {
        let items = order.items.as_deref().unwrap_or_default();
        items
            .iter()
            .map(|item| {
                context! {
                    label => clean::short(item.label.as_deref().or(item.id.as_deref()).unwrap_or("–")),
                    quantity => item.quantity.map(|quantity| say::number(quantity, self.locale)).unwrap_or_default(),
                    total => item.total.map(|total| self.in_cents(total, order)).unwrap_or_default(),
                }
            })
            .collect()
    }

    /// The table of VAT: rows that add up to the order, and where these cannot be made what was sent.
    fn vat(&self, order: &Order) -> Vec<Value> {
        let money = |amount: Option<_>| amount.map(|amount| self.in_cents(amount, order)).unwrap_or_default();
        let row = |label: String, [net, vat, gross]: [Option<Money>; 3]| context! { rate => label, net => money(net), vat => money(vat), gross => money(gross) };
        let rate = |rate: Option<Number>| rate.map(|rate| say::part(Part::Rate(rate), self.locale)).unwrap_or_default();
        let counted = order.counted();
        match order.by_rate() {
            Some(shares) => shares
                .iter()
                .map(|share| row(say::part(share.part, self.locale), [share.net, share.vat, share.gross]))
                .collect(),
            None => counted.vat.iter().map(|line| row(rate(line.rate), [line.net, line.vat, line.gross])).collect(),
        }
    }

    fn sums(&self, order: &Order) -> Vec<Fact<'static>> {
        let money = |amount: Option<_>| amount.map(|amount| self.in_cents(amount, order));
        let counted = order.counted();
        present([
            (self.w("total_net"), money(counted.total_net)),
            (self.w("total_vat"), money(counted.total_vat)),
            (self.w("total"), money(counted.total)),
        ])
    }

    fn in_cents(&self, amount: Money, order: &Order) -> String {
        say::money(amount.rounded(order.currency.minor_digits()), order.currency, self.locale)
    }
}

/// The word for how far an order is. "Validated" and "terminated" are the till's words, and people never see them.
fn state_word(order: &Order) -> &'static str {
    match (order.refund(), order.state) {
        (false, State::Invoiced) if order.is_of_nothing() => "issued_free",
        (true, State::Invoiced) if order.is_of_nothing() => "refund_issued_free",
        (false, State::Invoiced) => "issued",
        (false, State::Paid) => "paid",
        (true, State::Invoiced) => "refund_issued",
        (true, State::Paid) => "refund_paid",
    }
}

/// What is not empty, with dashes between.
fn joined(parts: &[&str]) -> String {
    parts.iter().copied().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" – ")
}

fn present<'a>(facts: impl IntoIterator<Item = (&'a str, Option<String>)>) -> Vec<Fact<'a>> {
    let told = facts.into_iter().filter_map(|(label, value)| Some((label, value?)));
    told.filter(|(_, value)| !value.is_empty()).collect()
}

fn facts(facts: &[Fact<'_>]) -> Vec<Value> {
    facts.iter().map(|(label, value)| context! { label => *label, value => value.clone() }).collect()
}

fn clean_name(file: InvoiceFile) -> InvoiceFile {
    InvoiceFile { filename: clean::line(&file.filename).replace(['/', '\\', '"'], "-"), ..file }
}

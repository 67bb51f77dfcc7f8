//! The message itself: Block Kit with a line of plain text for notifications and screen readers.
//!
//! **Invariant:** every text that came from elsewhere is clipped, then escaped, so that none is longer than Slack takes,
//! cuts an escape in two, or can address a channel (`<!channel>`).

use serde_json::{Value, json};

use super::Show;
use crate::{
    order::{Item, Locale, Money, Order},
    sink::{
        Outgoing, Purpose,
        words::{self, pick},
    },
};

/// How long one text may be for Slack, in characters, escapes included.
const LONGEST_TEXT: usize = 3_000;

/// How much of one name, label or reason is shown, in characters. Escaping makes it five times as long at worst.
const LONGEST_PIECE: usize = 300;

/// How many articles are shown.
const MOST_ITEMS: usize = 40;

/// Makes the message; `changes` where it will replace the first one of the order rather than follow it.
pub(super) fn make(outgoing: &Outgoing, locale: Locale, show: &[Show], changes: bool) -> Value {
    match outgoing.event.order() {
        Some(order) if !outgoing.event.kind.is_alert() => {
            if outgoing.purpose == Purpose::First || changes {
                sale(outgoing, order, locale, show)
            } else {
                message(&headline(outgoing, order, locale, pick(locale, "\u{a0}: ", ": ")), Vec::new())
            }
        }
        _ => alert(outgoing, locale),
    }
}

fn sale(outgoing: &Outgoing, order: &Order, locale: Locale, show: &[Show]) -> Value {
    let title = headline(outgoing, order, locale, " – ");
    let amount = |money| words::money(money, order.currency, locale);
    let shown = |what| show.contains(&what);
    let counted = order.counted();
    let total = counted.total.filter(|_| shown(Show::Total)).map(amount);
    let with_vat = total.clone().map(|total| match counted.total_vat.map(amount) {
        Some(vat) => pick(locale, format!("{total} TTC (dont TVA {vat})"), format!("{total} (VAT {vat})")),
        None => pick(locale, format!("{total} TTC"), total.clone()),
    });
    let mut head = vec![format!("*{title}*")];
    head.extend(with_vat);
    let mut blocks = vec![section(head)];
    if let Some(items) = order.items.as_deref().filter(|items| shown(Show::Items) && !items.is_empty()) {
        blocks.push(section(item_lines(items, order, locale)));
    }
    blocks.push(context(&circumstances(outgoing, order, locale, shown(Show::Customer))));
    blocks.extend(order.warnings.iter().map(|warning| context(&format!("⚠ {}", words::warning(*warning, locale)))));
    let line = total.map_or_else(|| title.clone(), |total| format!("{title} – {total}"));
    message(&line, blocks)
}

fn alert(outgoing: &Outgoing, locale: Locale) -> Value {
    let text = words::alert_text(&outgoing.event, outgoing.order, outgoing.shop.as_ref(), &outgoing.names, locale);
    let title = format!("{}{}", test_mark(outgoing), piece(&text.title));
    let mut lines = vec![format!("*{title}*")];
    lines.extend(text.lines.iter().map(|line| piece(line)));
    let mut blocks = vec![section(lines)];
    blocks.extend(text.what_to_do.map(|advice| section(vec![piece(&advice)])));
    message(&title, blocks)
}

/// `Facture 20261121042 – payée`.
fn headline(outgoing: &Outgoing, order: &Order, locale: Locale, between: &str) -> String {
    let name = piece(&words::order_name(order, locale));
    format!("{}{name}{between}{}", test_mark(outgoing), words::order_news(&outgoing.event, order, locale))
}

fn test_mark(outgoing: &Outgoing) -> &'static str {
    if outgoing.event.test { "[TEST] " } else { "" }
}

fn item_lines(items: &[Item], order: &Order, locale: Locale) -> Vec<String> {
    let mut lines: Vec<String> = items.iter().take(MOST_ITEMS).map(|item| item_line(item, order, locale)).collect();
    let room = LONGEST_TEXT - 100;
    let mut length = 0;
    lines.truncate(
        lines
            .iter()
            .take_while(|line| {
                length += line.chars().count() + 1;
                length <= room
            })
            .count(),
    );
    match items.len() - lines.len() {
        0 => {}
        1 => lines.push(pick(locale, "… et 1 autre article", "… and 1 more item").to_owned()),
        more => lines.push(pick(locale, format!("… et {more} autres articles"), format!("… and {more} more items"))),
    }
    lines
}

/// `2 × Menu midi – 25,80 €`, as far as it is known.
fn item_line(item: &Item, order: &Order, locale: Locale) -> String {
    let quantity = item.quantity.map(|quantity| format!("{} × ", words::number(quantity, locale))).unwrap_or_default();
    let label = item.label.as_deref().or(item.id.as_deref()).unwrap_or("?");
    let in_cents = |total: Money| words::money(total.rounded(order.currency.minor_digits()), order.currency, locale);
    let total = item.total.map(|total| format!(" – {}", in_cents(total))).unwrap_or_default();
    format!("{quantity}{}{total}", piece(label))
}

/// `Boulangerie Dupont · 21/11/2026 à 14:03 · caisse 1 · sur place · Zoé Durand`.
fn circumstances(outgoing: &Outgoing, order: &Order, locale: Locale, with_customer: bool) -> String {
    let customer = order.customer.as_ref().filter(|_| with_customer).and_then(|customer| customer.name.as_deref());
    let names = &outgoing.names;
    let cash_box = order.cash_box_id.as_ref().map(|id| names.cash_box_after(pick(locale, "caisse", "till"), id));
    let method = order.delivery_method.as_ref().map(|method| words::delivery_method(method, names, locale));
    let parts = [
        outgoing.event.shop.as_ref().map(|shop| shop.name.clone()),
        Some(words::date_time(order.dates.validated.unwrap_or(order.dates.received), locale)),
        cash_box,
        method,
        customer.map(str::to_owned),
    ];
    fit(parts.iter().flatten().map(|part| piece(part)).collect(), " · ")
}

fn message(line: &str, blocks: Vec<Value>) -> Value {
    let mut message = json!({ "text": line, "unfurl_links": false, "unfurl_media": false });
    if !blocks.is_empty() {
        message["blocks"] = blocks.into();
    }
    message
}

fn section(lines: Vec<String>) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": fit(lines, "\n") } })
}

fn context(text: &str) -> Value {
    json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": text }] })
}

/// As many of these as Slack takes in one text.
fn fit(mut pieces: Vec<String>, between: &str) -> String {
    let mut length = 0;
    pieces.retain(|piece| {
        length += piece.chars().count() + between.chars().count();
        length <= LONGEST_TEXT
    });
    pieces.join(between)
}

/// A text from elsewhere: on one line, without what would turn that line around unseen, clipped, and escaped as Slack
/// asks (`&`, `<` and `>` only).
fn piece(text: &str) -> String {
    let line = text.chars().map(|c| if words::breaks_line(c) { ' ' } else { c }).filter(|c| !words::is_hidden(*c));
    let mut clipped: String = line.take(LONGEST_PIECE + 1).collect();
    if clipped.chars().count() > LONGEST_PIECE {
        clipped = clipped.chars().take(LONGEST_PIECE - 1).chain(['…']).collect();
    }
    clipped.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        order::{EventData, EventType, State, Warning},
        sink::testing::{order, outgoing},
    };

    const ALL: &[Show] = &[Show::Total, Show::Items, Show::Customer];

    fn told(order: Order, locale: Locale, show: &[Show]) -> Value {
        make(&outgoing(EventType::OrderTerminated, EventData::Order(Box::new(order))), locale, show, false)
    }

    fn texts(message: &Value) -> Vec<&str> {
        let blocks = message["blocks"].as_array().map(Vec::as_slice).unwrap_or_default();
        blocks
            .iter()
            .filter_map(|block| block["text"]["text"].as_str().or(block["elements"][0]["text"].as_str()))
            .collect()
    }

    #[test]
    fn an_english_refund_is_a_refund() {
        let mut refund = order();
        refund.is_refund = Some(true);
        let message = told(refund, Locale::En, ALL);
        assert_eq!(message["text"], "Refund 20261121042 – paid out – -€43.80");
        assert_eq!(texts(&message)[2], "Boulangerie Dupont · 21 Nov 2026 at 14:03 · till 1 · on site · Zoé Durand");
    }

    #[test]
    fn only_what_is_wanted_is_shown() {
        let message = told(order(), Locale::Fr, &[]);
        let all = texts(&message).join("\n");
        assert!(!all.contains('€') && !all.contains("Menu") && !all.contains("Zoé"), "{all}");
        assert_eq!(message["text"], "Facture 20261121042 – payée");
    }

    #[test]
    fn a_test_says_so() {
        let mut outgoing = outgoing(EventType::OrderTerminated, EventData::Order(Box::new(order())));
        outgoing.event.test = true;
        let message = make(&outgoing, Locale::Fr, ALL, false);
        assert!(message["text"].as_str().is_some_and(|text| text.starts_with("[TEST] Facture")));
        outgoing.purpose = Purpose::Change;
        assert_eq!(make(&outgoing, Locale::Fr, ALL, false)["text"], "[TEST] Facture 20261121042\u{a0}: payée");
    }

    #[test]
    fn a_huge_order_stays_within_what_slack_takes() {
        let mut order = order();
        order.state = State::Invoiced;
        order.order_id = Some("<&>".repeat(2_000));
        order.cash_box_id = Some("&".repeat(2_000));
        order.customer.as_mut().expect("a customer").name = Some("&".repeat(2_000));
        order.warnings = vec![Warning::VatSumMismatch, Warning::ItemsSumMismatch];
        let item = Item { label: Some("&<\n>".repeat(2_000)), ..order.items.as_ref().expect("items")[0].clone() };
        order.items = Some(vec![item; 500]);
        let message = told(order, Locale::Fr, ALL);
        let texts = texts(&message);
        assert!(texts.iter().all(|text| text.chars().count() <= LONGEST_TEXT && !text.is_empty()));
        assert!(texts.len() <= 50 && texts.iter().map(|text| text.chars().count()).sum::<usize>() < 13_000);
        assert!(texts[1].ends_with(" autres articles"), "{}", texts[1]);
        assert!(texts.iter().all(|text| !text.contains('<')));
    }

    #[test]
    fn nobody_can_shout_at_the_channel_through_an_article() {
        let mut order = order();
        order.items.as_mut().expect("items")[0].label = Some("<!channel> <https://evil.example|click>".into());
        let message = told(order, Locale::Fr, ALL).to_string();
        assert!(!message.contains("<!channel>") && message.contains("&lt;!channel&gt;"));
    }

    #[test]
    fn every_other_event_is_told_in_words() {
        for kind in EventType::ALL.iter().copied() {
            let facts = serde_json::json!({ "sink": "erp", "message": "hello", "order_ids": ["1"] });
            let data = match kind {
                EventType::CashBoxOpened | EventType::CashBoxClosed => EventData::CashBox(Default::default()),
                kind if kind.as_str().starts_with("order.") || kind.as_str().starts_with("invoice.") => {
                    EventData::Order(Box::new(order()))
                }
                // A summary is made for mail sinks alone.
                EventType::DigestMade => continue,
                _ => EventData::Facts(facts.as_object().cloned().expect("an object")),
            };
            let message = make(&outgoing(kind, data), Locale::Fr, ALL, false);
            let text = message["text"].as_str().expect("a text");
            assert!(!text.is_empty() && !text.contains(kind.as_str()), "{kind}: {text}");
            assert!(!texts(&message).is_empty(), "{kind}");
        }
    }
}

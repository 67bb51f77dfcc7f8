//! What `tillhook demo` shows: one calm line for each thing that happens, in columns that hold at 80 characters.
//!
//! What the till says stands at the left margin, what reaches the far sides is indented below it, so that the eye can
//! follow an order from the sale to the accountant.
//!
//! **Invariant:** everything here is pure: text comes out, and nothing is printed.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;

use super::far_sides::{Arrival, Side};
use crate::{
    order::Phase,
    till::{TillOrder, sandbox::seller::Sold},
};

/// How wide a line may be.
const WIDTH: usize = 80;

/// The widths of the columns that are filled up with spaces.
const WHAT: usize = 15;
const NUMBER: usize = 12;
const AMOUNT: usize = 10;
const WHO: usize = 17;

/// Something to show.
#[derive(Debug)]
pub enum Happening {
    /// The till called.
    Sold(Box<Sold>),
    /// A far side was told.
    Arrival(Arrival),
}

/// Where things are, for the header.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// The webhook, token and all: it is for this demonstration only.
    pub webhook_url: String,
    /// Where what arrived can be read; `None` when it is shown on the screen alone.
    pub inbox_url: Option<String>,
}

/// What happened in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Orders, refunds among them.
    pub sales: u64,
    /// Orders that were refunds.
    pub refunds: u64,
    /// Calls of the till, repeats among them.
    pub announcements: u64,
    /// Calls that had been made before.
    pub repeats: u64,
    /// Repeats that the service knew for what they were.
    pub repeats_recognised: u64,
    /// Calls that were not answered, or not with 200.
    pub unanswered: u64,
    /// Messages that the mailbox took.
    pub mails: u64,
    /// Messages that the Slack channel took.
    pub chats: u64,
    /// Calls that the program took.
    pub calls: u64,
    /// Invoices that were fetched.
    pub invoices: u64,
    /// Invoices that were fetched more than once; there should be none.
    pub fetched_twice: u64,
}

/// How lines are written.
#[derive(Clone, Debug)]
pub struct Screen {
    zone: TimeZone,
    colour: bool,
}

impl Tally {
    /// Counts what happened.
    pub fn count(&mut self, happening: &Happening) {
        match happening {
            Happening::Sold(sold) => self.count_call(sold),
            Happening::Arrival(arrival) if arrival.accepted => match arrival.side {
                Side::Mail => self.mails += 1,
                Side::Slack => self.chats += 1,
                Side::Http => self.calls += 1,
            },
            Happening::Arrival(_) => {}
        }
    }

    /// Takes in how often each invoice was handed out.
    pub fn count_downloads(&mut self, downloads: impl IntoIterator<Item = u32>) {
        for times in downloads {
            self.invoices += 1;
            self.fetched_twice += u64::from(times > 1);
        }
    }

    fn count_call(&mut self, sold: &Sold) {
        self.announcements += 1;
        self.unanswered += u64::from(!is_ok(sold));
        if sold.repeat {
            self.repeats += 1;
            self.repeats_recognised += u64::from(says(sold, "duplicate"));
        } else if sold.phase == Phase::Validated {
            self.sales += 1;
            self.refunds += u64::from(sold.order.is_refund);
        }
    }
}

impl Screen {
    /// Lines with the time of `zone`, in colour only when asked for.
    pub fn new(zone: TimeZone, colour: bool) -> Self {
        Self { zone, colour }
    }

    /// What is shown before anything happens.
    pub fn header(&self, addresses: &Addresses) -> String {
        let mut lines = vec![
            self.paint(Ink::Bold, "tillhook demo: a simulated till sells, the real service passes it on"),
            String::new(),
            format!("  webhook   {}", addresses.webhook_url),
        ];
        lines.extend(
            addresses
                .inbox_url
                .iter()
                .map(|url| format!("  inbox     {url}   mails, messages and calls, as they arrived")),
        );
        lines.extend([
            String::new(),
            "  At the margin what the till says; behind an arrow who was told of it.".to_owned(),
            "  Ctrl-C ends it and leaves nothing behind.".to_owned(),
            String::new(),
        ]);
        lines.join("\n")
    }

    /// One line about what happened, without a line end.
    pub fn line_for(&self, happening: &Happening) -> String {
        match happening {
            Happening::Sold(sold) => self.sold(sold),
            Happening::Arrival(arrival) => self.arrival(arrival),
        }
    }

    /// What is shown at the end.
    pub fn summary(&self, tally: &Tally) -> String {
        let mut out = format!("\n{}\n\n", self.paint(Ink::Bold, "In all"));
        let mut line = |name: &str, text: String| {
            let _ = writeln!(out, "  {name:<15}{text}");
        };
        line("sales", aside(tally.sales, &[(tally.refunds, "refunds")]));
        line(
            "announcements",
            aside(tally.announcements, &[(tally.repeats, "repeated"), (tally.unanswered, "not taken")]),
        );
        line("repeats", format!("{} of {} recognised", tally.repeats_recognised, tally.repeats));
        line("deliveries", format!("{} by mail, {} to Slack, {} by HTTP", tally.mails, tally.chats, tally.calls));
        line(
            "invoices",
            match tally.fetched_twice {
                0 => format!("{} fetched, each once", tally.invoices),
                twice => format!("{} fetched, {twice} of them more than once", tally.invoices),
            },
        );
        out
    }

    fn sold(&self, sold: &Sold) -> String {
        let what = if sold.repeat { "  said again" } else { announcement(&sold.order, sold.phase) };
        let who = sold.order.customer_name().unwrap_or_else(|| "counter".to_owned());
        let ink = match sold.phase {
            _ if sold.repeat => Ink::Dim,
            _ if sold.order.is_refund => Ink::Yellow,
            Phase::Validated => Ink::Bold,
            Phase::Terminated => Ink::Green,
        };
        let line = format!(
            "{}  {}{:<NUMBER$}{:>AMOUNT$}  {}",
            self.time(sold.at),
            self.paint(ink, &format!("{what:<WHAT$}")),
            sold.order.order_id,
            euros(sold.order.total()),
            column(&who, WHO),
        );
        let note = match &sold.outcome {
            _ if is_ok(sold) => self.paint(Ink::Dim, sold.voice.encoding.as_str()),
            Ok(answer) => self.paint(Ink::Red, &format!("answer {}", answer.status)),
            Err(_) => self.paint(Ink::Red, "no answer"),
        };
        format!("{line}  {note}")
    }

    fn arrival(&self, arrival: &Arrival) -> String {
        let time = self.time(arrival.at);
        let side = arrival.side.as_str();
        let detail = if arrival.accepted { arrival.detail.clone() } else { format!("refused: {}", arrival.detail) };
        // Time, indent, arrow and side take 22 characters; a detail has two spaces before it.
        let gap = if detail.is_empty() { 0 } else { 2 };
        let detail = shortened(&detail, (WIDTH - 22) / 2);
        let title = shortened(&arrival.title, WIDTH - 22 - gap - detail.chars().count());
        let ink = if arrival.accepted { Ink::Dim } else { Ink::Red };
        let arrow = self.paint(Ink::Cyan, &format!("→ {side:<5}"));
        format!("{time}     {arrow}  {title}{:gap$}{}", "", self.paint(ink, &detail))
    }

    fn time(&self, at: Timestamp) -> String {
        self.paint(Ink::Dim, &at.to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string())
    }

    fn paint(&self, ink: Ink, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("\x1b[{}m{text}\x1b[0m", ink as u8) } else { text.to_owned() }
    }
}

/// The colours, as terminals number them.
#[derive(Clone, Copy)]
enum Ink {
    Bold = 1,
    Dim = 2,
    Red = 31,
    Green = 32,
    Yellow = 33,
    Cyan = 36,
}

/// What an announcement means, in words for people.
fn announcement(order: &TillOrder, phase: Phase) -> &'static str {
    match (phase, order.is_refund) {
        (Phase::Validated, false) => "invoice issued",
        (Phase::Terminated, false) => "paid",
        (Phase::Validated, true) => "refund issued",
        (Phase::Terminated, true) => "refund paid",
    }
}

fn is_ok(sold: &Sold) -> bool {
    sold.outcome.as_ref().is_ok_and(|answer| answer.status == 200)
}

/// Whether the webhook answered with this status word.
fn says(sold: &Sold, status: &str) -> bool {
    let answer = sold.outcome.as_ref().ok().and_then(|answer| serde_json::from_str(&answer.body).ok());
    answer.is_some_and(|answer: serde_json::Value| answer["status"] == status)
}

/// `12 (refunds: 2)`; what is none is not mentioned.
fn aside(count: u64, among: &[(u64, &str)]) -> String {
    let mentioned: Vec<String> =
        among.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{name}: {count}")).collect();
    if mentioned.is_empty() { count.to_string() } else { format!("{count} ({})", mentioned.join(", ")) }
}

fn euros(amount: Decimal) -> String {
    format!("{} €", amount.to_string().replace('.', ","))
}

/// The text, filled up or shortened to a width.
fn column(text: &str, width: usize) -> String {
    format!("{:<width$}", shortened(text, width))
}

/// The text on one line, with an ellipsis where it is longer than `width` characters. Control characters, which could
/// move the cursor, are left out.
fn shortened(text: &str, width: usize) -> String {
    let clean: Vec<char> = text.chars().filter(|character| !character.is_control()).collect();
    if clean.len() <= width {
        return clean.into_iter().collect();
    }
    let kept: String = clean[..width.saturating_sub(1)].iter().collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        order::Locale,
        till::{Answer, CallError, Charset, Encoding, Voice, sandbox::Sales},
    };

    fn at() -> Timestamp {
        "2026-11-21T13:03:10Z".parse().expect("an instant")
    }

    fn screen(colour: bool) -> Screen {
        Screen::new(TimeZone::get("Europe/Paris").expect("a zone"), colour)
    }

    fn sold(order: TillOrder, phase: Phase, repeat: bool, status: &str) -> Happening {
        let outcome = Ok(Answer { status: 200, body: format!(r#"{{"status":"{status}","id":"rcp_1"}}"#) });
        let voice = Voice { encoding: Encoding::JsonTwice, charset: Charset::Utf8, language: Locale::Fr };
        Happening::Sold(Box::new(Sold { at: at(), order, phase, voice, repeat, outcome }))
    }

    fn arrival(side: Side, title: &str, detail: &str) -> Happening {
        let (title, detail) = (title.to_owned(), detail.to_owned());
        Happening::Arrival(Arrival { side, at: at(), title, detail, accepted: true })
    }

    /// One of each thing that can happen.
    fn a_day() -> Vec<Happening> {
        let mut till = Sales::new(5, TimeZone::UTC, "http://127.0.0.1:9");
        let (sale, company) = (till.sell(at()), till.sell_on_account(at()));
        let refund = till.refund(&sale, at());
        let number = sale.order_id.clone();
        let mut unheard = sold(company.clone(), Phase::Terminated, false, "");
        if let Happening::Sold(sold) = &mut unheard {
            sold.outcome = Err(CallError::Address);
        }
        vec![
            sold(sale.clone(), Phase::Validated, false, "stored"),
            arrival(Side::Mail, &format!("Facture {number} – 43,80 € TTC – Boulangerie Dupont"), "PDF 84 kB"),
            arrival(
                Side::Slack,
                &format!("Facture {number} – 43,80 € TTC – émise, non soldée – Boulangerie Dupont"),
                "",
            ),
            arrival(Side::Http, &format!("order.validated {number}"), "signature ok"),
            sold(sale.clone(), Phase::Validated, true, "duplicate"),
            sold(sale, Phase::Terminated, false, "stored"),
            sold(company, Phase::Validated, false, "stored"),
            sold(refund, Phase::Validated, false, "stored"),
            unheard,
        ]
    }

    #[test]
    fn no_line_is_wider_than_a_terminal_and_the_columns_hold() {
        let lines: Vec<String> = a_day().iter().map(|happening| screen(false).line_for(happening)).collect();
        for line in &lines {
            assert!(line.chars().count() <= WIDTH, "{line}");
            assert!(line.starts_with("14:03:10  ") && !line.contains('\x1b'));
        }
        let columns = |mark| lines.iter().filter_map(move |line| line.chars().position(|c| c == mark));
        let euros: Vec<usize> = lines
            .iter()
            .filter(|line| !line.contains('→'))
            .filter_map(|line| line.chars().position(|c| c == '€'))
            .collect();
        assert!(euros.windows(2).all(|pair| pair[0] == pair[1]), "{euros:?}");
        assert!(columns('→').all(|at| at == 13));
    }

    #[test]
    fn colour_changes_nothing_but_the_colour() {
        for happening in a_day() {
            let coloured = screen(true).line_for(&happening);
            assert!(coloured.contains('\x1b'));
            let mut plain = String::new();
            for (index, piece) in coloured.split('\x1b').enumerate() {
                plain += if index == 0 { piece } else { piece.split_once('m').expect("an escape").1 };
            }
            assert_eq!(plain, screen(false).line_for(&happening));
        }
    }

    #[test]
    fn people_never_read_the_tills_words_for_the_phases() {
        for happening in a_day().iter().filter(|happening| matches!(happening, Happening::Sold(_))) {
            let line = screen(false).line_for(happening);
            assert!(!line.contains("validated") && !line.contains("terminated"), "{line}");
        }
    }

    #[test]
    fn the_summary_counts_what_happened() {
        let mut tally = Tally::default();
        a_day().iter().for_each(|happening| tally.count(happening));
        tally.count_downloads([1, 1, 1]);
        let expected = Tally {
            sales: 3,
            refunds: 1,
            announcements: 6,
            repeats: 1,
            repeats_recognised: 1,
            unanswered: 1,
            mails: 1,
            chats: 1,
            calls: 1,
            invoices: 3,
            fetched_twice: 0,
        };
        assert_eq!(tally, expected);
        let summary = screen(false).summary(&tally);
        assert!(summary.contains("3 (refunds: 1)") && summary.contains("each once"), "{summary}");
    }

    #[test]
    fn what_a_far_side_got_cannot_move_the_cursor() {
        let line = screen(false).line_for(&arrival(Side::Mail, "a\x1b[2Jb\r\nc", ""));
        assert!(line.ends_with("a[2Jbc"), "{line:?}");
    }
}

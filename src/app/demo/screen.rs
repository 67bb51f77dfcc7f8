//! What `tillhook demo` shows: one calm line for each thing that happens, in columns that hold at 80 characters.
//!
//! What the till says stands at the left margin, what reaches the far sides is indented below it, so that the eye can
//! follow an order from the sale to the accountant.
//!
//! **Invariant:** everything here is pure: text comes out, and nothing is printed.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;

use super::{
    far_sides::Arrival,
    tally::{Happening, Tally},
};
use crate::{
    order::Phase,
    till::{TillOrder, sandbox::seller::Announced},
};

/// How wide a line may be.
const WIDTH: usize = 80;

/// The widths of the columns that are filled up with spaces.
const WHAT: usize = 15;
const NUMBER: usize = 12;
const AMOUNT: usize = 10;
const WHO: usize = 17;

/// Where things are, for the header.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// The webhook, token and all: it is for this demonstration only.
    pub webhook_url: String,
    /// Where a browser shows what arrived.
    pub inbox_url: String,
}

/// How lines are written.
#[derive(Clone, Debug)]
pub struct Screen {
    zone: TimeZone,
    colour: bool,
}

impl Screen {
    /// Lines with the time of `zone`, in colour only when asked for.
    pub fn new(zone: TimeZone, colour: bool) -> Self {
        Self { zone, colour }
    }

    /// What is shown before anything happens.
    pub fn header(&self, addresses: &Addresses) -> String {
        let title = self.paint(Ink::Bold, "tillhook demo: a simulated till sells, the real service passes it on");
        let Addresses { webhook_url, inbox_url } = addresses;
        format!(
            "{title}\n\n\
             \x20 webhook  {webhook_url}\n\
             \x20 inbox    {inbox_url}   mails, messages and calls, as they arrived\n\n\
             \x20 At the margin what the till says; behind an arrow who was told of it.\n\
             \x20 Ctrl-C ends it and leaves nothing behind.\n"
        )
    }

    /// One line about what happened, without a line end.
    pub fn line_for(&self, happening: &Happening) -> String {
        match happening {
            Happening::Announced(call) => self.announced(call),
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

    fn announced(&self, call: &Announced) -> String {
        let what = if call.repeat { "  said again" } else { meaning(&call.order, call.phase) };
        let who = call.order.customer_name().unwrap_or_else(|| "counter".to_owned());
        let ink = match call.phase {
            _ if call.repeat => Ink::Dim,
            _ if call.order.is_refund => Ink::Yellow,
            Phase::Validated => Ink::Bold,
            Phase::Terminated => Ink::Green,
        };
        let line = format!(
            "{}  {}{:<NUMBER$}{:>AMOUNT$}  {}",
            self.time(call.at),
            self.paint(ink, &format!("{what:<WHAT$}")),
            call.order.order_id,
            euros(call.order.total()),
            column(&who, WHO),
        );
        let note = match &call.outcome {
            _ if call.was_answered("duplicate") => self.paint(Ink::Dim, "recognised"),
            _ if call.was_answered("quarantined") => self.paint(Ink::Red, "not read"),
            _ if call.is_taken() => self.paint(Ink::Dim, call.voice.encoding.as_str()),
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
fn meaning(order: &TillOrder, phase: Phase) -> &'static str {
    match (phase, order.is_refund) {
        (Phase::Validated, false) => "invoice issued",
        (Phase::Terminated, false) => "paid",
        (Phase::Validated, true) => "refund issued",
        (Phase::Terminated, true) => "refund paid",
    }
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
        app::demo::far_sides::Side,
        order::Locale,
        till::{Answer, CallError, Charset, Encoding, Voice, sandbox::Sales},
    };

    fn at() -> Timestamp {
        "2026-11-21T13:03:10Z".parse().expect("an instant")
    }

    fn screen(colour: bool) -> Screen {
        Screen::new(TimeZone::get("Europe/Paris").expect("a zone"), colour)
    }

    fn announced(order: TillOrder, phase: Phase, repeat: bool, status: &str) -> Happening {
        let outcome = Ok(Answer { status: 200, body: format!(r#"{{"status":"{status}","id":"rcp_1"}}"#) });
        let voice = Voice { encoding: Encoding::JsonTwice, charset: Charset::Utf8, language: Locale::Fr };
        Happening::Announced(Box::new(Announced { at: at(), order, phase, voice, repeat, outcome }))
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
        let mut unheard = announced(company.clone(), Phase::Terminated, false, "");
        if let Happening::Announced(call) = &mut unheard {
            call.outcome = Err(CallError::Address);
        }
        vec![
            announced(sale.clone(), Phase::Validated, false, "stored"),
            arrival(Side::Mail, &format!("Facture {number} – 43,80 € TTC – Boulangerie Dupont"), "PDF 84 kB"),
            arrival(
                Side::Slack,
                &format!("Facture {number} – 43,80 € TTC – émise, non soldée – Boulangerie Dupont"),
                "",
            ),
            arrival(Side::Http, &format!("order.validated {number}"), "signature ok"),
            announced(sale.clone(), Phase::Validated, true, "duplicate"),
            announced(sale, Phase::Terminated, false, "stored"),
            announced(company, Phase::Validated, false, "stored"),
            announced(refund, Phase::Validated, false, "stored"),
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
        for happening in a_day().iter().filter(|happening| matches!(happening, Happening::Announced(_))) {
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
    fn the_header_fits_and_says_where_things_are_and_how_to_end_it() {
        let webhook_url = "http://127.0.0.1:45123/in/AbCdEfGhIjKlMnOpQrStUv".to_owned();
        let addresses = Addresses { webhook_url, inbox_url: "http://127.0.0.1:45124/".to_owned() };
        let header = screen(false).header(&addresses);
        assert!(header.contains(&addresses.webhook_url) && header.contains(&addresses.inbox_url));
        assert!(header.contains("Ctrl-C") && header.lines().all(|line| line.chars().count() <= WIDTH), "{header}");
    }

    #[test]
    fn a_repeat_that_the_service_knew_is_shown_as_such() {
        let lines: Vec<String> = a_day().iter().map(|happening| screen(false).line_for(happening)).collect();
        assert!(lines.iter().any(|line| line.contains("said again") && line.ends_with("recognised")));
        assert!(lines.iter().any(|line| line.ends_with("no answer")));
    }

    #[test]
    fn what_a_far_side_got_cannot_move_the_cursor() {
        let line = screen(false).line_for(&arrival(Side::Mail, "a\x1b[2Jb\r\nc", ""));
        assert!(line.ends_with("a[2Jbc"), "{line:?}");
    }
}

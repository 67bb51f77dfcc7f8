//! A summary of a period in words: its figures, what a bookkeeper has to know about them, and what it is not.
//!
//! The tables are "sales by VAT rate": the till's calls do not say how customers paid, so they are no Z, and the mail says
//! so.

use jiff::civil::Date;

use super::{date_time, money, part, pick, warning};
use crate::{
    order::{Currency, Digest, Figures, Hole, Locale, Money, Part, Period, RateSum, Sums, Why},
    sink::Names,
};

/// How many lines of a list are written out; the files have them all.
const LINES: usize = 30;

/// A summary in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestText {
    /// `Ventes du 21/11/2026`
    pub title: String,
    /// What was sold, VAT included.
    pub total: String,
    /// `42 ventes, 1 remboursement`
    pub counts: String,
    /// What comes first: what is wrong, or what this replaces.
    pub notes: Vec<String>,
    /// The headings of the table.
    pub columns: [&'static str; 4],
    /// The table; its last row is the total.
    pub rows: Vec<TableRow>,
    /// Everything else, a heading and lines each.
    pub sections: Vec<(String, Vec<String>)>,
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRow {
    /// The rate, or what it is in its place.
    pub label: String,
    /// `42 ventes, 1 remboursement`
    pub counts: String,
    /// Net, VAT, gross.
    pub amounts: [String; 3],
}

/// Puts a summary into words. `names` are those of the shop's till.
pub fn digest_text(digest: &Digest, names: &Names, locale: Locale) -> DigestText {
    let words = Words { digest, names, currency: digest.currency, locale };
    let Sums { gross, sales, refunds, .. } = digest.figures.total;
    DigestText {
        title: words.title(),
        total: words.with_vat(gross),
        counts: words.counts(sales, refunds),
        notes: words.notes(),
        columns: columns(locale),
        rows: words.rows(),
        sections: words.sections(),
    }
}

fn columns(locale: Locale) -> [&'static str; 4] {
    pick(locale, ["Taux", "HT", "TVA", "TTC"], ["Rate", "Net", "VAT", "Gross"])
}

/// A summary being put into words.
pub(super) struct Words<'a> {
    pub(super) digest: &'a Digest,
    pub(super) names: &'a Names,
    currency: Currency,
    pub(super) locale: Locale,
}

impl Words<'_> {
    pub(super) fn say(&self, french: impl Into<String>, english: impl Into<String>) -> String {
        pick(self.locale, french.into(), english.into())
    }

    fn title(&self) -> String {
        let days = days(self.digest.period, self.locale);
        let title = self.say(format!("Ventes {days}"), format!("Sales {days}"));
        let title = match self.digest.why {
            Why::OnPurpose if self.digest.provisional.is_some() => {
                self.say(format!("Provisoire – {title}"), format!("Provisional – {title}"))
            }
            // What was not told before is not corrected.
            Why::Correction if self.digest.replaces.is_some() => format!("Correction – {title}"),
            Why::Limit => self.say(format!("{title} (suite)"), format!("{title} (the rest)")),
            Why::Due | Why::Correction | Why::OnPurpose => title,
        };
        match self.digest.parts {
            0 | 1 => title,
            parts => format!("{title} ({}/{parts})", self.digest.part),
        }
    }

    fn with_vat(&self, gross: Option<Money>) -> String {
        let Some(gross) = gross else { return self.say("total inconnu", "total unknown") };
        let amount = money(gross, self.currency, self.locale);
        self.say(format!("{amount} TTC"), amount.clone())
    }

    fn counts(&self, sales: u32, refunds: u32) -> String {
        let counted = |count: u32, [one, many]: [&str; 2]| {
            // In French zero is singular.
            let is_one = count == 1 || (count == 0 && self.locale == Locale::Fr);
            format!("{count} {}", if is_one { one } else { many })
        };
        let sales = counted(sales, pick(self.locale, ["vente", "ventes"], ["sale", "sales"]));
        if refunds == 0 {
            return sales;
        }
        let words = pick(self.locale, ["remboursement", "remboursements"], ["refund", "refunds"]);
        format!("{sales}, {}", counted(refunds, words))
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.digest.why == Why::Limit {
            notes.push(self.say(
                "Trop de ventes pour un message chacune\u{a0}: voici celles qui n’ont pas été envoyées une par une.",
                "There were too many sales for a message each: these are the ones that were not sent one by one.",
            ));
        }
        if let Some(at) = self.digest.provisional {
            let at = date_time(at, self.locale);
            notes.push(self.say(
                format!("La période n’est pas terminée\u{a0}: ces chiffres sont ceux du {at}."),
                format!("The period is not over: these are the figures of {at}."),
            ));
        }
        if let Some(before) = self.digest.replaces {
            let before = date_time(before, self.locale);
            notes.push(self.say(
                format!("Ces chiffres remplacent ceux du {before} pour la même période."),
                format!("These figures replace those of {before} for the same period."),
            ));
        }
        if self.digest.why == Why::OnPurpose && self.digest.replaces.is_some() && self.digest.changes.is_empty() {
            notes.push(self.say("Rien n’a changé depuis.", "Nothing has changed since."));
        }
        let Figures { total, lacking, unreadable, foreign, .. } = &self.digest.figures;
        if total.sales + total.refunds == 0 && foreign.is_empty() && unreadable.is_empty() {
            notes.push(self.say(
                "Aucune vente enregistrée pour cette période (les essais ne comptent pas).",
                "No sale was recorded for this period (tests are not counted).",
            ));
        }
        if !lacking.is_empty() {
            let orders = list(lacking.iter().cloned());
            let unknown = self.unknown_sums();
            notes.push(self.say(
                format!("La caisse n’a pas communiqué tous les montants de {orders}. Total inconnu\u{a0}: {unknown}."),
                format!("The till did not send all amounts of {orders}. Not known in total: {unknown}."),
            ));
        }
        if !unreadable.is_empty() {
            let orders = list(unreadable.iter().cloned());
            notes.push(self.say(
                format!("Commandes enregistrées mais illisibles ici, absentes des totaux et des fichiers\u{a0}: {orders}. Reprenez-les dans la caisse et prévenez qui gère tillhook."),
                format!("Orders that are stored and cannot be read here, in no total and no file: {orders}. Take them from the till, and tell whoever runs tillhook."),
            ));
        }
        notes.extend(self.missing());
        notes
    }

    fn rows(&self) -> Vec<TableRow> {
        let figures = &self.digest.figures;
        let mut rows: Vec<_> = figures.rates.iter().map(|sum| self.row(self.rate(sum), &sum.sums)).collect();
        if let Some(known) = &figures.known {
            rows.push(
                self.row(self.say("Total des ventes aux montants complets", "Total of sales with all amounts"), known),
            );
        }
        rows.push(self.row("Total".to_owned(), &figures.total));
        rows
    }

    /// The columns whose total is not known.
    fn unknown_sums(&self) -> String {
        let Sums { net, vat, gross, .. } = self.digest.figures.total;
        let [_, names @ ..] = columns(self.locale);
        let unknown = names.into_iter().zip([net, vat, gross]).filter(|(_, sum)| sum.is_none());
        unknown.map(|(name, _)| name).collect::<Vec<_>>().join(", ")
    }

    fn rate(&self, sum: &RateSum) -> String {
        let told = match sum.rate {
            Some(rate) => Part::Rate(rate),
            None if sum.is_lacking => Part::Lacking,
            None if sum.is_rounding => Part::Rounding,
            None => Part::Undivided,
        };
        part(told, self.locale)
    }

    fn row(&self, label: String, sums: &Sums) -> TableRow {
        let amounts = [sums.net, sums.vat, sums.gross].map(|amount| self.amount(amount));
        TableRow { label, counts: self.counts(sums.sales, sums.refunds), amounts }
    }

    pub(super) fn amount(&self, amount: Option<Money>) -> String {
        amount.map_or_else(|| "?".to_owned(), |amount| money(amount, self.currency, self.locale))
    }

    fn sections(&self) -> Vec<(String, Vec<String>)> {
        let figures = &self.digest.figures;
        let mut sections = vec![(self.say("Numéros", "Numbers"), self.numbers())];
        let changes: Vec<String> = self.digest.changes.iter().map(|change| self.change(change)).collect();
        sections.insert(0, (self.say("Ce qui a changé", "What has changed"), changes));
        sections.push((self.say("Factures non soldées", "Unpaid invoices"), self.amounts(&figures.unpaid)));
        let missing = figures.missing_pdfs.iter().map(|pdf| match pdf.is_awaited {
            true => self.say(
                format!("{} (encore en cours de récupération)", pdf.number),
                format!("{} (still being fetched)", pdf.number),
            ),
            false => pdf.number.clone(),
        });
        sections.push((self.say("Factures sans PDF", "Invoices without their PDF"), missing.collect()));
        sections.push((self.say("Non ventilées par taux", "Not told by rate"), self.undivided()));
        let title = self.say("Dans une autre monnaie, non comptées", "In another currency, not counted");
        sections.push((title, figures.foreign.clone()));
        let warnings = figures.warnings.iter();
        let colon = pick(self.locale, "\u{a0}:", ":");
        let warnings = warnings.map(|one| format!("{}{colon} {}", one.number, warning(one.warning, self.locale)));
        sections.push((self.say("À vérifier", "To be checked"), warnings.collect()));
        sections.push((self.say("Absentes du journal", "Not in the journal"), self.left_out()));
        let closings = self.digest.closings.iter().map(|closing| self.closing(closing)).collect();
        sections.push((self.say("Clôtures de caisse", "Closings of the till"), closings));
        let files = self.digest.files.iter().map(|file| file.filename.clone());
        let without = self.digest.without.iter().map(|kind| self.nothing_in(*kind));
        sections.push((self.say("Pièces jointes", "Attached"), files.chain(without).collect()));
        sections.retain(|(_, lines)| !lines.is_empty());
        sections.iter_mut().for_each(|(_, lines)| self.cut(lines));
        sections
    }

    /// The first lines, and how many more there are.
    fn cut(&self, lines: &mut Vec<String>) {
        let more = lines.len().saturating_sub(LINES);
        if more > 1 {
            lines.truncate(LINES);
            lines.push(self.say(format!("et {more} autres"), format!("and {more} more")));
        }
    }
}

/// Numbers that follow each other: `17`, `20 to 23 (4)`.
pub(super) fn hole(hole: &Hole, locale: Locale) -> String {
    let Hole { first, last, count, .. } = hole;
    match count {
        1 => first.clone(),
        _ => pick(locale, format!("{first} à {last} ({count})"), format!("{first} to {last} ({count})")),
    }
}

/// The first items, and how many more there are.
pub(super) fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    let shown = items[..items.len().min(LINES)].join(", ");
    if items.len() > LINES { format!("{shown}, … (+{})", items.len() - LINES) } else { shown }
}

/// A day: `21/11/2026`, `21 Nov 2026`.
pub fn day(day: Date, locale: Locale) -> String {
    day.strftime(pick(locale, "%d/%m/%Y", "%-d %b %Y")).to_string()
}

/// Days after the word "sales": `du 21/11/2026`, `of 21 Nov 2026`, `de novembre 2026`.
fn days(period: Period, locale: Locale) -> String {
    const MONTHS: [&str; 12] = [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ];
    let [first, last] = [period.first, period.last].map(|one| day(one, locale));
    if period.is_month() {
        let name = MONTHS[usize::from(period.first.month().unsigned_abs()) - 1];
        let of = if name.starts_with(['a', 'o']) { "d’" } else { "de " };
        let french = format!("{of}{name} {}", period.first.year());
        return pick(locale, french, period.first.strftime("of %B %Y").to_string());
    }
    if period.is_day() {
        return pick(locale, format!("du {first}"), format!("of {first}"));
    }
    pick(locale, format!("du {first} au {last}"), format!("of {first} to {last}"))
}

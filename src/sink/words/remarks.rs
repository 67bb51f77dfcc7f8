//! What a summary says beside its sums: changes, closings, and what is not with it.

use super::{
    date_time,
    digest::{Words, day},
    number, pick,
};
use crate::order::{
    ChangeKind, Closing, Explanation, LeftOut, Locale, Money, NotEntered, NumberedAmount, NumberedUndivided,
    ReportFile, WhyUndivided,
};

impl Words<'_> {
    /// A file that was wanted, and why it is not there.
    pub(super) fn nothing_in(&self, kind: ReportFile) -> String {
        let name = kind.as_str();
        match kind {
            kind if kind.is_of_the_till() && !self.digest.period.is_day() => self.say(
                format!("Pas de {name}\u{a0}: la caisse ne le donne que pour un seul jour"),
                format!("No {name}: the till gives it for a single day only"),
            ),
            kind if kind.is_of_the_till() => self.say(
                format!("Pas de {name}\u{a0}: la caisse ne l’a pas fourni, et il ne sera pas envoyé plus tard"),
                format!("No {name}: the till did not give it, and it will not be sent later"),
            ),
            ReportFile::Originals => self.say(
                format!("Pas de {name}\u{a0}: aucun PDF à joindre"),
                format!("No {name}: there is no PDF to attach"),
            ),
            _ => self.say(format!("Pas de {name}\u{a0}: aucune vente"), format!("No {name}: there was no sale")),
        }
    }

    pub(super) fn amounts(&self, orders: &[NumberedAmount]) -> Vec<String> {
        let colon = pick(self.locale, "\u{a0}:", ":");
        let refund = self.say(" (remboursement à verser)", " (refund to be paid out)");
        let kind = |order: &NumberedAmount| if order.gross.is_some_and(Money::is_negative) { &refund } else { "" };
        let line =
            |order: &NumberedAmount| format!("{}{colon} {}{}", order.number, self.amount(order.gross), kind(order));
        orders.iter().map(line).collect()
    }

    /// The orders that are not told by rate, each with what is not, and why.
    pub(super) fn undivided(&self) -> Vec<String> {
        let figures = &self.digest.figures;
        let colon = pick(self.locale, "\u{a0}:", ":");
        let line = |order: &NumberedUndivided| {
            let why = why_undivided(order.why, self.locale);
            format!("{}{colon} {}, {why}", order.number, self.amount(order.gross))
        };
        figures.incomplete.iter().cloned().chain(figures.undivided.iter().map(line)).collect()
    }

    /// What is not in the journal: first what that comes to, so that the journal and the total of the sales explain each
    /// other.
    pub(super) fn left_out(&self) -> Vec<String> {
        let colon = pick(self.locale, "\u{a0}:", ":");
        let line = |order: &LeftOut| {
            let amount = order.gross.map(|gross| format!("{}, ", self.amount(Some(gross)))).unwrap_or_default();
            format!("{}{colon} {amount}{}", order.number, not_entered(order.why, self.locale))
        };
        let mut lines: Vec<String> = self.digest.left_out.iter().map(line).collect();
        if let Some(sums) = self.digest.journal.filter(|_| !lines.is_empty()) {
            let [entered, left_out] = [sums.entered, sums.left_out].map(|sum| self.amount(sum));
            let total = self.amount(self.digest.figures.total.gross);
            lines.insert(
                0,
                self.say(
                    format!("Au journal\u{a0}: {entered} TTC\u{a0}; absentes\u{a0}: {left_out}\u{a0}; ensemble\u{a0}: {total}"),
                    format!("In the journal: {entered} gross; not in it: {left_out}; together: {total}"),
                ),
            );
        }
        lines
    }

    pub(super) fn change(&self, change: &crate::order::Change) -> String {
        let (number, amount) = (&change.number, self.amount(change.gross));
        match change.what {
            ChangeKind::Added => self
                .say(format!("{number}\u{a0}: arrivée depuis, {amount}"), format!("{number}: arrived since, {amount}")),
            ChangeKind::Amounts => {
                let before =
                    change.before.map(|before| format!("{} → ", self.amount(Some(before)))).unwrap_or_default();
                self.say(
                    format!("{number}\u{a0}: corrigée, {before}{amount}"),
                    format!("{number}: corrected, {before}{amount}"),
                )
            }
            ChangeKind::Moved => {
                let day = day(change.day, self.locale);
                self.say(
                    format!("{number}\u{a0}: compte désormais pour le {day}"),
                    format!("{number}: now counts for {day}"),
                )
            }
            ChangeKind::Unwanted => self.say(
                format!("{number}\u{a0}: ne fait plus partie de cet envoi"),
                format!("{number}: no longer part of this"),
            ),
            ChangeKind::Pdf => {
                self.say(format!("{number}\u{a0}: son PDF est arrivé"), format!("{number}: its PDF has arrived"))
            }
        }
    }

    pub(super) fn closing(&self, closing: &Closing) -> String {
        let word = self.say("Caisse", "Till");
        let till = closing.till.as_deref().map_or_else(|| word.clone(), |till| self.names.cash_box_after(&word, till));
        let span = match (closing.opened, closing.closed) {
            (Some(opened), Some(closed)) => {
                let [opened, closed] = [opened, closed].map(|at| date_time(at, self.locale));
                self.say(format!(" (du {opened} au {closed})"), format!(" ({opened} – {closed})"))
            }
            _ => String::new(),
        };
        let theirs = self.amount(closing.till_total);
        let ours = self.amount(closing.ours);
        let Some(difference) = closing.difference() else {
            return self.say(
                format!(
                    "{till}{span}\u{a0}: la caisse n’a pas communiqué de total\u{a0}; ventes soldées connues\u{a0}: {ours}"
                ),
                format!("{till}{span}: the till sent no total; paid sales that we know of: {ours}"),
            );
        };
        let said = self.say(
            format!("{till}{span}\u{a0}: total de la caisse {theirs}, ventes soldées connues {ours}"),
            format!("{till}{span}: the till's total {theirs}, paid sales that we know of {ours}"),
        );
        let difference = self.amount(Some(difference));
        match closing.explanation() {
            Explanation::None => self.say(format!("{said}, aucun écart"), format!("{said}, no difference")),
            Explanation::Unpaid => self.say(
                format!("{said}, écart {difference}\u{a0}: le montant des factures non soldées de cette période"),
                format!("{said}, difference {difference}: the amount of the unpaid invoices of that time"),
            ),
            Explanation::Outside => self.say(
                format!("{said}, écart {difference}\u{a0}: le montant des ventes du jour hors de ces heures"),
                format!("{said}, difference {difference}: the amount of the day's sales outside of these hours"),
            ),
            Explanation::Unknown => self.say(
                format!("{said}, écart {difference} non expliqué\u{a0}: règlements de ventes d’un autre jour, ou une vente qui n’est pas arrivée"),
                format!("{said}, difference {difference}, unexplained: payments of another day's sales, or a sale that did not arrive"),
            ),
        }
    }
}

/// Why an order, or a part of it, is not told by rate.
fn why_undivided(why: WhyUndivided, locale: Locale) -> &'static str {
    match why {
        WhyUndivided::NotSent => pick(locale, "TVA non communiquée par taux", "VAT not sent by rate"),
        WhyUndivided::NoBases => pick(
            locale,
            "les bases des taux ne se déduisent pas",
            "the bases of its rates do not follow from what was sent",
        ),
        WhyUndivided::NotTheOrder => pick(
            locale,
            "les taux ne font pas le total (une remise\u{a0}?)",
            "its rates do not add up to its total (a discount?)",
        ),
        WhyUndivided::TooLittle => pick(
            locale,
            "le reste du total, hors des taux communiqués",
            "the rest of its total, at no rate that was sent",
        ),
    }
}

/// Why an order is not in the journal: `no accounts for 20%`.
pub(super) fn not_entered(why: NotEntered, locale: Locale) -> String {
    let percent = |rate| format!("{}{}", number(rate, locale), pick(locale, "\u{a0}%", "%"));
    match why {
        NotEntered::Incomplete => pick(locale, "montants incomplets", "incomplete amounts").to_owned(),
        NotEntered::NotByRate => pick(locale, "TVA non communiquée par taux", "VAT not sent by rate").to_owned(),
        NotEntered::NoBases => why_undivided(WhyUndivided::NoBases, locale).to_owned(),
        NotEntered::Sign => {
            pick(locale, "signe du total contradictoire", "the sign of its total contradicts its kind").to_owned()
        }
        NotEntered::Unbalanced => {
            pick(locale, "les taux ne font pas le total", "the amounts by rate do not add up to the total").to_owned()
        }
        NotEntered::NoAccounts(rate) => {
            let rate = percent(rate);
            pick(locale, format!("aucun compte pour {rate}"), format!("no accounts for {rate}"))
        }
        NotEntered::NoVatAccount(rate) => {
            let rate = percent(rate);
            pick(locale, format!("aucun compte de TVA pour {rate}"), format!("no VAT account for {rate}"))
        }
    }
}

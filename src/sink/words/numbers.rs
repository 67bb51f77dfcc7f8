//! What a summary says of the numbers of its orders: from which to which, and what does not fit.

use super::{
    digest::{Words, hole, list},
    pick,
};
use crate::order::{Hole, Locale, NumberRange, Why};

impl Words<'_> {
    /// The numbers by sequence, each with what is missing in it.
    pub(super) fn numbers(&self) -> Vec<String> {
        let figures = &self.digest.figures;
        let mut lines: Vec<String> = figures.numbers.iter().map(|range| self.range(range)).collect();
        if !figures.uncounted.is_empty() {
            let numbers = list(figures.uncounted.iter().cloned());
            lines.push(self.say(
                format!("Sans suite reconnue, donc non surveillés\u{a0}: {numbers}"),
                format!("In no sequence that is understood, so not watched: {numbers}"),
            ));
        }
        lines
    }

    fn range(&self, range: &NumberRange) -> String {
        let NumberRange { first, last, .. } = range;
        let said = match first == last {
            true => first.clone(),
            false => self.say(format!("De {first} à {last}"), format!("From {first} to {last}")),
        };
        let said = match &range.till {
            Some(till) => {
                let till = self.names.cash_box_after(&self.say("Caisse", "Till"), till);
                format!("{till}{} {said}", pick(self.locale, "\u{a0}:", ":"))
            }
            None => said,
        };
        match self.missing_in(range) {
            None => said,
            Some(0) => self.say(format!("{said}, aucun numéro ne manque"), format!("{said}, no number is missing")),
            Some(missing) => {
                self.say(format!("{said}, manquants\u{a0}: {missing}"), format!("{said}, missing: {missing}"))
            }
        }
    }

    /// How many numbers are missing in a sequence; in an only one, also where that was not kept by sequence yet.
    fn missing_in(&self, range: &NumberRange) -> Option<u64> {
        let figures = &self.digest.figures;
        let is_only = figures.numbers.len() == 1 && self.digest.why != Why::Limit;
        range.missing.or_else(|| is_only.then(|| figures.holes.iter().map(|hole| hole.count).sum()))
    }

    /// What has to be looked up in the till, a sentence each.
    pub(super) fn missing(&self) -> Vec<String> {
        let figures = &self.digest.figures;
        let mut notes = Vec::new();
        if !figures.holes.is_empty() {
            let missing = list(figures.holes.iter().map(|one| self.hole_of(one)));
            notes.push(self.say(
                format!("Numéros qui ne nous sont pas parvenus\u{a0}: {missing}. Cherchez-les dans la caisse."),
                format!("Numbers that did not reach us: {missing}. Look for them in the till."),
            ));
        }
        if !figures.jumps.is_empty() {
            notes.push(jump(&list(figures.jumps.iter().map(|one| self.hole_of(one))), self.locale));
        }
        if !figures.unlisted.is_empty() {
            let orders = list(figures.unlisted.iter().cloned());
            notes.push(self.say(
                format!("Commandes enregistrées ici mais absentes de la liste de la caisse, ou annulées en caisse\u{a0}: {orders}. Elles sont dans les totaux\u{a0}: vérifiez-les dans la caisse."),
                format!("Orders that are here and not in the till's own list, or cancelled at the till: {orders}. They are in the totals: check them in the till."),
            ));
        }
        notes
    }

    fn hole_of(&self, one: &Hole) -> String {
        let said = hole(one, self.locale);
        match &one.till {
            Some(till) => format!("{said} ({})", self.names.cash_box_after(&self.say("caisse", "till"), till)),
            None => said,
        }
    }
}

/// Says what a step ahead leaves out.
pub(super) fn jump(numbers: &str, locale: Locale) -> String {
    pick(
        locale,
        format!(
            "La numérotation saute {numbers}\u{a0}: soit la caisse a commencé une autre suite, soit ces ventes ne nous sont pas parvenues. Vérifiez dans la caisse."
        ),
        format!(
            "The numbers skip {numbers}: either the till began another sequence, or these sales did not reach us. Look in the till."
        ),
    )
}

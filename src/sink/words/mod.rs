//! How amounts, dates and orders are put to people, in French and in English.
//!
//! The words are those of the trade: an invoice is issued, then paid; nobody is shown `validated` or `terminated`.

mod alert;
mod digest;
mod numbers;
mod remarks;

use super::Names;
use crate::order::{
    Currency, DeliveryMethod, Event, EventType, Locale, Moment, Money, Number, Order, Part, SentField, State, Warning,
};

pub use alert::{AlertText, alert_text};
pub use digest::{DigestText, TableRow, digest_text};

/// Between a number and what it counts: a space that does not break.
const NO_BREAK: char = '\u{a0}';

/// Between thousands in French: a narrow space that does not break.
const NARROW: char = '\u{202f}';

/// One of two texts.
pub fn pick<T>(locale: Locale, french: T, english: T) -> T {
    match locale {
        Locale::Fr => french,
        Locale::En => english,
    }
}

/// An amount: `1 234,50 €`, `€1,234.50`.
pub fn money(amount: Money, currency: Currency, locale: Locale) -> String {
    let sign = if amount.is_negative() { "-" } else { "" };
    let digits = grouped(&amount.abs().to_string(), locale);
    match (locale, symbol(&currency)) {
        (Locale::Fr, Some(symbol)) => format!("{sign}{digits}{NO_BREAK}{symbol}"),
        (Locale::Fr, None) => format!("{sign}{digits}{NO_BREAK}{currency}"),
        (Locale::En, Some(symbol)) => format!("{sign}{symbol}{digits}"),
        (Locale::En, None) => format!("{sign}{currency}{NO_BREAK}{digits}"),
    }
}

/// A quantity or a rate: `1,5`, `1.5`.
pub fn number(number: Number, locale: Locale) -> String {
    let text = number.to_string();
    pick(locale, text.replace('.', ","), text.clone())
}

/// What a part of an order is told as in a table by VAT rate: `5,5 %`.
pub fn part(part: Part, locale: Locale) -> String {
    match part {
        Part::Rate(rate) => format!("{}{}", number(rate, locale), pick(locale, "\u{a0}%", "%")),
        Part::Undivided => pick(locale, "non ventilé", "not by rate").to_owned(),
        Part::Lacking => pick(locale, "montants incomplets", "incomplete amounts").to_owned(),
        Part::Rounding => pick(locale, "arrondi", "rounding").to_owned(),
    }
}

/// A day: `21/11/2026`, `21 Nov 2026`.
pub fn date(moment: Moment, locale: Locale) -> String {
    moment.civil().strftime(pick(locale, "%d/%m/%Y", "%-d %b %Y")).to_string()
}

/// A day and a time: `21/11/2026 à 14:03`, `21 Nov 2026 at 14:03`.
pub fn date_time(moment: Moment, locale: Locale) -> String {
    moment.civil().strftime(pick(locale, "%d/%m/%Y à %H:%M", "%-d %b %Y at %H:%M")).to_string()
}

/// The order by its number: `Facture 20261121042`, `Refund 20261121043`.
pub fn order_name(order: &Order, locale: Locale) -> String {
    let noun = match order.refund() {
        true => pick(locale, "Remboursement", "Refund"),
        false => pick(locale, "Facture", "Invoice"),
    };
    format!("{noun} {}", order.number())
}

/// How far the order is, after its name: `émise, non soldée`, `paid`. A refund is made rather than paid.
pub fn order_state(order: &Order, locale: Locale) -> &'static str {
    match (order.refund(), order.state) {
        // Nobody owes nothing.
        (false, State::Invoiced) if order.is_of_nothing() => pick(locale, "émise", "issued"),
        (true, State::Invoiced) if order.is_of_nothing() => pick(locale, "émis", "issued"),
        (false, State::Invoiced) => pick(locale, "émise, non soldée", "issued, unpaid"),
        (false, State::Paid) => pick(locale, "payée", "paid"),
        (true, State::Invoiced) => pick(locale, "émis, non soldé", "issued, unpaid"),
        (true, State::Paid) => pick(locale, "effectué", "paid out"),
    }
}

/// What happened to the order, after its name, where that is not how far it is.
pub fn order_news(event: &Event, order: &Order, locale: Locale) -> &'static str {
    match (event.kind, order.refund()) {
        (EventType::OrderUpdated, false) => pick(locale, "modifiée", "changed"),
        (EventType::OrderUpdated, true) => pick(locale, "modifié", "changed"),
        (EventType::InvoiceStored, _) => pick(locale, "le PDF est archivé", "its PDF is in the archive"),
        _ => order_state(order, locale),
    }
}

/// How the customer gets the goods; where we have no word for it the till's own, else its number.
pub fn delivery_method(method: &DeliveryMethod, names: &Names, locale: Locale) -> String {
    if let Some(name) = names.delivery_method(method) {
        return name.to_owned();
    }
    let word = match method.name.as_str() {
        "take_away" => pick(locale, "à emporter", "take away"),
        "delivery" => pick(locale, "à livrer", "delivery"),
        "on_site" => pick(locale, "sur place", "on site"),
        "drive_thru" => pick(locale, "au volant", "drive-thru"),
        "counter" => pick(locale, "vente au comptoir", "counter sale"),
        "relay_point" => pick(locale, "point relais", "relay point"),
        "shipped" => pick(locale, "à expédier", "to be shipped"),
        _ => return format!("{} {}", pick(locale, "mode de remise", "delivery method"), method.code),
    };
    word.to_owned()
}

/// What does not add up about an order.
pub fn warning(warning: Warning, locale: Locale) -> &'static str {
    match warning {
        Warning::VatSumMismatch => {
            pick(locale, "le détail par taux ne fait pas les totaux", "the amounts by rate do not add up to the totals")
        }
        Warning::ItemsSumMismatch => {
            pick(locale, "la somme des articles ne correspond pas au total", "the items do not add up")
        }
        Warning::RefundSignMismatch => pick(
            locale,
            "le type (vente ou remboursement), le total, la TVA et ses taux se contredisent sur le signe\u{a0}; les montants sont comptés d’un seul signe",
            "the kind (sale or refund), the total, the VAT and its rates contradict each other on the sign; the amounts are counted with one",
        ),
        Warning::VatRateMismatch => pick(
            locale,
            "la TVA d’un taux ne correspond pas à ce taux et à sa base",
            "the VAT of a rate is not that of the rate and its base",
        ),
        Warning::Unreadable(field) => unreadable(field, locale),
    }
}

/// That a field was sent and could not be read. What was sent is in the call.
fn unreadable(field: SentField, locale: Locale) -> &'static str {
    let (french, english) = match field {
        SentField::Price => {
            ("le total envoyé par la caisse n'a pas pu être lu", "the total that the till sent could not be read")
        }
        SentField::Vat => {
            ("la TVA envoyée par la caisse n'a pas pu être lue", "the VAT that the till sent could not be read")
        }
        SentField::Vats => (
            "la TVA par taux envoyée par la caisse n'a pas pu être lue entièrement",
            "the VAT by rate that the till sent could not all be read",
        ),
        SentField::Items => (
            "les articles envoyés par la caisse n'ont pas pu être lus entièrement",
            "the items that the till sent could not all be read",
        ),
        SentField::Customer => {
            ("le client envoyé par la caisse n'a pas pu être lu", "the customer that the till sent could not be read")
        }
        SentField::IsRefund => (
            "la caisse n'a pas dit lisiblement s'il s'agit d'un remboursement",
            "what the till sent does not say readably whether this is a refund",
        ),
        SentField::CreationDate => (
            "la date de création envoyée par la caisse n'a pas pu être lue",
            "the creation date that the till sent could not be read",
        ),
        SentField::ValidationDate => (
            "la date de validation envoyée par la caisse n'a pas pu être lue",
            "the validation date that the till sent could not be read",
        ),
        SentField::ValueDate => (
            "la date de valeur envoyée par la caisse n'a pas pu être lue",
            "the value date that the till sent could not be read",
        ),
    };
    pick(locale, french, english)
}

/// Whether a reader, or a mail program, may take the character for a line's end or a column.
pub fn breaks_line(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// C0, C1, bidi controls, and the byte order mark: what changes how a text is read without being seen.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The sign that people know; `None` where the code is clearer.
fn symbol(currency: &Currency) -> Option<&'static str> {
    Some(match currency.code() {
        "EUR" => "€",
        "USD" => "$",
        "GBP" => "£",
        _ => return None,
    })
}

/// Digits in groups of three, with the language's decimal sign. `plain` has no sign and at most one dot.
fn grouped(plain: &str, locale: Locale) -> String {
    let (whole, decimals) = plain.split_once('.').unwrap_or((plain, ""));
    let mut text = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(pick(locale, NARROW, ','));
        }
        text.push(digit);
    }
    if !decimals.is_empty() {
        text.push(pick(locale, ',', '.'));
        text.push_str(decimals);
    }
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use rust_decimal::Decimal;

    use super::*;

    #[rstest]
    #[case("43.8", "EUR", "43,80\u{a0}€", "€43.80")]
    #[case("-43.8", "EUR", "-43,80\u{a0}€", "-€43.80")]
    #[case("1234567.5", "EUR", "1\u{202f}234\u{202f}567,50\u{a0}€", "€1,234,567.50")]
    #[case("999", "EUR", "999,00\u{a0}€", "€999.00")]
    #[case("1.005", "EUR", "1,005\u{a0}€", "€1.005")]
    #[case("12", "CHF", "12,00\u{a0}CHF", "CHF\u{a0}12.00")]
    #[case("1500", "XPF", "1\u{202f}500\u{a0}XPF", "XPF\u{a0}1,500")]
    fn amounts_are_written_as_each_language_does(
        #[case] value: &str,
        #[case] currency: Currency,
        #[case] french: &str,
        #[case] english: &str,
    ) {
        let amount = Money::new(Decimal::from_str_exact(value).expect("a decimal"), currency.minor_digits());
        assert_eq!(money(amount, currency, Locale::Fr), french);
        assert_eq!(money(amount, currency, Locale::En), english);
    }

    #[test]
    fn dates_are_those_on_the_shops_wall() {
        let moment: Moment = serde_json::from_str("\"2026-11-01T00:03:10+01:00\"").expect("a moment");
        assert_eq!(date(moment, Locale::Fr), "01/11/2026");
        assert_eq!(date(moment, Locale::En), "1 Nov 2026");
        assert_eq!(date_time(moment, Locale::Fr), "01/11/2026 à 00:03");
        assert_eq!(date_time(moment, Locale::En), "1 Nov 2026 at 00:03");
    }

    #[test]
    fn a_delivery_method_that_we_do_not_know_is_shown_by_its_number() {
        let names = Names::default();
        assert_eq!(delivery_method(&DeliveryMethod::from_code("2"), &names, Locale::Fr), "sur place");
        assert_eq!(delivery_method(&DeliveryMethod::from_code("9"), &names, Locale::En), "delivery method 9");
    }
}

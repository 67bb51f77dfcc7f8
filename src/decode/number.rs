//! Amounts, quantities and rates as tills write them → exact decimals.
//!
//! With both separators the last is the decimal one; one alone is the decimal one; one that repeats groups thousands; one
//! at the end makes it no number; exponents are read (contract §5, Reading). A text that fits no reading is no number, rather
//! than a guess.
//!
//! **Invariant:** no digit is lost: what has more digits than a decimal holds is not read at all.

use rust_decimal::Decimal;
use serde_json::Value;

/// Signs that stand for minus, beside `-`.
const MINUS: &[char] = &['-', '\u{2212}', '\u{2010}', '\u{2011}', '\u{2013}'];

/// Ways of writing "and no cents" after the separator: `12,-`.
const NO_CENTS: &[&str] = &[",-", ".-", ",–", ".–", ",\u{2212}", ".\u{2212}"];

/// Names of currencies that are not three capital letters.
const CURRENCY_NAMES: &[&str] = &["eur", "euro", "euros", "f", "fr", "chf", "fcfa", "cfp", "kr", "zł", "ttc"];

/// The longest unit of a quantity: `pièces`, `bouteilles`.
const LONGEST_UNIT: usize = 12;

/// The exponents that JSON numbers may have; nothing a till sells is larger or smaller.
const EXPONENTS: std::ops::RangeInclusive<i32> = -28..=28;

/// The number that a value is.
pub(super) fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Number(number) => plain(number.as_str()),
        Value::String(text) => exponential(text).or_else(|| written(text)),
        _ => None,
    }
}

/// How far an amount may be from one with the currency's decimals that was meant.
const BINARY: Decimal = Decimal::from_parts(1, 0, 0, false, 6);

/// An amount with so many decimals where it is one but for what a binary fraction makes of it: 43.799999999999997.
pub(super) fn meant(value: Decimal, decimals: u32) -> Decimal {
    let rounded = value.round_dp(decimals);
    let is_near = value.checked_sub(rounded).is_some_and(|apart| apart.abs() <= BINARY);
    if is_near && value.scale() > decimals { rounded } else { value }
}

/// A quantity, with its unit where it has one: `2`, `0,250 kg`.
pub(super) fn quantity(value: &Value) -> Option<(Decimal, Option<&str>)> {
    if let Some(number) = decimal(value) {
        return Some((number, None));
    }
    let text = value.as_str()?.trim_matches(is_space);
    let (number, unit) = text.split_at(text.rfind(is_core)? + 1);
    let unit = unit.trim_start_matches(is_space);
    let is_unit = unit.chars().count() <= LONGEST_UNIT && unit.chars().all(|c| c.is_alphabetic() || "²³.".contains(c));
    Some((written(number)?, Some(unit))).filter(|_| is_unit && unit.starts_with(char::is_alphabetic))
}

/// A rate in percent, with or without `%`.
pub(super) fn rate(value: &Value) -> Option<Decimal> {
    match value {
        Value::String(text) => rate_text(text),
        _ => decimal(value),
    }
}

/// [`rate`] of a text.
pub(super) fn rate_text(text: &str) -> Option<Decimal> {
    let text = text.trim();
    written(text.strip_suffix('%').unwrap_or(text))
}

/// A JSON number: `12.90`, `1.29e1`.
fn plain(text: &str) -> Option<Decimal> {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return Decimal::from_str_exact(text).ok() };
    let exponent: i32 = exponent.parse().ok().filter(|exponent| EXPONENTS.contains(exponent))?;
    let mut value = Decimal::from_str_exact(mantissa).ok()?.normalize();
    let scale = i32::try_from(value.scale()).ok()? - exponent;
    if let Ok(scale) = u32::try_from(scale) {
        value.set_scale(scale).ok()?;
        return Some(value);
    }
    value.set_scale(0).ok()?;
    (scale..0).try_fold(value, |value, _| value.checked_mul(Decimal::TEN))
}

/// A number with an exponent in a text: `1.0E-5`.
fn exponential(text: &str) -> Option<Decimal> {
    let text = text.trim_matches(is_space);
    text.contains(['e', 'E']).then(|| plain(&text.replace(',', ".")))?
}

/// A number as people and programs write it.
fn written(text: &str) -> Option<Decimal> {
    let (negative, core) = bare(text)?;
    let (whole, cents) = match decimal_separator(core)? {
        // What should follow is missing.
        Some(at) if at + 1 == core.len() => return None,
        Some(at) => (&core[..at], &core[at + 1..]),
        None => (core, ""),
    };
    if !cents.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole = ungrouped(whole)?;
    if whole.is_empty() && cents.is_empty() {
        return None;
    }
    let sign = if negative { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole.as_str() };
    let text = if cents.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{cents}") };
    Decimal::from_str_exact(&text).ok()
}

/// Takes signs, currencies and spaces off both ends: whether it is negative, and the rest.
fn bare(text: &str) -> Option<(bool, &str)> {
    let mut core = text.trim_matches(is_space);
    let mut sign = None;
    loop {
        core = NO_CENTS.iter().find_map(|end| core.strip_suffix(end)).unwrap_or(core);
        let (Some(first), Some(last)) = (core.chars().next(), core.chars().next_back()) else { return None };
        if core.starts_with(is_core) && core.ends_with(is_core) {
            return Some((sign == Some(true), core));
        }
        let at_start = !core.starts_with(is_core);
        let end = if at_start { first } else { last };
        if MINUS.contains(&end) || end == '+' {
            if sign.replace(end != '+').is_some() {
                return None;
            }
            core = if at_start { &core[first.len_utf8()..] } else { &core[..core.len() - last.len_utf8()] };
        } else {
            let word =
                if at_start { &core[..core.find(not_word)?] } else { &core[after(core.rfind(not_word)?, core)..] };
            if !is_currency(word) {
                return None;
            }
            core = if at_start { &core[word.len()..] } else { &core[..core.len() - word.len()] };
            core = if at_start { core.strip_prefix(". ").unwrap_or(core) } else { core };
        }
        core = core.trim_matches(is_space);
    }
}

fn is_core(c: char) -> bool {
    c.is_ascii_digit() || c == '.' || c == ','
}

fn not_word(c: char) -> bool {
    is_core(c) || is_space(c) || MINUS.contains(&c) || c == '+'
}

/// The place after the character that begins at `at`.
fn after(at: usize, text: &str) -> usize {
    at + text[at..].chars().next().map_or(0, char::len_utf8)
}

/// Unicode's spaces and the invisible marks that texts are copied with.
fn is_space(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}')
}

fn is_currency(word: &str) -> bool {
    let mut chars = word.chars();
    let is_sign = |c| matches!(c, '$' | '¢'..='¥' | '\u{20a0}'..='\u{20cf}');
    matches!((chars.next(), chars.next()), (Some(c), None) if is_sign(c))
        || (word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_uppercase()))
        || CURRENCY_NAMES.contains(&word.to_lowercase().as_str())
}

/// Where the decimal separator is, if there is one; `None` for a contradiction.
fn decimal_separator(core: &str) -> Option<Option<usize>> {
    let count = |separator| core.matches(separator).count();
    let (dots, commas) = (count('.'), count(','));
    let last = core.rfind(['.', ',']);
    match (dots, commas) {
        (0, 0) => Some(None),
        (1, 0) | (0, 1) => Some(last),
        (_, 0) | (0, _) => Some(None),
        _ => {
            let at = last?;
            let unique = if core[at..].starts_with('.') { dots == 1 } else { commas == 1 };
            unique.then_some(Some(at))
        }
    }
}

/// The digits of a whole number whose thousands may be grouped; the last group has three digits, the others two (India)
/// or three.
fn ungrouped(whole: &str) -> Option<String> {
    let mark = |c| matches!(c, '.' | ',' | '\'' | '’') || is_space(c);
    let groups: Vec<&str> = whole.split(mark).collect();
    let sound = groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_digit()));
    let grouped = match groups.as_slice() {
        [_] => true,
        [first, middle @ .., last] => {
            (1..=3).contains(&first.len()) && last.len() == 3 && middle.iter().all(|group| matches!(group.len(), 2 | 3))
        }
        [] => false,
    };
    (sound && grouped).then(|| groups.concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<String> {
        written(text).map(|value| value.to_string())
    }

    #[test]
    fn money_is_read_however_it_is_written() {
        for (text, expected) in [
            ("43.80", "43.80"),
            ("43,80", "43.80"),
            ("43,80 €", "43.80"),
            ("€43.80", "43.80"),
            ("EUR 43.80", "43.80"),
            ("43,80\u{a0}EUR", "43.80"),
            ("43,80 euros", "43.80"),
            ("43,80 € TTC", "43.80"),
            ("CHF 1'234.50", "1234.50"),
            ("Fr. 12.-", "12"),
            ("12,–", "12"),
            ("1 234,56", "1234.56"),
            ("1\u{202f}234,56\u{a0}€", "1234.56"),
            ("1\u{2009}234\u{2009}567,8", "1234567.8"),
            ("1.234,56", "1234.56"),
            ("1,234.56", "1234.56"),
            ("1,234", "1.234"),
            ("1.234", "1.234"),
            ("1.234.567", "1234567"),
            ("1,234,567.89", "1234567.89"),
            ("12,34,567.8", "1234567.8"),
            ("-12.90", "-12.90"),
            ("−12,90 €", "-12.90"),
            ("12,90-", "-12.90"),
            ("€ -12.90", "-12.90"),
            ("-€12.90", "-12.90"),
            ("12.90 € -", "-12.90"),
            ("+3", "3"),
            (".5", "0.5"),
            ("0", "0"),
            ("12 000 FCFA", "12000"),
            ("12 000 XPF", "12000"),
            ("\u{feff}7\u{200b}", "7"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_not_guessed() {
        for text in [
            "",
            " ",
            "-",
            "€",
            ".",
            ",",
            "abc",
            "12abc",
            "1-2",
            "--1",
            "-1-",
            "12 34",
            "1.2.3",
            "21.11.2026",
            "1,2,3.4,5",
            "1.234.56",
            "12€50",
            "0x10",
            "5.",
            "43,",
            "1.234,",
            "5. €",
            "1e5",
            "NaN",
            "١٢",
            "1 234,56,7",
            "99999999999999999999999999999999",
            "0.00000000000000000000000000000001",
            "+",
            "EUR",
            "12 pommes",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn json_numbers_are_exact_and_may_have_an_exponent() {
        for (json, expected) in [
            ("12.90", Some("12.90")),
            ("1.29e1", Some("12.9")),
            ("25e-2", Some("0.25")),
            ("-4E+3", Some("-4000")),
            ("0.30000000000000004", Some("0.30000000000000004")),
            ("1e999", None),
            ("1e-99", None),
            ("12e28", None),
        ] {
            let value: Value = serde_json::from_str(json).expect("a number");
            assert_eq!(decimal(&value).map(|value| value.to_string()).as_deref(), expected, "{json}");
        }
        assert_eq!(decimal(&Value::Bool(true)), None);
    }

    #[test]
    fn a_rate_may_carry_its_sign() {
        for text in ["5.5", "5,5 %", "5.50%", " 5,5% "] {
            assert_eq!(rate_text(text).map(|rate| rate.normalize().to_string()).as_deref(), Some("5.5"), "{text}");
        }
    }

    #[test]
    fn a_text_may_have_an_exponent_too() {
        for (text, expected) in [
            ("1.0E-5", Some("0.000010")),
            (" 1,25e2 ", Some("125")),
            ("-4E+3", Some("-4000")),
            ("1e", None),
            ("e5", None),
            ("2 euros", Some("2")),
        ] {
            let read = decimal(&text.into()).map(|value| value.to_string());
            assert_eq!(read.is_some(), expected.is_some(), "{text}");
            let equal = read.zip(expected).is_none_or(|(read, expected)| read.parse::<Decimal>() == expected.parse());
            assert!(equal, "{text}");
        }
    }

    #[test]
    fn what_a_binary_fraction_makes_of_an_amount_is_undone_and_nothing_else() {
        for (sent, decimals, expected) in [
            ("43.799999999999997", 2, "43.80"),
            ("5.3499999999999996", 2, "5.35"),
            ("0.30000000000000004", 2, "0.30"),
            ("-12.900000000000001", 2, "-12.90"),
            ("1250.0000001", 0, "1250"),
            ("8.333", 2, "8.333"),
            ("8.33000101", 2, "8.33000101"),
            ("12.9", 2, "12.9"),
            ("0.00001", 2, "0.00001"),
        ] {
            assert_eq!(meant(sent.parse().expect("a number"), decimals).to_string(), expected, "{sent}");
        }
    }

    #[test]
    fn a_quantity_may_have_a_unit() {
        for (sent, expected) in [
            ("0,250 kg", Some(("0.250", Some("kg")))),
            ("3pièces", Some(("3", Some("pièces")))),
            ("1.5 m²", Some(("1.5", Some("m²")))),
            ("2", Some(("2", None))),
            ("2 x 3", None),
            ("kg", None),
            ("2 pieces of cake", None),
            ("about 3 kg", None),
            ("0,250 <b>", None),
        ] {
            let value = Value::from(sent);
            let read = quantity(&value).map(|(number, unit)| (number.to_string(), unit));
            assert_eq!(read.as_ref().map(|(number, unit)| (number.as_str(), *unit)), expected, "{sent}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_not_but_never_panics(text in "[-0-9., €'EURA−\u{a0}%]{0,12}|\\PC{0,12}") {
            let _ = (written(&text), rate_text(&text), plain(&text), quantity(&text.into()));
        }

        #[test]
        fn french_and_english_forms_of_an_amount_are_the_same(cents in -99_999_999_999_i64..99_999_999_999) {
            let amount = Decimal::new(cents, 2);
            let english = amount.to_string();
            let french = format!("{} €", english.replace('.', ",").replace('-', "−"));
            prop_assert_eq!(written(&english), Some(amount));
            prop_assert_eq!(written(&french), Some(amount));
        }
    }
}

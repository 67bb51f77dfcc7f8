//! The name an invoice is saved under: `20261121_Boulangerie-Dupont_Zoe-Durand_F20261121042.pdf`.
//!
//! Accountants sort by name, and mail programs, old archives and Windows shares all have opinions on letters. So names
//! begin with the date and are plain ASCII.
//!
//! **Invariant:** a name consists of ASCII letters, digits, `_`, `-` and one `.` before `pdf`; it is at most
//! [`MAX_BYTES`] long, whatever the till sent.

use crate::order::{Locale, Order, Shop};

/// The longest name, in bytes.
pub const MAX_BYTES: usize = 120;

/// How much of an order number is kept. The till's have 11 digits.
const MAX_NUMBER: usize = 32;

/// The name of an order's invoice: `{YYYYMMDD}_{shop}_{customer}_{F|R}{order_id}.pdf` (contract §5, Invoice).
pub fn filename(order: &Order, shop: &Shop) -> String {
    let date = order.dates.booked().civil().date().strftime("%Y%m%d").to_string();
    let kind = if order.refund() { 'R' } else { 'F' };
    let number = cut(&ascii_words(order.number()), MAX_NUMBER);
    let fixed = date.len() + number.len() + "___F.pdf".len();

    let customer = customer(order, shop.locale);
    let room = MAX_BYTES - fixed;
    let shop = cut(&or(ascii_words(&shop.name), shop.id.as_str()), room.saturating_sub(customer.len()).max(room / 2));
    let customer = cut(&customer, room - shop.len());
    format!("{date}_{shop}_{customer}_{kind}{number}.pdf")
}

/// The shop in the names of other files: `Boulangerie-Dupont`.
pub fn shop_in_filenames(shop: &Shop) -> String {
    cut(&or(ascii_words(&shop.name), shop.id.as_str()), MAX_BYTES / 2)
}

/// The customer's name; `Comptoir` or `Counter` for a sale over the counter, and `Client` or `Customer` for somebody
/// whose name has no Latin letter.
fn customer(order: &Order, locale: Locale) -> String {
    let (counter, somebody) = match locale {
        Locale::Fr => ("Comptoir", "Client"),
        Locale::En => ("Counter", "Customer"),
    };
    match order.customer.as_ref().and_then(|customer| customer.name.as_deref()).map(str::trim) {
        None | Some("") => counter.to_owned(),
        Some(name) => or(ascii_words(name), somebody),
    }
}

fn or(text: String, fallback: &str) -> String {
    if text.is_empty() { ascii_words(fallback) } else { text }
}

/// At most `bytes` of an ASCII text, without a hyphen at its end.
fn cut(text: &str, bytes: usize) -> String {
    text[..text.len().min(bytes)].trim_end_matches('-').to_owned()
}

/// The words of a text in ASCII letters and digits, joined with `-`.
fn ascii_words(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' => plain.push(letter),
            // A combining accent belongs to the letter before it, and an apostrophe in a name joins: `O'Neill`.
            '\u{300}'..='\u{36f}' | '\'' | '’' => {}
            _ => match transliterate(letter) {
                "" => plain.push(' '),
                latin => plain.push_str(latin),
            },
        }
    }
    plain.split_whitespace().collect::<Vec<_>>().join("-")
}

/// A Latin letter in ASCII; empty for everything else. Covers French, the European Latin alphabets and Turkish.
fn transliterate(letter: char) -> &'static str {
    match letter {
        'À' | 'Á' | 'Â' | 'Ã' | 'Ä' | 'Å' | 'Ā' | 'Ă' | 'Ą' => "A",
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' | 'ª' => "a",
        'Æ' => "AE",
        'æ' => "ae",
        'Ç' | 'Ć' | 'Ĉ' | 'Ċ' | 'Č' => "C",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'Ð' | 'Ď' | 'Đ' => "D",
        'ð' | 'ď' | 'đ' => "d",
        'È' | 'É' | 'Ê' | 'Ë' | 'Ē' | 'Ĕ' | 'Ė' | 'Ę' | 'Ě' => "E",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'Ĝ' | 'Ğ' | 'Ġ' | 'Ģ' => "G",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'Ĥ' | 'Ħ' => "H",
        'ĥ' | 'ħ' => "h",
        'Ì' | 'Í' | 'Î' | 'Ï' | 'Ĩ' | 'Ī' | 'Ĭ' | 'Į' | 'İ' => "I",
        'ì' | 'í' | 'î' | 'ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'Ĵ' => "J",
        'ĵ' => "j",
        'Ķ' => "K",
        'ķ' => "k",
        'Ĺ' | 'Ļ' | 'Ľ' | 'Ł' => "L",
        'ĺ' | 'ļ' | 'ľ' | 'ł' => "l",
        'Ñ' | 'Ń' | 'Ņ' | 'Ň' => "N",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'Ò' | 'Ó' | 'Ô' | 'Õ' | 'Ö' | 'Ø' | 'Ō' | 'Ŏ' | 'Ő' => "O",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ŏ' | 'ő' | 'º' => "o",
        'Œ' => "OE",
        'œ' => "oe",
        'Ŕ' | 'Ŗ' | 'Ř' => "R",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'Ś' | 'Ŝ' | 'Ş' | 'Ș' | 'Š' => "S",
        'ś' | 'ŝ' | 'ş' | 'ș' | 'š' => "s",
        'ß' => "ss",
        'Ţ' | 'Ț' | 'Ť' => "T",
        'ţ' | 'ț' | 'ť' => "t",
        'Þ' => "Th",
        'þ' => "th",
        'Ù' | 'Ú' | 'Û' | 'Ü' | 'Ũ' | 'Ū' | 'Ŭ' | 'Ů' | 'Ű' | 'Ų' => "U",
        'ù' | 'ú' | 'û' | 'ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'Ŵ' => "W",
        'ŵ' => "w",
        'Ý' | 'Ŷ' | 'Ÿ' => "Y",
        'ý' | 'ŷ' | 'ÿ' => "y",
        'Ź' | 'Ż' | 'Ž' => "Z",
        'ź' | 'ż' | 'ž' => "z",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{Currency, Customer, Moment, OrderContent, Phase, Timeline};
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    fn shop(name: &str, locale: Locale) -> Shop {
        Shop {
            id: "dupont".parse().unwrap(),
            name: name.into(),
            timezone: TimeZone::get("Europe/Paris").unwrap(),
            currency: Currency::EUR,
            locale,
        }
    }

    fn order(number: &str, customer: Option<&str>, refund: bool) -> Order {
        let mut timeline = Timeline::default();
        timeline.hear(
            Phase::Validated,
            OrderContent {
                order_id: Some(number.into()),
                is_refund: Some(refund),
                customer: customer.map(|name| Customer { name: Some(name.into()), ..Customer::default() }),
                ..OrderContent::default()
            },
        );
        let zone = TimeZone::get("Europe/Paris").unwrap();
        Order::new(&timeline, Currency::EUR, Moment::new("2026-11-20T23:30:00Z".parse().unwrap(), &zone))
    }

    #[test]
    fn a_name_is_date_shop_customer_and_number_with_the_date_on_the_shops_wall() {
        let french = shop("Boulangerie Dupont", Locale::Fr);
        assert_eq!(
            filename(&order("20261121042", Some("Zoé Durand"), false), &french),
            "20261121_Boulangerie-Dupont_Zoe-Durand_F20261121042.pdf"
        );
        assert_eq!(filename(&order("7", None, true), &french), "20261121_Boulangerie-Dupont_Comptoir_R7.pdf");
        assert_eq!(
            filename(&order("7", Some(" "), false), &shop("L’Œuf & fils", Locale::En)),
            "20261121_LOEuf-fils_Counter_F7.pdf"
        );
    }

    #[test]
    fn a_name_in_another_script_is_not_taken_for_a_sale_over_the_counter() {
        assert_eq!(
            filename(&order("7", Some("王小明"), false), &shop("寿司", Locale::Fr)),
            "20261121_dupont_Client_F7.pdf"
        );
    }

    #[test]
    fn hostile_names_stay_inside_the_folder() {
        let name =
            filename(&order("../../etc/passwd", Some("..\\..\\a\r\nb/c\0"), false), &shop(".hidden", Locale::Fr));
        assert_eq!(name, "20261121_hidden_a-b-c_Fetc-passwd.pdf");
    }

    #[test]
    fn long_names_are_cut_but_the_number_stays() {
        let name = filename(
            &order("20261121042", Some(&"Aurélie ".repeat(40)), false),
            &shop(&"Très Long ".repeat(40), Locale::Fr),
        );
        assert_eq!(name.len(), MAX_BYTES);
        assert!(name.ends_with("_F20261121042.pdf") && name.contains("_Aurelie-Aurelie"), "{name}");
    }

    proptest! {
        #[test]
        fn whatever_the_till_sends_the_name_is_short_plain_ascii(number in ".*", customer in ".*", shop_name in ".*") {
            let name = filename(&order(&number, Some(&customer), false), &shop(&shop_name, Locale::En));
            prop_assert!(name.len() <= MAX_BYTES);
            let stem = name.strip_suffix(".pdf").expect("the ending");
            prop_assert!(stem.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'), "{name}");
            prop_assert_eq!(stem.matches('_').count(), 3);
        }
    }
}

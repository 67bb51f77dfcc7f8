//! Putting an order into the words of the till, in every way the till might speak.
//!
//! Method, content type and charset of the till's calls are documented nowhere (pos-api §1), so each way that a reader
//! must understand can be written here: the same order, announced in any of them, has to be read as the same.

use std::{borrow::Cow, fmt, str::FromStr};

use encoding_rs::WINDOWS_1252;
use http::Method;
use serde_json::{Map, Value};

use super::{fields::fields, order::TillOrder};
use crate::order::{Locale, Phase};

/// Separates the parts of a multipart body; long enough to occur in no order.
const BOUNDARY: &str = "----till-8f14e45fceea167a";

macro_rules! encodings {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// How the parameters of a call are laid out.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum Encoding { $($(#[$doc])* $name,)* }

        impl Encoding {
            /// Every encoding there is.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name on the command line: `json-twice`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

encodings! {
    /// A form whose lists and objects are JSON text.
    #[default]
    Form = "form",
    /// A form with PHP's brackets: `items[0][titre]=…`.
    Brackets = "brackets",
    /// A JSON object.
    Json = "json",
    /// A JSON object whose lists and objects are JSON text once more.
    JsonTwice = "json-twice",
    /// `multipart/form-data` whose lists and objects are JSON text.
    Multipart = "multipart",
    /// The form as the query of a GET.
    Get = "get",
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No encoding is called that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no encoding: use form, brackets, json, json-twice, multipart or get")]
pub struct EncodingError(pub String);

impl FromStr for Encoding {
    type Err = EncodingError;

    fn from_str(text: &str) -> Result<Self, EncodingError> {
        Self::ALL.iter().copied().find(|it| it.as_str() == text).ok_or_else(|| EncodingError(text.to_owned()))
    }
}

/// How the text of a call becomes bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Charset {
    /// UTF-8, undeclared, as most programs send it.
    #[default]
    Utf8,
    /// ISO-8859-1, undeclared: the reader has to notice.
    Latin1,
    /// Windows-1252, declared in the content type (which a GET has not).
    Windows1252,
}

impl Charset {
    /// Every charset there is.
    pub const ALL: &[Self] = &[Self::Utf8, Self::Latin1, Self::Windows1252];

    /// The text in this charset. What the charset has no character for becomes a numeric reference, as in a browser.
    fn bytes(self, text: &str) -> Cow<'_, [u8]> {
        match self {
            Self::Utf8 => text.as_bytes().into(),
            Self::Windows1252 => WINDOWS_1252.encode(text).0,
            Self::Latin1 => text.chars().flat_map(latin1).collect(),
        }
    }

    fn declared(self) -> &'static str {
        match self {
            Self::Utf8 | Self::Latin1 => "",
            Self::Windows1252 => "; charset=windows-1252",
        }
    }
}

/// How a call is made: in which layout, charset and language. By default a French form in UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Voice {
    /// How the parameters are laid out.
    pub encoding: Encoding,
    /// How text becomes bytes.
    pub charset: Charset,
    /// Which names the fields have, and how amounts and dates are written.
    pub language: Locale,
}

/// A call, ready to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// POST, or GET.
    pub method: Method,
    /// The query, where the parameters are there.
    pub query: Option<String>,
    /// The content type, where there is a body.
    pub content_type: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Puts an announcement of `order` into words. The same arguments give the same bytes.
pub fn encode(order: &TillOrder, phase: Phase, voice: Voice) -> Announcement {
    let Voice { encoding, charset, language } = voice;
    let fields = fields(order, phase, language);
    let post = |content_type: &str, body: Vec<u8>| Announcement {
        method: Method::POST,
        query: None,
        content_type: Some(format!("{content_type}{}", charset.declared())),
        body,
    };
    const FORM: &str = "application/x-www-form-urlencoded";
    match encoding {
        Encoding::Form => post(FORM, form(&texts(fields), charset).into_bytes()),
        Encoding::Brackets => post(FORM, form(&bracketed(&fields), charset).into_bytes()),
        Encoding::Json => post("application/json", json(fields, charset)),
        Encoding::JsonTwice => {
            let twice = texts(fields).into_iter().map(|(name, text)| (name, Value::String(text)));
            post("application/json", json(twice.collect(), charset))
        }
        Encoding::Multipart => {
            post(&format!("multipart/form-data; boundary={BOUNDARY}"), multipart(&texts(fields), charset))
        }
        Encoding::Get => Announcement {
            method: Method::GET,
            query: Some(form(&texts(fields), charset)),
            content_type: None,
            body: Vec::new(),
        },
    }
}

/// Every field as one text; lists and objects as JSON.
fn texts(fields: Map<String, Value>) -> Vec<(String, String)> {
    fields.into_iter().map(|(name, value)| (name, text(&value))).collect()
}

/// Every scalar as one text, its path in brackets. An empty list leaves nothing, as in PHP.
fn bracketed(fields: &Map<String, Value>) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    fields.iter().for_each(|(name, value)| flatten(name.clone(), value, &mut pairs));
    pairs
}

fn flatten(path: String, value: &Value, pairs: &mut Vec<(String, String)>) {
    match value {
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, item)| flatten(format!("{path}[{index}]"), item, pairs));
        }
        Value::Object(map) => map.iter().for_each(|(key, item)| flatten(format!("{path}[{key}]"), item, pairs)),
        scalar => pairs.push((path, text(scalar))),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn form(pairs: &[(String, String)], charset: Charset) -> String {
    let encode: &dyn Fn(&str) -> Cow<'_, [u8]> = &|text| charset.bytes(text);
    form_urlencoded::Serializer::new(String::new()).encoding_override(Some(encode)).extend_pairs(pairs).finish()
}

fn json(fields: Map<String, Value>, charset: Charset) -> Vec<u8> {
    charset.bytes(&Value::Object(fields).to_string()).into_owned()
}

fn multipart(pairs: &[(String, String)], charset: Charset) -> Vec<u8> {
    let part = |(name, text): &(String, String)| {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
    };
    let body: String = pairs.iter().map(part).chain([format!("--{BOUNDARY}--\r\n")]).collect();
    charset.bytes(&body).into_owned()
}

fn latin1(character: char) -> Vec<u8> {
    match u8::try_from(u32::from(character)) {
        Ok(byte) => vec![byte],
        Err(_) => format!("&#{};", u32::from(character)).into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, tz::TimeZone};

    use super::*;
    use crate::till::sample_order;

    fn order() -> TillOrder {
        let zone = TimeZone::get("Europe/Paris").expect("a zone");
        let now = "2026-11-21T13:03:10Z".parse::<Timestamp>().expect("an instant");
        // The first sample with a customer: Zoé, François or Anaïs.
        (0..).map(|seed| sample_order(seed, &zone, now, false)).find(|it| it.customer.is_some()).expect("a customer")
    }

    fn voice(encoding: Encoding, charset: Charset, language: Locale) -> Voice {
        Voice { encoding, charset, language }
    }

    fn read(bytes: &[u8], charset: Charset) -> String {
        let encoding = if charset == Charset::Utf8 { encoding_rs::UTF_8 } else { WINDOWS_1252 };
        let (text, _, broken) = encoding.decode(bytes);
        assert!(!broken, "not {charset:?}");
        text.into_owned()
    }

    /// The parameters of a form, percent-decoded by hand so that the charset stays in our hands.
    fn pairs(form: &str, charset: Charset) -> Vec<(String, String)> {
        let plain = |text: &str| {
            let mut bytes = Vec::new();
            let mut rest = text.bytes();
            while let Some(byte) = rest.next() {
                let digits: Vec<u8> = if byte == b'%' { rest.by_ref().take(2).collect() } else { Vec::new() };
                bytes.push(match byte {
                    b'%' => u8::from_str_radix(std::str::from_utf8(&digits).expect("digits"), 16).expect("hex"),
                    b'+' => b' ',
                    other => other,
                });
            }
            read(&bytes, charset)
        };
        form.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, text)| (plain(name), plain(text))).collect()
    }

    fn every_combination() -> impl Iterator<Item = (Charset, Locale)> {
        Charset::ALL.iter().flat_map(|&charset| [(charset, Locale::Fr), (charset, Locale::En)])
    }

    #[test]
    fn a_form_says_everything_in_every_charset_and_language_and_a_get_says_the_same() {
        let order = order();
        let name = order.customer_name().expect("a customer");
        let first_name = name.split(' ').next().expect("a name");
        for (charset, language) in every_combination() {
            let announcement = encode(&order, Phase::Validated, voice(Encoding::Form, charset, language));
            let form = String::from_utf8(announcement.body).expect("a form is ASCII");
            let pairs = pairs(&form, charset);
            let get = |wanted: &str| pairs.iter().find(|(name, _)| name == wanted).map(|(_, text)| text.as_str());
            assert_eq!((get("type"), get("orderID")), (Some("validated"), Some(order.order_id.as_str())));
            assert_eq!(get("tillhookTest"), Some("1"));
            let customer = get(if language == Locale::Fr { "client" } else { "customer" }).expect("a customer");
            assert!(customer.contains(first_name), "{charset:?}: {customer}");
            let items: Vec<Value> = serde_json::from_str(get("items").expect("items")).expect("a list");
            assert_eq!(items.len(), order.items.len());

            let got = encode(&order, Phase::Validated, voice(Encoding::Get, charset, language));
            assert_eq!((got.query.as_deref(), got.body.len()), (Some(form.as_str()), 0));
            assert_eq!(got.method, Method::GET);
        }
    }

    #[test]
    fn brackets_hold_one_scalar_each() {
        let order = order();
        let announcement = encode(&order, Phase::Terminated, voice(Encoding::Brackets, Charset::Utf8, Locale::Fr));
        let pairs = pairs(&String::from_utf8(announcement.body).expect("ASCII"), Charset::Utf8);
        let title = pairs.iter().find(|(name, _)| name == "items[0][titre]").map(|(_, text)| text);
        assert_eq!(title, Some(&order.items[0].title));
        assert!(pairs.iter().all(|(_, text)| !text.starts_with(['{', '['])));
    }

    #[test]
    fn json_is_json_once_its_charset_is_known_and_twice_holds_json_in_texts() {
        let order = order();
        for (charset, language) in every_combination() {
            let parse = |encoding| {
                let body = encode(&order, Phase::Validated, voice(encoding, charset, language)).body;
                serde_json::from_str::<Value>(&read(&body, charset)).expect("JSON")
            };
            let (once, twice) = (parse(Encoding::Json), parse(Encoding::JsonTwice));
            let inner = twice["items"].as_str().expect("items as text");
            assert_eq!(serde_json::from_str::<Value>(inner).expect("JSON again"), once["items"]);
        }
    }

    #[tokio::test]
    async fn multipart_is_read_by_a_parser_that_is_not_ours() {
        let order = order();
        for (charset, language) in every_combination() {
            let announcement = encode(&order, Phase::Validated, voice(Encoding::Multipart, charset, language));
            let boundary = multer::parse_boundary(announcement.content_type.expect("a type")).expect("a boundary");
            let body = futures_util::stream::once(async { Ok::<_, std::io::Error>(announcement.body) });
            let mut parts = multer::Multipart::new(body, boundary);
            let mut names = Vec::new();
            while let Some(part) = parts.next_field().await.expect("a part") {
                names.push(part.name().expect("a name").to_owned());
                read(&part.bytes().await.expect("bytes"), charset);
            }
            assert_eq!(names.first().map(String::as_str), Some("type"));
            assert!(names.iter().any(|name| name == "VATs"));
        }
    }

    #[test]
    fn what_latin_1_lacks_becomes_a_reference() {
        assert_eq!(&*Charset::Latin1.bytes("Zoé €"), b"Zo\xe9 &#8364;");
        assert_eq!(&*Charset::Windows1252.bytes("Zoé €"), b"Zo\xe9 \x80");
    }

    #[test]
    fn an_encoding_is_found_by_the_name_it_shows() {
        for encoding in Encoding::ALL {
            assert_eq!(encoding.to_string().parse().as_ref(), Ok(encoding));
        }
        assert!("xml".parse::<Encoding>().is_err());
    }
}

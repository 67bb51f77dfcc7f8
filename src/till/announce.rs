//! Putting an order into the words of the till, in every way the till might speak.
//!
//! Method, content type and charset of the till's calls are documented nowhere (pos-api §1), so each way that a reader
//! must understand can be written here: the same order, announced in any of them, has to be read as the same.

use std::{borrow::Cow, fmt, str::FromStr};

use encoding_rs::WINDOWS_1252;
use http::Method;
use serde_json::{Map, Value};

use super::{
    cash_box::CashBoxCall,
    fields::{cash_box_fields, fields},
    order::TillOrder,
};
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

    /// The name on the command line: `iso-8859-1`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Latin1 => "iso-8859-1",
            Self::Windows1252 => "windows-1252",
        }
    }

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
    lay_out(fields(order, phase, voice.language), voice)
}

/// Puts a call about a cash box into words. The same arguments give the same bytes.
pub fn encode_cash_box(call: &CashBoxCall, voice: Voice) -> Announcement {
    lay_out(cash_box_fields(call, voice.language), voice)
}

fn lay_out(fields: Map<String, Value>, Voice { encoding, charset, .. }: Voice) -> Announcement {
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
        sample_order(1, &TimeZone::UTC, Timestamp::UNIX_EPOCH, false)
    }

    fn say(encoding: Encoding) -> Announcement {
        encode(&order(), Phase::Validated, Voice { encoding, ..Voice::default() })
    }

    #[test]
    fn a_get_says_in_its_query_what_a_form_says_in_its_body() {
        let (form, get) = (say(Encoding::Form), say(Encoding::Get));
        assert_eq!((form.method, get.method), (Method::POST, Method::GET));
        assert_eq!(get.query.map(String::into_bytes), Some(form.body));
        assert!(get.body.is_empty() && get.content_type.is_none());
    }

    #[test]
    fn brackets_hold_one_scalar_each() {
        let body = say(Encoding::Brackets).body;
        let pairs: Vec<_> = form_urlencoded::parse(&body).collect();
        let title = pairs.iter().find(|(name, _)| name == "items[0][titre]").map(|(_, text)| text.as_ref());
        assert_eq!(title, Some(order().items[0].title.as_str()));
        assert!(pairs.iter().all(|(_, text)| !text.starts_with(['{', '['])));
    }

    #[test]
    fn json_said_twice_holds_json_in_texts() {
        let parse = |encoding| serde_json::from_slice::<Value>(&say(encoding).body).expect("JSON");
        let (once, twice) = (parse(Encoding::Json), parse(Encoding::JsonTwice));
        let inner = twice["items"].as_str().expect("items as text");
        assert_eq!(serde_json::from_str::<Value>(inner).expect("JSON again"), once["items"]);
    }

    #[tokio::test]
    async fn multipart_is_read_by_a_parser_that_is_not_ours() {
        let announcement = say(Encoding::Multipart);
        let boundary = multer::parse_boundary(announcement.content_type.expect("a type")).expect("a boundary");
        let body = futures_util::stream::once(async { Ok::<_, std::io::Error>(announcement.body) });
        let mut parts = multer::Multipart::new(body, boundary);
        let mut names = Vec::new();
        while let Some(part) = parts.next_field().await.expect("a part") {
            names.push(part.name().expect("a name").to_owned());
        }
        assert_eq!(names.first().map(String::as_str), Some("type"));
        assert!(names.iter().any(|name| name == "VATs"));
    }

    #[test]
    fn only_windows_1252_is_declared_and_what_latin_1_lacks_becomes_a_reference() {
        let content_type = |charset| {
            encode(&order(), Phase::Validated, Voice { charset, ..Voice::default() }).content_type.unwrap_or_default()
        };
        assert!(content_type(Charset::Windows1252).ends_with("; charset=windows-1252"));
        assert_eq!(content_type(Charset::Latin1), content_type(Charset::Utf8));
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

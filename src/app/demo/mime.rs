//! Reading a mail far enough to show it: its subject, its text and its attachments.
//!
//! This reads what mail programs write (RFC 5322, 2045, 2047 and 2231) and is generous with the rest: a mail that
//! cannot be understood is shown with what could be.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use encoding_rs::{Encoding, UTF_8};

/// How deep parts may lie within parts.
const MAX_DEPTH: usize = 8;

/// An attached file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its name as people see it.
    pub name: String,
    /// Its bytes, decoded.
    pub bytes: Vec<u8>,
}

/// The decoded subject; empty when there is none.
pub fn subject(mail: &[u8]) -> String {
    let (headers, _) = split(mail);
    decoded_words(&header(&headers, "subject").unwrap_or_default())
}

/// The attached files.
pub fn attachments(mail: &[u8]) -> Vec<Attachment> {
    leaves(mail, 0).into_iter().filter_map(|leaf| leaf.attachment()).collect()
}

/// The text of the mail for a browser, or else its plain text, which is told by the flag `false`.
pub fn text(mail: &[u8]) -> Option<(String, bool)> {
    let leaves = leaves(mail, 0);
    let find = |kind: &str| leaves.iter().find(|leaf| leaf.is(kind)).map(Leaf::text);
    find("text/html").map(|html| (html, true)).or_else(|| find("text/plain").map(|plain| (plain, false)))
}

/// A part without parts.
struct Leaf<'a> {
    content_type: String,
    disposition: String,
    encoding: String,
    body: &'a [u8],
}

impl Leaf<'_> {
    fn is(&self, kind: &str) -> bool {
        let own = self.content_type.split(';').next().unwrap_or_default().trim();
        // A part that does not say what it is is plain text (RFC 2045, §5.2).
        let own = if own.is_empty() { "text/plain" } else { own };
        own.eq_ignore_ascii_case(kind) && !self.is_attached()
    }

    fn is_attached(&self) -> bool {
        self.disposition.trim_start().to_ascii_lowercase().starts_with("attachment")
    }

    fn text(&self) -> String {
        let label = parameter(&self.content_type, "charset").unwrap_or_default();
        let charset = Encoding::for_label(label.as_bytes()).unwrap_or(UTF_8);
        charset.decode(&self.bytes()).0.into_owned()
    }

    fn bytes(&self) -> Vec<u8> {
        decoded_body(self.body, self.encoding.trim())
    }

    fn attachment(&self) -> Option<Attachment> {
        let name = || parameter(&self.disposition, "filename").or_else(|| parameter(&self.content_type, "name"));
        let named = || Attachment { name: decoded_words(&name().unwrap_or_default()), bytes: self.bytes() };
        self.is_attached().then(named)
    }
}

fn leaves(part: &[u8], depth: usize) -> Vec<Leaf<'_>> {
    let (headers, body) = split(part);
    let header = |name| header(&headers, name).unwrap_or_default();
    let content_type = header("content-type");
    match parameter(&content_type, "boundary").filter(|_| depth < MAX_DEPTH) {
        Some(boundary) => parts(body, &boundary).into_iter().flat_map(|inner| leaves(inner, depth + 1)).collect(),
        None => {
            let (disposition, encoding) = (header("content-disposition"), header("content-transfer-encoding"));
            vec![Leaf { content_type, disposition, encoding, body }]
        }
    }
}

/// Headers (as text, unfolded) and body of a part.
fn split(part: &[u8]) -> (String, &[u8]) {
    let end = part.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(part.len());
    let headers = String::from_utf8_lossy(&part[..end]).replace("\r\n ", " ").replace("\r\n\t", " ");
    (headers, part.get(end + 4..).unwrap_or_default())
}

fn header(headers: &str, name: &str) -> Option<String> {
    let value = |line: &str| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    };
    headers.split("\r\n").find_map(value)
}

/// The parts between the boundary lines.
fn parts<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let delimiter = format!("--{boundary}").into_bytes();
    let mut starts = Vec::new();
    let mut at = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(&delimiter) {
            starts.push((at, at + line.len()));
        }
        at += line.len();
    }
    // The line end before a boundary belongs to the boundary (RFC 2046, §5.1.1).
    starts.windows(2).map(|pair| &body[pair[0].1..pair[1].0.saturating_sub(2).max(pair[0].1)]).collect()
}

fn decoded_body(body: &[u8], encoding: &str) -> Vec<u8> {
    match encoding.to_ascii_lowercase().as_str() {
        "base64" => {
            let packed: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            STANDARD.decode(packed).unwrap_or_default()
        }
        "quoted-printable" => quoted_printable(body),
        _ => body.to_vec(),
    }
}

/// A parameter of a structured header, also where it is split or encoded (RFC 2231: `name*0*=utf-8''…; name*1=…`).
fn parameter(header: &str, name: &str) -> Option<String> {
    let mut pieces: Vec<(usize, bool, String)> = split_parameters(header)
        .into_iter()
        .filter_map(|(key, value)| {
            let rest = key.strip_prefix(name)?;
            let encoded = rest.ends_with('*');
            let index = rest.trim_matches('*');
            let well_formed = rest.is_empty() || rest.starts_with('*');
            well_formed.then(|| (index.parse().unwrap_or(0), encoded, value))
        })
        .collect();
    // Where both the plain and the encoded form are there, the encoded one is meant (RFC 6266, §4.3).
    if pieces.iter().any(|(_, encoded, _)| *encoded) {
        let whole = pieces.iter().filter(|(index, ..)| *index == 0).count() > 1;
        pieces.retain(|(_, encoded, _)| *encoded || !whole);
    }
    pieces.sort_by_key(|(index, ..)| *index);
    let mut charset = UTF_8;
    let mut bytes = Vec::new();
    for (index, encoded, value) in &pieces {
        let mut text = value.as_str();
        if let (0, true, Some((label, rest))) = (index, encoded, value.split_once('\'')) {
            charset = Encoding::for_label(label.as_bytes()).unwrap_or(UTF_8);
            text = rest.split_once('\'').map_or(rest, |(_, text)| text);
        }
        bytes.extend(if *encoded { unescaped(text.as_bytes(), b'%') } else { text.as_bytes().to_vec() });
    }
    (!pieces.is_empty()).then(|| charset.decode(&bytes).0.into_owned())
}

/// `; key=value` and `; key="va;lue"`, keys in lower case.
fn split_parameters(header: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = header;
    while let Some((_, after)) = rest.split_once(';') {
        let Some((key, value)) = after.split_once('=') else { break };
        let (value, next) = match value.trim_start().strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => value.split_at(value.find(';').unwrap_or(value.len())),
        };
        found.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
        rest = next;
    }
    found
}

/// A header's text with its encoded words (RFC 2047) decoded; white space between two of them is none.
fn decoded_words(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    let mut after_word = false;
    while let Some(start) = rest.find("=?") {
        let Some((word, length)) = encoded_word(&rest[start..]) else {
            out.push_str(&rest[..start + 2]);
            rest = &rest[start + 2..];
            after_word = false;
            continue;
        };
        if !(after_word && rest[..start].trim().is_empty()) {
            out.push_str(&rest[..start]);
        }
        out.push_str(&word);
        rest = &rest[start + length..];
        after_word = true;
    }
    out + rest
}

/// The encoded word at the beginning of `text`, decoded, and its length.
fn encoded_word(text: &str) -> Option<(String, usize)> {
    let mut fields = text.strip_prefix("=?")?.splitn(4, '?');
    let (charset, kind, data, rest) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let rest = rest.strip_prefix('=')?;
    let bytes = match kind {
        "B" | "b" => STANDARD.decode(data).ok()?,
        "Q" | "q" => unescaped(data.replace('_', " ").as_bytes(), b'='),
        _ => return None,
    };
    let decoded: Cow<'_, str> = Encoding::for_label(charset.as_bytes())?.decode(&bytes).0;
    Some((decoded.into_owned(), text.len() - rest.len()))
}

fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(body).replace("=\r\n", "");
    unescaped(text.as_bytes(), b'=')
}

/// Bytes in which a mark and two hexadecimal digits stand for one byte.
fn unescaped(text: &[u8], mark: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let digits = text.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| byte == mark).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use lettre::{
        Message,
        message::{Attachment as Outgoing, MultiPart, SinglePart, header::ContentType},
    };

    use super::*;

    #[test]
    fn a_mail_that_another_library_wrote_gives_back_its_subject_and_its_file() {
        let subject_line = "Facture 20261121042 – 43,80 € TTC – Boulangerie Dupont & Fils à Besançon";
        let pdf: Vec<u8> = (0..=255).cycle().take(5000).collect();
        for name in ["20261121_Dupont_F1.pdf", "très long nom, avec accents et € pour être découpé en plusieurs.pdf"]
        {
            let file = Outgoing::new(name.to_owned())
                .body(pdf.clone(), ContentType::parse("application/pdf").expect("a type"));
            let texts = MultiPart::alternative_plain_html("Voilà.".to_owned(), "<p>Voilà.</p>".to_owned());
            let mail = Message::builder()
                .from("a@example.com".parse().expect("an address"))
                .to("b@example.com".parse().expect("an address"))
                .subject(subject_line)
                .multipart(MultiPart::mixed().multipart(texts).singlepart(file))
                .expect("a mail")
                .formatted();
            assert_eq!(subject(&mail), subject_line);
            assert_eq!(
                text(&mail).map(|(text, html)| (text.trim_end().to_owned(), html)),
                Some(("<p>Voilà.</p>".into(), true))
            );
            assert_eq!(attachments(&mail), [Attachment { name: name.to_owned(), bytes: pdf.clone() }]);
        }
        let plain = Message::builder()
            .from("a@example.com".parse().expect("an address"))
            .to("b@example.com".parse().expect("an address"))
            .subject("Plain")
            .singlepart(SinglePart::plain("no file".to_owned()))
            .expect("a mail")
            .formatted();
        assert_eq!((subject(&plain), attachments(&plain)), ("Plain".to_owned(), vec![]));
        assert!(text(&plain).is_some_and(|(text, html)| text.trim_end() == "no file" && !html));
    }

    #[test]
    fn encoded_words_are_joined_and_what_only_looks_like_one_stays() {
        assert_eq!(decoded_words("=?utf-8?Q?Zo=C3=A9_?= =?iso-8859-1?B?6Q==?= x"), "Zoé é x");
        assert_eq!(decoded_words("a =?b c =?utf-8?X?d?="), "a =?b c =?utf-8?X?d?=");
    }
}

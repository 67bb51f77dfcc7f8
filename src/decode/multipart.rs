//! `multipart/form-data` → pairs of texts (RFC 7578).
//!
//! Written by hand because the boundary has to be found in the body when the header does not tell it, names and values
//! have to be kept as bytes until their charset is known, and bare line feeds have to do as line ends.

use encoding_rs::Encoding;

use super::charset;

/// What cannot be accepted about a multipart body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The last boundary is missing: the body was cut off.
    CutOff,
    /// There are more parts than the limit.
    TooMany,
}

/// The delimiter (`--` and the boundary) of a body that is multipart, whatever it was declared as.
pub(super) fn delimiter<'a>(body: &'a [u8], content_type: Option<&'a str>) -> Option<&'a [u8]> {
    let first = lines(body).next().map(<[u8]>::trim_ascii_end).filter(|line| line.len() > 2 && line.starts_with(b"--"));
    if let Some(first) = first
        && lines(body).nth(1).is_some_and(|line| line.to_ascii_lowercase().starts_with(b"content-"))
    {
        return Some(first);
    }
    let declared = charset::parameter(content_type?, "boundary")?.as_bytes();
    lines(body).map(<[u8]>::trim_ascii_end).find(|line| line.strip_prefix(b"--") == Some(declared))
}

/// The named parts of a body, in the order sent.
pub(super) fn pairs(
    body: &[u8],
    delimiter: &[u8],
    declared: Option<&'static Encoding>,
    limit: usize,
) -> Result<Vec<(String, String)>, Fault> {
    let mut pairs = Vec::new();
    let mut start = None;
    let mut at = 0;
    for line in lines(body) {
        let boundary = line.strip_prefix(delimiter).map(<[u8]>::trim_ascii_end);
        if let Some(end @ (b"" | b"--")) = boundary {
            if let Some(start) = start.replace(at + line.len()) {
                pairs.extend(pair(without_line_end(&body[start..at]), declared));
            }
            if end == b"--" {
                return Ok(pairs);
            }
            if pairs.len() == limit {
                return Err(Fault::TooMany);
            }
        }
        at += line.len();
    }
    Err(Fault::CutOff)
}

/// A part's name and value; `None` where it has no name.
fn pair(part: &[u8], declared: Option<&'static Encoding>) -> Option<(String, String)> {
    let mut encoding = declared;
    let mut names = None;
    let mut at = 0;
    for line in lines(part) {
        at += line.len();
        let header = charset::text(line.trim_ascii(), declared);
        let Some((key, value)) = header.split_once(':') else { break };
        if key.trim().eq_ignore_ascii_case("content-disposition") {
            names = attribute(value, "name").map(|name| (name, attribute(value, "filename")));
        } else if key.trim().eq_ignore_ascii_case("content-type") {
            encoding = charset::declared(Some(value)).or(declared);
        }
    }
    let value = &part[at..];
    match names? {
        // A file that is no text cannot be shown; its name can. The bytes are in the raw body.
        (name, Some(file)) if std::str::from_utf8(value).is_err() => Some((name, file)),
        (name, _) => Some((name, charset::text(value, encoding).into_owned())),
    }
}

/// `name` in `form-data; name="items[0][titre]"`, with the escapes that browsers use undone.
fn attribute(header: &str, wanted: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once(';') {
        let (key, value) = after.split_once('=')?;
        let (text, tail) = value_of(value.trim_start());
        if key.trim().eq_ignore_ascii_case(wanted) {
            return Some(text);
        }
        rest = tail;
    }
    None
}

/// A quoted or bare value at the start of `text`, and what follows it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return (text[..end].trim().to_owned(), &text[end..]);
    };
    let end = quoted
        .char_indices()
        .find(|(at, c)| *c == '"' && !quoted[..*at].ends_with('\\'))
        .map_or(quoted.len(), |(at, _)| at);
    (quoted[..end].replace("\\\"", "\"").replace("%22", "\""), quoted.get(end + 1..).unwrap_or(""))
}

/// Lines with their line ends.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

fn without_line_end(part: &[u8]) -> &[u8] {
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    part.strip_suffix(b"\r").unwrap_or(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "--x-1\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\nvalidated\r\n\
        --x-1\r\ncontent-disposition: form-data; filename=\"a;b.txt\"; name=\"say \\\"hi\\\"\"\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\r\ntwo\r\nlines\r\n\r\n\
        --x-1\r\nContent-Disposition: form-data; name=empty\r\n\r\n\r\n--x-1--\r\n";

    fn read(body: &[u8]) -> Result<Vec<(String, String)>, Fault> {
        pairs(body, delimiter(body, None).expect("multipart"), None, 9)
    }

    #[test]
    fn the_boundary_is_found_in_the_body_and_line_feeds_do() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let expected = [pair("type", "validated"), pair("say \"hi\"", "two\r\nlines\r\n"), pair("empty", "")];
        assert_eq!(read(BODY.as_bytes()).expect("parts"), expected);
        let unix = BODY.replace("\r\n", "\n");
        assert_eq!(read(unix.as_bytes()).expect("parts")[1], pair("say \"hi\"", "two\nlines\n"));
    }

    #[test]
    fn a_preamble_needs_the_declared_boundary() {
        let body = format!("This is multipart.\r\n{BODY}");
        assert_eq!(delimiter(body.as_bytes(), None), None);
        assert_eq!(
            delimiter(body.as_bytes(), Some("multipart/form-data; boundary=\"x-1\"")),
            Some(b"--x-1".as_slice())
        );
        assert_eq!(delimiter(b"--a=1&b=2", None), None);
    }

    #[test]
    fn a_part_may_be_latin_1_and_a_binary_file_is_its_name() {
        let body = b"--b\nContent-Disposition: form-data; name=\"n\"\n\nZo\xe9\n\
            --b\nContent-Disposition: form-data; name=\"pdf\"; filename=\"f.pdf\"\n\n%PDF\xff\n--b--";
        let read = read(body).expect("parts");
        assert_eq!(read, [("n".to_owned(), "Zoé".to_owned()), ("pdf".to_owned(), "f.pdf".to_owned())]);
    }

    #[test]
    fn a_body_that_was_cut_off_or_is_too_long_is_refused() {
        assert_eq!(read(&BODY.as_bytes()[..BODY.len() - 6]), Err(Fault::CutOff));
        assert_eq!(pairs(BODY.as_bytes(), b"--x-1", None, 1), Err(Fault::TooMany));
    }
}

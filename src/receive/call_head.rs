//! The head of a call before the HTTP library reads it: its line, and how its body is delimited.
//!
//! **Invariant:** the work grows with the bytes alone, however they are cut into pieces.

/// The most header fields that are looked at for a length; the library takes a hundred.
const FIELDS: usize = 128;

/// The path of the webhook, as it begins.
pub(super) const WEBHOOK: &[u8] = b"/in/";

/// How the body of a request is delimited.
pub(super) enum Length {
    Announced(u64),
    /// It comes in chunks, or the library is to say what is wrong.
    ByLibrary,
    /// Not at all. In HTTP/1.0 it ends with the connection; later, there should be none.
    Open {
        ends_with_connection: bool,
    },
}

/// A request line of the webhook.
pub(super) struct Line<'a> {
    pub method: &'a [u8],
    pub path: &'a [u8],
    pub query: Option<&'a [u8]>,
    pub version: &'a [u8],
}

impl<'a> Line<'a> {
    /// `GET /in/TOKEN?a=b c HTTP/1.1`: what is between the first and the last space is the target, whatever it holds.
    pub fn of(line: &'a [u8]) -> Option<Self> {
        let line = line.trim_ascii_end();
        let first = line.iter().position(|byte| *byte == b' ')?;
        let last = line.iter().rposition(|byte| *byte == b' ')?;
        let (method, version) = (&line[..first], &line[last + 1..]);
        let target = line.get(first + 1..last)?.trim_ascii();
        if !target.starts_with(WEBHOOK) || !version.starts_with(b"HTTP/1.") {
            return None;
        }
        let mut parts = target.splitn(2, |byte| *byte == b'?');
        Some(Self { method, path: parts.next()?, query: parts.next(), version })
    }
}

/// How many bytes a head has, with the empty line at its end; `None` while that is not there. It was not in the first
/// `known` bytes.
pub(super) fn head_length(read: &[u8], known: usize) -> Option<usize> {
    // An end that was not there before ends in what came since.
    let mut from = known.saturating_sub(2);
    loop {
        let end = from + read[from..].iter().position(|byte| *byte == b'\n')? + 1;
        match &read[end..] {
            [b'\n', ..] => return Some(end + 1),
            [b'\r', b'\n', ..] => return Some(end + 2),
            _ => from = end,
        }
    }
}

/// How the body of a call is delimited, by its header fields.
pub(super) fn length(fields: &[u8], has_body: bool, ends_with_connection: bool) -> Length {
    let mut announced = None;
    for line in fields.split(|byte| *byte == b'\n').take(FIELDS) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else { continue };
        let is = |known: &[u8]| name.trim_ascii().eq_ignore_ascii_case(known);
        if is(b"transfer-encoding") {
            return Length::ByLibrary;
        }
        if is(b"content-length") {
            let value = std::str::from_utf8(value.trim_ascii()).ok().and_then(|value| value.parse::<u64>().ok());
            if value.is_none() || announced.is_some_and(|announced| Some(announced) != value) {
                return Length::ByLibrary;
            }
            announced = value;
        }
    }
    match announced {
        Some(announced) => Length::Announced(announced),
        None if has_body => Length::Open { ends_with_connection },
        None => Length::ByLibrary,
    }
}

/// Whether bytes begin like another request.
pub(super) fn is_request(bytes: &[u8]) -> bool {
    let line = bytes.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = line.splitn(2, |byte| *byte == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    (3..=7).contains(&method.len()) && method.iter().all(u8::is_ascii_uppercase) && target.starts_with(b"/")
}

/// A path in which everything is escaped that the library refuses.
pub(super) fn escaped(path: &[u8]) -> String {
    escape(path, |byte| !byte.is_ascii_graphic() || br##"#"<>\^`{|}"##.contains(&byte))
}

/// A query as a text: UTF-8, or ASCII with everything else escaped.
pub(super) fn as_text(query: &[u8]) -> String {
    std::str::from_utf8(query).map_or_else(|_| escape(query, |byte| !byte.is_ascii()), str::to_owned)
}

fn escape(bytes: &[u8], is_odd: impl Fn(u8) -> bool) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len()), |mut text, byte| {
        if is_odd(*byte) {
            let _ = write!(text, "%{byte:02X}");
        } else {
            text.push(char::from(*byte));
        }
        text
    })
}

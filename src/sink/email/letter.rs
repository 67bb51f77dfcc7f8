//! A mail as it is frozen at the first attempt, and as it goes over the wire.
//!
//! Everything that could differ between two attempts (the date, the boundaries, the Message-ID) is frozen or made from
//! what is frozen. When a server took a mail and its answer was lost, the second copy is the same mail to the last byte,
//! and mail programs show it once.
//!
//! **Invariant:** what goes over the wire is seven-bit and has no bare CR, whatever the till sent.

use std::time::SystemTime;

use bytes::Bytes;
use jiff::Timestamp;
use lettre::{
    Address, Message,
    message::{
        Attachment, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue},
    },
};
use serde::{Deserialize, Serialize};

use super::{
    address::{Email, Mailbox},
    left_out,
};
use crate::{
    order::Locale,
    sink::{Payload, Reason, Recipient, SinkError},
};

/// A file that goes with a mail: its name, its media type, its bytes.
type File<'a> = ((&'a str, &'a str), &'a Bytes);

/// A mail, frozen: the body of a mail sink's payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Letter {
    pub(super) message_id: String,
    pub(super) date: Timestamp,
    pub(super) subject: String,
    pub(super) from: Mailbox,
    pub(super) to: Vec<Email>,
    #[serde(default)]
    pub(super) cc: Vec<Email>,
    #[serde(default)]
    pub(super) bcc: Vec<Email>,
    #[serde(default)]
    pub(super) reply_to: Option<Mailbox>,
    #[serde(default)]
    pub(super) in_reply_to: Option<String>,
    #[serde(default)]
    pub(super) references: Vec<String>,
    pub(super) language: Locale,
    pub(super) text: String,
    #[serde(default)]
    pub(super) html: Option<String>,
}

impl Letter {
    /// Makes this a reply to the first mail, which the far side knows by `reference`.
    pub(super) fn continues(&mut self, first: Self, reference: Option<String>) {
        let reference = reference.unwrap_or(first.message_id);
        self.references = first.references;
        self.references.push(reference.clone());
        self.in_reply_to = Some(reference);
    }

    /// Who gets it, each once.
    pub(super) fn recipients(&self) -> Result<Vec<(Recipient, Address)>, SinkError> {
        let mut all: Vec<(Recipient, Address)> = Vec::new();
        let open = self.to.iter().chain(&self.cc).map(|email| (email, email.as_str().to_owned()));
        let blind = self.bcc.iter().enumerate().map(|(index, email)| (email, format!("bcc {}", index + 1)));
        for (email, called) in open.chain(blind) {
            if all.iter().all(|(known, _)| known.address != email.as_str()) {
                let recipient = Recipient { address: email.as_str().to_owned(), place: all.len() + 1, called };
                all.push((recipient, address(email)?));
            }
        }
        Ok(all)
    }

    /// The sender's address.
    pub(super) fn sender(&self) -> Result<Address, SinkError> {
        address(&self.from.email)
    }

    /// The mail in MIME: seven-bit, lines ended by CRLF. `files` are the bytes of what `payload` attaches, in its order; those
    /// at the places `left_out` do not go with it, and the mail says so.
    pub(super) fn to_mime(&self, payload: &Payload, files: &[Bytes], left_out: &[usize]) -> Result<Vec<u8>, SinkError> {
        let attached = || payload.attached().zip(files).enumerate();
        let (gone, kept): (Vec<_>, Vec<_>) = attached().partition(|(place, _)| left_out.contains(place));
        let kept: Vec<_> = kept.into_iter().map(|(_, file)| file).collect();
        if gone.is_empty() {
            return self.mime(&kept);
        }
        let names: Vec<&str> = gone.iter().map(|(_, ((name, _), _))| *name).collect();
        let invoice = gone.iter().any(|(place, _)| *place < payload.attachments.len());
        left_out::without(self, &names, invoice).mime(&kept)
    }

    fn mime(&self, files: &[File<'_>]) -> Result<Vec<u8>, SinkError> {
        let mut mail = Message::builder()
            .date(SystemTime::from(self.date))
            .message_id(Some(self.message_id.clone()))
            .subject(&self.subject)
            .from(mailbox(&self.from)?);
        for email in &self.to {
            mail = mail.to(address(email)?.into());
        }
        for email in &self.cc {
            mail = mail.cc(address(email)?.into());
        }
        if let Some(reply_to) = &self.reply_to {
            mail = mail.reply_to(mailbox(reply_to)?);
        }
        if let Some(first) = &self.in_reply_to {
            mail = mail.in_reply_to(first.clone()).references(self.references.join(" "));
        }
        for (name, value) in [
            ("Content-Language", self.language.as_str()),
            // RFC 3834, and what Exchange wants instead: no out-of-office answers to a machine.
            ("Auto-Submitted", "auto-generated"),
            ("X-Auto-Response-Suppress", "OOF, AutoReply"),
        ] {
            mail = mail.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned()));
        }
        // Bcc is no header of ours, so lettre must be told whom it is for even where there is no To.
        let recipients = self.recipients()?.into_iter().map(|(_, address)| address).collect();
        let envelope = lettre::address::Envelope::new(Some(self.sender()?), recipients).map_err(unsendable)?;
        let mail = mail.envelope(envelope).multipart(self.parts(files)?).map_err(unsendable)?;
        Ok(mail.formatted())
    }

    /// The text, the HTML beside it, and the files after both.
    fn parts(&self, files: &[File<'_>]) -> Result<MultiPart, SinkError> {
        let mut versions = MultiPart::alternative()
            .boundary(self.boundary("text"))
            .singlepart(part(ContentType::TEXT_PLAIN, &self.text));
        if let Some(html) = &self.html {
            versions = versions.singlepart(part(ContentType::TEXT_HTML, html));
        }
        if files.is_empty() {
            return Ok(versions);
        }
        let mut all = MultiPart::mixed().boundary(self.boundary("all")).multipart(versions);
        for ((filename, media_type), bytes) in files {
            let kind = ContentType::parse(media_type).map_err(unsendable)?;
            all = all.singlepart(Attachment::new((*filename).to_owned()).body(bytes.to_vec(), kind));
        }
        Ok(all)
    }

    /// A boundary that is the same on every attempt and stands in no other mail.
    fn boundary(&self, part: &str) -> String {
        let id: String =
            self.message_id.chars().take_while(|c| *c != '@').filter(char::is_ascii_alphanumeric).collect();
        format!("{part}-{id}")
    }
}

/// Base64 for the PDF, quoted-printable (or as it is, where it is ASCII) for text: never more than seven bits.
fn part(kind: ContentType, text: &str) -> SinglePart {
    SinglePart::builder().header(kind).body(text.to_owned())
}

fn address(email: &Email) -> Result<Address, SinkError> {
    Address::new(email.local(), email.domain()).map_err(unsendable)
}

fn mailbox(mailbox: &Mailbox) -> Result<lettre::message::Mailbox, SinkError> {
    Ok(lettre::message::Mailbox::new(mailbox.name.clone(), address(&mailbox.email)?))
}

/// Our rules are stricter than lettre's, so this is a mistake of ours rather than of the operator.
fn unsendable(error: impl std::fmt::Display) -> SinkError {
    SinkError::reject(Reason::Local, format!("the mail could not be made: {error}"))
}

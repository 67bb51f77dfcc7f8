//! Sales by e-mail: the options of a mail sink, and the mail server that all of them share.
//!
//! A mail is composed once (`compose`), frozen as a `letter::Letter`, and handed over as often as it takes
//! (`smtp`). Its Message-ID is made of the delivery's id, so every copy of it is the same mail.
//!
//! **Invariant:** no address outside of the options is ever written to; a customer's is none of them.

mod address;
mod advice;
mod bounded;
mod clean;
mod compose;
mod content;
#[doc(hidden)]
pub mod fuzzing;
mod greeting;
mod handover;
mod left_out;
mod letter;
mod preset;
mod profile;
mod sign_in;
mod smtp;
mod summary;
mod templates;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use lettre::transport::smtp::{authentication::Credentials, extension::ClientId};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

pub use address::{AddressError, Email, Mailbox};
pub use preset::Preset;
pub use profile::Profile;
pub use summary::{LimitTable, MailFile, TillFile, When};

use self::{
    content::Content,
    handover::{HandedOver, Parcel},
    letter::Letter,
    smtp::Relay,
    templates::Templates,
};
use super::{
    BuildError, Context, Delivery, Handle, Kind, Limit, Outgoing, Payload, Reason, Receipt, Sink, SinkError, Summaries,
};
use crate::order::{Cadence, Csv, Locale, ReportFile, SinkName};

/// The mail server (`[smtp]`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    /// A provider whose host, port and tls are known; each of these keys wins over it where it is set.
    #[schemars(with = "Option<String>", extend("enum" = ["ovh", "gmail", "brevo", "scaleway", null]))]
    pub preset: Option<Preset>,
    /// Its name: `ssl0.ovh.net`.
    pub host: String,
    /// Its port: 465 for implicit TLS, 587 for STARTTLS.
    pub port: u16,
    /// How the connection is encrypted.
    #[serde(default)]
    pub tls: Tls,
    /// The account.
    pub username: Option<String>,
    /// The account's password.
    #[schemars(with = "Option<String>")]
    pub password: Option<SecretString>,
    /// Who the mails are from: `Boulangerie Dupont <caisse@dupont.fr>`.
    pub from: String,
    /// The name of this machine, as it is told to the server (EHLO); the domain of `from` where not set.
    pub hello: Option<String>,
    /// A folder whose files, such as `mail/order.html`, take the place of the built-in templates of the same name.
    #[schemars(with = "Option<String>")]
    pub templates: Option<PathBuf>,
}

/// How the connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// From the first byte.
    #[default]
    Implicit,
    /// After the greeting, and never without.
    Starttls,
    /// Not at all.
    None,
}

impl Tls {
    /// The key's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Implicit => "implicit",
            Self::Starttls => "starttls",
            Self::None => "none",
        }
    }
}

/// The keys of a mail sink.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Who gets it.
    pub to: Vec<String>,
    /// Who gets a copy.
    pub cc: Vec<String>,
    /// Who gets a copy without the others' knowing.
    pub bcc: Vec<String>,
    /// Where answers go.
    pub reply_to: Option<String>,
    /// Who it is from, where that is not `smtp.from`.
    pub from: Option<String>,
    /// The language; the shop's where not set.
    #[schemars(with = "Option<String>", extend("enum" = ["fr", "en", null]))]
    pub locale: Option<Locale>,
    /// What goes with it.
    pub attach: Vec<MailFile>,
    /// The till's own reports of the day, which go with the digest of a day (`[shop.NAME.api]`).
    pub also_attach: Vec<TillFile>,
    /// Summaries in place of a mail about each order.
    #[schemars(with = "Option<summary::Written>")]
    pub digest: Option<When>,
    /// How the tables of summaries are written; as the shop's language has it where not set.
    pub csv: Option<Csv>,
    /// Above how many mails the rest of the day comes in a summary.
    pub limit: Option<LimitTable>,
    /// Who reads it.
    pub profile: Profile,
}

impl Kind for Options {
    const PER_ORDER: &'static str = "once";

    /// RFC 5321 §4.5.3.2 asks for minutes of patience; less makes duplicates.
    const TIMEOUT: Duration = Duration::from_secs(5 * 60);

    fn attaches_invoice(&self) -> bool {
        self.attach.contains(&MailFile::Invoice) || self.profile.is_machine()
    }

    fn summaries(&self) -> Option<Summaries> {
        let cadence = self.digest.map(|when| when.0);
        let limit = self.limit.map(Limit::from);
        let mut files: Vec<ReportFile> = self.attach.iter().filter_map(|file| file.of_summary()).collect();
        if files.is_empty() && cadence.is_none() && self.attaches_invoice() {
            files.push(ReportFile::Originals);
        }
        let reports = self.also_attach.iter().copied().map(ReportFile::from).collect();
        (cadence.is_some() || limit.is_some()).then_some(Summaries { cadence, limit, files, reports, csv: self.csv })
    }

    /// A machine that reads invoices has no use for a mail without one.
    fn needs_invoice(&self) -> bool {
        self.profile.is_machine()
    }

    fn problems(&self) -> Vec<String> {
        let all = [("to", &self.to), ("cc", &self.cc), ("bcc", &self.bcc)];
        let each = all.into_iter().flat_map(|(key, emails)| emails.iter().map(move |email| (key, email)));
        each.filter_map(|(key, email)| self.profile.doubt(key, &email.parse().ok()?)).collect()
    }

    fn build(&self, _: &SinkName, context: &Context) -> Result<Handle, BuildError> {
        self.refuse_files_of_no_summary()?;
        self.refuse_reports_of_no_day()?;
        self.refuse_summaries_for_machines()?;
        let smtp = context.smtp.as_ref().ok_or_else(|| {
            BuildError::new(
                "mails need a mail server",
                "add an `[smtp]` table with host, port, username, password and from",
            )
        })?;
        let who = self.correspondence(smtp)?;
        Ok(Arc::new(EmailSink {
            relay: smtp.relay(who.from.email.domain())?,
            who,
            templates: Templates::load(context.templates.as_deref())?,
        }))
    }
}

/// A mail sink, ready for use.
struct EmailSink {
    who: Correspondence,
    relay: Relay,
    templates: Templates,
}

/// Who writes to whom, and how.
struct Correspondence {
    from: Mailbox,
    to: Vec<Email>,
    cc: Vec<Email>,
    bcc: Vec<Email>,
    reply_to: Option<Mailbox>,
    /// The shop's where not set.
    locale: Option<Locale>,
    /// Who reads it; machines get the text alone.
    profile: Profile,
}

impl Options {
    fn refuse_summaries_for_machines(&self) -> Result<(), BuildError> {
        match self.profile.is_machine() && self.summaries().is_some() {
            false => Ok(()),
            true => Err(BuildError::new(
                format!("`digest` and `limit` are for people, and `profile` is \"{}\"", self.profile.word()),
                "remove them, or give the digest a sink of its own with `profile = \"human\"`",
            )),
        }
    }

    fn refuse_files_of_no_summary(&self) -> Result<(), BuildError> {
        let lost = self.attach.iter().find_map(|file| file.of_summary()).filter(|_| self.summaries().is_none());
        lost.map_or(Ok(()), |file| {
            let what = format!("`attach` names {}, which goes with a digest, and there is none", file.as_str());
            Err(BuildError::new(what, "add `digest = { every = \"daily 20:00\" }`, or remove the file from `attach`"))
        })
    }

    /// A report is the till's of one day, so it goes with the summary of one day.
    fn refuse_reports_of_no_day(&self) -> Result<(), BuildError> {
        let Some(file) = self.also_attach.first().map(|file| ReportFile::from(*file).as_str()) else { return Ok(()) };
        let of_a_day = |cadence| matches!(cadence, Cadence::Daily(_) | Cadence::Closing(_));
        match self.digest.map(|when| when.0) {
            Some(cadence) if of_a_day(cadence) => Ok(()),
            Some(_) => Err(BuildError::new(
                format!("`also_attach` names {file}, which is of one day, and the digest is of several"),
                "write `digest = { every = \"daily 20:00\" }`, or remove `also_attach`",
            )),
            None => Err(BuildError::new(
                format!("`also_attach` names {file}, which goes with a digest, and there is none"),
                "add `digest = { every = \"daily 20:00\" }`, or remove `also_attach`",
            )),
        }
    }

    fn correspondence(&self, smtp: &Smtp) -> Result<Correspondence, BuildError> {
        if self.to.is_empty() {
            return Err(BuildError::new("nobody gets the mails", "name at least one address in `to`"));
        }
        let (key, from) = self.from.as_ref().map_or(("smtp.from", &smtp.from), |from| ("from", from));
        Ok(Correspondence {
            from: parse_mailbox(key, from)?,
            to: parse_emails("to", &self.to)?,
            cc: parse_emails("cc", &self.cc)?,
            bcc: parse_emails("bcc", &self.bcc)?,
            reply_to: self.reply_to.as_deref().map(|text| parse_mailbox("reply_to", text)).transpose()?,
            locale: self.locale,
            profile: self.profile,
        })
    }
}

impl Smtp {
    /// `domain` is that of the sender.
    fn relay(&self, domain: &str) -> Result<Relay, BuildError> {
        let credentials = match (&self.username, &self.password) {
            (Some(name), Some(password)) => Some(Credentials::new(name.clone(), password.expose_secret().to_owned())),
            (None, None) => None,
            (Some(_), None) => return Err(BuildError::new("`smtp.username` has no password", "set `smtp.password`")),
            (None, Some(_)) => return Err(BuildError::new("`smtp.password` has no user name", "set `smtp.username`")),
        };
        if self.host.trim().is_empty() {
            return Err(BuildError::new(
                "`smtp.host` is empty",
                "write your mail provider's server, such as `ssl0.ovh.net`",
            ));
        }
        let hello = self.hello.as_deref().map_or_else(|| Ok(ClientId::Domain(domain.to_owned())), parse_hello)?;
        Ok(Relay { host: self.host.trim().to_owned(), port: self.port, tls: self.tls, credentials, hello })
    }
}

#[async_trait]
impl Sink for EmailSink {
    fn render(&self, outgoing: &Outgoing) -> Result<Payload, SinkError> {
        compose::compose(&self.who, &self.templates, outgoing)
    }

    async fn send(&self, delivery: &Delivery) -> Result<Receipt, SinkError> {
        let letter: Letter = serde_json::from_str(&delivery.payload.body).map_err(|_| {
            SinkError::reject(Reason::Local, "the stored mail cannot be read: it is of another version")
        })?;
        if delivery.payload.attached().count() != delivery.attachments.len() {
            return Err(SinkError::reject(Reason::Local, "the invoice that belongs to the mail is not at hand"));
        }
        let whole = self.who.profile.is_machine();
        let content = Content::new(&letter, &delivery.payload, &delivery.attachments, whole)?;
        let mut to = letter.recipients()?;
        to.retain(|(recipient, _)| !delivery.settled.contains(&recipient.address));
        let parcel = Parcel { from: letter.sender()?, to, content };
        let handed_over = self.relay.hand_over(parcel, !delivery.settled.is_empty()).await?;
        Ok(Receipt {
            status: if handed_over.taken.is_empty() { String::new() } else { "250".to_owned() },
            excerpt: Some(excerpt(&handed_over)).filter(|said| !said.is_empty()),
            reference: Some(letter.message_id),
            taken: handed_over.taken,
            refused: handed_over.refused,
        })
    }

    async fn check(&self) -> Result<String, SinkError> {
        self.relay.check().await
    }

    fn advice(&self, error: &SinkError) -> Option<String> {
        advice::advice(&self.relay.host, error)
    }
}

/// What the server said, and what became of the mail beyond that.
fn excerpt(handed_over: &HandedOver) -> String {
    let left_out = match handed_over.left_out {
        0 => String::new(),
        1 => "one file left out: too large for the mail server".to_owned(),
        several => format!("{several} files left out: too large for the mail server"),
    };
    let refused = handed_over.refused.iter().map(|(_, error)| error.detail().to_owned());
    let said = [handed_over.said.clone(), left_out].into_iter().chain(refused);
    said.filter(|said| !said.is_empty()).collect::<Vec<_>>().join("; ")
}

/// A full name, or an address in brackets (RFC 5321 §4.1.3).
fn parse_hello(text: &str) -> Result<ClientId, BuildError> {
    let literal = text.trim().strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let hello = match literal {
        Some(literal) => match literal.strip_prefix("IPv6:") {
            Some(address) => address.parse().ok().map(ClientId::Ipv6),
            None => literal.parse().ok().map(ClientId::Ipv4),
        },
        None => Some(text.trim()).filter(|name| address::is_domain(name)).map(|name| ClientId::Domain(name.to_owned())),
    };
    hello.ok_or_else(|| {
        BuildError::new(
            "`smtp.hello` is no name of a machine",
            "write a full name, such as `mail.dupont.fr`, or leave it out: then it is the domain of `from`",
        )
    })
}

fn parse_emails(key: &str, texts: &[String]) -> Result<Vec<Email>, BuildError> {
    let fix = "write one plain address an entry, such as `compta@cabinet-martin.fr`";
    let parsed = texts.iter().map(|text| text.parse());
    parsed.collect::<Result<_, AddressError>>().map_err(|error| BuildError::new(format!("`{key}`: {error}"), fix))
}

fn parse_mailbox(key: &str, text: &str) -> Result<Mailbox, BuildError> {
    let fix = "write an address, or `Name <address>`, such as `Boulangerie Dupont <caisse@dupont.fr>`";
    text.parse().map_err(|error: AddressError| BuildError::new(format!("`{key}`: {error}"), fix))
}

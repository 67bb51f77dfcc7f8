//! E-mail addresses, by a rule stricter than the standard's.
//!
//! The standard allows quoted local parts, IP literals, comments and bare host names. None of these is an accountant's
//! address; each of them is a way to smuggle something past a mail server.
//!
//! **Invariant:** an [`Email`] is one ASCII address with a dotted domain; a [`Mailbox`]'s name is one clean line.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::clean;

/// The longest address that a mail server must take (RFC 5321 §4.5.3.1).
const MAX_ADDRESS: usize = 254;

/// The longest part before the `@`.
const MAX_LOCAL: usize = 64;

/// The longest part between two dots of a domain.
const MAX_LABEL: usize = 63;

/// One plain address: `compta@cabinet-martin.fr`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

/// An address with the name that people read: `Boulangerie Dupont <caisse@dupont.fr>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mailbox {
    /// The name, where there is one.
    pub name: Option<String>,
    /// The address.
    pub email: Email,
}

/// Why a text is no address that we write to. The text itself is for the operator, who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a usable e-mail address")]
pub struct AddressError(String);

impl Email {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the `@`.
    pub fn local(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// The part after the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for Email {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        match text.rsplit_once('@') {
            Some((local, domain)) if text.len() <= MAX_ADDRESS && is_local(local) && is_domain(domain) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(AddressError(clean::line(text))),
        }
    }
}

impl FromStr for Mailbox {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let Some((name, rest)) = text.trim().split_once('<') else {
            return Ok(Self { name: None, email: text.parse()? });
        };
        let email = rest.strip_suffix('>').ok_or_else(|| AddressError(clean::line(text)))?.parse()?;
        let name = clean::line(&name.replace(['"', '\\'], ""));
        Ok(Self { name: Some(name).filter(|name| !name.is_empty()), email })
    }
}

/// An atom of RFC 5322, dotted; no quotes.
fn is_local(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
    text.len() <= MAX_LOCAL && text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(allowed))
}

/// A host name of two labels or more, the last of which is no number.
pub(super) fn is_domain(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let top_is_a_word = text.rsplit_once('.').is_some_and(|(_, top)| !top.bytes().all(|b| b.is_ascii_digit()));
    top_is_a_word && text.split('.').all(label)
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} <{}>", self.email),
            None => fmt::Display::fmt(&self.email, f),
        }
    }
}

macro_rules! through_text {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = AddressError;

            fn try_from(text: String) -> Result<Self, AddressError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}

through_text!(Email, Mailbox);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_ordinary_address_is_taken() {
        for good in ["compta@cabinet-martin.fr", "a.b+tag@mail.example.co", "o'neill@x--y.fr", " caisse@dupont.fr "] {
            let email: Email = good.parse().expect(good);
            assert!(lettre::Address::new(email.local(), email.domain()).is_ok(), "{good}");
        }
    }

    #[test]
    fn odd_addresses_are_refused() {
        for bad in [
            "",
            "@",
            "a@",
            "@b.fr",
            "a@b",
            "a@localhost",
            "\"a b\"@c.fr",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a b@c.fr",
            "a@b.fr,c@d.fr",
            "a@b.fr\r\nBcc: x@y.fr",
            "a..b@c.fr",
            ".a@c.fr",
            "a.@c.fr",
            "é@c.fr",
            "a@é.fr",
            "a@-b.fr",
            "a@b-.fr",
            "a@b..fr",
            "a@b.fr.",
            "a@b@c.fr",
            "<a@b.fr>",
        ] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_mailbox_has_a_name_or_none() {
        let parse = |text: &str| text.parse::<Mailbox>().map(|mailbox| (mailbox.name, mailbox.email.0));
        let named = Ok((Some("Boulangerie, Dupont".into()), "caisse@dupont.fr".into()));
        assert_eq!(parse("\"Boulangerie, Dupont\" <caisse@dupont.fr>"), named);
        assert_eq!(parse("Boulangerie, Dupont <caisse@dupont.fr>"), named);
        assert_eq!(parse("caisse@dupont.fr"), Ok((None, "caisse@dupont.fr".into())));
        assert_eq!(parse(" <caisse@dupont.fr>"), parse("caisse@dupont.fr"));
        for bad in ["Dupont <a@b.fr", "Dupont <a@b>", "Dupont", "A <a@b.fr>, B <c@d.fr>", "A <B <c@d.fr>"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_we_take_the_mail_library_takes_and_it_survives_being_written(text in "[a-z!\"'+@. <>é-]{0,12}@[a-z0-9.@-]{1,12}") {
            if let Ok(email) = text.parse::<Email>() {
                prop_assert!(lettre::Address::new(email.local(), email.domain()).is_ok());
            }
            if let Ok(mailbox) = text.parse::<Mailbox>() {
                prop_assert_eq!(mailbox.to_string().parse(), Ok(mailbox));
            }
        }
    }
}

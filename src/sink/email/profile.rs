//! Who reads the mails of a sink: a person, or a machine that takes invoices out of them. What each machine wants, and
//! which addresses cannot be right.
//!
//! Sources, read in November 2026: help.pennylane.com ("Importer des factures par transfert d'e-mail": sales go to
//! `@customers.pennylane.com`, purchases to `@suppliers.pennylane.com`, one document a file), help.dext.com ("Submit
//! documents by email": sales have an address of their own, links are not followed, `@multiple.dext.cc` makes a document
//! of every page), Qonto's help ("How does the forwarding email address work": outgoing payments only).
//!
//! **Invariant:** a machine never gets a mail without an invoice.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::Email;
use crate::sink::{InvoiceFile, Reason, SinkError};

/// The largest PDF that Dext takes, in bytes: 6 MB, counted the strict way, for a mail that Dext drops is told to nobody.
const DEXT_LARGEST: u64 = 6_000_000;

/// What a mail looks like, by who reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// A person.
    #[default]
    Human,
    /// A machine that takes exactly one PDF.
    OnePdf,
    /// Pennylane's inbox.
    Pennylane,
    /// Dext's inbox.
    Dext,
}

/// Inboxes that take purchases and would book a sale as one: the end of the address, and what to do instead.
const PURCHASES: &[(&str, &str)] = &[
    ("suppliers.pennylane.com", "write your address that ends in `@customers.pennylane.com`"),
    ("suppliers.pennylane.tech", "write your address that ends in `@customers.pennylane.com`"),
    ("qbodocs.com", "QuickBooks takes no sales by e-mail; send them to your accountant's own address"),
    ("hubdoc.com", "Hubdoc takes no sales; send them to your accountant's own address"),
    ("qonto.com", "Qonto takes no sales by e-mail; send them to your accountant's own address"),
];

/// Where a machine has its inboxes, which profile suits it, and how its addresses for sales end.
const MACHINES: &[(&str, Profile, &str)] = &[
    ("customers.pennylane.com", Profile::Pennylane, "@customers.pennylane.com"),
    ("customers.pennylane.tech", Profile::Pennylane, "@customers.pennylane.com"),
    ("dext.cc", Profile::Dext, "+sales@dext.cc"),
    ("receiptbank.me", Profile::Dext, "+sales@dext.cc"),
];

impl Profile {
    /// Whether it is a machine that takes invoices, and has no use for a mail without one.
    pub(super) fn is_machine(self) -> bool {
        self != Self::Human
    }

    /// The key's word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::OnePdf => "one-pdf",
            Self::Pennylane => "pennylane",
            Self::Dext => "dext",
        }
    }

    /// Whether the machine takes a PDF of this size.
    ///
    /// # Errors
    /// A refusal that says what a person has to do.
    pub(super) fn takes(self, invoice: &InvoiceFile) -> Result<(), SinkError> {
        if self != Self::Dext || invoice.bytes <= DEXT_LARGEST {
            return Ok(());
        }
        // Rounded up, so that what is too large does not look as if it were not.
        let tenths = invoice.bytes.div_ceil(100_000);
        let detail = format!(
            "the invoice has {}.{} MB, and Dext takes at most 6 MB: upload it in Dext by hand",
            tenths / 10,
            tenths % 10
        );
        Err(SinkError::reject(Reason::Local, detail))
    }

    /// What cannot be right about an address that the mails go to, and what to do about it: `WHAT: FIX`.
    pub(super) fn doubt(self, key: &str, email: &Email) -> Option<String> {
        let domain = email.domain().to_ascii_lowercase();
        let is_of = |known: &str| domain.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        if let Some((_, fix)) = PURCHASES.iter().find(|(known, _)| is_of(known)) {
            return Some(format!("has in `{key}` an address at {domain}, which takes purchases, not sales: {fix}"));
        }
        let machine = MACHINES.iter().find(|(known, ..)| is_of(known));
        match machine {
            Some((.., Self::Dext, _)) if !is_for_sales(email) => Some(format!(
                "has in `{key}` an address at {domain} that takes purchases, not sales: write it as NAME+sales@dext.cc"
            )),
            Some((.., Self::Dext, _)) if domain.starts_with("multiple.") => Some(format!(
                "has in `{key}` an address at {domain}, which makes a document of every page: write it as NAME+sales@dext.cc"
            )),
            Some((_, fitting, _)) if self != *fitting => Some(format!(
                "has in `{key}` an address at {domain}, but `profile` is \"{}\": write `profile = \"{}\"`",
                self.word(),
                fitting.word()
            )),
            None => self.misses_its_machine(key, &domain),
            Some(_) => None,
        }
    }

    /// A profile that is for one machine, with the address of somebody else.
    fn misses_its_machine(self, key: &str, domain: &str) -> Option<String> {
        let (.., end) = MACHINES.iter().find(|(_, profile, _)| *profile == self)?;
        Some(format!(
            "has in `{key}` an address at {domain}, but `profile` is \"{}\": write the address that ends in `{end}`, or another \
             profile",
            self.word()
        ))
    }
}

/// Dext tells sales from purchases by what stands before the `@`.
fn is_for_sales(email: &Email) -> bool {
    email.local().to_ascii_lowercase().ends_with("+sales")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Profile::Human, "compta@cabinet-martin.fr", "")]
    #[case(Profile::OnePdf, "factures@cabinet-martin.fr", "")]
    #[case(Profile::Pennylane, "dupont-1a2b@customers.pennylane.com", "")]
    #[case(Profile::Dext, "dupont+sales@dext.cc", "")]
    #[case(Profile::Pennylane, "dupont-1a2b@suppliers.pennylane.com", "takes purchases, not sales: write your address")]
    #[case(Profile::Human, "dupont@qbodocs.com", "takes purchases, not sales: QuickBooks")]
    #[case(Profile::OnePdf, "dupont.fr1@app.hubdoc.com", "takes purchases, not sales: Hubdoc")]
    #[case(Profile::OnePdf, "receipts-1-2@inbox.qonto.com", "takes purchases, not sales: Qonto")]
    #[case(Profile::Human, "dupont@invoices.qonto.com", "takes purchases, not sales: Qonto")]
    #[case(Profile::Dext, "dupont@dext.cc", "that takes purchases, not sales: write it as NAME+sales@dext.cc")]
    #[case(Profile::Dext, "dupont+sales@multiple.dext.cc", "makes a document of every page")]
    #[case(Profile::Human, "dupont-1a2b@customers.pennylane.com", "is \"human\": write `profile = \"pennylane\"`")]
    #[case(Profile::OnePdf, "Dupont+Sales@Dext.CC", "is \"one-pdf\": write `profile = \"dext\"`")]
    #[case(Profile::Dext, "dupont-1a2b@customers.pennylane.com", "is \"dext\": write `profile = \"pennylane\"`")]
    #[case(Profile::Pennylane, "compta@cabinet-martin.fr", "write the address that ends in `@customers.pennylane.com`")]
    #[case(Profile::Human, "anna@notqonto.com", "")]
    fn an_address_that_cannot_be_right_is_told(#[case] profile: Profile, #[case] to: &str, #[case] expected: &str) {
        let doubt = profile.doubt("to", &to.parse().unwrap()).unwrap_or_default();
        assert!(doubt.contains(expected) && doubt.is_empty() == expected.is_empty(), "{to}: {doubt}");
    }

    #[test]
    fn dext_takes_6_mb_and_not_a_byte_more() {
        let invoice = |bytes| InvoiceFile { sha256: String::new(), filename: String::new(), bytes };
        assert_eq!(Profile::Dext.takes(&invoice(6_000_000)), Ok(()));
        assert_eq!(Profile::Pennylane.takes(&invoice(20_000_000)), Ok(()));
        let refused = Profile::Dext.takes(&invoice(6_000_001)).unwrap_err();
        assert!(matches!(&refused, SinkError::Reject { .. }));
        let expected = "the invoice has 6.1 MB, and Dext takes at most 6 MB: upload it in Dext by hand";
        assert_eq!(refused.detail(), expected);
    }
}

//! What a shopkeeper can do about a mail that did not go, by the step that failed and by whose server it is.

use super::{preset::Preset, smtp::Step};
use crate::sink::{Reason, SinkError};

/// Which port goes with which encryption.
const PORTS: &str = "port 465 goes with `tls = \"implicit\"`, port 587 with `tls = \"starttls\"`";

/// What helps where the server does not like the name that we give.
const HELLO: &str = "the server does not take the name that tillhook gives as its machine's: set `smtp.hello` to a full name \
                     that the server knows, such as the one that your internet address leads back to";

/// The end of the names of Microsoft's servers.
const MICROSOFT: &[&str] = &["office365.com", "outlook.com"];

/// What to do about `error` of a server called `host`; `None` where time alone helps, or nothing is known.
pub(super) fn advice(host: &str, error: &SinkError) -> Option<String> {
    let step = Step::of(error.detail())?;
    let is_refused = error.reason() == Reason::Refused;
    if matches!(step, Step::Hello(_)) && is_refused || is_about_name(error.detail()) {
        return Some(HELLO.to_owned());
    }
    let text = match (step, error.reason()) {
        (_, Reason::Unavailable) => return None,
        (Step::Lookup, _) => "check `smtp.host` letter by letter, and whether this machine reaches the internet",
        (Step::Connect | Step::Hello(_), Reason::Protocol) | (Step::Tls, _) => {
            return Some(format!(
                "check `smtp.port` and `smtp.tls`: {PORTS}; write `smtp.host` exactly as your mail provider does"
            ));
        }
        // A closed port, or a server that waits for the other kind of encryption: both say nothing.
        (Step::Connect | Step::Hello(_), Reason::TimeOut) => {
            return Some(format!(
                "check `smtp.port` and `smtp.tls`: {PORTS}; some internet providers close both: ask yours"
            ));
        }
        (Step::Connect | Step::Hello(_), Reason::Connect) => {
            "check `smtp.host` and `smtp.port`; some internet providers close the ports of mail: ask yours"
        }
        (Step::Connect | Step::Hello(_), _) => {
            "this server takes no mail from this machine: use your own mail provider's server"
        }
        (Step::SignIn, _) => password(host),
        (Step::Sender, Reason::Credentials) => "this server wants a password: set `smtp.username` and `smtp.password`",
        (Step::Sender, _) => {
            "write in `smtp.from` an address that the account may send from, as a rule that of the account itself"
        }
        (Step::Recipient(_), _) => "check the addresses in `to`, `cc` and `bcc`; recipients are counted in this order",
        (Step::Data | Step::Mail, _) => {
            "the answer says why (too large, taken for spam); docs/email.md says how a domain is made trustworthy"
        }
        (Step::Noop, _) => return None,
    };
    Some(text.to_owned())
}

/// Whether a refusal, at whichever step, is of the name that we gave: many servers say so only when they hear a recipient.
fn is_about_name(detail: &str) -> bool {
    let detail = detail.to_ascii_lowercase();
    detail.contains("helo") || detail.contains("ehlo")
}

/// What the provider calls a password is not always one.
fn password(host: &str) -> &'static str {
    let host = host.to_ascii_lowercase();
    let is_of = |preset: Preset| host == preset.server().0;
    if is_of(Preset::Gmail) {
        "Gmail takes an app password here, not the account's: make one at https://myaccount.google.com/apppasswords"
    } else if is_of(Preset::Brevo) {
        "`smtp.password` is an SMTP key here (not an API key, not the account's password), `smtp.username` the login beside it"
    } else if is_of(Preset::Scaleway) {
        "`smtp.username` is the project's id here, and `smtp.password` the secret key of an API key"
    } else if MICROSOFT.iter().any(|end| host.ends_with(end)) {
        "Microsoft 365 is ending passwords for this; docs/email.md says what to use in its place"
    } else {
        "check `smtp.username`, as a rule the whole address, and `smtp.password`; some providers want a password made for \
         programs"
    }
}

//! The dialogue with a mail server, one connection a mail, and what its answers mean.
//!
//! The steps are walked here one by one rather than by lettre's transport, because the verdict depends on the step (a
//! 5xx to the password is another thing than a 5xx to a recipient), and because lettre takes any 2xx or 3xx for success.
//!
//! **Invariant:** only 250 to the mail itself is success. No connection outlives its mail: dropping the future closes
//! it, so that a half-finished dialogue is never continued by the next mail.

use std::{error::Error as _, fmt, io, net::SocketAddr, time::Duration};

use lettre::transport::smtp::{
    Error,
    authentication::Credentials,
    client::{AsyncSmtpConnection, TlsParameters},
    commands::Noop,
    extension::ClientId,
    response::Response,
};

use super::{
    Tls,
    bounded::Bounded,
    clean,
    greeting::{Offer, Stream, hear, introduce, unspoken},
    handover::{self, HandedOver, Parcel},
    sign_in::sign_in,
};
use crate::sink::{Reason, SinkError, trust};

/// How long one address of the server may take to accept a connection. What comes after has the attempt's deadline.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long each step may take while somebody looks on: a server that waits for the other kind of encryption says nothing
/// at all. A mail has all of its attempt's time.
const CHECK_PATIENCE: Duration = Duration::from_secs(30);

/// How long a server may take to say goodbye. Nobody waits for it.
const GOODBYE: Duration = Duration::from_secs(5);

/// A mail server and how to talk to it.
pub(super) struct Relay {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    pub(super) credentials: Option<Credentials>,
    /// Who we say that we are.
    pub(super) hello: ClientId,
}

/// Where in the dialogue something went wrong. Every detail that is told of it begins with its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Lookup,
    Connect,
    /// With the name that we gave.
    Hello(String),
    Tls,
    SignIn,
    Sender,
    /// The nth, from 1; 0 where it is not known which.
    Recipient(usize),
    Data,
    Mail,
    Noop,
}

/// What came of a step.
pub(super) type Walked<T> = Result<T, SinkError>;

/// A server that takes mail from us, and what it offers.
pub(super) struct Session {
    pub(super) connection: AsyncSmtpConnection,
    pub(super) offer: Offer,
}

impl Relay {
    /// Hands a mail over to all recipients for whom the server takes it; `partly`: some have it already.
    ///
    /// # Errors
    /// When it takes it for none, and none has it.
    pub(super) async fn hand_over(&self, parcel: Parcel<'_>, partly: bool) -> Walked<HandedOver> {
        let mut session = self.open(Duration::MAX).await?;
        let handed_over = handover::hand_over(&mut session, parcel).await;
        leave(session);
        handed_over?.unless_nobody_has_it(partly)
    }

    /// Walks as far as a mail would, without one. Returns what was found, for people.
    pub(super) async fn check(&self) -> Walked<String> {
        let mut session = self.open(CHECK_PATIENCE).await?;
        let asked = async { session.connection.command(Noop).await.map_err(|error| verdict(&Step::Noop, &error)) };
        let answer = within(CHECK_PATIENCE, &Step::Noop, asked).await;
        let fine = answer.and_then(|said| expect(&Step::Noop, &said, &[250]));
        leave(session);
        fine?;
        let encryption = match self.tls {
            Tls::None => "without encryption",
            Tls::Starttls | Tls::Implicit => "encrypted",
        };
        let signed_in = if self.credentials.is_some() { ", and takes the password" } else { "" };
        Ok(format!("{} answers on port {}, {encryption}{signed_in}", self.host, self.port))
    }

    /// Connects, encrypts and signs in, as configured; each step may take so long.
    async fn open(&self, patience: Duration) -> Walked<Session> {
        let addresses = self.look_up().await?;
        let stream = Bounded::connect(&addresses, CONNECT_TIMEOUT).await.map_err(|error| unreachable(&error))?;
        let mut stream = Stream::use_existing_tokio1(Box::new(stream));
        if self.tls == Tls::Implicit {
            let parameters = self.tls_parameters()?;
            let encrypted = async { stream.upgrade_tls(parameters).await.map_err(|error| verdict(&Step::Tls, &error)) };
            within(patience, &Step::Tls, encrypted).await?;
        }
        let mut connection = unspoken(stream, &self.hello).await?;
        within(patience, &Step::Connect, hear(&mut connection)).await?;
        let step = Step::Hello(self.hello.to_string());
        let mut offer = within(patience, &step, introduce(&mut connection, &self.hello)).await?;
        if self.tls == Tls::Starttls {
            within(patience, &Step::Tls, self.encrypt(&mut connection, offer)).await?;
            // What was offered before may have come from somebody in between (RFC 3207 §4.2).
            offer = within(patience, &step, introduce(&mut connection, &self.hello)).await?;
        }
        if let Some(credentials) = &self.credentials {
            within(patience, &Step::SignIn, sign_in(&mut connection, offer, credentials)).await?;
        }
        Ok(Session { connection, offer })
    }

    /// The addresses of the server; at least one.
    async fn look_up(&self) -> Walked<Vec<SocketAddr>> {
        let failed = |why: &str| SinkError::retry(Reason::Connect, format!("{}: {}", Step::Lookup, clean::quote(why)));
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let found: Vec<_> = found.map_err(|error| failed(&error.to_string()))?.collect();
        if found.is_empty() { Err(failed("the name has no address")) } else { Ok(found) }
    }

    /// Encrypts what comes after the greeting.
    async fn encrypt(&self, connection: &mut AsyncSmtpConnection, offer: Offer) -> Walked<()> {
        if !offer.starttls {
            // It will not offer it for the next mail either.
            let detail = format!("{}: STARTTLS is not supported on this server", Step::Tls);
            return Err(SinkError::pause(Reason::Protocol, detail));
        }
        let parameters = self.tls_parameters()?;
        connection.starttls(parameters, &self.hello).await.map_err(|error| verdict(&Step::Tls, &error))
    }

    /// Built for each connection: a machine without root certificates then fails here, with a word, and not at start.
    fn tls_parameters(&self) -> Walked<TlsParameters> {
        TlsParameters::new(self.host.clone()).map_err(|error| verdict(&Step::Tls, &error))
    }
}

/// Waits so long for a step.
async fn within<T>(patience: Duration, step: &Step, walked: impl Future<Output = Walked<T>>) -> Walked<T> {
    tokio::time::timeout(patience, walked).await.unwrap_or_else(|_| {
        let detail = format!("{step}: no answer within {} s", patience.as_secs());
        Err(SinkError::retry(Reason::TimeOut, detail))
    })
}

/// Says goodbye in the background. The verdict is known by now, and a server that is slow to hang up must not let the
/// attempt run into its deadline: the mail would be sent twice.
fn leave(mut session: Session) {
    tokio::spawn(async move { tokio::time::timeout(GOODBYE, session.connection.abort()).await });
}

/// An answer that is positive, but not to what was asked, is none of the protocol: the two sides are out of step.
pub(super) fn expect(step: &Step, answer: &Response, codes: &[u16]) -> Walked<()> {
    if codes.iter().any(|code| answer.has_code(*code)) {
        return Ok(());
    }
    let said = clean::quote(&words(answer));
    Err(SinkError::retry(Reason::Protocol, format!("{step}: unexpected answer {} {said}", answer.code())))
}

pub(super) fn words(answer: &Response) -> String {
    answer.message().collect::<Vec<_>>().join(" ")
}

/// The code of a refusal.
pub(super) fn code(error: &Error) -> Option<u16> {
    error.status().map(u16::from)
}

/// What a failed step means. A network error is neither transient nor permanent to lettre; what is unknown may pass.
pub(super) fn verdict(step: &Step, error: &Error) -> SinkError {
    let cause = error.source().map(|source| clean::quote(&source.to_string())).unwrap_or_default();
    let Some(code) = code(error) else {
        return without_answer(step, error, &cause);
    };
    let detail = format!("{step}: the server answered {code} {cause}");
    match code {
        // RFC 4954 §6: sign in first, too weak a way to sign in, wrong name or password, encrypt first.
        530 | 534 | 535 | 538 => SinkError::pause(Reason::Credentials, detail),
        500.. if *step == Step::SignIn => SinkError::pause(Reason::Credentials, detail),
        500.. => SinkError::reject(Reason::Refused, detail),
        _ => SinkError::retry(Reason::Unavailable, detail),
    }
}

/// What it means when no address of the server takes a connection.
fn unreachable(error: &io::Error) -> SinkError {
    let reason = if error.kind() == io::ErrorKind::TimedOut { Reason::TimeOut } else { Reason::Connect };
    SinkError::retry(reason, format!("{}: {}", Step::Connect, clean::quote(&error.to_string())))
}

/// What it means when something fails and no answer of the server is the reason.
fn without_answer(step: &Step, error: &Error, cause: &str) -> SinkError {
    let detail = format!("{step}: {}", trust::refused(error).as_deref().unwrap_or(cause));
    if error.is_client() && matches!(step, Step::Tls | Step::SignIn) {
        // The server does not offer what is configured, and will not for the next mail either.
        SinkError::pause(Reason::Protocol, detail)
    } else if error.is_client() {
        SinkError::reject(Reason::Protocol, detail)
    } else if error.is_response() {
        SinkError::retry(Reason::Protocol, format!("{step}: the server hung up or does not speak SMTP ({cause})"))
    } else if error.is_timeout() {
        SinkError::retry(Reason::TimeOut, detail)
    } else {
        SinkError::retry(Reason::Connect, detail)
    }
}

impl Step {
    const ALL: [Self; 10] = [
        Self::Lookup,
        Self::Connect,
        Self::Hello(String::new()),
        Self::Tls,
        Self::SignIn,
        Self::Sender,
        Self::Recipient(0),
        Self::Data,
        Self::Mail,
        Self::Noop,
    ];

    /// The step that this detail is about.
    pub(super) fn of(detail: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| detail.starts_with(step.words()))
    }

    fn words(&self) -> &'static str {
        match self {
            Self::Lookup => "looking up the mail server's name",
            Self::Connect => "connecting to the mail server",
            Self::Hello(_) => "saying hello to the mail server",
            Self::Tls => "encrypting the connection to the mail server",
            Self::SignIn => "signing in to the mail server",
            Self::Sender => "naming the sender to the mail server",
            Self::Recipient(_) => "naming recipient",
            Self::Data => "announcing the mail to the mail server",
            Self::Mail => "handing the mail to the mail server",
            Self::Noop => "asking the mail server whether it is well",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())?;
        match self {
            Self::Hello(name) if !name.is_empty() => write!(f, " as {name}"),
            Self::Recipient(place) => write!(f, " {place} to the mail server"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_known_by_the_words_that_are_said_of_it() {
        for step in Step::ALL {
            assert_eq!(Step::of(&format!("{step}: the server answered 550")), Some(step));
        }
        assert_eq!(Step::of("naming recipient 2 to the mail server: no"), Some(Step::Recipient(0)));
        assert_eq!(Step::of("no answer within 300 s"), None);
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_given_up_at_the_step_where_it_fell_silent() {
        let silent = std::future::pending::<Walked<()>>();
        let given_up = within(Duration::ZERO, &Step::Connect, silent).await.unwrap_err();
        assert_eq!(given_up, SinkError::retry(Reason::TimeOut, "connecting to the mail server: no answer within 0 s"));
        let advice = crate::sink::email::advice::advice("ssl0.ovh.net", &given_up).unwrap();
        assert!(advice.contains("port 465 goes with `tls = \"implicit\"`"), "{advice}");
    }
}

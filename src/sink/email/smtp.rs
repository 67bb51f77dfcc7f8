//! The dialogue with a mail server, one connection a mail, and what its answers mean.
//!
//! The steps are walked here one by one rather than by lettre's transport, because the verdict depends on the step (a
//! 5xx to the password is another thing than a 5xx to a recipient), and because lettre takes any 2xx or 3xx for success.
//!
//! **Invariant:** only 250 to the mail itself is success. No connection outlives its mail: dropping the future closes
//! it, so that a half-finished dialogue is never continued by the next mail.

use std::{
    error::Error as _,
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use lettre::{
    Address,
    transport::smtp::{
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters},
        commands::{Data, Mail, Noop, Rcpt},
        extension::ClientId,
        response::Response,
    },
};

use tokio::net::TcpStream;
use tokio_util::compat::FuturesAsyncReadCompatExt as _;

use super::{Tls, bounded::Bounded, clean};
use crate::sink::{Reason, SinkError, trust};

/// How long one address of the server may take to accept a connection. What comes after has the attempt's deadline.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long each step may take while somebody looks on: a server that waits for the other kind of encryption says nothing
/// at all. A mail has all of its attempt's time.
const CHECK_PATIENCE: Duration = Duration::from_secs(30);

/// How long a server may take to say goodbye. Nobody waits for it.
const GOODBYE: Duration = Duration::from_secs(5);

/// The ways of giving the password, the better first.
const MECHANISMS: &[Mechanism] = &[Mechanism::Plain, Mechanism::Login];

/// A mail server and how to talk to it.
pub(super) struct Relay {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    pub(super) credentials: Option<Credentials>,
}

/// A mail ready for the wire.
pub(super) struct Parcel<'a> {
    pub(super) from: Address,
    pub(super) to: Vec<Address>,
    /// Seven-bit, lines ended by CRLF.
    pub(super) bytes: &'a [u8],
}

/// Where in the dialogue something went wrong. Every detail that is told of it begins with its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Lookup,
    Connect,
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
type Walked<T> = Result<T, SinkError>;

impl Relay {
    /// Hands a mail over, to all its recipients or to none. Returns what the server said when it took it.
    pub(super) async fn hand_over(&self, parcel: Parcel<'_>) -> Walked<String> {
        let mut session = self.open(Duration::MAX).await?;
        let said = dictate(&mut session, parcel).await;
        leave(session);
        said
    }

    /// Walks as far as a mail would, without one. Returns what was found, for people.
    pub(super) async fn check(&self) -> Walked<String> {
        let mut session = self.open(CHECK_PATIENCE).await?;
        let answer = within(CHECK_PATIENCE, Step::Noop, session.command(Noop)).await;
        let fine = answer.and_then(|said| expect(Step::Noop, &said, &[250]));
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
    async fn open(&self, patience: Duration) -> Walked<AsyncSmtpConnection> {
        let hello = hello();
        let addresses = self.look_up().await?;
        let stream = Bounded::connect(&addresses, CONNECT_TIMEOUT).await.map_err(|error| unreachable(&error))?;
        let stream: Box<dyn AsyncTokioStream> =
            if self.tls == Tls::Implicit { Box::new(self.encrypt(stream, patience).await?) } else { Box::new(stream) };
        let greeted = AsyncSmtpConnection::connect_with_transport(stream, &hello);
        let mut session = within(patience, Step::Connect, greeted).await?;
        if self.tls == Tls::Starttls {
            within(patience, Step::Tls, session.starttls(self.tls_parameters()?, &hello)).await?;
        }
        if let Some(credentials) = &self.credentials {
            let answer = within(patience, Step::SignIn, session.auth(MECHANISMS, credentials)).await?;
            expect(Step::SignIn, &answer, &[235])?;
        }
        Ok(session)
    }

    /// The addresses of the server; at least one.
    async fn look_up(&self) -> Walked<Vec<SocketAddr>> {
        let failed = |why: &str| SinkError::retry(Reason::Connect, format!("{}: {}", Step::Lookup, clean::quote(why)));
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let found: Vec<_> = found.map_err(|error| failed(&error.to_string()))?.collect();
        if found.is_empty() { Err(failed("the name has no address")) } else { Ok(found) }
    }

    /// Encrypts before a word is said.
    #[allow(deprecated, reason = "lettre calls its stream private, and has no other door to its way of encrypting")]
    async fn encrypt(&self, stream: Bounded<TcpStream>, patience: Duration) -> Walked<impl AsyncTokioStream + 'static> {
        let peer = stream.peer();
        let mut stream = lettre::transport::smtp::client::AsyncNetworkStream::use_existing_tokio1(Box::new(stream));
        within(patience, Step::Tls, stream.upgrade_tls(self.tls_parameters()?)).await?;
        Ok(Bounded::new(stream.compat(), peer))
    }

    /// Built for each connection: a machine without root certificates then fails here, with a word, and not at start.
    fn tls_parameters(&self) -> Walked<TlsParameters> {
        TlsParameters::new(self.host.clone()).map_err(|error| verdict(Step::Tls, &error))
    }
}

/// The steps of one mail.
async fn dictate(session: &mut AsyncSmtpConnection, parcel: Parcel<'_>) -> Walked<String> {
    let answer = session.command(Mail::new(Some(parcel.from), Vec::new())).await;
    expect(Step::Sender, &answer.map_err(|error| verdict(Step::Sender, &error))?, &[250])?;
    for (index, recipient) in parcel.to.into_iter().enumerate() {
        let step = Step::Recipient(index + 1);
        let answer = session.command(Rcpt::new(recipient, Vec::new())).await.map_err(|error| verdict(step, &error))?;
        expect(step, &answer, &[250, 251, 252])?;
    }
    let answer = session.command(Data).await.map_err(|error| verdict(Step::Data, &error))?;
    expect(Step::Data, &answer, &[354])?;
    let answer = session.message(parcel.bytes).await.map_err(|error| verdict(Step::Mail, &error))?;
    expect(Step::Mail, &answer, &[250])?;
    Ok(clean::quote(&words(&answer)))
}

/// Waits so long for a step.
async fn within<T>(
    patience: Duration,
    step: Step,
    walked: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
) -> Walked<T> {
    match tokio::time::timeout(patience, walked).await {
        Ok(walked) => walked.map_err(|error| verdict(step, &error)),
        Err(_) => {
            let detail = format!("{step}: no answer within {} s", patience.as_secs());
            Err(SinkError::retry(Reason::TimeOut, detail))
        }
    }
}

/// Says goodbye in the background. The verdict is known by now, and a server that is slow to hang up must not let the
/// attempt run into its deadline: the mail would be sent twice.
fn leave(mut session: AsyncSmtpConnection) {
    tokio::spawn(async move { tokio::time::timeout(GOODBYE, session.abort()).await });
}

/// The machine's name where it is a full one, which is what servers check; else an address literal.
fn hello() -> ClientId {
    match ClientId::default() {
        ClientId::Domain(name) if name.contains('.') => ClientId::Domain(name),
        _ => ClientId::Ipv4(Ipv4Addr::LOCALHOST),
    }
}

/// An answer that is positive, but not to what was asked, is none of the protocol: the two sides are out of step.
fn expect(step: Step, answer: &Response, codes: &[u16]) -> Walked<()> {
    if codes.iter().any(|code| answer.has_code(*code)) {
        return Ok(());
    }
    let said = clean::quote(&words(answer));
    Err(SinkError::retry(Reason::Protocol, format!("{step}: unexpected answer {} {said}", answer.code())))
}

fn words(answer: &Response) -> String {
    answer.message().collect::<Vec<_>>().join(" ")
}

/// What a failed step means. A network error is neither transient nor permanent to lettre; what is unknown may pass.
fn verdict(step: Step, error: &lettre::transport::smtp::Error) -> SinkError {
    let cause = error.source().map(|source| clean::quote(&source.to_string())).unwrap_or_default();
    let Some(code) = error.status().map(u16::from) else {
        return without_answer(step, error, &cause);
    };
    let detail = format!("{step}: the server answered {code} {cause}");
    match code {
        // RFC 4954 §6: sign in first, too weak a way to sign in, wrong name or password, encrypt first.
        530 | 534 | 535 | 538 => SinkError::pause(Reason::Credentials, detail),
        500.. if step == Step::SignIn => SinkError::pause(Reason::Credentials, detail),
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
fn without_answer(step: Step, error: &lettre::transport::smtp::Error, cause: &str) -> SinkError {
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
    const ALL: [Self; 9] = [
        Self::Lookup,
        Self::Connect,
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

    fn words(self) -> &'static str {
        match self {
            Self::Lookup => "looking up the mail server's name",
            Self::Connect => "connecting to the mail server",
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
            Self::Recipient(index) => write!(f, " {index} to the mail server"),
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
        let silent = std::future::pending::<Result<(), lettre::transport::smtp::Error>>();
        let given_up = within(Duration::ZERO, Step::Connect, silent).await.unwrap_err();
        assert_eq!(given_up, SinkError::retry(Reason::TimeOut, "connecting to the mail server: no answer within 0 s"));
        let advice = crate::sink::email::advice::advice("ssl0.ovh.net", &given_up).unwrap();
        assert!(advice.contains("port 465 goes with `tls = \"implicit\"`"), "{advice}");
    }
}

//! Handing one mail to a server for several recipients, whatever it thinks of each of them.
//!
//! A refused address is nobody else's affair: the mail goes to those whom the server takes, in as few transactions as it
//! needs. A second one follows where a first said that the mail is too large (without a file), that these were too many
//! recipients at once, or refused the mail as a whole, which may be because of one of them.
//!
//! **Invariant:** nobody is named in another transaction once the server took the mail for him.

use std::{collections::VecDeque, time::Duration};

use lettre::{
    Address,
    transport::smtp::{
        Error,
        commands::{Data, Mail, Rcpt, Rset},
        extension::MailParameter,
        response::Response,
    },
};

use super::{
    clean,
    content::Content,
    smtp::{Session, Step, Walked, code, expect, verdict, words},
};
use crate::sink::{Reason, Recipient, SinkError};

/// How long what follows the first transaction in which the mail was taken may last: should the attempt run into its
/// deadline, the mail would be sent again to those who have it.
const MORE: Duration = Duration::from_secs(60);

/// A mail ready for the wire.
pub(super) struct Parcel<'a> {
    pub(super) from: Address,
    pub(super) to: Vec<(Recipient, Address)>,
    pub(super) content: Content<'a>,
}

/// What became of a mail.
#[derive(Debug, Default)]
pub(super) struct HandedOver {
    /// What the server said when it took the mail.
    pub(super) said: String,
    pub(super) taken: Vec<Recipient>,
    pub(super) refused: Vec<(Recipient, SinkError)>,
    /// How many files did not go with it, at most.
    pub(super) left_out: usize,
}

/// Some recipients, and how many files they do without.
struct Group {
    to: Vec<(Recipient, Address)>,
    left_out: usize,
}

/// What became of a transaction.
#[derive(Default)]
struct Round {
    taken: Vec<(Recipient, Address)>,
    failed: Vec<((Recipient, Address), Failure)>,
    /// The connection is of no more use.
    is_over: bool,
}

/// Why a recipient does not have the mail.
#[derive(Clone)]
struct Failure {
    error: SinkError,
    code: Option<u16>,
    /// It is said of the mail, and not of the recipient.
    of_mail: bool,
    /// The mail is too large, or there is too little room for it.
    too_large: bool,
}

/// Hands the mail over.
///
/// # Errors
/// When it cannot be made.
pub(super) async fn hand_over(session: &mut Session, mut parcel: Parcel<'_>) -> Walked<HandedOver> {
    let left_out = match session.offer.largest {
        Some(largest) => parcel.content.fitting(largest)?,
        None => 0,
    };
    let mut handed_over = HandedOver::default();
    let mut groups = VecDeque::from([Group { to: std::mem::take(&mut parcel.to), left_out }]);
    let mut is_first = true;
    while let Some(group) = groups.pop_front() {
        let deadline = if handed_over.taken.is_empty() { Duration::MAX } else { MORE };
        let everybody = group.to.clone();
        let bytes = parcel.content.without(group.left_out)?;
        let walked = async {
            if !is_first && let Err(failure) = reset(session).await {
                return Round::all(group.to, &failure, true);
            }
            transact(session, &parcel.from, group.to, bytes, &mut handed_over.said).await
        };
        let late = SinkError::retry(Reason::TimeOut, format!("{}: no answer within {} s", Step::Mail, MORE.as_secs()));
        let round = tokio::time::timeout(deadline, walked)
            .await
            .unwrap_or_else(|_| Round::all(everybody, &Failure::of(late, None, ""), true));
        is_first = false;
        let is_over = round.is_over;
        handed_over.note(round, group.left_out, &parcel.content, &mut groups);
        if is_over {
            break;
        }
    }
    handed_over.forgo(groups);
    Ok(handed_over)
}

impl HandedOver {
    /// Sorts out what a transaction left: who has the mail, who has not, and who is to be named again.
    fn note(&mut self, round: Round, left_out: usize, content: &Content<'_>, groups: &mut VecDeque<Group>) {
        let has_progress = !round.taken.is_empty();
        if has_progress {
            self.left_out = self.left_out.max(left_out);
        }
        self.taken.extend(round.taken.into_iter().map(|(recipient, _)| recipient));
        let mails_refused = round.failed.iter().filter(|(_, failure)| failure.of_mail).count();
        let [mut again, mut lighter] = [Vec::new(), Vec::new()];
        for (addressee, failure) in round.failed {
            if round.is_over {
                self.refused.push((addressee.0, failure.error));
            } else if has_progress && matches!(failure.code, Some(452 | 552)) && !failure.of_mail {
                // Too many recipients at once (RFC 5321 §4.5.3.1.10).
                again.push(addressee);
            } else if failure.too_large && content.has_more_than(left_out) {
                lighter.push(addressee);
            } else if failure.of_mail && mails_refused > 1 && failure.is_for_good() {
                groups.push_back(Group { to: vec![addressee], left_out });
            } else {
                self.refused.push((addressee.0, failure.error));
            }
        }
        for (to, left_out) in [(again, left_out), (lighter, left_out + 1)] {
            if !to.is_empty() {
                groups.push_back(Group { to, left_out });
            }
        }
    }

    /// Nobody is left who would listen.
    fn forgo(&mut self, groups: VecDeque<Group>) {
        let Some((_, last)) = self.refused.last().cloned() else { return };
        let rest = groups.into_iter().flat_map(|group| group.to);
        self.refused.extend(rest.map(|(recipient, _)| (recipient, last.clone())));
    }

    /// What it is to the delivery: an error where nobody has the mail, also not from before (`partly`).
    pub(super) fn unless_nobody_has_it(mut self, partly: bool) -> Walked<Self> {
        if self.taken.is_empty() && !partly {
            return Err(all_in_one(&self.refused));
        }
        for (_, error) in &mut self.refused {
            // What one address is refused for is no reason to stop what goes to the others.
            if let SinkError::Pause { reason, detail } = error {
                *error = SinkError::reject(*reason, std::mem::take(detail));
            }
        }
        Ok(self)
    }
}

impl Round {
    fn all(to: Vec<(Recipient, Address)>, failure: &Failure, is_over: bool) -> Self {
        let failed = to.into_iter().map(|addressee| (addressee, failure.clone())).collect();
        Self { taken: Vec::new(), failed, is_over }
    }
}

impl Failure {
    fn of(error: SinkError, code: Option<u16>, said: &str) -> Self {
        // RFC 3463: 5.2.3 is larger than the mailbox takes, 5.3.4 than the system does. RFC 1870 §6.
        let is_size = code == Some(552) || code >= Some(500) && ["5.2.3", "5.3.4"].iter().any(|of| said.contains(of));
        Self { error, code, of_mail: false, too_large: is_size }
    }

    /// What a failed command means.
    fn refused(step: &Step, error: &Error) -> Self {
        let said = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        Self::of(verdict(step, error), code(error), &said)
    }

    fn of_mail(self) -> Self {
        Self { of_mail: true, ..self }
    }

    fn is_for_good(&self) -> bool {
        matches!(self.code, Some(500..))
    }

    /// Nothing more can be said on this connection: it is lost, out of step, or the server closes it (421).
    fn is_end(&self) -> bool {
        matches!(self.code, None | Some(421))
    }
}

/// The answer to a command where it is one of these.
fn answered(step: &Step, answer: Result<Response, Error>, codes: &[u16]) -> Result<Response, Failure> {
    let answer = answer.map_err(|error| Failure::refused(step, &error))?;
    expect(step, &answer, codes).map_err(|error| Failure::of(error, None, ""))?;
    Ok(answer)
}

/// Ends a transaction in which nothing was handed over. A server that does not know the word has begun none.
async fn reset(session: &mut Session) -> Result<(), Failure> {
    match answered(&Step::Sender, session.connection.command(Rset).await, &[250]) {
        Err(failure) if failure.is_end() => Err(failure),
        _ => Ok(()),
    }
}

/// One transaction: sender, recipients, mail.
async fn transact(
    session: &mut Session,
    from: &Address,
    to: Vec<(Recipient, Address)>,
    bytes: &[u8],
    said: &mut String,
) -> Round {
    let parameters = if session.offer.sizes { vec![MailParameter::Size(bytes.len())] } else { Vec::new() };
    let answer = session.connection.command(Mail::new(Some(from.clone()), parameters)).await;
    if let Err(failure) = answered(&Step::Sender, answer, &[250]) {
        return Round::all(to, &failure, failure.is_end());
    }
    let (mut accepted, mut round) = (Vec::new(), Round::default());
    let mut to = to.into_iter();
    while let Some(addressee) = to.next() {
        let step = Step::Recipient(addressee.0.place);
        let answer = session.connection.command(Rcpt::new(addressee.1.clone(), Vec::new())).await;
        match answered(&step, answer, &[250, 251, 252]) {
            Ok(_) => accepted.push(addressee),
            Err(failure) if failure.is_end() => {
                let everybody = accepted.into_iter().chain([addressee]).chain(to);
                round.failed.extend(everybody.map(|addressee| (addressee, failure.clone())));
                return Round { is_over: true, ..round };
            }
            Err(failure) => round.failed.push((addressee, failure)),
        }
    }
    if accepted.is_empty() {
        return round;
    }
    match hand_in(session, bytes).await {
        Ok(answer) => {
            *said = clean::quote(&words(&answer));
            round.taken = accepted;
        }
        Err(failure) => {
            round.is_over = failure.is_end();
            round.failed.extend(accepted.into_iter().map(|addressee| (addressee, failure.clone().of_mail())));
        }
    }
    round
}

/// The mail itself.
async fn hand_in(session: &mut Session, bytes: &[u8]) -> Result<Response, Failure> {
    answered(&Step::Data, session.connection.command(Data).await, &[354])?;
    answered(&Step::Mail, session.connection.message(bytes).await, &[250])
}

/// What it means for the mail that all of its recipients are refused: as long as there is hope for one, it is tried again.
fn all_in_one(refused: &[(Recipient, SinkError)]) -> SinkError {
    let mut details: Vec<&str> = Vec::new();
    for (_, error) in refused {
        if !details.contains(&error.detail()) {
            details.push(error.detail());
        }
    }
    let detail = details.join("; ");
    let is_retry = |error: &&SinkError| matches!(error, SinkError::Retry { .. });
    let is_reject = |error: &&SinkError| matches!(error, SinkError::Reject { .. });
    let errors = || refused.iter().map(|(_, error)| error);
    match errors().find(is_retry).or_else(|| errors().find(is_reject)).or_else(|| errors().next()) {
        Some(SinkError::Retry { reason, .. }) => SinkError::retry(*reason, detail),
        Some(SinkError::Reject { reason, .. }) => SinkError::reject(*reason, detail),
        Some(SinkError::Pause { reason, .. }) => SinkError::pause(*reason, detail),
        None => SinkError::reject(Reason::Local, "the mail has no recipient"),
    }
}

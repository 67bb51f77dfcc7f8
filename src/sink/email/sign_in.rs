//! Giving the password to a mail server, in the ways that it takes.
//!
//! **Invariant:** a password that the server calls wrong is given once: trying it in another way can lock the account.

use lettre::transport::smtp::{
    Error,
    authentication::{Credentials, Mechanism},
    client::AsyncSmtpConnection,
    commands::Auth,
    response::Response,
};

use super::{
    greeting::Offer,
    smtp::{Step, Walked, code, expect, verdict},
};
use crate::sink::{Reason, SinkError};

/// How many questions a server may ask while we sign in. Two are usual: for the name and for the password.
const MOST_QUESTIONS: usize = 10;

/// Signs in, by PLAIN where that is offered. A server that refuses the way rather than the password gets LOGIN too, also
/// where it did not offer it: what it offered did not hold.
pub(super) async fn sign_in(session: &mut AsyncSmtpConnection, offer: Offer, credentials: &Credentials) -> Walked<()> {
    let ways: &[Mechanism] = match (offer.plain, offer.login) {
        (true, _) => &[Mechanism::Plain, Mechanism::Login],
        (false, true) => &[Mechanism::Login],
        (false, false) => {
            let detail = format!("{}: the server offers no way that tillhook knows (PLAIN, LOGIN)", Step::SignIn);
            return Err(SinkError::pause(Reason::Protocol, detail));
        }
    };
    let mut first_refusal = None;
    for way in ways {
        match give(session, *way, credentials).await {
            Ok(answer) => return expect(&Step::SignIn, &answer, &[235]),
            Err(error) => match (code(&error), first_refusal.take()) {
                (Some(500..=534 | 536..), None) => first_refusal = Some(verdict(&Step::SignIn, &error)),
                // Nothing was said of the second way: what was said of the first holds.
                (None, Some(refusal)) => return Err(refusal),
                _ => return Err(verdict(&Step::SignIn, &error)),
            },
        }
    }
    Err(first_refusal.unwrap_or_else(|| SinkError::pause(Reason::Credentials, Step::SignIn.to_string())))
}

/// Gives name and password in one way.
async fn give(session: &mut AsyncSmtpConnection, way: Mechanism, credentials: &Credentials) -> Result<Response, Error> {
    let mut answer = session.command(Auth::new(way, credentials.clone(), None)?).await?;
    for _ in 0..MOST_QUESTIONS {
        if !answer.has_code(334) {
            break;
        }
        answer = session.command(Auth::new_from_response(way, credentials.clone(), &answer)?).await?;
    }
    Ok(answer)
}

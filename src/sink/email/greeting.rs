//! The first words to a mail server: who we are, and what it offers.
//!
//! lettre's connection says EHLO by itself, keeps of the answer what lettre knows (no SIZE), and hangs up where EHLO is
//! refused, while RFC 5321 §3.2 has the client go on with HELO. So the words are said here, on lettre's connection.
//!
//! **Invariant:** HELO is said only where the server does not know EHLO; a refusal of our name is told as one.

use std::net::SocketAddr;

use lettre::transport::smtp::{client::AsyncSmtpConnection, commands::Ehlo, extension::ClientId, response::Response};

use super::{
    bounded::Bounded,
    smtp::{Step, Walked, code, expect, verdict},
};

#[allow(deprecated, reason = "lettre calls its stream private, and has no other door to its way of encrypting")]
pub(super) type Stream = lettre::transport::smtp::client::AsyncNetworkStream;

/// What lettre hears before the server is heard: its connection exists only once it was greeted. That STARTTLS is offered
/// lets its way of encrypting run where we have seen the real offer.
const STAND_IN: &[u8] = b"220 stand-in\r\n250-stand-in\r\n250 STARTTLS\r\n";

/// What a server says that it can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) starttls: bool,
    pub(super) plain: bool,
    pub(super) login: bool,
    /// `SIZE` (RFC 1870) is known there.
    pub(super) sizes: bool,
    /// How large a mail may be, in bytes; `None` where it names no limit.
    pub(super) largest: Option<usize>,
}

impl Offer {
    /// What an answer to EHLO offers, however it is spelled: some servers write `AUTH=LOGIN`, or small letters.
    fn read(answer: &Response) -> Self {
        let mut offer = Self::default();
        for line in answer.message().skip(1) {
            let line = line.to_ascii_uppercase();
            let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
            match words.next() {
                Some("STARTTLS") => offer.starttls = true,
                Some("SIZE") => {
                    offer.sizes = true;
                    offer.largest = words.next().and_then(|size| size.parse().ok()).filter(|size| *size > 0);
                }
                Some("AUTH") => {
                    for way in words {
                        offer.plain |= way == "PLAIN";
                        offer.login |= way == "LOGIN";
                    }
                }
                _ => {}
            }
        }
        offer
    }
}

/// A connection on which nothing was said yet.
pub(super) async fn unspoken(stream: Stream, hello: &ClientId) -> Walked<AsyncSmtpConnection> {
    let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
    let stand_in = Bounded::new(tokio::io::join(STAND_IN, tokio::io::sink()), nobody);
    let session = AsyncSmtpConnection::connect_with_transport(Box::new(stand_in), hello).await;
    let mut session = session.map_err(|error| verdict(&Step::Connect, &error))?;
    session.set_stream(stream);
    Ok(session)
}

/// Hears the server's greeting.
pub(super) async fn hear(session: &mut AsyncSmtpConnection) -> Walked<()> {
    let greeting = session.read_response().await.map_err(|error| verdict(&Step::Connect, &error))?;
    expect(&Step::Connect, &greeting, &[220])
}

/// Says who we are. Returns what the server offers: nothing, where it knows HELO alone.
pub(super) async fn introduce(session: &mut AsyncSmtpConnection, hello: &ClientId) -> Walked<Offer> {
    let step = Step::Hello(hello.to_string());
    let answer = match session.command(Ehlo::new(hello.clone())).await {
        Ok(answer) => answer,
        Err(error) if matches!(code(&error), Some(500 | 502)) => {
            let answer = session.command(format!("HELO {hello}\r\n")).await;
            expect(&step, &answer.map_err(|error| verdict(&step, &error))?, &[250])?;
            return Ok(Offer::default());
        }
        Err(error) => return Err(verdict(&step, &error)),
    };
    expect(&step, &answer, &[250])?;
    Ok(Offer::read(&answer))
}

//! The far sides together: what they have in common, and one constructor for all of them.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::Router;
use jiff::Timestamp;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::task::AbortOnDropHandle;

use super::{
    http_receiver::HttpReceiver,
    inbox::{self, Shown},
    mail_catcher::MailCatcher,
    slack_lookalike::SlackLookalike,
};
use crate::{clock::Clock, sink::signature::Secret};

/// How many of the latest arrivals a far side keeps; of older ones only the count remains.
const KEPT: usize = 200;

/// Which far side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The mailbox.
    Mail,
    /// The Slack channel.
    Slack,
    /// The program that takes webhooks.
    Http,
}

impl Side {
    /// The word on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Slack => "slack",
            Self::Http => "http",
        }
    }
}

/// Something that a far side got and took responsibility for, or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Where.
    pub side: Side,
    /// When.
    pub at: Timestamp,
    /// What it is: a subject, the first line of a message, an event's type and order.
    pub title: String,
    /// What else is worth a look: `PDF 84 kB`, `signature ok`.
    pub detail: String,
    /// Whether the far side took it.
    pub accepted: bool,
}

/// All far sides, running. Dropping them closes their ports.
#[derive(Debug)]
pub struct FarSides {
    /// Where mails are sent: plain SMTP, no sign-in.
    pub mail_addr: SocketAddr,
    /// Where HTTP sinks post.
    pub http_url: String,
    /// Where Slack sinks post.
    pub slack_url: String,
    /// The mailbox.
    pub mail: MailCatcher,
    /// The channel.
    pub slack: SlackLookalike,
    /// The program.
    pub http: HttpReceiver,
    /// Where a browser shows what arrived.
    pub inbox_url: String,
    /// Each arrival, as it happens.
    pub arrivals: mpsc::UnboundedReceiver<Arrival>,
    _inbox: AbortOnDropHandle<()>,
}

impl FarSides {
    /// Opens all of them on free loopback ports. The HTTP receiver takes what is signed with
    /// `secret`.
    ///
    /// # Errors
    /// When a port cannot be had.
    pub async fn start(clock: Arc<dyn Clock>, secret: Secret) -> io::Result<Self> {
        let (sender, arrivals) = mpsc::unbounded_channel();
        let bell = Bell { clock, sender };
        let mail = MailCatcher::start(loopback().await?, bell.clone())?;
        let slack = SlackLookalike::start(loopback().await?, bell.clone())?;
        let http = HttpReceiver::start(loopback().await?, bell, secret)?;
        let inbox_listener = loopback().await?;
        let inbox_url = format!("http://{}/", inbox_listener.local_addr()?);
        let shown = Shown { mails: mail.kept(), messages: slack.kept(), calls: http.kept() };
        Ok(Self {
            mail_addr: mail.addr(),
            http_url: http.url(),
            slack_url: slack.url(),
            mail,
            slack,
            http,
            inbox_url,
            arrivals,
            _inbox: serve(inbox_listener, inbox::router(shown)),
        })
    }
}

/// A listener on a free loopback port.
///
/// # Errors
/// When there is none.
pub async fn loopback() -> io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", 0)).await
}

/// How a far side says that something came.
#[derive(Clone)]
pub struct Bell {
    /// Tells when it came.
    pub clock: Arc<dyn Clock>,
    /// Who listens.
    pub sender: mpsc::UnboundedSender<Arrival>,
}

impl Bell {
    pub(super) fn ring(&self, side: Side, title: String, detail: String, accepted: bool) {
        // Nobody listens any more only while the demonstration is ending.
        let _ = self.sender.send(Arrival { side, at: self.clock.now(), title, detail, accepted });
    }
}

/// The latest things a far side got, and how many there were.
#[derive(Debug)]
pub(super) struct Kept<T> {
    latest: Mutex<VecDeque<T>>,
    count: AtomicU64,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { latest: Mutex::default(), count: AtomicU64::new(0) }
    }
}

impl<T: Clone> Kept<T> {
    pub(super) fn keep(&self, item: T) {
        let mut latest = self.lock();
        if latest.len() == KEPT {
            latest.pop_front();
        }
        latest.push_back(item);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn all(&self) -> Vec<T> {
        self.lock().iter().cloned().collect()
    }

    /// Those still kept, each with its number, the latest first. The first ever kept has number 1.
    pub(super) fn numbered(&self) -> Vec<(u64, T)> {
        let all = self.all();
        (1..=self.count()).rev().zip(all.into_iter().rev()).collect()
    }

    pub(super) fn get(&self, number: u64) -> Option<T> {
        self.numbered().into_iter().find(|(kept, _)| *kept == number).map(|(_, item)| item)
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// A queue is whole between any two statements, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves a router until dropped.
pub(super) fn serve(listener: TcpListener, router: Router) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "a far side of the demonstration stopped");
        }
    }))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::{
        clock::ManualClock,
        sink::signature::new_secret,
        till::{Announcement, post},
    };

    #[test]
    fn the_oldest_make_room_and_keep_their_numbers() {
        let kept = Kept::default();
        (1..=KEPT + 5).for_each(|n| kept.keep(n));
        assert_eq!((kept.count(), kept.all().len()), (KEPT as u64 + 5, KEPT));
        assert_eq!((kept.get(5), kept.get(6), kept.get(KEPT as u64 + 5)), (None, Some(6), Some(KEPT + 5)));
    }

    #[tokio::test]
    async fn what_a_far_side_gets_is_told_and_can_be_read_in_the_inbox() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let secret = new_secret().expect("randomness").expose_secret().parse().expect("a secret");
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let mut sides = FarSides::start(clock, secret).await.expect("far sides");
        let mut call = Announcement {
            method: http::Method::POST,
            query: None,
            content_type: Some("application/json".to_owned()),
            body: br#"{"text":"Facture 1"}"#.to_vec(),
        };
        assert_eq!(post(&call, &sides.slack_url).await.expect("an answer").body, "ok");
        assert_eq!(post(&call, &sides.http_url).await.expect("an answer").status, 401, "it is not signed");
        let told: Vec<_> = [sides.arrivals.recv().await, sides.arrivals.recv().await].into_iter().flatten().collect();
        assert_eq!(
            told.iter().map(|it| (it.side, it.accepted)).collect::<Vec<_>>(),
            [(Side::Slack, true), (Side::Http, false)]
        );
        call.method = http::Method::GET;
        assert!(post(&call, &sides.inbox_url).await.expect("a page").body.contains("<pre>Facture 1</pre>"));
    }
}

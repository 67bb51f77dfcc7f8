//! Why the till's API gave nothing, in words that say what to do.
//!
//! **Invariant:** no text holds the key, a password, or a body; of the till's own words at most a short line is quoted.

use crate::sink::client::ClientError;

/// Why there is no answer, or none that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// Nobody answered, or not completely. Nothing was recorded.
    #[error("the till cannot be asked: {0}; try again later, and look at `host` in `[shop.NAME.api]`")]
    Unreachable(ClientError),
    /// The till said no, in these words. They may name a customer: show them to whoever asked, and log
    /// [`ApiError::reason`].
    #[error("the till refuses: {0}")]
    Refused(String),
    /// A status without words.
    #[error("the till answered with HTTP {status}: {}", what_to_do(*.status))]
    Status {
        /// The status.
        status: u16,
        /// How long it asks to be left alone, in seconds.
        wait: Option<u64>,
    },
    /// A page for people, such as a form to sign in with.
    #[error(
        "the till answered with a web page (HTTP {0}) in place of data: is `host` the till's, and does its licence \
         include the web services?"
    )]
    Page(u16),
    /// Nothing at all.
    #[error("the till answered with nothing (HTTP {0}): try again later, or look at the till's own pages")]
    Empty(u16),
    /// Data, but not what was asked for.
    #[error("the till's answer is not understood: {0}; nothing was taken from it")]
    Unreadable(&'static str),
    /// A sale was sent, and whether the till has it is not known.
    #[error(
        "the sale may have been recorded: it was sent, but {0}\n  fix: do not send it again before you have looked: \
         `tillhook pos list pending`, `tillhook pos orders --from today`"
    )]
    MaybeRecorded(String),
    /// What was to be sent is wrong in itself; nothing was sent.
    #[error(transparent)]
    Wrong(#[from] super::SaleError),
}

impl ApiError {
    /// Whether the till answered, if with something else, so that another question may be answered well.
    pub fn is_an_answer(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Page(_) | Self::Empty(_) | Self::Unreadable(_) => true,
            Self::Unreachable(error) => matches!(error, ClientError::TooLarge(_)),
            Self::Status { .. } | Self::MaybeRecorded(_) | Self::Wrong(_) => false,
        }
    }

    /// One word for what went wrong, for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Refused(_) => "refused",
            Self::Status { .. } => "status",
            Self::Page(_) => "page",
            Self::Empty(_) => "empty",
            Self::Unreadable(_) => "unreadable",
            Self::MaybeRecorded(_) => "maybe_recorded",
            Self::Wrong(_) => "wrong",
        }
    }

    /// The error without anything that the till said: for a log.
    pub fn for_log(&self) -> String {
        match self {
            Self::Refused(_) => "the till refuses; `tillhook pos orders` shows its words".to_owned(),
            Self::MaybeRecorded(_) => "the sale may have been recorded".to_owned(),
            other => other.to_string(),
        }
    }
}

fn what_to_do(status: u16) -> &'static str {
    match status {
        300..=399 => "it leads elsewhere, which is not followed; is `host` the till's own?",
        401 | 403 => {
            "is the key right, and does the licence include the web services? `tillhook pos login` gets a new one"
        }
        404 | 405 | 410 => "there is no such page; is `host` the till's own?",
        429 => "it is asked too often; try again later",
        500..=599 => "it is out of order; try again later",
        _ => "try again later, and look at `host` in `[shop.NAME.api]`",
    }
}

//! What a failed attempt means: the closed list of reasons, and what to do about it.

use std::{fmt, time::Duration};

/// The verdict of a sink on a failed attempt.
///
/// `detail` is for people and is stored: it holds what the far side said, never a URL, a secret or a customer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// It may work later.
    #[error("{reason}: {detail}")]
    Retry {
        /// What went wrong, as a metric's label.
        reason: Reason,
        /// What went wrong, for people.
        detail: String,
        /// How long the far side asks *everyone* to wait (`Retry-After` on 429 and 503, at most 24 h). It holds the
        /// whole sink and uses up no retry.
        after: Option<Duration>,
    },
    /// The far side refuses this message for good. It is tried a few more times all the same (greylisting says this too).
    #[error("{reason}: {detail}")]
    Reject {
        /// What went wrong, as a metric's label.
        reason: Reason,
        /// What went wrong, for people.
        detail: String,
    },
    /// The far side refuses every message until a person does something: pause the sink and keep its queue.
    #[error("{reason}: {detail}")]
    Pause {
        /// What went wrong, as a metric's label.
        reason: Reason,
        /// What went wrong, for people.
        detail: String,
    },
}

impl SinkError {
    /// A failure that may pass by itself.
    pub fn retry(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Retry { reason, detail: detail.into(), after: None }
    }

    /// A refusal of this message.
    pub fn reject(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Reject { reason, detail: detail.into() }
    }

    /// A refusal of every message.
    pub fn pause(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Pause { reason, detail: detail.into() }
    }

    /// What went wrong, as a metric's label.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Retry { reason, .. } | Self::Reject { reason, .. } | Self::Pause { reason, .. } => *reason,
        }
    }

    /// Whether somebody is told at once rather than after a series of failures: trying again will not help by itself.
    /// A refusal for good is not among them, although it sounds so: it is not believed at once either.
    pub fn needs_a_person(&self) -> bool {
        matches!(self, Self::Retry { reason: Reason::Refused | Reason::Blocked, .. })
    }

    /// What went wrong, for people.
    pub fn detail(&self) -> &str {
        match self {
            Self::Retry { detail, .. } | Self::Reject { detail, .. } | Self::Pause { detail, .. } => detail,
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What went wrong: a closed list, and a metric's label.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// The label: `time_out`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

reasons! {
    /// No connection: refused, reset, unreachable, no such host, TLS.
    Connect = "connect",
    /// No answer in time.
    TimeOut = "time_out",
    /// The far side asks us to slow down.
    Throttled = "throttled",
    /// The far side is in trouble (5xx, SMTP 4xx).
    Unavailable = "unavailable",
    /// The far side refuses the request (4xx, SMTP 5xx).
    Refused = "refused",
    /// The far side does not know our name or password.
    Credentials = "credentials",
    /// The address is gone for good.
    Gone = "gone",
    /// The answer is not of the protocol.
    Protocol = "protocol",
    /// The address is one that we never call (private, loopback, metadata).
    Blocked = "blocked",
    /// The message could not be made or written.
    Local = "local",
    /// The sink panicked.
    Panic = "panic",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! What Slack's answers mean: those of an incoming webhook, by status, and those of the Web API, which says 200 to
//! nearly everything and the truth in the body.

use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    json,
    sink::{Reason, Receipt, SinkError, answer::judge, client::Answer},
};

/// What an incoming webhook's answer means. A webhook that is gone or forbidden stays so until somebody makes a new one.
///
/// # Errors
/// The verdict.
pub(super) fn judge_webhook(answer: &Answer, now: Timestamp) -> Result<(), SinkError> {
    judge(answer, now).map_err(|error| match answer.status {
        403 | 404 => SinkError::pause(Reason::Gone, error.detail()),
        _ => error,
    })
}

/// What the Web API says in its body.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    ok: bool,
    #[serde(default)]
    error: String,
    channel: Option<String>,
    ts: Option<String>,
}

/// Reads the Web API's answer.
///
/// # Errors
/// When the status is no success, or the body is not Slack's.
pub(super) fn read_api(answer: &Answer, now: Timestamp) -> Result<Said, SinkError> {
    judge(answer, now)?;
    let said = json::read_bytes(&answer.body, json::CALL).ok().and_then(|said| serde_json::from_value(said).ok());
    said.ok_or_else(|| SinkError::retry(Reason::Protocol, "the answer is not that of Slack's Web API"))
}

impl Said {
    /// Whether the message that was to be changed is deleted, too old, or another's.
    pub(super) fn message_is_out_of_reach(&self) -> bool {
        matches!(self.error.as_str(), "message_not_found" | "cant_update_message" | "edit_window_closed")
    }

    /// The receipt, with the name of the message (`channel:ts`).
    ///
    /// # Errors
    /// The verdict on what Slack calls the error.
    pub(super) fn accepted(self) -> Result<Receipt, SinkError> {
        if self.ok {
            let reference = self.channel.zip(self.ts).map(|(channel, ts)| format!("{channel}:{ts}"));
            return Ok(Receipt { status: "200".to_owned(), reference, ..Receipt::default() });
        }
        let error: String = self.error.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect();
        Err(match error.as_str() {
            "ratelimited" | "rate_limited" => SinkError::retry(Reason::Throttled, error),
            "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" | "team_added_to_org" => {
                SinkError::retry(Reason::Unavailable, error)
            }
            "not_authed"
            | "invalid_auth"
            | "account_inactive"
            | "token_revoked"
            | "token_expired"
            | "missing_scope"
            | "no_permission"
            | "not_allowed_token_type"
            | "access_denied"
            | "org_login_required" => SinkError::pause(Reason::Credentials, error),
            "channel_not_found" | "is_archived" => SinkError::pause(Reason::Gone, error),
            "not_in_channel" | "restricted_action" => SinkError::pause(Reason::Refused, error),
            "msg_too_long" | "no_text" | "invalid_blocks" | "invalid_blocks_format" | "too_many_attachments" => {
                SinkError::reject(Reason::Refused, error)
            }
            _ => SinkError::retry(Reason::Refused, error),
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn verdict<T>(result: Result<T, SinkError>) -> String {
        match result {
            Ok(_) => "ok".to_owned(),
            Err(SinkError::Retry { reason, after, .. }) => {
                format!("retry {reason}{}", after.map(|after| format!(" {}", after.as_secs())).unwrap_or_default())
            }
            Err(SinkError::Pause { reason, .. }) => format!("pause {reason}"),
            Err(SinkError::Reject { reason, .. }) => format!("reject {reason}"),
        }
    }

    #[rstest]
    #[case(200, "ok")]
    #[case(302, "retry refused")]
    #[case(400, "retry refused")]
    #[case(403, "pause gone")]
    #[case(404, "pause gone")]
    #[case(410, "pause gone")]
    #[case(429, "retry throttled 30")]
    #[case(500, "retry unavailable")]
    #[case(503, "retry unavailable 30")]
    fn a_webhook_answers_by_status(#[case] status: u16, #[case] meaning: &str) {
        let answer = Answer { status, retry_after: Some("30".into()), ..Answer::default() };
        assert_eq!(verdict(judge_webhook(&answer, Timestamp::UNIX_EPOCH)), meaning);
    }

    #[rstest]
    #[case(200, r#"{"ok":true,"channel":"C1","ts":"1.2"}"#, "ok")]
    #[case(200, r#"{"ok":false,"error":"ratelimited"}"#, "retry throttled")]
    #[case(200, r#"{"ok":false,"error":"invalid_auth"}"#, "pause credentials")]
    #[case(200, r#"{"ok":false,"error":"token_revoked"}"#, "pause credentials")]
    #[case(200, r#"{"ok":false,"error":"missing_scope"}"#, "pause credentials")]
    #[case(200, r#"{"ok":false,"error":"channel_not_found"}"#, "pause gone")]
    #[case(200, r#"{"ok":false,"error":"is_archived"}"#, "pause gone")]
    #[case(200, r#"{"ok":false,"error":"not_in_channel"}"#, "pause refused")]
    #[case(200, r#"{"ok":false,"error":"invalid_blocks"}"#, "reject refused")]
    #[case(200, r#"{"ok":false,"error":"internal_error"}"#, "retry unavailable")]
    #[case(200, r#"{"ok":false,"error":"something_new"}"#, "retry refused")]
    #[case(200, r#"{"ok":false}"#, "retry refused")]
    #[case(200, "<html>captive portal</html>", "retry protocol")]
    #[case(200, "", "retry protocol")]
    #[case(429, "", "retry throttled 30")]
    #[case(502, r#"{"ok":true}"#, "retry unavailable")]
    fn the_web_api_answers_in_its_body(#[case] status: u16, #[case] body: &'static str, #[case] meaning: &str) {
        let answer = Answer { status, retry_after: Some("30".into()), body: body.into() };
        assert_eq!(verdict(read_api(&answer, Timestamp::UNIX_EPOCH).and_then(Said::accepted)), meaning);
    }
}

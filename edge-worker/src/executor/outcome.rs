//! How a run ended: what it gave, what it cost, and why it failed if it did.
//! Neighbours: made by an executor's session rules, read by the journal, Linear and the panel.
//! It must never guess success: an executor sets `Completed` only on its own proof.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::time::Timestamp;

use super::event::Tokens;
use super::trouble;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RunEnd {
    /// The agent says it is done, and its program ended well.
    Completed,
    /// It ended badly; [`RunOutcome::error`] says how.
    Failed,
    /// Somebody ended it.
    Stopped,
}

/// Everything to keep of a run that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunOutcome {
    /// How it ended.
    pub end: RunEnd,
    /// The agent's last words, if it ended in good order.
    pub result_text: Option<String>,
    /// Why it failed.
    pub error: Option<RunError>,
    /// Model turns, over all results.
    pub turns: u64,
    /// What this run alone cost at list price, in millionths of a US dollar; `None` when no result told.
    pub cost_micro_usd: Option<u64>,
    /// All tokens of this run.
    pub tokens: Tokens,
    /// The part of `tokens` that came after the last result and so is not in `cost_micro_usd`.
    pub unpriced_tokens: Tokens,
    /// The conversation's id at the executor, for a later resume.
    pub executor_session_id: Option<String>,
    /// The model that was used.
    pub model: Option<String>,
    /// The executor's version as it told itself.
    pub version: Option<String>,
    /// Tool calls that were refused.
    pub denials: u64,
    /// Result lines seen.
    pub results: u64,
    /// Lines of a kind this program does not know, or could not read.
    pub unknown_lines: u64,
    /// From start to exit.
    #[serde(rename = "durationMs", with = "millis")]
    pub duration: Duration,
    /// How the program ended; `None` when that is not known.
    pub exit: Option<Exit>,
}

impl RunOutcome {
    /// A run of which nothing is known but that it was stopped.
    pub fn stopped() -> Self {
        Self {
            end: RunEnd::Stopped,
            result_text: None,
            error: None,
            turns: 0,
            cost_micro_usd: None,
            tokens: Tokens::default(),
            unpriced_tokens: Tokens::default(),
            executor_session_id: None,
            model: None,
            version: None,
            denials: 0,
            results: 0,
            unknown_lines: 0,
            duration: Duration::ZERO,
            exit: None,
        }
    }
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunError {
    /// The cause, for programs.
    pub kind: RunErrorKind,
    /// The cause and the mend, for people.
    pub message: String,
    /// When the same may be tried again with hope, if that is known: a usage limit is reset then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Timestamp>,
}

impl RunError {
    /// An error of which nobody knows when it ends.
    pub fn new(kind: RunErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), resets_at: None }
    }
}

/// The cause of a failed run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunErrorKind {
    /// The key or sign-in is refused.
    Authentication,
    /// The account cannot pay.
    Billing,
    /// Too many requests.
    RateLimited,
    /// The account's plan is used up until its limit is reset.
    UsageLimit,
    /// The model's service is overloaded.
    Overloaded,
    /// The model's service failed.
    ServerError,
    /// The request was refused as wrong, such as too long a prompt.
    InvalidRequest,
    /// The model does not exist or is not open to this account.
    ModelNotFound,
    /// The run used up its turns.
    MaxTurns,
    /// The run used up its money.
    MaxBudget,
    /// The conversation to resume is not known.
    UnknownConversation,
    /// The agent reported an error of another kind.
    Execution,
    /// The program ended without a result.
    NoResult,
    /// A good result, and then a bad exit.
    BadExit,
    /// The run took longer than its limit.
    WallClock,
    /// The run was silent longer than its limit.
    NoOutput,
    /// A fault in this program.
    Internal,
}

/// Who or what asked for the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// A person, or this program on its way out.
    Requested,
    /// The wall-clock limit.
    WallClock(Duration),
    /// The no-output limit.
    NoOutput(Duration),
    /// The key or sign-in is refused: retrying is no use.
    Authentication,
    /// The account cannot pay: retrying is no use.
    Billing,
}

impl StopReason {
    /// The failure this reason stands for; `None` when somebody asked.
    pub fn error(self) -> Option<RunError> {
        let (kind, cause) = match self {
            Self::Requested => return None,
            Self::WallClock(limit) => {
                (RunErrorKind::WallClock, format!("stopped: the run took longer than {} s", limit.as_secs()))
            }
            Self::NoOutput(limit) => (
                RunErrorKind::NoOutput,
                format!("stopped: the agent wrote nothing for {} s", limit.as_secs()),
            ),
            Self::Authentication => {
                (RunErrorKind::Authentication, "the model's service refuses the sign-in".to_owned())
            }
            Self::Billing => {
                (RunErrorKind::Billing, "the model's service refuses for billing reasons".to_owned())
            }
        };
        Some(trouble::error(kind, &cause))
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl From<std::process::ExitStatus> for Exit {
    fn from(status: std::process::ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or(0)),
        }
    }
}

impl Exit {
    /// The end of a program as told by one that ran it for us, which says 128 and a signal's number for a signal.
    #[must_use]
    pub fn relayed(self) -> Self {
        match self {
            Self::Code(code @ 129..=192) => Self::Signal(code - 128),
            other => other,
        }
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

mod millis {
    //! A duration as whole milliseconds.
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

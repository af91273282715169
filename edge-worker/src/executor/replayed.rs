//! What a recorded run tells, as one line of JSON: the same words for every executor.
//! Neighbours: `claude::replay` and `codex::replay` fill it, `cargo xtask replay` prints it.
//! It must never call a run completed that has no good result as its last word.

use serde::{Serialize, Serializer};

use super::outcome::{RunEnd, RunError};

/// How a recorded run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Its last turn has a good result.
    Completed,
    /// Its last turn has a bad one, or it would have been stopped as hopeless.
    Failed,
    /// Its last turn was cut short.
    Stopped,
    /// It waits for a person's answer.
    AwaitingInput,
    /// Its last turn has no result.
    NoResult,
}

impl Verdict {
    /// The verdict on a run that ended so.
    pub fn of(end: RunEnd, is_judged: bool, is_asking: bool) -> Self {
        match end {
            _ if is_asking => Self::AwaitingInput,
            _ if !is_judged => Self::NoResult,
            RunEnd::Completed => Self::Completed,
            RunEnd::Failed => Self::Failed,
            RunEnd::Stopped => Self::Stopped,
        }
    }
}

/// The error that belongs to a verdict: only a run that failed or just ended has one.
pub(super) fn error_of(verdict: Verdict, error: Option<RunError>) -> Option<RunError> {
    error
        .filter(|_| matches!(verdict, Verdict::Failed | Verdict::NoResult))
        .map(|error| RunError { resets_at: None, ..error })
}

/// What a recorded run tells.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    /// How it ended.
    pub outcome: Verdict,
    /// Model turns.
    pub turns: u64,
    /// What this run alone cost at list price, in millionths of a US dollar; `None` where the executor tells no prices.
    #[serde(rename = "costUsd", serialize_with = "dollars")]
    pub cost_micro_usd: Option<u64>,
    /// The conversation's id at the executor.
    pub session_id: Option<String>,
    /// Lines of a kind this program does not know, or could not read.
    pub unknown_lines: u64,
    /// Why it failed: kind and words.
    pub error: Option<RunError>,
}

fn dollars<S: Serializer>(micro_usd: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match micro_usd {
        Some(micro) => serializer.serialize_f64(*micro as f64 / 1_000_000.0),
        None => serializer.serialize_none(),
    }
}

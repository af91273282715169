//! Judges an ended run: completed, failed or stopped, and the cause in words that name the mend.
//! Neighbours: `session` gathers the evidence.
//! It must never call a run completed without a last result that is no error and an exit code of 0.

use super::Limit;
use crate::executor::event::{TurnResult, prefix};
use crate::executor::outcome::{Exit, RunEnd, RunError, RunErrorKind, StopReason};
use crate::executor::trouble;

const STDERR_SHOWN: usize = 500;

/// What a run is judged by.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    pub(super) last: Option<&'a TurnResult>,
    pub(super) api_error: Option<&'a str>,
    pub(super) stop: Option<StopReason>,
    pub(super) exit: Option<Exit>,
    pub(super) stderr: &'a str,
    pub(super) limit: Option<&'a Limit>,
    /// A turn has begun and has no result.
    pub(super) turn_runs: bool,
}

/// The reason to stop at once when the program retries what cannot succeed.
pub(super) fn hopeless(error: &str) -> Option<StopReason> {
    match error {
        "authentication_failed" | "oauth_org_not_allowed" | "account_on_hold" | "verification_required" => {
            Some(StopReason::Authentication)
        }
        "billing_error" => Some(StopReason::Billing),
        _ => None,
    }
}

/// The verdict, and the error of a failed run.
pub(super) fn judge(evidence: &Evidence<'_>) -> (RunEnd, Option<RunError>) {
    let good = evidence.last.filter(|last| last.ok);
    if good.is_some() && evidence.exit == Some(Exit::Code(0)) {
        return (RunEnd::Completed, None);
    }
    match (evidence.stop, evidence.last) {
        (Some(reason), _) => match reason.error() {
            Some(error) => failed(error),
            None => (RunEnd::Stopped, None),
        },
        (None, Some(_)) if evidence.turn_runs => failed(no_result(evidence)),
        (None, Some(last)) if last.ok => failed(bad_exit(evidence)),
        (None, Some(last)) if was_interrupted(last) => (RunEnd::Stopped, None),
        (None, Some(last)) => failed(result_error(last, evidence)),
        (None, None) => failed(no_result(evidence)),
    }
}

fn failed(error: RunError) -> (RunEnd, Option<RunError>) {
    (RunEnd::Failed, Some(error))
}

fn was_interrupted(last: &TurnResult) -> bool {
    matches!(last.terminal_reason.as_deref(), Some("aborted_streaming" | "aborted_tools"))
}

fn bad_exit(evidence: &Evidence<'_>) -> RunError {
    let message = format!(
        "claude reported success and then ended with {}{}",
        exit_words(evidence.exit),
        stderr_words(evidence)
    );
    trouble::error(RunErrorKind::BadExit, &message)
}

fn no_result(evidence: &Evidence<'_>) -> RunError {
    let kind = evidence.api_error.map_or(RunErrorKind::NoResult, api_error_kind);
    let exit = evidence.exit.map(|exit| format!(" with {exit}")).unwrap_or_default();
    let message = format!("claude ended{exit} and gave no result{}", stderr_words(evidence));
    trouble::error(kind, &message)
}

fn result_error(last: &TurnResult, evidence: &Evidence<'_>) -> RunError {
    let words = last.errors.first().or(last.text.as_ref()).cloned().unwrap_or_else(|| last.subtype.clone());
    let kind = match (last.subtype.as_str(), last.terminal_reason.as_deref()) {
        ("error_max_turns", _) | (_, Some("max_turns")) => RunErrorKind::MaxTurns,
        ("error_max_budget_usd", _) | (_, Some("budget_exhausted")) => RunErrorKind::MaxBudget,
        _ if words.starts_with("No conversation found") => RunErrorKind::UnknownConversation,
        (_, Some("prompt_too_long")) => RunErrorKind::InvalidRequest,
        _ => result_api_kind(last, evidence.api_error).unwrap_or(RunErrorKind::Execution),
    };
    if kind == RunErrorKind::RateLimited && (evidence.limit.is_some() || names_a_limit(&words)) {
        return usage_limit(words, evidence.limit);
    }
    trouble::error(kind, &words)
}

/// The program's own words for a plan that is used up, beside the event that says so.
fn names_a_limit(words: &str) -> bool {
    let plain = words.replace('\u{2019}', "'");
    plain.starts_with("You've hit your ") || plain.starts_with("Claude AI usage limit reached")
}

fn usage_limit(words: String, limit: Option<&Limit>) -> RunError {
    let resets_at = limit.and_then(|limit| limit.resets_at);
    let cause = match (limit, resets_at) {
        (Some(limit), Some(at)) => format!("{words} [limit {}, reset at {at}]", limit.kind),
        _ => words,
    };
    RunError { resets_at, ..trouble::error(RunErrorKind::UsageLimit, &cause) }
}

/// The kind of a failed model request: the program's own word first, then the service's, then the HTTP status.
fn result_api_kind(last: &TurnResult, api_error: Option<&str>) -> Option<RunErrorKind> {
    let by_word = api_error.map(api_error_kind).filter(|kind| *kind != RunErrorKind::Execution);
    let by_type =
        last.api_error_type.as_deref().map(api_error_kind).filter(|kind| *kind != RunErrorKind::Execution);
    let by_status = last.api_error_status.map(|status| match status {
        401 | 403 => RunErrorKind::Authentication,
        402 => RunErrorKind::Billing,
        404 => RunErrorKind::ModelNotFound,
        429 => RunErrorKind::RateLimited,
        529 => RunErrorKind::Overloaded,
        400..500 => RunErrorKind::InvalidRequest,
        _ => RunErrorKind::ServerError,
    });
    // The program calls an overloaded service a server error in one place and overloaded in another.
    match (by_word, by_type) {
        (Some(RunErrorKind::ServerError), Some(kind)) => Some(kind),
        (word, kind) => word.or(kind).or(by_status),
    }
}

fn api_error_kind(word: &str) -> RunErrorKind {
    match word {
        "authentication_failed"
        | "oauth_org_not_allowed"
        | "account_on_hold"
        | "verification_required"
        | "cloud_credential_error"
        | "authentication_error"
        | "permission_error" => RunErrorKind::Authentication,
        "billing_error" => RunErrorKind::Billing,
        "rate_limit" | "rate_limit_error" => RunErrorKind::RateLimited,
        "overloaded" | "overloaded_error" => RunErrorKind::Overloaded,
        "invalid_request" | "invalid_request_error" | "request_too_large" | "max_output_tokens" => {
            RunErrorKind::InvalidRequest
        }
        "model_not_found" | "not_found_error" => RunErrorKind::ModelNotFound,
        "server_error" | "api_error" | "timeout_error" => RunErrorKind::ServerError,
        _ => RunErrorKind::Execution,
    }
}

fn exit_words(exit: Option<Exit>) -> String {
    exit.map_or_else(|| "unknown exit".to_owned(), |exit| exit.to_string())
}

fn stderr_words(evidence: &Evidence<'_>) -> String {
    match evidence.stderr.trim() {
        "" => String::new(),
        words => format!(": {}", prefix(words, STDERR_SHOWN)),
    }
}

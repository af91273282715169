//! What a person can do about each way in which a run fails. A pure table.
//! Neighbours: the verdicts of executors put the mend beside the cause, the session's last words end with what comes next.
//! It must never hold a cause without a mend: a kind that is added here needs both.

use super::ExecutorError;
use super::outcome::{RunError, RunErrorKind};

/// An error of this kind: the cause, and the mend behind it.
pub fn error(kind: RunErrorKind, cause: &str) -> RunError {
    RunError::new(kind, format!("{} ({})", cause.trim_end().trim_end_matches('.'), mend(kind)))
}

/// What mends an error of this kind, as a clause.
pub const fn mend(kind: RunErrorKind) -> &'static str {
    match kind {
        RunErrorKind::Authentication => {
            "the worker is not signed in to the model's service: run `cyrus key set anthropic` on its machine, or give it a valid ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN"
        }
        RunErrorKind::Billing => "check the plan and the credit of the account whose key this worker uses",
        RunErrorKind::RateLimited => {
            "too many requests at once for this account: wait some minutes, or give the worker fewer slots"
        }
        RunErrorKind::UsageLimit => {
            "the account's plan is used up for now: wait until it is reset, or set `\"usageLimit\": {\"resume\": true}` in the worker's configuration and it waits and goes on by itself"
        }
        RunErrorKind::Overloaded => {
            "the model's service is overloaded: wait some minutes, or set `fallbackModel` in the worker's configuration"
        }
        RunErrorKind::ServerError => "the model's service failed: this is usually short, wait some minutes",
        RunErrorKind::InvalidRequest => {
            "the model's service refuses the request: if the conversation has become too long, open a new session on the issue"
        }
        RunErrorKind::ModelNotFound => {
            "choose a model that this account may use: `model` in the worker's configuration, or on the repository's page in the panel"
        }
        RunErrorKind::MaxTurns => "raise the turn limit, or write here and it goes on from where it is",
        RunErrorKind::MaxBudget => "raise the budget, or write here and it goes on from where it is",
        RunErrorKind::UnknownConversation => {
            "this worker does not have the old conversation: write here and it begins a new one on the same branch"
        }
        RunErrorKind::Execution => "the session's log tells more: open it in the panel, or run `cyrus logs`",
        RunErrorKind::NoResult => {
            "the agent's program died: if that happens again, run `cyrus doctor` on the worker's machine and see whether its memory is full"
        }
        RunErrorKind::BadExit => "run `cyrus doctor` on the worker's machine if that happens again",
        RunErrorKind::WallClock => "split the task into smaller ones, or raise the time limit",
        RunErrorKind::NoOutput => {
            "the agent or the model's service hung: if that happens again, run `cyrus doctor` on the worker's machine"
        }
        RunErrorKind::Internal => "this is a fault in cyrus: please report it with the session's log",
    }
}

/// The last sentence to a person after a failed run: what is kept, and what makes it go on.
pub fn next(error: &RunError) -> String {
    match (error.kind, error.resets_at) {
        (RunErrorKind::UsageLimit, Some(at)) => {
            format!(
                "What was done so far is kept. The limit is reset at {at}; write here after that to go on."
            )
        }
        (RunErrorKind::UsageLimit, None) => {
            "What was done so far is kept. Write here when the limit is reset to go on.".to_owned()
        }
        (RunErrorKind::Authentication | RunErrorKind::Billing | RunErrorKind::ModelNotFound, _) => {
            "What was done so far is kept. Write here when that is mended, and I go on.".to_owned()
        }
        _ => "What was done so far is kept. Write here to try again.".to_owned(),
    }
}

/// What people see while a failed request to the model's service is tried again; `error` is the executor's word for it.
pub fn waiting(error: &str, attempt: u64, max: Option<u64>, delay_ms: Option<u64>) -> String {
    let cause = match error {
        "overloaded" => "The model's service is overloaded",
        "rate_limit" => "The model's service takes no more requests at the moment",
        "server_error" => "The model's service failed",
        _ => "The model's service does not answer",
    };
    let of = max.map(|max| format!(" of {max}")).unwrap_or_default();
    let when = match delay_ms.map(|delay| delay.div_ceil(1000)) {
        Some(seconds) if seconds > 0 => format!(" in {seconds} s"),
        _ => String::new(),
    };
    format!("{cause}; I try again{when} (try {attempt}{of}).")
}

/// Why a run could not be started, with the mend; a full disk is named as such.
pub fn not_started(error: &ExecutorError) -> String {
    let (ExecutorError::Spawn { source, .. } | ExecutorError::RunFile { source, .. }) = error else {
        return error.to_string();
    };
    match source.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            format!(
                "{error}. The worker's disk is full: make room on its machine; `cyrus status` tells what the worktrees take"
            )
        }
        std::io::ErrorKind::PermissionDenied => {
            format!(
                "{error}. The user that runs cyrus may not do this: correct the owner or the mode of that file"
            )
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use shared::time::Timestamp;

    use super::*;

    #[test]
    fn a_person_is_told_what_to_do_about_each_trouble() {
        for (kind, words) in [
            (RunErrorKind::Authentication, "cyrus key set anthropic"),
            (RunErrorKind::Billing, "credit"),
            (RunErrorKind::RateLimited, "wait"),
            (RunErrorKind::UsageLimit, "usageLimit"),
            (RunErrorKind::Overloaded, "fallbackModel"),
            (RunErrorKind::ServerError, "wait"),
            (RunErrorKind::InvalidRequest, "new session"),
            (RunErrorKind::ModelNotFound, "`model`"),
            (RunErrorKind::MaxTurns, "write here"),
            (RunErrorKind::MaxBudget, "write here"),
            (RunErrorKind::UnknownConversation, "write here"),
            (RunErrorKind::Execution, "cyrus logs"),
            (RunErrorKind::NoResult, "cyrus doctor"),
            (RunErrorKind::BadExit, "cyrus doctor"),
            (RunErrorKind::WallClock, "smaller"),
            (RunErrorKind::NoOutput, "cyrus doctor"),
            (RunErrorKind::Internal, "report"),
        ] {
            let error = error(kind, "It broke.");
            assert!(error.message.starts_with("It broke (") && error.message.contains(words), "{error:?}");
            assert!(next(&error).contains("kept") && next(&error).contains("rite here"), "{kind:?}");
        }
    }

    #[test]
    fn a_usage_limit_tells_its_time() {
        let resets_at = Some(Timestamp::from_millis(1_795_400_000_000));
        let error = RunError { resets_at, ..error(RunErrorKind::UsageLimit, "x") };
        assert!(next(&error).contains("reset at 2026-11-23T"), "{}", next(&error));
    }

    #[test]
    fn people_see_why_nothing_comes() {
        let words = waiting("overloaded", 3, Some(10), Some(7_400));
        assert_eq!(words, "The model's service is overloaded; I try again in 8 s (try 3 of 10).");
        assert_eq!(waiting("?", 2, None, None), "The model's service does not answer; I try again (try 2).");
    }

    #[test]
    fn a_full_disk_is_named() {
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = ExecutorError::RunFile { path: "/runs/1".into(), source };
        assert!(not_started(&error).contains("disk is full: make room"), "{}", not_started(&error));
    }
}

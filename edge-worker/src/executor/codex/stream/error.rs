//! Reads Codex's errors: whether one is a retry, and what kind it is, from its words.
//! Neighbours: `stream` and `session`.
//! It must never end a run: `error` lines also tell of retries, and only the turn's end decides.

use serde_json::Value;

use super::super::super::event::RunEventKind;
use super::super::super::fields::optional_text;
use super::super::super::outcome::RunErrorKind;

/// The event of an `error` line or message.
pub(super) fn read(error: &Value) -> RunEventKind {
    let inner = error.get("error").unwrap_or(error);
    let message = optional_text(inner, "message").unwrap_or_else(|| "an error without words".to_owned());
    let retries = error.get("willRetry").and_then(Value::as_bool) == Some(true);
    let attempt = attempt(&message);
    if retries || attempt.is_some() {
        let (attempt, max) = attempt.unzip();
        return RunEventKind::Retry {
            attempt: attempt.unwrap_or(1),
            max,
            delay_ms: None,
            status: status(&message),
            error: message,
        };
    }
    RunEventKind::ApiError { error: word(inner).unwrap_or_default(), status: status(&message), message }
}

/// The two numbers of `Reconnecting... 1/5`.
fn attempt(message: &str) -> Option<(u64, u64)> {
    let numbers = message.strip_prefix("Reconnecting")?.trim_start_matches(['.', '…', ' ']);
    let (attempt, rest) = numbers.split_once('/')?;
    let max = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    attempt.parse().ok().zip(max.parse().ok())
}

/// The HTTP status of `unexpected status 401 Unauthorized: …`.
fn status(message: &str) -> Option<u64> {
    let (_, rest) = message.split_once("status ").or_else(|| message.split_once("status: "))?;
    rest.split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
        .filter(|status| (100..600).contains(status))
}

/// The machine-readable word of an error of the app server: a text, or the one key of an object.
pub(super) fn word(error: &Value) -> Option<String> {
    match error.get("codexErrorInfo")? {
        Value::String(word) => Some(word.clone()),
        Value::Object(fields) => fields.keys().next().cloned(),
        _ => None,
    }
}

/// The kind of an error, by its word, its HTTP status or its text.
pub fn kind(word: Option<&str>, message: &str) -> RunErrorKind {
    let by_word = match word.unwrap_or_default() {
        "unauthorized" => Some(RunErrorKind::Authentication),
        "usageLimitExceeded" | "sessionBudgetExceeded" => Some(RunErrorKind::UsageLimit),
        "serverOverloaded" => Some(RunErrorKind::Overloaded),
        "internalServerError" => Some(RunErrorKind::ServerError),
        "contextWindowExceeded" | "badRequest" => Some(RunErrorKind::InvalidRequest),
        _ => None,
    };
    let text = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    by_word.unwrap_or_else(|| match status(message) {
        _ if says(&["usage limit"]) => RunErrorKind::UsageLimit,
        _ if says(&["quota exceeded", "insufficient_quota"]) => RunErrorKind::Billing,
        Some(401 | 403) => RunErrorKind::Authentication,
        Some(402) => RunErrorKind::Billing,
        Some(404) => RunErrorKind::ModelNotFound,
        Some(429) => RunErrorKind::RateLimited,
        Some(503 | 529) => RunErrorKind::Overloaded,
        Some(400..500) => RunErrorKind::InvalidRequest,
        Some(500..600) => RunErrorKind::ServerError,
        _ if says(&["unauthorized", "not logged in", "log in again", "sign in again", "refresh token"]) => {
            RunErrorKind::Authentication
        }
        _ if says(&["rate limit"]) => RunErrorKind::RateLimited,
        _ if says(&["at capacity", "overloaded"]) => RunErrorKind::Overloaded,
        _ if says(&["context window", "maximum context length"]) => RunErrorKind::InvalidRequest,
        _ if says(&["high demand", "stream disconnected", "stream error", "timed out", "connection"]) => {
            RunErrorKind::ServerError
        }
        _ if says(&["no rollout found", "thread not found", "no conversation"]) => {
            RunErrorKind::UnknownConversation
        }
        _ => RunErrorKind::Execution,
    })
}

//! Reads a result line: the verdict, the texts, tokens and cost of a turn.
//! Neighbours: `session` adds the results of a run up.
//! It must never take a missing verdict for a good one.

use serde_json::Value;

use super::{Tokens, api_tokens};
use crate::executor::event::TurnResult;
use crate::executor::fields::{list, micro_usd, number, optional_text, text};

/// Reads a result line.
pub(super) fn read(line: &Value) -> TurnResult {
    let since_last = line.get("model_usage_since_last_result").and_then(Value::as_object);
    let spent = since_last.map(|models| models.values().fold((Tokens::default(), 0_u64), add_model));
    TurnResult {
        ok: line.get("is_error").and_then(Value::as_bool) == Some(false),
        subtype: text(line, "subtype").to_owned(),
        terminal_reason: optional_text(line, "terminal_reason"),
        text: optional_text(line, "result"),
        errors: list(line, "errors").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        api_error_status: number(line, "api_error_status"),
        api_error_type: optional_text(line, "api_error_type"),
        executor_session_id: optional_text(line, "session_id"),
        turns: number(line, "num_turns").unwrap_or(0),
        duration_ms: number(line, "duration_ms").unwrap_or(0),
        queued_turns: number(line, "queued_turn_count").unwrap_or(0),
        index: number(line, "result_index"),
        denials: u64::try_from(list(line, "permission_denials").len()).unwrap_or(u64::MAX),
        tokens: spent.map(|(tokens, _)| tokens).or_else(|| line.get("usage").map(api_tokens)),
        cost_micro_usd: spent.map(|(_, cost)| cost),
        total_cost_micro_usd: micro_usd(line, "total_cost_usd"),
    }
}

fn add_model((mut tokens, cost): (Tokens, u64), usage: &Value) -> (Tokens, u64) {
    let count = |name: &str| number(usage, name).unwrap_or(0);
    tokens.add(Tokens {
        input: count("inputTokens"),
        output: count("outputTokens"),
        cache_read: count("cacheReadInputTokens"),
        cache_write: count("cacheCreationInputTokens"),
    });
    (tokens, cost.saturating_add(micro_usd(usage, "costUSD").unwrap_or(0)))
}

//! What part of a conversation's cost is a recorded run's own, where the result tells sums alone: `--output-format json`
//! leaves the difference out.
//! Neighbours: `replay` takes what is left off as spent before.
//! It must never guess for a live run, which knows what was spent before.

use serde_json::Value;

use crate::executor::fields::{micro_usd, number};
use crate::executor::lines::Line;
use crate::executor::recording::Entry;

/// What kinds of tokens cost beside one that is read, for every model of the vendor.
const OUTPUT: f64 = 5.0;
const CACHE_READ: f64 = 0.1;
const CACHE_WRITE: f64 = 1.25;

/// What the conversation had cost before this run, in millionths of a US dollar, by the first result of the recording:
/// tokens of the turn beside tokens of the conversation. `None` where that cannot be told.
pub(super) fn spent_before(entries: &[Entry]) -> Option<u64> {
    let result = entries.iter().find_map(|entry| match entry {
        Entry::Out(Line::Whole(bytes)) if is_result(bytes) => serde_json::from_slice::<Value>(bytes).ok(),
        _ => None,
    })?;
    if result.get("model_usage_since_last_result").is_some() {
        return None;
    }
    // Sub-agents and side models are in the sum and not in the turn's own tokens.
    let spawned = result.pointer("/subagent_stats/spawned").and_then(Value::as_u64).unwrap_or(0);
    let models = result.get("modelUsage").and_then(Value::as_object).filter(|models| models.len() == 1)?;
    let all = weight(
        models.values().next()?,
        ["inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens"],
    );
    let own = weight(
        result.get("usage")?,
        ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"],
    );
    let total = micro_usd(&result, "total_cost_usd")?;
    if spawned > 0 || own <= 0.0 || own >= all {
        return None;
    }
    Some((total as f64 * (1.0 - own / all)).round() as u64)
}

fn is_result(bytes: &[u8]) -> bool {
    // Most lines are no results: only those that may be are read once more.
    bytes.windows(8).any(|window| window == b"\"result\"")
        && serde_json::from_slice::<Value>(bytes)
            .is_ok_and(|line| line.get("type").and_then(Value::as_str) == Some("result"))
}

fn weight(usage: &Value, [input, output, read, written]: [&str; 4]) -> f64 {
    let count = |name: &str| number(usage, name).unwrap_or(0) as f64;
    count(input) + OUTPUT * count(output) + CACHE_READ * count(read) + CACHE_WRITE * count(written)
}

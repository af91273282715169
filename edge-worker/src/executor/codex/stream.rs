//! Reads one line of Codex's output into events: of `codex exec --json`, or a message of `codex app-server`.
//! Neighbours: `session` draws conclusions from the events; `stream/item` reads items, `stream/error` words of errors.
//! It must never fail: what it does not know becomes `Unknown`, what it cannot read `Unreadable`.

use serde_json::Value;
use shared::surrogate;

use super::super::event::{RunEvent, RunEventKind, Tokens, TurnResult, prefix};
use super::super::fields::{number, optional_text, text};
use super::super::lines::Line;

mod error;
mod item;

pub use error::kind as error_kind;

const EXCERPT: usize = 200;

/// What one line tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// Its events.
    pub events: Vec<RunEvent>,
    /// The tokens of the whole thread so far, with those of earlier runs.
    pub thread_tokens: Option<Tokens>,
}

impl Told {
    fn one(kind: RunEventKind) -> Self {
        Self { events: vec![kind.into()], thread_tokens: None }
    }

    fn some(kinds: Vec<RunEventKind>) -> Self {
        Self { events: kinds.into_iter().map(RunEvent::from).collect(), thread_tokens: None }
    }
}

/// Reads one line.
pub fn read(line: &Line) -> Told {
    match line {
        Line::Whole(bytes) => {
            // Bytes that are no UTF-8 are replaced: one broken character must not cost the line.
            let words = String::from_utf8_lossy(bytes);
            match surrogate::parse::<Value>(&words) {
                Ok(value) if value.is_object() => read_object(&value),
                Ok(_) => unreadable("not a JSON object".to_owned(), bytes.len(), &words),
                Err(error) => unreadable(format!("not JSON: {error}"), bytes.len(), &words),
            }
        }
        Line::TooLong { limit } => unreadable(format!("longer than {limit} bytes"), 0, ""),
    }
}

fn unreadable(reason: String, bytes: usize, line: &str) -> Told {
    Told::one(RunEventKind::Unreadable { reason, bytes, excerpt: prefix(line, EXCERPT).to_owned() })
}

fn read_object(line: &Value) -> Told {
    match (text(line, "type"), text(line, "method")) {
        ("", "") if line.get("id").is_some() => Told::one(notice("reply", line)),
        ("", "") => Told::one(RunEventKind::Unknown(line.clone())),
        ("", method) => message(method, line.get("params").unwrap_or(&Value::Null), line),
        (name, _) => event(name, line),
    }
}

/// A line of `codex exec --json`.
fn event(name: &str, line: &Value) -> Told {
    let nothing = Value::Null;
    match name {
        "thread.started" => Told::one(started(optional_text(line, "thread_id"))),
        "turn.started" => Told::one(started(None)),
        "item.started" | "item.updated" | "item.completed" => match line.get("item") {
            Some(item) => Told::some(item::read(item, name == "item.completed")),
            None => Told::one(RunEventKind::Unknown(line.clone())),
        },
        "turn.completed" => Told {
            thread_tokens: line.get("usage").map(snake_tokens),
            ..Told::one(RunEventKind::Result(TurnResult {
                ok: true,
                subtype: "turn.completed".to_owned(),
                turns: 1,
                ..TurnResult::default()
            }))
        },
        "turn.failed" => Told::one(failed(line.get("error").unwrap_or(&nothing), "turn.failed")),
        "error" => Told::one(error::read(line)),
        _ => Told::one(RunEventKind::Unknown(line.clone())),
    }
}

/// A message of `codex app-server`.
fn message(method: &str, params: &Value, line: &Value) -> Told {
    let nothing = Value::Null;
    match method {
        "thread/started" => {
            Told::one(started(params.get("thread").and_then(|thread| optional_text(thread, "id"))))
        }
        "turn/started" => Told::one(started(optional_text(params, "threadId"))),
        "item/started" | "item/completed" => match params.get("item") {
            Some(item) => Told::some(item::read(item, method == "item/completed")),
            None => Told::one(RunEventKind::Unknown(line.clone())),
        },
        "thread/tokenUsage/updated" => Told {
            thread_tokens: params.get("tokenUsage").and_then(|usage| usage.get("total")).map(camel_tokens),
            ..Told::one(notice(method, params))
        },
        "turn/completed" => {
            let turn = params.get("turn").unwrap_or(&nothing);
            let word = text(turn, "status");
            Told::one(match word {
                "completed" | "interrupted" => RunEventKind::Result(TurnResult {
                    ok: word == "completed",
                    subtype: word.to_owned(),
                    terminal_reason: Some(word.to_owned()),
                    turns: 1,
                    ..TurnResult::default()
                }),
                _ => failed(turn.get("error").unwrap_or(&nothing), word),
            })
        }
        "error" => Told::one(error::read(params)),
        _ if is_question(method) && line.get("id").is_some() => {
            Told::one(item::question(line, method, params))
        }
        "serverRequest/resolved" => match id(params, "requestId") {
            Some(id) => Told::one(RunEventKind::Withdrawn { id }),
            None => Told::one(notice(method, params)),
        },
        // Deltas repeat what whole items say.
        _ if method.starts_with("item/") => Told::default(),
        _ if is_known(method) => Told::one(notice(method, params)),
        _ => Told::one(RunEventKind::Unknown(line.clone())),
    }
}

fn is_question(method: &str) -> bool {
    method.ends_with("/requestApproval") || method.ends_with("/requestUserInput")
}

fn is_known(method: &str) -> bool {
    const FAMILIES: [&str; 15] = [
        "account",
        "app",
        "command",
        "configWarning",
        "deprecationNotice",
        "fuzzyFileSearch",
        "hook",
        "mcpServer",
        "model",
        "remoteControl",
        "skills",
        "thread",
        "turn",
        "warning",
        "windows",
    ];
    FAMILIES.contains(&method.split('/').next().unwrap_or_default())
}

/// A request's id, which may be a number or a text.
pub(super) fn id(value: &Value, name: &str) -> Option<String> {
    match value.get(name)? {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

fn started(thread: Option<String>) -> RunEventKind {
    RunEventKind::Started {
        executor_session_id: thread,
        model: None,
        version: None,
        tools: Vec::new(),
        failed_servers: Vec::new(),
    }
}

fn notice(name: &str, raw: &Value) -> RunEventKind {
    RunEventKind::Notice { name: name.to_owned(), raw: raw.clone() }
}

fn failed(error: &Value, subtype: &str) -> RunEventKind {
    RunEventKind::Result(TurnResult {
        subtype: subtype.to_owned(),
        errors: optional_text(error, "message").into_iter().collect(),
        api_error_type: error::word(error),
        turns: 1,
        ..TurnResult::default()
    })
}

fn snake_tokens(usage: &Value) -> Tokens {
    tokens(usage, ["input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens"])
}

fn camel_tokens(usage: &Value) -> Tokens {
    tokens(usage, ["inputTokens", "cachedInputTokens", "cacheWriteInputTokens", "outputTokens"])
}

/// The input's count includes what was read from the cache.
fn tokens(usage: &Value, [input, cached, written, output]: [&str; 4]) -> Tokens {
    let count = |name: &str| number(usage, name).unwrap_or(0);
    Tokens {
        input: count(input).saturating_sub(count(cached)),
        output: count(output),
        cache_read: count(cached),
        cache_write: count(written),
    }
}

#[cfg(test)]
mod tests;

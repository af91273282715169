//! Reads one line of `claude`'s output into events, with no memory of the lines before.
//! Neighbours: `session` draws conclusions from the events; `stream/fields` reads loosely typed JSON, `stream/result` result lines.
//! It must never fail: what it does not know becomes `Unknown`, what it cannot read `Unreadable`.

use serde_json::Value;
use shared::surrogate;

use super::super::event::{InputState, RunEvent, RunEventKind, Tokens, prefix};
use super::super::lines::Line;

mod control;
mod known;
mod result;

use crate::executor::fields::{list, number, optional_text, text};

const EXCERPT: usize = 200;

/// The events of one line. Most lines give one, some none, a message with several blocks several.
pub fn read(line: &Line) -> Vec<RunEvent> {
    match line {
        Line::Whole(bytes) => read_bytes(bytes),
        Line::TooLong { limit } => vec![unreadable(format!("longer than {limit} bytes"), 0, "")],
    }
}

fn read_bytes(bytes: &[u8]) -> Vec<RunEvent> {
    // Bytes that are no UTF-8 are replaced: one broken character must not cost the line.
    let line = String::from_utf8_lossy(bytes);
    match surrogate::parse::<Value>(&line) {
        Ok(value) if value.is_object() => read_object(value),
        Ok(_) => vec![unreadable("not a JSON object".to_owned(), bytes.len(), &line)],
        Err(error) => vec![unreadable(format!("not JSON: {error}"), bytes.len(), &line)],
    }
}

fn unreadable(reason: String, bytes: usize, line: &str) -> RunEvent {
    RunEventKind::Unreadable { reason, bytes, excerpt: prefix(line, EXCERPT).to_owned() }.into()
}

fn read_object(line: Value) -> Vec<RunEvent> {
    let parent_tool_use_id = optional_text(&line, "parent_tool_use_id");
    let kinds = match text(&line, "type") {
        "system" => system(&line),
        "assistant" => assistant(&line),
        "user" => user(&line),
        "result" => vec![RunEventKind::Result(result::read(&line))],
        "stream_event" => stream_event(&line),
        "command_lifecycle" => lifecycle(&line),
        name if known::is_type(name) => {
            vec![control::read(&line).unwrap_or_else(|| notice(name, &line))]
        }
        _ => vec![RunEventKind::Unknown(line.clone())],
    };
    kinds.into_iter().map(|kind| RunEvent { parent_tool_use_id: parent_tool_use_id.clone(), kind }).collect()
}

fn notice(name: &str, line: &Value) -> RunEventKind {
    RunEventKind::Notice { name: name.to_owned(), raw: line.clone() }
}

fn system(line: &Value) -> Vec<RunEventKind> {
    match text(line, "subtype") {
        "init" => vec![RunEventKind::Started {
            executor_session_id: optional_text(line, "session_id"),
            model: optional_text(line, "model"),
            version: optional_text(line, "claude_code_version"),
            tools: list(line, "tools").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            failed_servers: list(line, "mcp_servers")
                .iter()
                .filter(|server| text(server, "status") == "failed")
                .map(|server| text(server, "name").to_owned())
                .collect(),
        }],
        "api_retry" => vec![RunEventKind::Retry {
            attempt: number(line, "attempt").unwrap_or(0),
            max: number(line, "max_retries"),
            delay_ms: number(line, "retry_delay_ms"),
            status: number(line, "error_status"),
            error: optional_text(line, "error").unwrap_or_else(|| "unknown".to_owned()),
        }],
        "permission_denied" => vec![RunEventKind::Denied {
            tool: text(line, "tool_name").to_owned(),
            tool_use_id: optional_text(line, "tool_use_id"),
            message: text(line, "message").to_owned(),
        }],
        subtype if known::is_subtype(subtype) => vec![notice(subtype, line)],
        _ => vec![RunEventKind::Unknown(line.clone())],
    }
}

fn assistant(line: &Value) -> Vec<RunEventKind> {
    let Some(message) = line.get("message") else { return vec![RunEventKind::Unknown(line.clone())] };
    if let Some(error) = optional_text(line, "error") {
        let words: Vec<&str> = list(message, "content").iter().map(|block| text(block, "text")).collect();
        return vec![RunEventKind::ApiError {
            error,
            status: number(line, "api_error_status"),
            message: words.join("\n"),
        }];
    }
    match message.get("content") {
        Some(Value::String(words)) => vec![RunEventKind::Text(words.clone())],
        Some(Value::Array(blocks)) => blocks.iter().map(assistant_block).collect(),
        _ => vec![RunEventKind::Unknown(line.clone())],
    }
}

fn assistant_block(block: &Value) -> RunEventKind {
    let word = |name: &str| block.get(name).and_then(Value::as_str).map(str::to_owned);
    let known = match text(block, "type") {
        "text" => word("text").map(RunEventKind::Text),
        "thinking" => word("thinking").map(RunEventKind::Thinking),
        "tool_use" => word("id").zip(word("name")).map(|(id, name)| RunEventKind::ToolUse {
            id,
            name,
            input: block.get("input").cloned().unwrap_or_default(),
        }),
        _ => None,
    };
    known.unwrap_or_else(|| RunEventKind::Unknown(block.clone()))
}

fn user(line: &Value) -> Vec<RunEventKind> {
    match line.get("message").and_then(|message| message.get("content")) {
        Some(Value::String(_)) => vec![notice("user_text", line)],
        Some(Value::Array(blocks)) => blocks.iter().map(user_block).collect(),
        _ => vec![RunEventKind::Unknown(line.clone())],
    }
}

fn user_block(block: &Value) -> RunEventKind {
    match (text(block, "type"), optional_text(block, "tool_use_id")) {
        ("tool_result", Some(tool_use_id)) => RunEventKind::ToolResult {
            tool_use_id,
            ok: block.get("is_error").and_then(Value::as_bool) != Some(true),
            text: content_text(block.get("content")),
        },
        ("text" | "image", _) => notice("user_text", block),
        _ => RunEventKind::Unknown(block.clone()),
    }
}

/// The text of a tool's answer, which is a string or a list of blocks.
fn content_text(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(words)) => words.clone(),
        Some(Value::Array(blocks)) => {
            let words: Vec<String> = blocks
                .iter()
                .map(|block| {
                    optional_text(block, "text").unwrap_or_else(|| format!("[{}]", text(block, "type")))
                })
                .collect();
            words.join("\n")
        }
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// Partial messages repeat what whole lines say; only a request's final token counts are told nowhere else.
fn stream_event(line: &Value) -> Vec<RunEventKind> {
    let Some(event) = line.get("event") else { return vec![RunEventKind::Unknown(line.clone())] };
    match (text(event, "type"), event.get("usage")) {
        ("message_delta", Some(usage)) => vec![RunEventKind::Usage(api_tokens(usage))],
        _ => Vec::new(),
    }
}

/// Token counts in the Messages API's own names.
fn api_tokens(usage: &Value) -> Tokens {
    let count = |name: &str| number(usage, name).unwrap_or(0);
    Tokens {
        input: count("input_tokens"),
        output: count("output_tokens"),
        cache_read: count("cache_read_input_tokens"),
        cache_write: count("cache_creation_input_tokens"),
    }
}

fn lifecycle(line: &Value) -> Vec<RunEventKind> {
    let Ok(id) = text(line, "command_uuid").parse() else { return vec![RunEventKind::Unknown(line.clone())] };
    let state = match text(line, "state") {
        "queued" => InputState::Queued,
        "started" => InputState::Started,
        "completed" => InputState::Completed,
        "cancelled" => InputState::Cancelled,
        _ => InputState::Unknown,
    };
    vec![RunEventKind::Input { id, state }]
}

#[cfg(test)]
mod tests;

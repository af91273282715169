//! Writes a step as the Messages API does: one JSON message, or server-sent events.

use std::time::{Duration, SystemTime};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::script::{Step, fill_cwd};
use crate::server::broken;

/// Characters of text in one event.
const CHUNK: usize = 24;
/// How long the server gets to send what it holds before a connection breaks on purpose.
const FLUSH: Duration = Duration::from_millis(50);

/// A new id such as `msg_…`.
fn new_id(prefix: &str) -> String {
    format!("{prefix}_{}", &Uuid::new_v4().simple().to_string()[..24])
}

fn request_id() -> (HeaderName, String) {
    (HeaderName::from_static("request-id"), new_id("req"))
}

/// Any JSON answer.
pub(super) fn answer(status: StatusCode, body: Value) -> Response {
    (status, [request_id()], Json(body)).into_response()
}

/// An error in the API's shape.
pub(super) fn error(status: StatusCode, kind: &str, message: &str) -> Response {
    answer(status, json!({"type": "error", "error": {"type": kind, "message": message}}))
}

/// The error that a step asks for.
pub(super) fn scripted_error(step: &Step, status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = step.error_type.as_deref().unwrap_or("api_error");
    let mut response = error(status, kind, step.message.as_deref().unwrap_or("scripted error"));
    let retry_after = step.retry_after.as_ref().map(|value| value.to_string().trim_matches('"').to_owned());
    if let Some(value) = retry_after.and_then(|text| HeaderValue::from_str(&text).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    for (name, value) in &step.headers {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&in_seconds(&text))) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// `$IN_60` as the second that is 60 from now; any other text as it is.
fn in_seconds(text: &str) -> String {
    let Some(seconds) = text.strip_prefix("$IN_").and_then(|seconds| seconds.parse::<u64>().ok()) else {
        return text.to_owned();
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (now.as_secs() + seconds).to_string()
}

/// A step as a message for a request of `input_tokens`.
pub(super) struct Message {
    blocks: Vec<Value>,
    stop_reason: String,
    usage: Map<String, Value>,
    head: Map<String, Value>,
    chunk_delay: Duration,
    drop: bool,
}

impl Message {
    pub(super) fn new(step: &Step, model: &str, cwd: &str, input_tokens: usize) -> Self {
        let mut blocks = Vec::new();
        if let Some(thinking) = step.thinking.as_deref().filter(|text| !text.is_empty()) {
            blocks.push(json!({"type": "thinking", "thinking": thinking, "signature": "c2ln"}));
        }
        if let Some(text) = step.text.as_deref().filter(|text| !text.is_empty()) {
            blocks.push(json!({"type": "text", "text": text}));
        }
        for tool in &step.tools {
            let mut input = if tool.input.is_null() { json!({}) } else { tool.input.clone() };
            fill_cwd(&mut input, cwd);
            let id = tool.id.clone().unwrap_or_else(|| new_id("toolu"));
            blocks.push(json!({"type": "tool_use", "id": id, "name": tool.name, "input": input}));
        }
        let usual = if step.tools.is_empty() { "end_turn" } else { "tool_use" };
        let mut usage = object(json!({
            "input_tokens": input_tokens, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
            "output_tokens": 25, "service_tier": "standard"}));
        usage.extend(step.usage.clone());
        let mut first_usage = usage.clone();
        first_usage.insert("output_tokens".into(), 1.into());
        let head = object(json!({
            "id": new_id("msg"), "type": "message", "role": "assistant", "model": model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": first_usage}));
        Self {
            blocks,
            stop_reason: step.stop_reason.clone().unwrap_or_else(|| usual.to_owned()),
            usage,
            head,
            chunk_delay: Duration::from_millis(step.chunk_delay_ms),
            drop: step.drop,
        }
    }

    /// The whole message at once.
    pub(super) fn whole(mut self) -> Response {
        if self.drop {
            return broken(b"{\"type\":");
        }
        self.head.insert("content".into(), self.blocks.into());
        self.head.insert("stop_reason".into(), self.stop_reason.into());
        self.head.insert("usage".into(), self.usage.into());
        answer(StatusCode::OK, self.head.into())
    }

    /// The message as a stream of events.
    pub(super) fn streamed(self) -> Response {
        let (delay, drop) = (self.chunk_delay, self.drop);
        let mut parts: Vec<Result<Bytes, std::io::Error>> = self.events().into_iter().map(Ok).collect();
        if drop {
            parts.push(Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
        }
        let body = stream::unfold((parts.into_iter(), false), move |(mut parts, begun)| async move {
            let part = parts.next()?;
            // What was sent must be on its way before the connection breaks.
            let pause = if part.is_err() { delay.max(FLUSH) } else { delay };
            if begun && !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            Some((part, (parts, true)))
        });
        let headers = [
            request_id(),
            (header::CONTENT_TYPE, "text/event-stream; charset=utf-8".to_owned()),
            (header::CACHE_CONTROL, "no-cache".to_owned()),
        ];
        (StatusCode::OK, headers, Body::from_stream(body)).into_response()
    }

    /// The events in order; with `drop` they end before the first block does.
    fn events(&self) -> Vec<Bytes> {
        let mut events = vec![event(json!({"type": "message_start", "message": self.head}))];
        for (index, block) in self.blocks.iter().enumerate() {
            let (start, deltas) = parts_of(block);
            events
                .push(event(json!({"type": "content_block_start", "index": index, "content_block": start})));
            for delta in deltas {
                events.push(event(json!({"type": "content_block_delta", "index": index, "delta": delta})));
            }
            if self.drop {
                return events;
            }
            events.push(event(json!({"type": "content_block_stop", "index": index})));
        }
        if !self.drop {
            let delta = json!({"stop_reason": self.stop_reason, "stop_sequence": null});
            events.push(event(json!({"type": "message_delta", "delta": delta, "usage": self.usage})));
            events.push(event(json!({"type": "message_stop"})));
        }
        events
    }
}

/// How a block begins, and the deltas that fill it.
fn parts_of(block: &Value) -> (Value, Vec<Value>) {
    let mut start = block.clone();
    let deltas = match block["type"].as_str() {
        Some("text") => {
            start["text"] = "".into();
            let chars: Vec<char> = block["text"].as_str().unwrap_or_default().chars().collect();
            let chunks = chars.chunks(CHUNK).map(|chunk| chunk.iter().collect::<String>());
            chunks.map(|text| json!({"type": "text_delta", "text": text})).collect()
        }
        Some("thinking") => {
            start["thinking"] = "".into();
            start["signature"] = "".into();
            vec![
                json!({"type": "thinking_delta", "thinking": block["thinking"]}),
                json!({"type": "signature_delta", "signature": block["signature"]}),
            ]
        }
        _ => {
            start["input"] = json!({});
            vec![json!({"type": "input_json_delta", "partial_json": block["input"].to_string()})]
        }
    };
    (start, deltas)
}

fn event(data: Value) -> Bytes {
    let name = data["type"].as_str().unwrap_or_default();
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(step: &Step) -> Vec<String> {
        let events = Message::new(step, "m", "/w", 1).events();
        let line =
            |bytes: &Bytes| String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned();
        events.iter().map(|bytes| line(bytes).trim_start_matches("event: ").to_owned()).collect()
    }

    #[test]
    fn a_step_is_streamed_in_the_order_of_the_api() {
        let step = Step {
            thinking: Some("hm".into()),
            ..Step::saying("Ä".repeat(30)).calling("Write", json!({"a": "$CWD"}))
        };
        let delta = "content_block_delta";
        let (start, stop) = ("content_block_start", "content_block_stop");
        assert_eq!(
            names(&step),
            [
                "message_start",
                start,
                delta,
                delta,
                stop,
                start,
                delta,
                delta,
                stop,
                start,
                delta,
                stop,
                "message_delta",
                "message_stop"
            ]
        );
        let message = Message::new(&step, "m", "/w", 1);
        assert_eq!(
            (message.stop_reason.as_str(), &message.blocks[2]["input"]),
            ("tool_use", &json!({"a": "/w"}))
        );
    }

    #[test]
    fn a_dropped_stream_ends_before_its_first_block_does() {
        let step = Step { drop: true, ..Step::saying("a") };
        assert_eq!(names(&step), ["message_start", "content_block_start", "content_block_delta"]);
    }
}

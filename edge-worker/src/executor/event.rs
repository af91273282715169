//! What a run tells while it lives, in words that fit every executor, and how each event reads as a log line.
//! Neighbours: made by an executor's parser, read by its session rules, the journal, Linear and the panel.
//! It must never drop what it does not know: such lines travel as `Unknown` or `Unreadable`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::id::RunId;
use shared::log_line::{LogLevel, LogLine};
use shared::time::Timestamp;
use uuid::Uuid;

use super::question::Question;

/// The longest message or metadata text of a log line, in bytes; longer ones are cut and say so.
pub const LOG_TEXT_LIMIT: usize = 8 * 1024;

/// What one line of an agent's output tells, and where the line ends. Told as one, so that nobody who writes both down
/// together tells a line twice or leaves one out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// Its events, in order; a line may tell nothing.
    pub events: Vec<RunEvent>,
    /// Where the line ends; `None`: it is no line of a file.
    pub place: Option<Place>,
}

/// A place between two lines of a run's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which of the files.
    pub output: Output,
    /// Bytes from its beginning.
    pub end: u64,
}

/// The files that a run's program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// The run file.
    Out,
    /// The file beside it with the error output.
    Err,
}

/// One event of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEvent {
    /// The tool call this event happened under, when it comes from a sub-agent.
    pub parent_tool_use_id: Option<String>,
    /// What happened.
    pub kind: RunEventKind,
}

/// What happened in a run.
#[derive(Debug, Clone, PartialEq)]
pub enum RunEventKind {
    /// A turn begins. Comes once for every turn, with the same conversation id.
    Started {
        /// The conversation's id at the executor.
        executor_session_id: Option<String>,
        /// The model in use.
        model: Option<String>,
        /// The executor's version.
        version: Option<String>,
        /// The tools offered to the model.
        tools: Vec<String>,
        /// Tool servers that did not connect, by name.
        failed_servers: Vec<String>,
    },
    /// The agent says something.
    Text(String),
    /// The agent thinks aloud.
    Thinking(String),
    /// The agent calls a tool.
    ToolUse {
        /// The call's id.
        id: String,
        /// The tool's name.
        name: String,
        /// The tool's arguments.
        input: Value,
    },
    /// A tool answered.
    ToolResult {
        /// The call's id.
        tool_use_id: String,
        /// False when the tool failed or was refused.
        ok: bool,
        /// The answer's text.
        text: String,
    },
    /// A tool call was refused by the permission rules.
    Denied {
        /// The tool's name.
        tool: String,
        /// The call's id.
        tool_use_id: Option<String>,
        /// Why.
        message: String,
    },
    /// Tokens of one finished model request.
    Usage(Tokens),
    /// A model request failed and is tried again.
    Retry {
        /// Which try this was, from 1.
        attempt: u64,
        /// The most tries.
        max: Option<u64>,
        /// How long until the next, in milliseconds.
        delay_ms: Option<u64>,
        /// The HTTP status, when there was an answer.
        status: Option<u64>,
        /// The executor's word for the error.
        error: String,
    },
    /// A model request failed for good.
    ApiError {
        /// The executor's word for the error.
        error: String,
        /// The HTTP status, when there was an answer.
        status: Option<u64>,
        /// The executor's text.
        message: String,
    },
    /// The agent waits for an answer; see [`RunControl::answer`](super::RunControl::answer). It comes again under
    /// another id when the conversation is resumed.
    Question(Question),
    /// A question needs no answer any more.
    Withdrawn {
        /// The question's id.
        id: String,
    },
    /// The account's usage limit is reached: no request is answered before it is reset.
    LimitReached {
        /// The service's word for the limit, such as `five_hour`.
        kind: String,
        /// When it is reset, if that was told.
        resets_at: Option<Timestamp>,
    },
    /// What the conversation has cost so far, told in the middle of a turn.
    Spent {
        /// At list price, in millionths of a US dollar, with all earlier runs of the conversation.
        total_micro_usd: u64,
    },
    /// What became of a message that was sent in.
    Input {
        /// The message's id.
        id: Uuid,
        /// How far it has come.
        state: InputState,
    },
    /// A known line that says little: status changes, hooks, tasks, control replies.
    Notice {
        /// The line's kind.
        name: String,
        /// The line as it came.
        raw: Value,
    },
    /// A turn ended. A run can have several.
    Result(TurnResult),
    /// The run is being stopped.
    Stopping(String),
    /// A line of the program's error output.
    Stderr(String),
    /// A line of a kind this program does not know.
    Unknown(Value),
    /// A line that could not be read.
    Unreadable {
        /// Why.
        reason: String,
        /// Its length in bytes; 0 when it was too long to be counted.
        bytes: usize,
        /// Its beginning.
        excerpt: String,
    },
}

/// How far a message that was sent in has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InputState {
    /// The agent's program has it.
    Queued,
    /// The model is given it.
    Started,
    /// Its turn is over.
    Completed,
    /// It was dropped, or its turn was cut short.
    Cancelled,
    /// A state this program does not know.
    Unknown,
}

/// Tokens, by what they are billed as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    /// Read at full price.
    pub input: u64,
    /// Written by the model.
    pub output: u64,
    /// Read from the prompt cache.
    pub cache_read: u64,
    /// Written to the prompt cache.
    pub cache_write: u64,
}

impl Tokens {
    /// Adds `other`, staying at the largest number rather than wrapping.
    pub fn add(&mut self, other: Self) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cache_read = self.cache_read.saturating_add(other.cache_read);
        self.cache_write = self.cache_write.saturating_add(other.cache_write);
    }
}

/// What the executor says at the end of a turn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnResult {
    /// The executor's own verdict: true only when it says that the turn is no error.
    pub ok: bool,
    /// The executor's word for the kind of end.
    pub subtype: String,
    /// The executor's machine-readable cause.
    pub terminal_reason: Option<String>,
    /// The last words of the turn.
    pub text: Option<String>,
    /// Error texts.
    pub errors: Vec<String>,
    /// The HTTP status of the failed model request.
    pub api_error_status: Option<u64>,
    /// The model service's word for the error.
    pub api_error_type: Option<String>,
    /// The conversation's id.
    pub executor_session_id: Option<String>,
    /// Model turns.
    pub turns: u64,
    /// Milliseconds the turn took.
    pub duration_ms: u64,
    /// Messages still waiting: more results follow.
    pub queued_turns: u64,
    /// Which result of the process this is, from 0.
    pub index: Option<u64>,
    /// Refused tool calls.
    pub denials: u64,
    /// Tokens since the result before.
    pub tokens: Option<Tokens>,
    /// Cost since the result before, in millionths of a US dollar.
    pub cost_micro_usd: Option<u64>,
    /// Cost of the whole conversation so far, in millionths of a US dollar.
    pub total_cost_micro_usd: Option<u64>,
}

impl From<RunEventKind> for RunEvent {
    fn from(kind: RunEventKind) -> Self {
        Self { parent_tool_use_id: None, kind }
    }
}

impl From<RunEventKind> for Reading {
    fn from(kind: RunEventKind) -> Self {
        Self { events: vec![kind.into()], place: None }
    }
}

impl RunEvent {
    /// The event as a log line; with its place, the line says where in the run's files it ends.
    pub fn log_line(&self, at: Timestamp, run_id: Option<RunId>, place: Option<Place>) -> LogLine {
        let (level, message, mut metadata) = self.kind.log_parts();
        if let (Some(Place { output, end }), Some(fields)) = (place, metadata.as_object_mut()) {
            let file = match output {
                Output::Out => "out",
                Output::Err => "err",
            };
            fields.insert("at".to_owned(), json!({"file": file, "end": end}));
        }
        if let (Some(parent), Some(fields)) = (&self.parent_tool_use_id, metadata.as_object_mut()) {
            fields.insert("parentToolUseId".to_owned(), Value::String(parent.clone()));
        }
        LogLine { seq: 0, level, message: cut(&message), metadata, timestamp: at, run_id }
    }
}

impl RunEventKind {
    fn log_parts(&self) -> (LogLevel, String, Value) {
        match self {
            Self::Started { executor_session_id, model, version, tools, failed_servers } => (
                if failed_servers.is_empty() { LogLevel::Info } else { LogLevel::Warning },
                match failed_servers.as_slice() {
                    [] => format!("Turn started with {}", model.as_deref().unwrap_or("an unnamed model")),
                    names => format!("Turn started; tool servers not connected: {}", names.join(", ")),
                },
                json!({"kind": "started", "executorSessionId": executor_session_id, "model": model, "version": version, "tools": tools}),
            ),
            Self::Text(text) => (LogLevel::Info, text.clone(), json!({"kind": "text"})),
            Self::Thinking(text) => (LogLevel::Debug, text.clone(), json!({"kind": "thinking"})),
            Self::ToolUse { id, name, input } => (
                LogLevel::Info,
                match tool_subject(input) {
                    Some(subject) => format!("{name}: {subject}"),
                    None => name.clone(),
                },
                json!({"kind": "tool_use", "id": id, "name": name, "input": small(input)}),
            ),
            Self::ToolResult { tool_use_id, ok, text } => (
                if *ok { LogLevel::Info } else { LogLevel::Warning },
                text.clone(),
                json!({"kind": "tool_result", "toolUseId": tool_use_id, "ok": ok, "bytes": text.len()}),
            ),
            Self::Denied { tool, tool_use_id, message } => (
                LogLevel::Warning,
                format!("{tool} was refused: {message}"),
                json!({"kind": "denied", "tool": tool, "toolUseId": tool_use_id}),
            ),
            Self::Usage(tokens) => (
                LogLevel::Debug,
                format!("{} tokens in, {} out", tokens.input, tokens.output),
                json!({"kind": "usage", "tokens": tokens}),
            ),
            Self::Retry { attempt, max, delay_ms, status, error } => (
                LogLevel::Warning,
                format!("The model's service failed ({error}), try {attempt}"),
                json!({"kind": "retry", "attempt": attempt, "max": max, "delayMs": delay_ms, "status": status, "error": error}),
            ),
            Self::ApiError { error, status, message } => (
                LogLevel::Error,
                message.clone(),
                json!({"kind": "api_error", "error": error, "status": status}),
            ),
            Self::Question(question) => (
                LogLevel::Info,
                question.text(),
                json!({"kind": "question", "id": question.id, "tool": question.tool, "toolUseId": question.tool_use_id,
                       "input": small(&question.input)}),
            ),
            Self::Withdrawn { id } => (
                LogLevel::Info,
                "The question was withdrawn".to_owned(),
                json!({"kind": "withdrawn", "id": id}),
            ),
            Self::LimitReached { kind, resets_at } => (
                LogLevel::Warning,
                match resets_at {
                    Some(at) => format!("The account's usage limit ({kind}) is reached until {at}"),
                    None => format!("The account's usage limit ({kind}) is reached"),
                },
                json!({"kind": "limit_reached", "limit": kind, "resetsAt": resets_at}),
            ),
            Self::Spent { total_micro_usd } => (
                LogLevel::Debug,
                format!(
                    "The conversation has cost {}.{:06} USD so far",
                    total_micro_usd / 1_000_000,
                    total_micro_usd % 1_000_000
                ),
                json!({"kind": "spent", "totalMicroUsd": total_micro_usd}),
            ),
            Self::Input { id, state } => (
                LogLevel::Debug,
                format!("Message {id}: {state:?}"),
                json!({"kind": "input", "id": id, "state": state}),
            ),
            Self::Notice { name, raw } => {
                (LogLevel::Debug, name.clone(), json!({"kind": "notice", "name": name, "raw": small(raw)}))
            }
            Self::Result(result) => (
                if result.ok { LogLevel::Info } else { LogLevel::Error },
                match (&result.text, result.errors.first()) {
                    (_, Some(error)) if !result.ok => error.clone(),
                    (Some(text), _) => text.clone(),
                    _ => result.subtype.clone(),
                },
                json!({"kind": "result", "ok": result.ok, "subtype": result.subtype, "terminalReason": result.terminal_reason,
                       "turns": result.turns, "durationMs": result.duration_ms, "costMicroUsd": result.cost_micro_usd}),
            ),
            Self::Stopping(reason) => (LogLevel::Warning, reason.clone(), json!({"kind": "stopping"})),
            Self::Stderr(line) => (LogLevel::Warning, line.clone(), json!({"kind": "stderr"})),
            Self::Unknown(raw) => (
                LogLevel::Debug,
                format!("A line of unknown kind {}", raw.get("type").unwrap_or(&Value::Null)),
                json!({"kind": "unknown", "raw": small(raw)}),
            ),
            Self::Unreadable { reason, bytes, excerpt } => (
                LogLevel::Warning,
                format!("A line could not be read: {reason}"),
                json!({"kind": "unreadable", "bytes": bytes, "excerpt": excerpt}),
            ),
        }
    }
}

/// What a tool call is about, from the argument names that tools commonly use.
fn tool_subject(input: &Value) -> Option<&str> {
    ["description", "file_path", "command", "pattern", "query", "url", "prompt", "path"]
        .iter()
        .find_map(|name| input.get(name)?.as_str())
        .and_then(|text| text.lines().next())
}

/// The value itself, or a note of its size when it is too large for a log line.
fn small(value: &Value) -> Value {
    let text = value.to_string();
    if text.len() <= LOG_TEXT_LIMIT {
        value.clone()
    } else {
        json!({"cut": true, "bytes": text.len(), "beginning": prefix(&text, 1024)})
    }
}

fn cut(text: &str) -> String {
    if text.len() <= LOG_TEXT_LIMIT {
        return text.to_owned();
    }
    let kept = prefix(text, LOG_TEXT_LIMIT);
    format!("{kept}… (cut, {} bytes in all)", text.len())
}

/// The longest beginning of `text` that has at most `limit` bytes and ends at a character's end.
pub(crate) fn prefix(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_at_a_character_and_says_so() {
        let text = "я".repeat(LOG_TEXT_LIMIT);
        let line =
            RunEvent::from(RunEventKind::Text(text.clone())).log_line(Timestamp::from_millis(0), None, None);
        assert!(line.message.len() < LOG_TEXT_LIMIT + 64);
        assert!(line.message.ends_with(&format!("(cut, {} bytes in all)", text.len())));
    }

    #[test]
    fn a_huge_tool_argument_leaves_its_size_in_the_metadata() {
        let input = json!({"file_path": "a.txt", "content": "x".repeat(1_000_000)});
        let event = RunEventKind::ToolUse { id: "t".into(), name: "Write".into(), input };
        let line = RunEvent::from(event).log_line(Timestamp::from_millis(0), None, None);
        assert_eq!(line.message, "Write: a.txt");
        assert!(line.metadata.to_string().len() < 4096);
    }

    #[test]
    fn a_sub_agents_event_names_the_call_it_belongs_to() {
        let event =
            RunEvent { parent_tool_use_id: Some("toolu_1".into()), kind: RunEventKind::Text("x".into()) };
        assert_eq!(
            event.log_line(Timestamp::from_millis(0), None, None).metadata["parentToolUseId"],
            "toolu_1"
        );
    }
}

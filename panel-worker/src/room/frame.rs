//! Server-sent events as text. Only `log` events carry an id, so `Last-Event-ID` is always a line's number.

use shared::api::SessionChanged;
use shared::log_line::LogLine;
use worker_shell::failure::Answer;

/// One line.
pub fn log(line: &LogLine) -> Answer<String> {
    Ok(format!("event: log\nid: {}\ndata: {}\n\n", line.seq, serde_json::to_string(line)?))
}

/// A range of lines that was lost on the way: told, never silent.
pub fn gap(from: u64, to: u64) -> String {
    format!("event: gap\ndata: {{\"from\":{from},\"to\":{to}}}\n\n")
}

/// The session changed.
pub fn session(changed: &SessionChanged) -> Answer<String> {
    Ok(format!("event: session\ndata: {}\n\n", serde_json::to_string(changed)?))
}

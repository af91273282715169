//! Reading the events of the log stream, and what a line carries besides its message. Pure.
//!
//! A line that cannot be read is still a line: it is shown as such, never dropped.

use serde_json::Value;
use shared::log_line::{LogLevel, LogLine};
use shared::session::SessionState;
use shared::time::Timestamp;

use crate::json;

/// Lines that the server does not have; both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first missing number.
    pub from: u64,
    /// The last missing number.
    pub to: u64,
}

/// Reads a `log` event: its data, and its id for the case that the data is not of the shape known here.
/// `None`: there is not even a number.
pub fn read_line(data: &str, id: &str, now: Timestamp) -> Option<LogLine> {
    if let Some(line) = serde_json::from_str(data).ok().and_then(known_line) {
        return Some(line);
    }
    Some(LogLine {
        seq: id.parse().ok()?,
        level: LogLevel::Warning,
        message: "This page cannot read this line. Reload it: the panel may have been updated.".to_owned(),
        metadata: serde_json::json!({ "kind": "unreadable", "line": data }),
        timestamp: now,
        run_id: None,
    })
}

fn known_line(mut data: Value) -> Option<LogLine> {
    let level = match json::word(&data, "level") {
        "debug" => LogLevel::Debug,
        "info" => LogLevel::Info,
        "warning" => LogLevel::Warning,
        "error" => LogLevel::Error,
        _ => return None,
    };
    Some(LogLine {
        seq: data.get("seq")?.as_u64()?,
        level,
        message: json::text(&data, "message")?,
        timestamp: json::time(&data, "timestamp")?,
        metadata: data.get_mut("metadata").map(Value::take).unwrap_or_default(),
        run_id: None,
    })
}

/// Reads a `gap` event.
pub fn read_gap(data: &str) -> Option<Gap> {
    let data: Value = serde_json::from_str(data).ok()?;
    let number = |name| data.get(name).and_then(Value::as_u64);
    Some(Gap { from: number("from")?, to: number("to")? })
}

/// Reads a `session` event, a `shared::api::SessionChanged`: the state now, and since when.
pub fn read_changed(data: &str) -> Option<(SessionState, Timestamp)> {
    let data: Value = serde_json::from_str(data).ok()?;
    Some((SessionState::parse(json::word(&data, "status"))?, json::time(&data, "updatedAt")?))
}

/// The word for what kind of thing a line is; empty when it does not say.
pub fn kind(line: &LogLine) -> &str {
    line.metadata.get("kind").and_then(Value::as_str).unwrap_or_default()
}

/// What a line carries besides kind and message: names and texts, structured values as indented JSON.
pub fn parts(line: &LogLine) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    match &line.metadata {
        Value::Null => Vec::new(),
        Value::Object(map) => map
            .iter()
            .filter(|(name, value)| {
                *name != "kind" && !value.is_null() && value.as_str() != Some(line.message.as_str())
            })
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        other => vec![("metadata".to_owned(), text(other))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn line(metadata: Value) -> LogLine {
        LogLine {
            seq: 1,
            level: LogLevel::Info,
            message: "hi".into(),
            metadata,
            timestamp: NOW,
            run_id: None,
        }
    }

    #[test]
    fn a_line_of_an_unknown_shape_is_shown_under_its_number() {
        let line = read_line(r#"{"seq":7,"level":"fatal"}"#, "7", NOW).unwrap();
        assert_eq!((line.seq, line.level, kind(&line)), (7, LogLevel::Warning, "unreadable"));
        assert!(parts(&line).iter().any(|(_, text)| text.contains("fatal")));
        for nasty in ["", "x", "-1", "99999999999999999999999"] {
            assert_eq!(read_line("not json", nasty, NOW), None);
        }
    }

    #[test]
    fn events_are_read_out_of_what_the_server_writes() {
        for level in [LogLevel::Debug, LogLevel::Info, LogLevel::Warning, LogLevel::Error] {
            let line = LogLine { level, ..line(serde_json::json!({"kind": "text"})) };
            assert_eq!(read_line(&serde_json::to_string(&line).unwrap(), "1", NOW), Some(line));
        }
        let changed = shared::api::SessionChanged { status: SessionState::Failed, updated_at: NOW };
        assert_eq!(
            read_changed(&serde_json::to_string(&changed).unwrap()),
            Some((SessionState::Failed, NOW))
        );
        assert_eq!(read_gap(r#"{"from":2,"to":3}"#), Some(Gap { from: 2, to: 3 }));
        for nasty in ["", "null", "[]", "{}", r#"{"from":-1,"to":3}"#] {
            assert_eq!((read_gap(nasty), read_changed(nasty)), (None, None), "{nasty}");
        }
    }

    #[test]
    fn the_message_is_not_said_twice() {
        let line = line(serde_json::json!({"kind": "text", "text": "hi", "model": null, "input": {"a": 1}}));
        assert_eq!(kind(&line), "text");
        assert_eq!(parts(&line), [("input".to_owned(), "{\n  \"a\": 1\n}".to_owned())]);
    }

    #[test]
    fn metadata_of_any_shape_does_no_harm() {
        assert!(parts(&line(Value::Null)).is_empty());
        assert_eq!(parts(&line(serde_json::json!([1]))).len(), 1);
        assert_eq!(kind(&line(serde_json::json!({"kind": 5}))), "");
    }
}

//! Follows a session in the terminal: its log lines as they come, until it is over.
//!
//! The text of a line is from an agent or from outside: control characters never reach the terminal.

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;
use shared::log_line::{LogLevel, LogLine};
use shared::session::{SessionRecord, SessionState};

use super::panel::Panel;

const PAUSE: Duration = Duration::from_millis(500);
/// After the end the stream is read on for this long, for lines still on their way.
const TAIL: Duration = Duration::from_secs(1);
/// How often a stream may break in a row.
const BREAKS: u32 = 40;
const WIDTH: usize = 110;

/// Prints every line once and gives the session as it is at the end.
pub async fn to_the_end(panel: &Panel, key: &str, id: &str) -> Result<SessionRecord> {
    let mut seen = 0;
    let end = tokio::select! {
        end = end(panel, key, id) => end?,
        broken = print_lines(panel, key, id, &mut seen) => return Err(broken),
    };
    let _ = tokio::time::timeout(TAIL, print_lines(panel, key, id, &mut seen)).await;
    if end.status == SessionState::AwaitingInput {
        eprintln!("    the agent waits for an answer of a person");
    }
    Ok(end)
}

async fn end(panel: &Panel, key: &str, id: &str) -> Result<SessionRecord> {
    let mut breaks = 0;
    loop {
        match panel.session(key, id).await {
            Ok(session) if session.status.is_over() || session.status == SessionState::AwaitingInput => {
                return Ok(session);
            }
            Ok(_) => breaks = 0,
            Err(error) if breaks > BREAKS => return Err(error),
            Err(_) => breaks += 1,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn print_lines(panel: &Panel, key: &str, id: &str, seen: &mut u64) -> anyhow::Error {
    let mut breaks = 0;
    loop {
        match one_stream(panel, key, id, seen).await {
            Ok(()) => breaks = 0,
            Err(error) if breaks > BREAKS => return error,
            Err(_) => breaks += 1,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn one_stream(panel: &Panel, key: &str, id: &str, seen: &mut u64) -> Result<()> {
    let mut response = panel.log_stream(key, id, *seen).await?;
    let mut pending = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        pending.extend_from_slice(&chunk);
        while let Some(end) = pending.windows(2).position(|pair| pair == b"\n\n") {
            let frame: Vec<u8> = pending.drain(..end + 2).collect();
            if let Some(line) = log_line(&String::from_utf8_lossy(&frame))
                && line.seq > *seen
            {
                *seen = line.seq;
                eprintln!("{}", shown(&line));
            }
        }
        if pending.len() > 4 * 1024 * 1024 {
            bail!("the stream has no end of line");
        }
    }
    Ok(())
}

/// The line of a `log` event; other events and comments are none.
fn log_line(frame: &str) -> Option<LogLine> {
    let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    (field("event:") == Some("log")).then(|| serde_json::from_str(field("data:")?).ok()).flatten()
}

fn shown(line: &LogLine) -> String {
    let mark = match line.level {
        LogLevel::Debug | LogLevel::Info => ' ',
        LogLevel::Warning => '!',
        LogLevel::Error => '✗',
    };
    let kind = line.metadata.get("kind").and_then(Value::as_str).unwrap_or_default();
    let text = plain(&line.message);
    format!("   {mark}{:<12} {text}", plain(kind))
}

/// One line without control characters, cut to the width of a terminal.
fn plain(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let joined = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    match joined.char_indices().nth(WIDTH) {
        Some((cut, _)) => format!("{}…", joined.get(..cut).unwrap_or_default()),
        None => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &str = "event: log\nid: 7\ndata: {\"seq\":7,\"level\":\"info\",\"message\":\"hi\",\"metadata\":{\"kind\":\"text\"},\"timestamp\":\"2026-11-22T10:15:25.781Z\"}\n\n";

    #[test]
    fn log_events_are_read_and_everything_else_is_skipped() {
        let line = log_line(FRAME).unwrap();
        assert_eq!((line.seq, line.message.as_str()), (7, "hi"));
        for other in
            [": still here\n\n", "event: session\ndata: {}\n\n", "event: log\ndata: {\n\n", "event: log\n\n"]
        {
            assert!(log_line(other).is_none(), "{other}");
        }
    }

    #[test]
    fn an_agents_text_cannot_move_the_cursor_and_stays_on_one_line() {
        let mut line = log_line(FRAME).unwrap();
        line.message = format!("a\u{1b}[2J\nb\r{}", "ü".repeat(300));
        let shown = shown(&line);
        assert!(!shown.chars().any(char::is_control) && shown.chars().count() < WIDTH + 30, "{shown}");
    }
}

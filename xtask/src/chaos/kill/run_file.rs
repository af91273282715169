//! A run's own files, read by the parser of a live run: what the agent really said and did.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use edge_worker::executor::claude::replay;
use edge_worker::executor::{RunEvent, RunEventKind};
use shared::log_line::LogLine;
use shared::time::Timestamp;

/// One run.
#[derive(Debug, Clone)]
pub struct RunFile {
    /// The run's id; later runs have larger ones.
    pub id: String,
    /// Where its agent worked, once it said so.
    pub cwd: Option<PathBuf>,
    /// What each whole line tells, with the place where the line ends.
    pub events: Vec<(u64, RunEvent)>,
    /// Whole lines of its error output, with the place where each ends.
    pub errors: Vec<(u64, String)>,
}

/// All runs of an edge, in order.
pub fn all(folder: &Path) -> Result<Vec<RunFile>> {
    let mut runs = Vec::new();
    for entry in std::fs::read_dir(folder.join("runs")).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(id) = name.strip_suffix(".ndjson") else { continue };
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let errors = std::fs::read(path.with_file_name(format!("{name}.stderr"))).unwrap_or_default();
        runs.push(RunFile::of(id, &bytes, &errors));
    }
    runs.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(runs)
}

impl RunFile {
    /// Reads both files of a run.
    pub fn of(id: &str, out: &[u8], err: &[u8]) -> Self {
        let (mut events, mut cwd) = (Vec::new(), None);
        for (end, line) in lines(out) {
            if cwd.is_none()
                && let Ok(value) = serde_json::from_slice::<serde_json::Value>(line)
            {
                cwd = value["cwd"].as_str().map(PathBuf::from);
            }
            events.extend(replay::replay(line, None, 0).events.into_iter().map(|event| (end, event)));
        }
        let errors =
            lines(err).map(|(end, line)| (end, String::from_utf8_lossy(line).into_owned())).collect();
        Self { id: id.to_owned(), cwd, events, errors }
    }

    /// What the agent said to people, in order: not what a sub-agent said.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.own().filter_map(|event| match &event.kind {
            RunEventKind::Text(text) if !text.trim().is_empty() => Some(text.as_str()),
            _ => None,
        })
    }

    /// Its tool calls as `name parameter`, in order.
    pub fn tool_calls(&self) -> impl Iterator<Item = (&str, &str)> {
        self.own().filter_map(|event| match &event.kind {
            RunEventKind::ToolUse { name, input, .. } => Some((
                name.as_str(),
                input.get("command").and_then(|value| value.as_str()).unwrap_or_default(),
            )),
            _ => None,
        })
    }

    /// Ids of the tool calls that went well.
    pub fn done(&self) -> impl Iterator<Item = &str> {
        self.events.iter().filter_map(|(_, event)| match &event.kind {
            RunEventKind::ToolResult { tool_use_id, ok: true, .. } => Some(tool_use_id.as_str()),
            _ => None,
        })
    }

    /// Its log lines as they have to be in the panel: the end of each one's line, and the line without number and time.
    pub fn log_lines(&self) -> impl Iterator<Item = (u64, LogLine)> {
        let at = Timestamp::from_millis(0);
        self.events.iter().map(move |(end, event)| (*end, event.log_line(at, None, None)))
    }

    fn own(&self) -> impl Iterator<Item = &RunEvent> {
        self.events.iter().map(|(_, event)| event).filter(|event| event.parent_tool_use_id.is_none())
    }
}

/// Whole lines that say something, with the place behind each one's end. A last line without an end is no line yet.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut at = 0;
    let whole = bytes.split_inclusive(|byte| *byte == b'\n').filter_map(move |line| {
        at += line.len() as u64;
        line.strip_suffix(b"\n").map(|line| (at, line))
    });
    whole.filter(|(_, line)| !line.iter().all(u8::is_ascii_whitespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_the_next_ones_begin_and_a_torn_one_is_none() {
        let found: Vec<_> = lines(b"one\n\ntwo\r\nthr").collect();
        assert_eq!(found, [(4, &b"one"[..]), (10, &b"two\r"[..])]);
    }

    #[test]
    fn a_run_tells_its_place_its_words_and_what_went_well() {
        let out = br#"{"type":"system","subtype":"init","cwd":"/w/x"}
{"type":"assistant","message":{"content":[{"type":"text","text":"hi"},{"type":"tool_use","id":"t1","name":"Bash","input":{"command":"ls"}}]}}
{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t1","content":"x"}]}}
"#;
        let run = RunFile::of("r", out, b"");
        assert_eq!(run.cwd.as_deref(), Some(Path::new("/w/x")));
        assert_eq!(run.texts().collect::<Vec<_>>(), ["hi"]);
        assert_eq!(run.tool_calls().collect::<Vec<_>>(), [("Bash", "ls")]);
        assert_eq!(run.done().collect::<Vec<_>>(), ["t1"]);
        assert_eq!(run.log_lines().count(), 4);
    }
}

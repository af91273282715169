//! Judges recorded output of `claude` by the rules of a live run.
//! Neighbours: `session` and `stream` do the work, `recording` knows the forms of files; tests and `xtask replay` feed files in.
//! It must never differ from what a live run would have concluded.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::session::Session;
use super::stream;
use crate::executor::event::{RunEvent, RunEventKind};
use crate::executor::outcome::{Exit, RunOutcome};
use crate::executor::recording::{self, Entry};
use crate::executor::replayed::{Replayed, Verdict, error_of};

/// What recorded output tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// All events, in order.
    pub events: Vec<RunEvent>,
    /// The outcome.
    pub outcome: RunOutcome,
    /// True when the last turn has its result, or would have been stopped as hopeless.
    pub is_judged: bool,
    /// True when the agent waits for an answer.
    pub is_asking: bool,
    /// What the whole conversation has cost by the newest sum that was told, in millionths of a US dollar.
    pub total_micro_usd: Option<u64>,
}

/// Reads a program's whole stdout and judges it together with how the program ended.
/// With `exit` unknown the exit code is taken to be the one that fits the last result.
pub fn replay(stdout: &[u8], exit: Option<Exit>, prior_cost_micro_usd: u64) -> Replay {
    let mut session = Session::new(prior_cost_micro_usd);
    let mut open = Open::default();
    let mut total_micro_usd = None;
    let mut events = Vec::new();
    let entries = recording::read(stdout);
    for entry in &entries {
        match entry {
            Entry::In(line) => open.written(line),
            Entry::Out(line) => {
                let told = stream::read(line);
                session.observe_line(&told);
                for event in told {
                    open.told(&event.kind);
                    match &event.kind {
                        RunEventKind::Result(result) => {
                            total_micro_usd = result.total_cost_micro_usd.or(total_micro_usd);
                        }
                        RunEventKind::Spent { total_micro_usd: total } => total_micro_usd = Some(*total),
                        _ => {}
                    }
                    events.push(event);
                }
            }
        }
    }
    let has_result = session.has_result() && !open.message && !open.more;
    let is_judged = has_result || session.stop_reason().is_some();
    let exit = exit.or(has_result.then_some(Exit::Code(0)));
    if !has_result {
        session.turn_is_open();
    }
    let mut outcome = session.finish(exit, "", Duration::ZERO);
    if outcome.executor_session_id.is_none() {
        outcome.executor_session_id = recording::first_text(&entries, "session_id");
    }
    Replay {
        outcome,
        events,
        is_judged,
        is_asking: open.waits || !open.questions.is_empty(),
        total_micro_usd,
    }
}

/// Judges files one after the other: what an earlier one tells of a conversation's cost is taken off a later one's sum.
#[derive(Debug, Default)]
pub struct Files {
    totals: BTreeMap<String, u64>,
}

impl Files {
    /// Judges the next file.
    pub fn judge(&mut self, bytes: &[u8]) -> Replayed {
        let first = replay(bytes, None, 0);
        let session = first.outcome.executor_session_id.clone();
        let before = || session.as_ref().and_then(|id| self.totals.get(id).copied());
        let prior = share::spent_before(&recording::read(bytes)).or_else(before).unwrap_or(0);
        let replay = if prior > 0 { replay(bytes, None, prior) } else { first };
        if let (Some(id), Some(total)) = (session, replay.total_micro_usd) {
            self.totals.insert(id, total);
        }
        let Replay { outcome, is_judged, is_asking, .. } = replay;
        let verdict = Verdict::of(outcome.end, is_judged, is_asking);
        Replayed {
            outcome: verdict,
            turns: outcome.turns,
            cost_micro_usd: Some(outcome.cost_micro_usd.unwrap_or(0)),
            session_id: outcome.executor_session_id,
            unknown_lines: outcome.unknown_lines,
            error: error_of(verdict, outcome.error),
        }
    }
}

mod share;

/// What waits for something.
#[derive(Debug, Default)]
struct Open {
    /// Questions by their id, each with its tool call.
    questions: BTreeMap<String, Option<String>>,
    /// A message was written after the last result.
    message: bool,
    /// The last result says that others follow.
    more: bool,
    /// The program says that it waits for a person.
    waits: bool,
}

impl Open {
    fn written(&mut self, line: &Value) {
        match line.get("type").and_then(Value::as_str) {
            Some("user") => self.message = true,
            Some("control_response") => {
                if let Some(id) = line.pointer("/response/request_id").and_then(Value::as_str) {
                    self.questions.remove(id);
                }
            }
            _ => {}
        }
    }

    fn told(&mut self, event: &RunEventKind) {
        match event {
            RunEventKind::Question(question) => {
                self.questions.insert(question.id.clone(), question.tool_use_id.clone());
            }
            RunEventKind::Withdrawn { id } => {
                self.questions.remove(id);
            }
            // The program's own output alone shows that somebody answered when the tool does.
            RunEventKind::ToolResult { tool_use_id, .. } => {
                self.questions.retain(|_, call| call.as_ref() != Some(tool_use_id));
                self.waits &= !self.questions.is_empty();
            }
            RunEventKind::Notice { name, raw } if name == "session_state_changed" => {
                self.waits = raw.get("state").and_then(Value::as_str) == Some("requires_action");
            }
            RunEventKind::Result(result) => {
                self.questions.clear();
                self.waits = false;
                self.message = false;
                self.more = result.queued_turns > 0;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;

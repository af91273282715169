//! Judges recorded output of Codex by its rules.
//! Neighbours: `session` and `stream` do the work, `recording` knows the forms of files.
//! It must never tell a cost: see `codex`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::session::Session;
use super::stream;
use crate::executor::event::{RunEvent, RunEventKind, Tokens};
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
    /// True when the last turn has its end.
    pub is_judged: bool,
    /// True when the agent waits for an answer.
    pub is_asking: bool,
    /// The tokens of the whole thread.
    pub thread_tokens: Option<Tokens>,
}

/// Reads a program's whole output and judges it as one that ended as the last result says.
pub fn replay(bytes: &[u8], prior: Tokens) -> Replay {
    let mut session = Session::new(prior);
    let mut asked: BTreeSet<String> = BTreeSet::new();
    let mut open_turn = false;
    let mut events = Vec::new();
    for entry in recording::read(bytes) {
        match entry {
            Entry::In(line) => {
                open_turn |= line.get("method").and_then(Value::as_str) == Some("turn/start");
                if line.get("method").is_none()
                    && let Some(id) = stream::id(&line, "id")
                {
                    asked.remove(&id);
                }
            }
            Entry::Out(line) => {
                let told = stream::read(&line);
                session.observe(&told);
                for event in &told.events {
                    match &event.kind {
                        RunEventKind::Question(question) => drop(asked.insert(question.id.clone())),
                        RunEventKind::Withdrawn { id } => drop(asked.remove(id)),
                        RunEventKind::Result(_) => {
                            asked.clear();
                            open_turn = false;
                        }
                        _ => {}
                    }
                }
                events.extend(told.events);
            }
        }
    }
    let is_judged = session.has_result() && !open_turn;
    let thread_tokens = session.thread_tokens();
    let exit = is_judged.then_some(Exit::Code(0));
    let outcome = session.finish(exit, "", Duration::ZERO);
    Replay { events, outcome, is_judged, is_asking: !asked.is_empty(), thread_tokens }
}

/// Judges files one after the other: what an earlier one tells of a thread's tokens is taken off a later one's sum.
#[derive(Debug, Default)]
pub struct Files {
    threads: BTreeMap<String, Tokens>,
}

impl Files {
    /// Judges the next file.
    pub fn judge(&mut self, bytes: &[u8]) -> Replayed {
        let first = replay(bytes, Tokens::default());
        let thread = first.outcome.executor_session_id.clone();
        let prior = thread.as_ref().and_then(|id| self.threads.get(id).copied());
        let Replay { outcome, is_judged, is_asking, thread_tokens, .. } = match prior {
            Some(prior) => replay(bytes, prior),
            None => first,
        };
        if let (Some(id), Some(tokens)) = (thread, thread_tokens) {
            self.threads.insert(id, tokens);
        }
        let verdict = Verdict::of(outcome.end, is_judged, is_asking);
        Replayed {
            outcome: verdict,
            turns: outcome.turns,
            cost_micro_usd: None,
            session_id: outcome.executor_session_id,
            unknown_lines: outcome.unknown_lines,
            error: error_of(verdict, outcome.error),
        }
    }
}

#[cfg(test)]
mod tests;

//! Judges recorded output of `claude` by the rules of a live run.
//! Neighbours: `session` and `stream` do the work; tests and `xtask replay` feed files in.
//! It must never differ from what a live run would have concluded.

use std::time::Duration;

use super::session::Session;
use super::stream;
use crate::executor::event::RunEvent;
use crate::executor::lines::LineReader;
use crate::executor::outcome::{Exit, RunOutcome};

/// What recorded output tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// All events, in order.
    pub events: Vec<RunEvent>,
    /// The outcome.
    pub outcome: RunOutcome,
}

/// Reads a program's whole stdout and judges it together with how the program ended.
/// With `exit` unknown the exit code is taken to be the one that fits the last result.
pub fn replay(stdout: &[u8], exit: Option<Exit>, prior_cost_micro_usd: u64) -> Replay {
    let mut session = Session::new(prior_cost_micro_usd);
    let mut lines = LineReader::default();
    lines.push(stdout);
    let mut events = Vec::new();
    while let Some(line) = lines.next_line().or_else(|| lines.last_line()) {
        for event in stream::read(&line) {
            session.observe(&event);
            events.push(event);
        }
    }
    let exit = exit.or(session.has_result().then_some(Exit::Code(0)));
    Replay { outcome: session.finish(exit, "", Duration::ZERO), events }
}

#[cfg(test)]
mod tests;

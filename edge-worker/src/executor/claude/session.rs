//! The rules of a `claude` run: when it may be sent no more, when it is hopeless, whether it succeeded, what it cost.
//! Neighbours: fed with the events of `stream`, asked by `process` (live) and `replay` (recorded).
//! It must never do anything itself: no clock, no process, no file.

use std::collections::BTreeSet;
use std::time::Duration;

use shared::time::Timestamp;
use uuid::Uuid;

use super::super::event::{InputState, RunEvent, RunEventKind, Tokens, TurnResult};
use super::super::outcome::{Exit, RunOutcome, StopReason};

mod verdict;

/// What is known of a run so far.
#[derive(Debug, Default)]
pub struct Session {
    /// Messages whose turn is not over.
    open_inputs: BTreeSet<Uuid>,
    tells_inputs: bool,
    turn_runs: bool,
    stop: Option<StopReason>,
    last: Option<TurnResult>,
    api_error: Option<String>,
    results: u64,
    turns: u64,
    denials: u64,
    cost: Option<u64>,
    total_cost: u64,
    tokens: Tokens,
    unpriced: Tokens,
    executor_session_id: Option<String>,
    model: Option<String>,
    version: Option<String>,
    unknown_lines: u64,
    limit: Option<Limit>,
    /// The conversation's cost as told after the last result.
    live_total: Option<u64>,
}

/// A usage limit that was reached.
#[derive(Debug)]
struct Limit {
    kind: String,
    resets_at: Option<Timestamp>,
}

impl Session {
    /// A session whose conversation had cost `prior_cost_micro_usd` before this run.
    pub fn new(prior_cost_micro_usd: u64) -> Self {
        Self { total_cost: prior_cost_micro_usd, ..Self::default() }
    }

    /// Notes that a message was written to the program.
    pub fn sent(&mut self, id: Uuid) {
        self.open_inputs.insert(id);
    }

    /// Notes that the run is being stopped. The first reason stays.
    pub fn stopping(&mut self, reason: StopReason) {
        self.stop.get_or_insert(reason);
        self.open_inputs.clear();
    }

    /// Takes in the events of one line.
    pub fn observe_line(&mut self, events: &[RunEvent]) {
        events.iter().for_each(|event| self.observe(event));
        let is_strange = |event: &RunEvent| {
            matches!(event.kind, RunEventKind::Unknown(_) | RunEventKind::Unreadable { .. })
        };
        self.unknown_lines += u64::from(events.iter().any(is_strange));
    }

    /// Takes an event in.
    fn observe(&mut self, event: &RunEvent) {
        match &event.kind {
            RunEventKind::Started { executor_session_id, model, version, .. } => {
                self.turn_runs = true;
                self.executor_session_id = executor_session_id.clone().or(self.executor_session_id.take());
                self.model = model.clone().or(self.model.take());
                self.version = version.clone().or(self.version.take());
            }
            RunEventKind::Input { id, state } => self.input(*id, *state),
            RunEventKind::Usage(tokens) => {
                // Counted here only until the next result, which knows better.
                self.unpriced.add(*tokens);
                self.api_error = None;
            }
            RunEventKind::ApiError { error, .. } => self.api_error = Some(error.clone()),
            RunEventKind::Retry { error, .. } => {
                self.api_error = Some(error.clone());
                if let Some(reason) = verdict::hopeless(error) {
                    self.stop.get_or_insert(reason);
                }
            }
            RunEventKind::Result(result) => self.result(result),
            RunEventKind::LimitReached { kind, resets_at } => {
                self.limit = Some(Limit { kind: kind.clone(), resets_at: *resets_at });
            }
            RunEventKind::Spent { total_micro_usd } => self.live_total = Some(*total_micro_usd),
            _ => {}
        }
    }

    fn input(&mut self, id: Uuid, state: InputState) {
        self.tells_inputs = true;
        match state {
            InputState::Queued => {
                self.open_inputs.insert(id);
            }
            InputState::Started => {
                self.open_inputs.insert(id);
                self.turn_runs = true;
            }
            InputState::Completed | InputState::Cancelled => {
                self.open_inputs.remove(&id);
            }
            InputState::Unknown => {}
        }
    }

    fn result(&mut self, result: &TurnResult) {
        self.turn_runs = false;
        self.live_total = None;
        if !self.tells_inputs && result.queued_turns == 0 {
            self.open_inputs.clear();
        }
        if let Some(id) = &result.executor_session_id {
            self.executor_session_id = Some(id.clone());
        }
        let lost_one = result.index.is_some_and(|index| index > self.results);
        let total = result.total_cost_micro_usd;
        let since = total.map(|total| total.checked_sub(self.total_cost).unwrap_or(total));
        let spent = if lost_one { since.or(result.cost_micro_usd) } else { result.cost_micro_usd.or(since) };
        if let Some(spent) = spent {
            self.cost = Some(self.cost.unwrap_or(0).saturating_add(spent));
        }
        self.total_cost = total.unwrap_or(self.total_cost);
        self.tokens.add(result.tokens.unwrap_or(self.unpriced));
        self.unpriced = Tokens::default();
        self.results = result
            .index
            .map_or(self.results.saturating_add(1), |index| self.results.max(index.saturating_add(1)));
        self.turns = self.turns.saturating_add(result.turns);
        self.denials = self.denials.saturating_add(result.denials);
        self.last = Some(result.clone());
    }

    /// Why the run should be stopped at once, if it should.
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.stop
    }

    /// True when all that was sent has had its turn: then the program's input is closed and it ends by itself.
    pub fn is_idle(&self) -> bool {
        !self.turn_runs && self.open_inputs.is_empty()
    }

    /// True when the last result was no error.
    pub fn last_was_good(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.ok)
    }

    /// True when the last turn has its result and no other has begun.
    pub fn has_result(&self) -> bool {
        !self.turn_runs && self.last.is_some()
    }

    /// Notes that a turn has begun and nothing of it was told.
    pub fn turn_is_open(&mut self) {
        self.turn_runs = true;
    }

    /// What the run has cost by the newest word of it, in millionths of a US dollar: results, then what was told since.
    fn cost(&self) -> Option<u64> {
        let since = self.live_total.map(|total| total.saturating_sub(self.total_cost));
        match (self.cost, since) {
            (Some(cost), Some(since)) => Some(cost.saturating_add(since)),
            (cost, since) => cost.or(since),
        }
    }

    /// The outcome, once the program has ended. `stderr` is the end of its error output.
    pub fn finish(self, exit: Option<Exit>, stderr: &str, duration: Duration) -> RunOutcome {
        let (end, error) = verdict::judge(&verdict::Evidence {
            last: self.last.as_ref(),
            api_error: self.api_error.as_deref(),
            stop: self.stop,
            exit,
            stderr,
            limit: self.limit.as_ref(),
            turn_runs: self.turn_runs,
        });
        let cost_micro_usd = self.cost();
        let mut tokens = self.tokens;
        tokens.add(self.unpriced);
        RunOutcome {
            end,
            result_text: self.last.filter(|last| last.ok).and_then(|last| last.text),
            error,
            turns: self.turns,
            cost_micro_usd,
            tokens,
            unpriced_tokens: self.unpriced,
            executor_session_id: self.executor_session_id,
            model: self.model,
            version: self.version,
            denials: self.denials,
            results: self.results,
            unknown_lines: self.unknown_lines,
            duration,
            exit,
        }
    }
}

#[cfg(test)]
mod tests;

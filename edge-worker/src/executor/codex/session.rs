//! The rules of a Codex run: whether it succeeded, why not, and how many tokens are its own.
//! Neighbours: fed with the lines of `stream`, asked by `replay`.
//! It must never do anything itself, and never call a run completed whose last turn has no good end.

use std::time::Duration;

use super::super::event::{RunEvent, RunEventKind, Tokens, TurnResult};
use super::super::outcome::{Exit, RunEnd, RunError, RunErrorKind, RunOutcome};
use super::super::trouble;
use super::stream::{Told, error_kind};

/// What is known of a run so far.
#[derive(Debug, Default)]
pub struct Session {
    prior: Tokens,
    thread: Option<Tokens>,
    thread_id: Option<String>,
    turn_runs: bool,
    last: Option<TurnResult>,
    words: Option<String>,
    error: Option<(String, String)>,
    turns: u64,
    results: u64,
    unknown_lines: u64,
}

impl Session {
    /// A session whose thread had used these tokens before this run.
    pub fn new(prior: Tokens) -> Self {
        Self { prior, ..Self::default() }
    }

    /// Takes a line in.
    pub fn observe(&mut self, told: &Told) {
        self.thread = told.thread_tokens.or(self.thread);
        let strange = |event: &RunEvent| {
            matches!(event.kind, RunEventKind::Unknown(_) | RunEventKind::Unreadable { .. })
        };
        self.unknown_lines += u64::from(told.events.iter().any(strange));
        for event in &told.events {
            match &event.kind {
                RunEventKind::Started { executor_session_id, .. } => {
                    // The thread's own start comes before its first turn and begins none; there is no harm in that.
                    self.turn_runs = true;
                    self.thread_id = executor_session_id.clone().or(self.thread_id.take());
                }
                RunEventKind::Text(words) => self.words = Some(words.clone()),
                RunEventKind::ApiError { error, message, .. } => {
                    self.error = Some((error.clone(), message.clone()));
                }
                RunEventKind::Retry { error, .. } => self.error = Some((String::new(), error.clone())),
                RunEventKind::Result(result) => {
                    self.turn_runs = false;
                    self.turns += result.turns;
                    self.results += 1;
                    self.last = Some(result.clone());
                }
                _ => {}
            }
        }
    }

    /// True when the last turn has its end and no other has begun.
    pub fn has_result(&self) -> bool {
        !self.turn_runs && self.last.is_some()
    }

    /// The tokens of the whole thread, with those of earlier runs.
    pub fn thread_tokens(&self) -> Option<Tokens> {
        self.thread
    }

    /// The outcome, once the program has ended. `stderr` is the end of its error output.
    pub fn finish(self, exit: Option<Exit>, stderr: &str, duration: Duration) -> RunOutcome {
        let (end, error) = self.judge(exit, stderr);
        let thread = self.thread.unwrap_or(self.prior);
        let own = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        let tokens = Tokens {
            input: own(thread.input, self.prior.input),
            output: own(thread.output, self.prior.output),
            cache_read: own(thread.cache_read, self.prior.cache_read),
            cache_write: own(thread.cache_write, self.prior.cache_write),
        };
        RunOutcome {
            end,
            result_text: self.words.filter(|_| end == RunEnd::Completed),
            error,
            turns: self.turns,
            cost_micro_usd: None,
            tokens,
            unpriced_tokens: tokens,
            executor_session_id: self.thread_id,
            model: None,
            version: None,
            denials: 0,
            results: self.results,
            unknown_lines: self.unknown_lines,
            duration,
            exit,
        }
    }

    fn judge(&self, exit: Option<Exit>, stderr: &str) -> (RunEnd, Option<RunError>) {
        let exit_words = exit.map(|exit| format!(" with {exit}")).unwrap_or_default();
        let stderr = stderr.trim();
        let failed = |kind, cause: &str| (RunEnd::Failed, Some(error(kind, cause)));
        match &self.last {
            Some(last) if self.has_result() => match last.terminal_reason.as_deref() {
                _ if last.ok && exit == Some(Exit::Code(0)) => (RunEnd::Completed, None),
                _ if last.ok => failed(
                    RunErrorKind::BadExit,
                    &format!("codex reported success and then ended{exit_words}"),
                ),
                Some("interrupted") => (RunEnd::Stopped, None),
                _ => {
                    let words = last.errors.first().or(self.error.as_ref().map(|(_, words)| words));
                    let words = words.map_or(last.subtype.as_str(), String::as_str);
                    failed(error_kind(last.api_error_type.as_deref(), words), words)
                }
            },
            _ => {
                let mut cause = format!("codex ended{exit_words} and gave no result");
                let said = self.error.as_ref().map_or(stderr, |(_, words)| words.as_str());
                if !said.is_empty() {
                    cause = format!("{cause}: {said}");
                }
                let kind = self.error.as_ref().map(|(word, words)| error_kind(Some(word.as_str()), words));
                failed(
                    kind.filter(|kind| *kind != RunErrorKind::Execution).unwrap_or(RunErrorKind::NoResult),
                    &cause,
                )
            }
        }
    }
}

/// The words of the table, but for what is mended elsewhere than for `claude`.
fn error(kind: RunErrorKind, cause: &str) -> RunError {
    match kind {
        RunErrorKind::Authentication => RunError::new(
            kind,
            format!(
                "{cause} (Codex is not signed in: run `codex login` on the worker's machine, or give it a valid OPENAI_API_KEY)"
            ),
        ),
        _ => trouble::error(kind, cause),
    }
}

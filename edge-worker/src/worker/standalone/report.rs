//! What came of a run, gathered from what was shown of it.

use serde::Serialize;
use shared::linear::activity::ActivityContent;
use shared::money::MicroUsd;
use shared::session::{SessionState, SessionUpdate};

use crate::journal::effect::Effect;
use crate::session::answer;

/// A run's report; for programs as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The session's name.
    pub session: String,
    /// `completed`, `failed`, `stopped` or `awaiting_input`; absent: it never began.
    pub status: Option<SessionState>,
    /// The agent's last words, or its question.
    pub answer: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// The branch that it worked on.
    pub branch: Option<String>,
    /// The branch's newest commit, if the run made one.
    pub commit: Option<String>,
    /// Where it worked.
    pub worktree: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// At list price, in dollars.
    pub cost_usd: Option<f64>,
    /// The same in µUSD.
    #[serde(skip)]
    pub cost: Option<MicroUsd>,
    /// Turns of the model.
    pub turns: Option<u32>,
    /// From start to end.
    pub duration_ms: Option<i64>,
}

impl Report {
    /// Nothing is known but the name.
    pub fn of(session: impl Into<String>) -> Self {
        Self { session: session.into(), ..Self::default() }
    }

    /// One more thing was shown.
    pub fn note(&mut self, effect: &Effect) {
        match effect {
            Effect::UpdateSession(update) | Effect::SettleSession(update) => self.update(update),
            Effect::Activity { content: ActivityContent::Response { body }, .. } => {
                self.answer = Some(answer::without_foot(body).to_owned());
            }
            Effect::Activity { content: ActivityContent::Error { body }, .. } if self.error.is_none() => {
                self.error = Some(answer::without_foot(body).to_owned());
            }
            Effect::Question { body, .. }
            | Effect::Activity { content: ActivityContent::Elicitation { body }, .. } => {
                self.status = Some(SessionState::AwaitingInput);
                self.answer = Some(body.clone());
            }
            _ => {}
        }
    }

    fn update(&mut self, update: &SessionUpdate) {
        fn take<T: Clone>(to: &mut Option<T>, from: Option<&T>) {
            if let Some(value) = from {
                *to = Some(value.clone());
            }
        }
        take(&mut self.status, update.status.as_ref());
        take(&mut self.branch, update.branch.as_ref());
        take(&mut self.commit, update.head_commit.as_ref());
        take(&mut self.worktree, update.worktree_path.as_ref());
        take(&mut self.model, update.model.as_ref());
        take(&mut self.error, update.error_message.as_ref());
        let Some(run) = &update.run else { return };
        take(&mut self.turns, run.turns.as_ref());
        take(&mut self.model, run.model.as_ref());
        if let Some(ended) = run.completed_at {
            self.cost = Some(run.list_cost_micro_usd);
            // A double is exact up to nine thousand million dollars.
            self.cost_usd = Some(run.list_cost_micro_usd.0 as f64 / 1e6);
            self.duration_ms = Some(ended.as_millis() - run.started_at.as_millis());
        }
    }
}

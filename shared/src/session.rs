//! Sessions: their states, and the record of one as the panel's API gives and takes it.
//!
//! A session is one Linear agent session, one manual run, or one run from the command line. Its goes of an
//! executor are in [`crate::run`], its lines in [`crate::log_line`].

use serde::{Deserialize, Serialize};

use crate::id::{AgentSessionId, FencingToken, RepositoryId, SessionId, SessionKey};
use crate::money::MicroUsd;
use crate::recovery::Recovered;
use crate::run::RunRecord;
use crate::time::Timestamp;

/// Where a session or a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Known, not begun.
    Queued,
    /// An executor is at work.
    Running,
    /// Waits for a person's answer.
    AwaitingInput,
    /// Held by a budget or a limit.
    Parked,
    /// The work is done and being checked.
    Verifying,
    /// Ended well.
    Completed,
    /// Ended badly.
    Failed,
    /// Ended by a person.
    Stopped,
}

impl SessionState {
    /// All states, in the order of a life.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Running,
        Self::AwaitingInput,
        Self::Parked,
        Self::Verifying,
        Self::Completed,
        Self::Failed,
        Self::Stopped,
    ];

    /// The word on the wire and in the tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::AwaitingInput => "awaiting_input",
            Self::Parked => "parked",
            Self::Verifying => "verifying",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether nothing more happens unless a person wants it.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Stopped)
    }

    /// The states behind one of the four older filter words (`pending`, `running`, `completed`, `failed`), or behind a state's own.
    pub fn filter(word: &str) -> Option<Vec<Self>> {
        Some(match word {
            "pending" => vec![Self::Queued],
            "running" => vec![Self::Running, Self::AwaitingInput, Self::Parked, Self::Verifying],
            "failed" => vec![Self::Failed, Self::Stopped],
            other => vec![Self::parse(other)?],
        })
    }
}

/// What kind of work a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AgentType {
    /// Plans, and splits into sub-issues.
    Orchestrator,
    /// Builds.
    Builder,
    /// Reproduces and mends.
    Debugger,
    /// Finds out what is wanted.
    Scoper,
}

/// Where the executor runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExecutorType {
    /// On the worker's own machine.
    Local,
    /// In a vendor's sandbox.
    Cloud,
}

/// One session as `GET /api/sessions/:id` gives it; lists leave `runs` empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionRecord {
    /// Our id.
    pub id: SessionId,
    /// What orders and leases it.
    pub session_key: SessionKey,
    /// Linear's agent session; a manual run has none.
    pub agent_session_id: Option<AgentSessionId>,
    /// The repository, once one was chosen.
    pub repository_id: Option<RepositoryId>,
    /// Its name, for display.
    pub repository_name: Option<String>,
    /// Linear's issue.
    pub linear_issue_id: Option<String>,
    /// `ENG-774`.
    pub linear_issue_identifier: Option<String>,
    /// The issue's title.
    pub linear_issue_title: Option<String>,
    /// The issue's page.
    pub linear_issue_url: Option<String>,
    /// What kind of work it is.
    pub agent_type: AgentType,
    /// Where the executor runs.
    pub executor_type: ExecutorType,
    /// Where it stands.
    pub status: SessionState,
    /// The executor's name, `claude`.
    pub executor: Option<String>,
    /// The executor's version.
    pub executor_version: Option<String>,
    /// The model that it used.
    pub model: Option<String>,
    /// The worker's name.
    pub worker_name: Option<String>,
    /// The branch.
    pub branch: Option<String>,
    /// The newest commit on it.
    pub head_commit: Option<String>,
    /// The worktree on the worker's machine.
    pub worktree_path: Option<String>,
    /// Codegen's id, for runs there.
    pub codegen_session_id: Option<String>,
    /// The same as `worktreePath`, under the name that older clients know.
    pub workspace_path: Option<String>,
    /// Whether the checks passed; null: not checked.
    pub verification_passed: Option<bool>,
    /// The pull request.
    pub pull_request_url: Option<String>,
    /// Why it failed, for a person.
    pub error_message: Option<String>,
    /// How the executor was chosen.
    pub decision: Option<serde_json::Value>,
    /// What it was expected to cost and last.
    pub estimate: Option<serde_json::Value>,
    /// What was proved.
    pub proof: Option<serde_json::Value>,
    /// Price table × tokens, in µUSD.
    pub list_cost_micro_usd: MicroUsd,
    /// Really paid, in µUSD; null when unknown.
    pub billed_cost_micro_usd: Option<MicroUsd>,
    /// The list cost in dollars, for older clients.
    pub cost: Option<f64>,
    /// Tokens in and out.
    pub tokens_used: Option<i64>,
    /// From start to end, in seconds, for older clients.
    pub duration: Option<i64>,
    /// From start to end, in ms.
    pub duration_ms: Option<i64>,
    /// When an executor first began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// When it became known.
    pub created_at: Timestamp,
    /// When anything of it last changed.
    pub updated_at: Timestamp,
    /// The number that the next log line gets.
    pub next_seq: u64,
    /// Its goes of an executor, oldest first.
    #[serde(default)]
    pub runs: Vec<RunRecord>,
    /// Work that was pushed aside after its worker had lost the lease, oldest first.
    #[serde(default)]
    pub recoveries: Vec<Recovered>,
}

/// `POST /api/sessions` with a worker key: stores a record, idempotent by agent session or by `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NewSession {
    /// What orders and leases it.
    pub session_key: SessionKey,
    /// The lease's token.
    pub token: FencingToken,
    /// Linear's agent session.
    pub agent_session_id: Option<AgentSessionId>,
    /// The repository's normalised remote, or its name where it has no remote.
    pub repository: Option<String>,
    /// Linear's issue.
    pub linear_issue_id: Option<String>,
    /// `ENG-774`.
    pub linear_issue_identifier: Option<String>,
    /// The issue's title.
    pub linear_issue_title: Option<String>,
    /// The issue's page.
    pub linear_issue_url: Option<String>,
    /// What kind of work it is.
    pub agent_type: AgentType,
    /// Where the executor runs.
    pub executor_type: ExecutorType,
    /// The worker's name.
    pub worker_name: String,
}

/// `PATCH /api/sessions/:id` with a worker key: what is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct SessionUpdate {
    /// The lease's token; an older one than the lease's is refused.
    pub token: FencingToken,
    /// The state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<SessionState>,
    /// The executor's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executor: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executor_version: Option<String>,
    /// The model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The newest commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_commit: Option<String>,
    /// The worktree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worktree_path: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// When an executor first began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// A run to add, or to replace by its id. The session's costs are the sums over its runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunRecord>,
}

impl Default for FencingToken {
    /// Token 0: no proxy.
    fn default() -> Self {
        Self(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_older_words_cover_every_state_once() {
        let mut covered: Vec<_> = ["pending", "running", "completed", "failed"]
            .into_iter()
            .filter_map(SessionState::filter)
            .flatten()
            .collect();
        assert_eq!(covered.len(), SessionState::ALL.len());
        covered.dedup();
        assert_eq!(covered.len(), SessionState::ALL.len());
        assert_eq!(SessionState::filter("'; drop table"), None);
    }

    #[test]
    fn each_state_is_spelled_on_the_wire_as_in_the_tables() {
        for state in SessionState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
            assert_eq!(SessionState::parse(state.as_str()), Some(state));
        }
    }
}

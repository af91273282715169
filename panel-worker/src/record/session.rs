//! A session's row, and the record that the API makes of it.

use serde::Deserialize;
use shared::id::{AgentSessionId, OrgId, RepositoryId, SessionId, SessionKey};
use shared::money::MicroUsd;
use shared::run::RunRecord;
use shared::session::{AgentType, ExecutorType, SessionRecord, SessionState};
use shared::time::Timestamp;
use worker_shell::failure::Answer;

use crate::api::recoveries;
use crate::db::Db;

/// The columns that [`SessionRow`] reads; the table is `s`, its repository `r`.
pub const SELECT: &str = "SELECT s.id, s.session_key, s.agent_session_id, s.repository_id, r.name AS repository_name,
  s.linear_issue_id, s.linear_issue_identifier, s.linear_issue_title, s.linear_issue_url, s.agent_type, s.executor_type,
  s.status, s.executor, s.executor_version, s.model, s.worker_name, s.branch, s.head_commit, s.worktree_path,
  s.codegen_session_id, s.verification_passed, s.pull_request_url, s.error_message, s.decision, s.estimate, s.proof,
  s.list_cost_micro_usd, s.billed_cost_micro_usd, s.tokens_used, s.started_at, s.completed_at, s.created_at, s.updated_at,
  coalesce((SELECT max(last_seq) FROM session_logs l WHERE l.session_id = s.id), 0) + 1 AS next_seq
  FROM agent_sessions s LEFT JOIN repositories r ON r.id = s.repository_id";

/// A row of [`SELECT`].
#[derive(Deserialize)]
pub struct SessionRow {
    id: SessionId,
    session_key: SessionKey,
    agent_session_id: Option<AgentSessionId>,
    repository_id: Option<RepositoryId>,
    repository_name: Option<String>,
    linear_issue_id: Option<String>,
    linear_issue_identifier: Option<String>,
    linear_issue_title: Option<String>,
    linear_issue_url: Option<String>,
    agent_type: AgentType,
    executor_type: ExecutorType,
    status: SessionState,
    executor: Option<String>,
    executor_version: Option<String>,
    model: Option<String>,
    worker_name: Option<String>,
    branch: Option<String>,
    head_commit: Option<String>,
    worktree_path: Option<String>,
    codegen_session_id: Option<String>,
    verification_passed: Option<u8>,
    pull_request_url: Option<String>,
    error_message: Option<String>,
    decision: Option<String>,
    estimate: Option<String>,
    proof: Option<String>,
    list_cost_micro_usd: i64,
    billed_cost_micro_usd: Option<i64>,
    tokens_used: Option<i64>,
    started_at: Option<i64>,
    completed_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
    next_seq: u64,
}

impl SessionRow {
    /// The cursor that stands for this row in the list.
    pub fn cursor(&self) -> String {
        format!("{}.{}", self.created_at, self.id)
    }
}

impl From<SessionRow> for SessionRecord {
    fn from(row: SessionRow) -> Self {
        let time = |millis: Option<i64>| millis.map(Timestamp::from_millis);
        let json = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
        let duration_ms = row.started_at.zip(row.completed_at).map(|(from, to)| to - from);
        Self {
            id: row.id,
            session_key: row.session_key,
            agent_session_id: row.agent_session_id,
            repository_id: row.repository_id,
            repository_name: row.repository_name,
            linear_issue_id: row.linear_issue_id,
            linear_issue_identifier: row.linear_issue_identifier,
            linear_issue_title: row.linear_issue_title,
            linear_issue_url: row.linear_issue_url,
            agent_type: row.agent_type,
            executor_type: row.executor_type,
            status: row.status,
            executor: row.executor,
            executor_version: row.executor_version,
            model: row.model,
            worker_name: row.worker_name,
            branch: row.branch,
            head_commit: row.head_commit,
            workspace_path: row.worktree_path.clone(),
            worktree_path: row.worktree_path,
            codegen_session_id: row.codegen_session_id,
            verification_passed: row.verification_passed.map(|flag| flag != 0),
            pull_request_url: row.pull_request_url,
            error_message: row.error_message,
            decision: json(row.decision),
            estimate: json(row.estimate),
            proof: json(row.proof),
            list_cost_micro_usd: MicroUsd(row.list_cost_micro_usd),
            billed_cost_micro_usd: row.billed_cost_micro_usd.map(MicroUsd),
            cost: Some(row.list_cost_micro_usd as f64 / 1e6),
            tokens_used: row.tokens_used,
            duration: duration_ms.map(|ms| ms / 1000),
            duration_ms,
            started_at: time(row.started_at),
            completed_at: time(row.completed_at),
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(row.updated_at),
            next_seq: row.next_seq,
            runs: Vec::new(),
            recoveries: Vec::new(),
        }
    }
}

/// One session of the organization, with its runs.
pub async fn find(db: &Db, org: OrgId, id: SessionId) -> Answer<Option<SessionRecord>> {
    #[derive(Deserialize)]
    struct Run {
        record: String,
    }
    let row: Option<SessionRow> = db
        .first(
            &format!("{SELECT} WHERE s.organization_id = ? AND s.id = ?"),
            vec![org.to_string().into(), id.to_string().into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let mut record = SessionRecord::from(row);
    let runs: Vec<Run> = db
        .rows(
            "SELECT record FROM runs WHERE session_id = ? AND organization_id = ? ORDER BY started_at",
            vec![id.to_string().into(), org.to_string().into()],
        )
        .await?;
    record.runs =
        runs.iter().map(|run| serde_json::from_str::<RunRecord>(&run.record)).collect::<Result<_, _>>()?;
    record.recoveries = recoveries::of_key(db, org, &record.session_key).await?;
    Ok(Some(record))
}

/// What a person asked for in the manual run of this id; `None`: it is none, or there is none.
pub async fn prompt(db: &Db, org: OrgId, id: SessionId) -> Answer<Option<String>> {
    #[derive(Deserialize)]
    struct Row {
        prompt: Option<String>,
    }
    let row: Option<Row> = db
        .first(
            "SELECT prompt FROM agent_sessions WHERE organization_id = ? AND id = ?",
            vec![org.to_string().into(), id.to_string().into()],
        )
        .await?;
    Ok(row.and_then(|row| row.prompt))
}

/// The session of a Linear agent session, without its runs.
pub async fn of_agent_session(
    db: &Db,
    org: OrgId,
    agent_session: &AgentSessionId,
) -> Answer<Option<SessionRecord>> {
    let row: Option<SessionRow> = db
        .first(
            &format!("{SELECT} WHERE s.organization_id = ? AND s.agent_session_id = ?"),
            vec![org.to_string().into(), agent_session.as_str().into()],
        )
        .await?;
    Ok(row.map(SessionRecord::from))
}

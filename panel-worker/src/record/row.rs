//! A new session's row.

use shared::id::{OrgId, RepositoryId, SessionId};
use shared::session::{AgentType, ExecutorType};
use worker::D1PreparedStatement;
use worker_shell::clock;
use worker_shell::failure::{Answer, Failure};

use crate::db::Db;

/// What is known of a session when its record is made.
pub struct NewRow<'a> {
    /// The organization.
    pub org: OrgId,
    /// Our id.
    pub id: SessionId,
    /// What orders and leases it.
    pub session_key: &'a str,
    /// The repository.
    pub repository: Option<RepositoryId>,
    /// Linear's agent session.
    pub agent_session_id: Option<&'a str>,
    /// Linear's issue.
    pub linear_issue_id: Option<&'a str>,
    /// `ENG-774`.
    pub linear_issue_identifier: Option<&'a str>,
    /// The issue's title, or what people call the run.
    pub linear_issue_title: Option<&'a str>,
    /// The issue's page.
    pub linear_issue_url: Option<&'a str>,
    /// What kind of work it is.
    pub agent_type: AgentType,
    /// Where the executor runs.
    pub executor_type: ExecutorType,
    /// The worker that has it.
    pub worker_name: Option<&'a str>,
    /// What a person asked for.
    pub prompt: Option<&'a str>,
}

impl NewRow<'_> {
    /// A row that knows nothing but its id.
    pub fn of(org: OrgId, id: SessionId) -> Self {
        Self {
            org,
            id,
            session_key: "",
            repository: None,
            agent_session_id: None,
            linear_issue_id: None,
            linear_issue_identifier: None,
            linear_issue_title: None,
            linear_issue_url: None,
            agent_type: AgentType::Builder,
            executor_type: ExecutorType::Local,
            worker_name: None,
            prompt: None,
        }
    }

    /// The insertion, as `queued`. A record of the same agent session stays; one that the panel made before a worker
    /// had the session takes what the worker knows more.
    pub fn insert(&self, db: &Db) -> Answer<D1PreparedStatement> {
        db.statement(
            "INSERT INTO agent_sessions (id, organization_id, repository_id, session_key, agent_session_id, linear_issue_id,
               linear_issue_identifier, linear_issue_title, linear_issue_url, agent_type, executor_type, status, worker_name, prompt, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'queued', ?12, ?13, ?14, ?14)
             ON CONFLICT (organization_id, agent_session_id) WHERE agent_session_id IS NOT NULL DO UPDATE SET
               repository_id = coalesce(repository_id, excluded.repository_id),
               linear_issue_identifier = coalesce(linear_issue_identifier, excluded.linear_issue_identifier),
               linear_issue_title = coalesce(linear_issue_title, excluded.linear_issue_title),
               linear_issue_url = coalesce(linear_issue_url, excluded.linear_issue_url),
               agent_type = excluded.agent_type, executor_type = excluded.executor_type,
               worker_name = excluded.worker_name, updated_at = excluded.updated_at
               WHERE worker_name IS NULL AND excluded.worker_name IS NOT NULL
             ON CONFLICT DO NOTHING",
            vec![
                self.id.to_string().into(),
                self.org.to_string().into(),
                self.repository.map(|id| id.to_string()).into(),
                self.session_key.into(),
                self.agent_session_id.into(),
                self.linear_issue_id.into(),
                self.linear_issue_identifier.into(),
                self.linear_issue_title.into(),
                self.linear_issue_url.into(),
                word(&self.agent_type)?.into(),
                word(&self.executor_type)?.into(),
                self.worker_name.into(),
                self.prompt.into(),
                clock::now().into(),
            ],
        )
    }
}

/// The word that an enum is on the wire and in the tables.
fn word(value: &impl serde::Serialize) -> Answer<String> {
    let value = serde_json::to_value(value)?;
    value.as_str().map(str::to_owned).ok_or_else(|| Failure::internal("an enum that is not a word"))
}

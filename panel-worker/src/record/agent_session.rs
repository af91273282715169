//! The agent session of an event, rebuilt from a session's record.

use shared::event::{AgentSession, Issue};
use shared::id::{AgentSessionId, IssueId, SessionId};
use shared::session::SessionRecord;

/// The agent session that a record is about; a manual run without an issue is the panel's own, under its `ses_…` id.
pub fn of(record: &SessionRecord) -> AgentSession {
    let issue = record.linear_issue_id.as_ref().map(|id| Issue {
        id: IssueId(id.clone()),
        identifier: record.linear_issue_identifier.clone(),
        title: record.linear_issue_title.clone().unwrap_or_default(),
        description: None,
        url: record.linear_issue_url.clone(),
        team_id: None,
        team_key: None,
    });
    match &record.agent_session_id {
        Some(id) => {
            AgentSession { id: id.clone(), url: None, issue, comment: None, creator_name: None, local: false }
        }
        None => local(record.id),
    }
}

/// The agent session of a run that exists in the panel alone.
pub fn local(id: SessionId) -> AgentSession {
    AgentSession {
        id: AgentSessionId(id.to_string()),
        url: None,
        issue: None,
        comment: None,
        creator_name: None,
        local: true,
    }
}

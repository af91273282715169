//! What an agent sets on its session: the plan and the links, as `agentSessionUpdate` takes them.
//!
//! Linear always replaces a plan whole and takes it as a list, although its schema says object.

use serde::{Deserialize, Serialize};

use super::answer::{self, LinearError, RateLimit};
use super::operations::{AgentSessionCreateOnIssue, agent_session_create_on_issue, agent_session_update};
use crate::id::AgentSessionId;

/// How far a step of the plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PlanStepStatus {
    /// Not begun.
    Pending,
    /// Being done.
    InProgress,
    /// Done.
    Completed,
    /// Will not be done.
    Canceled,
    /// A word that Linear added later.
    #[serde(other)]
    Unknown,
}

/// A step of the plan that the session shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    /// One line of text.
    pub content: String,
    /// How far it is.
    pub status: PlanStepStatus,
}

/// A link that the session shows, as to a pull request. One URL stands in the list once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalUrl {
    /// The text of the link.
    pub label: String,
    /// Where it leads.
    pub url: String,
}

/// A change to a session; what is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionUpdate {
    /// Replaces the whole plan.
    pub plan: Option<Vec<PlanStep>>,
    /// Links to add to those that are there.
    pub add_urls: Vec<ExternalUrl>,
}

impl SessionUpdate {
    /// The variables of `AgentSessionUpdate`. Fails only when the plan cannot be written as JSON.
    pub fn variables(
        &self,
        session: &AgentSessionId,
    ) -> Result<agent_session_update::Variables, serde_json::Error> {
        let added = self.add_urls.iter().map(|link| agent_session_update::AgentSessionExternalUrlInput {
            label: link.label.clone(),
            url: link.url.clone(),
        });
        Ok(agent_session_update::Variables {
            id: session.as_str().to_owned(),
            input: agent_session_update::AgentSessionUpdateInput {
                added_external_urls: (!self.add_urls.is_empty()).then(|| added.collect()),
                external_urls: None,
                plan: self.plan.as_ref().map(serde_json::to_value).transpose()?,
                removed_external_urls: None,
            },
        })
    }
}

/// The variables that open a session on an issue.
pub fn create_on_issue(issue: &str) -> agent_session_create_on_issue::Variables {
    agent_session_create_on_issue::Variables {
        input: agent_session_create_on_issue::AgentSessionCreateOnIssue {
            external_urls: None,
            issue_id: issue.to_owned(),
        },
    }
}

/// A session that Linear opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Its id.
    pub id: AgentSessionId,
    /// Its page.
    pub url: Option<String>,
}

/// Reads the answer to [`create_on_issue`].
pub fn created_on_issue(status: u16, limit: &RateLimit, body: &[u8]) -> Result<Opened, LinearError> {
    let data = answer::read::<AgentSessionCreateOnIssue>(status, limit, body)?;
    let session = data.agent_session_create_on_issue.agent_session;
    Ok(Opened { id: AgentSessionId(session.id), url: session.url })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_goes_out_as_a_list_and_nothing_else_is_touched() {
        let update = SessionUpdate {
            plan: Some(vec![PlanStep { content: "Read".into(), status: PlanStepStatus::InProgress }]),
            add_urls: Vec::new(),
        };
        let variables = serde_json::to_value(update.variables(&AgentSessionId::from("s")).unwrap()).unwrap();
        assert_eq!(
            variables,
            json!({"id": "s", "input": {"plan": [{"content": "Read", "status": "inProgress"}]}})
        );
    }
}

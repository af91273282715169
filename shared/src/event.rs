//! Events: what an edge needs of a webhook, projected from its body, in the hub's order.
//!
//! The webhook's own parsing is in [`crate::webhook`]; how an event travels is in [`crate::stream`]. All text
//! here comes from outside: it is data for a prompt or a page, never a command.

use serde::{Deserialize, Serialize};

use crate::id::{AgentSessionId, DeliveryId, EventId, IssueId, LinearWorkspaceId, SessionKey};
use crate::time::Timestamp;

/// One event as the hub stores and streams it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The hub's own id.
    pub id: EventId,
    /// The delivery that brought it.
    pub delivery_id: DeliveryId,
    /// When the hub stored it.
    pub received_at: Timestamp,
    /// The Linear workspace that it is from.
    pub workspace_id: LinearWorkspaceId,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum EventBody {
    /// An issue was delegated to the agent, or the agent was mentioned.
    SessionCreated {
        /// The new agent session.
        agent_session: AgentSession,
        /// Linear's context for a model. Prompt text, not a format.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prompt_context: Option<String>,
        /// The workspace's rules for agents, the nearest team first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        guidance: Vec<String>,
    },
    /// A person wrote into the session.
    SessionPrompted {
        /// The session.
        agent_session: AgentSession,
        /// The Linear activity that holds the text.
        activity_id: String,
        /// What the person wrote.
        text: String,
        /// It was written in the panel; Linear has no activity of that id.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        from_panel: bool,
    },
    /// A person pressed stop.
    SessionStopped {
        /// The session.
        agent_session: AgentSession,
        /// The Linear activity that holds the signal.
        activity_id: String,
        /// It was pressed in the panel; Linear has no activity of that id.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        from_panel: bool,
    },
    /// A person started a run in the panel, without a Linear issue: nothing of it is told to Linear.
    RunRequested {
        /// The panel's session; its id is the panel's own.
        agent_session: AgentSession,
        /// What to do.
        prompt: String,
        /// The repository by name or remote; absent: the worker's only one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repository: Option<String>,
    },
    /// The panel wants to know whether an executor works here; the `done` ack carries the result.
    CheckRequested {
        /// The check's own, which exists in the panel alone.
        agent_session: AgentSession,
        /// The executor's name.
        executor: String,
    },
    /// The words of an issue that is being worked on were changed. It goes into a running turn and never begins one.
    IssueEdited {
        /// The issue's newest session, with the issue as it is now. The hub finds the session; see [`Self::is_of_issue`].
        agent_session: AgentSession,
        /// What was changed.
        changed: Vec<Change>,
        /// Who changed it, where Linear says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        actor: Option<Actor>,
    },
    /// The issue was closed: what runs on it ends, and the work is kept.
    IssueClosed {
        /// As for an edit.
        agent_session: AgentSession,
        /// How.
        how: Closing,
        /// Who closed it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        actor: Option<Actor>,
    },
    /// The issue was taken away from the agent: what runs on it ends, and the work is kept.
    Unassigned {
        /// As for an edit.
        agent_session: AgentSession,
        /// Who took it away.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        actor: Option<Actor>,
    },
    /// A kind that only a newer hub knows: a worker says `done` to it and does nothing.
    #[serde(other)]
    Unknown,
}

/// The session of an event whose kind is unknown: there is none, and nothing of it is told to anybody.
static NO_SESSION: AgentSession = AgentSession {
    id: AgentSessionId(String::new()),
    url: None,
    issue: None,
    comment: None,
    creator_name: None,
    local: true,
};

impl EventBody {
    /// The agent session that the event is about.
    pub fn agent_session(&self) -> &AgentSession {
        match self {
            Self::SessionCreated { agent_session, .. }
            | Self::SessionPrompted { agent_session, .. }
            | Self::SessionStopped { agent_session, .. }
            | Self::RunRequested { agent_session, .. }
            | Self::CheckRequested { agent_session, .. }
            | Self::IssueEdited { agent_session, .. }
            | Self::IssueClosed { agent_session, .. }
            | Self::Unassigned { agent_session, .. } => agent_session,
            Self::Unknown => &NO_SESSION,
        }
    }

    /// Names the agent session; only [`Self::is_of_issue`] ones come without.
    pub fn set_agent_session(&mut self, id: AgentSessionId) {
        if let Self::IssueEdited { agent_session, .. }
        | Self::IssueClosed { agent_session, .. }
        | Self::Unassigned { agent_session, .. } = self
        {
            agent_session.id = id;
        }
    }

    /// Whether it tells of the issue and not of a session: its webhook names no agent session, so the hub does, and
    /// only for an issue that it knows.
    pub fn is_of_issue(&self) -> bool {
        matches!(self, Self::IssueEdited { .. } | Self::IssueClosed { .. } | Self::Unassigned { .. })
    }

    /// Whether what runs is to end because of it.
    pub fn is_stop(&self) -> bool {
        matches!(self, Self::SessionStopped { .. } | Self::IssueClosed { .. } | Self::Unassigned { .. })
    }

    /// Who did it, as far as an event of an issue tells.
    pub fn actor(&self) -> Option<&Actor> {
        match self {
            Self::IssueEdited { actor, .. }
            | Self::IssueClosed { actor, .. }
            | Self::Unassigned { actor, .. } => actor.as_ref(),
            _ => None,
        }
    }

    /// The protocol that a worker must speak to be offered it.
    pub fn protocol(&self) -> u32 {
        if self.is_of_issue() { 2 } else { 0 }
    }

    /// What orders, sticks and leases the event.
    pub fn session_key(&self) -> SessionKey {
        self.agent_session().session_key()
    }

    /// The word that `kind` holds on the wire.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SessionCreated { .. } => "session_created",
            Self::SessionPrompted { .. } => "session_prompted",
            Self::SessionStopped { .. } => "session_stopped",
            Self::RunRequested { .. } => "run_requested",
            Self::CheckRequested { .. } => "check_requested",
            Self::IssueEdited { .. } => "issue_edited",
            Self::IssueClosed { .. } => "issue_closed",
            Self::Unassigned { .. } => "unassigned",
            Self::Unknown => "unknown",
        }
    }
}

/// One thing of an issue that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What it is.
    pub field: IssueField,
    /// What it was; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What it is now; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// A text of an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum IssueField {
    /// The title.
    Title,
    /// The description.
    Description,
    /// One that only a newer hub knows.
    #[serde(other)]
    Unknown,
}

/// How an issue was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Closing {
    /// It was moved to a completed state.
    Done,
    /// It was canceled.
    Canceled,
    /// It was deleted, or put in the trash.
    Deleted,
    /// In a way that only a newer hub knows.
    #[serde(other)]
    Unknown,
}

/// Who did something in Linear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Actor {
    /// Linear's id of the person or app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A Linear agent session, as far as a webhook tells of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AgentSession {
    /// Linear's id.
    pub id: AgentSessionId,
    /// The page in Linear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The issue; a session can hang on other things and then has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue: Option<Issue>,
    /// The comment that the thread began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Comment>,
    /// The person who started it; an automation leaves none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator_name: Option<String>,
    /// It exists in the panel alone: nothing is posted to Linear.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub local: bool,
}

impl AgentSession {
    /// The issue's id, or the session's own where there is no issue.
    pub fn session_key(&self) -> SessionKey {
        SessionKey(self.issue.as_ref().map_or_else(|| self.id.0.clone(), |issue| issue.id.0.clone()))
    }
}

/// An issue, as far as a webhook tells of it: labels, state and branch name are not in there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Issue {
    /// Linear's id (UUID).
    pub id: IssueId,
    /// `ENG-774`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
    /// The title.
    #[serde(default)]
    pub title: String,
    /// The description, Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The page in Linear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The team's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<String>,
    /// The team's key, `ENG`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_key: Option<String>,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Comment {
    /// Linear's id.
    pub id: String,
    /// Markdown.
    pub body: String,
}

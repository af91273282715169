//! What the Workers say to a hub and hear back, as JSON over its own interface. Nothing of it is public.

use serde::{Deserialize, Serialize};

use crate::event::{EventBody, Issue};
use crate::hub::delivery::EventState;
use crate::id::{
    AgentSessionId, DeliveryId, EventId, FencingToken, KeyId, LinearWorkspaceId, Seq, SessionKey, WorkerId,
};

/// What became of one event of `POST /deliveries`. When all are stored the answer is a bare 201, else 200 with a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Taken {
    /// It is in the tables.
    Stored,
    /// It was in the tables before, by its delivery id or by its meaning.
    Duplicate,
    /// It is of an issue that no session of ours is at work on; not stored.
    Ignored,
    /// The organization sends too many.
    RateLimited {
        /// When to come back, in s.
        retry_after_s: u32,
    },
    /// It could not be stored; the sender tries again.
    Failed,
}

/// `POST /commands`: a row of the panel's `hub_outbox`. Its id is the delivery id; repeating it is harmless.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// The row's id.
    pub id: DeliveryId,
    /// What to do.
    pub order: Order,
}

/// What the panel orders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Order {
    /// A worker key was made.
    KeyAdded {
        /// Its id.
        key_id: KeyId,
        /// SHA-256 of the key, hex.
        hash: String,
        /// What people call it.
        name: String,
    },
    /// A worker key was revoked.
    KeyRevoked {
        /// Its id.
        key_id: KeyId,
    },
    /// An event of the panel's own: a run, a message, a stop, a check. The command's id is its delivery id.
    Event {
        /// The workspace; absent: none of Linear's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workspace_id: Option<LinearWorkspaceId>,
        /// What happened.
        body: Box<EventBody>,
    },
    /// A run on a Linear issue: the hub opens an agent session there and stores the event under its id.
    RunOnIssue {
        /// The workspace; absent: the only one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workspace_id: Option<LinearWorkspaceId>,
        /// The issue.
        issue: Issue,
        /// What the person wants beyond the issue.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prompt: Option<String>,
    },
    /// The configuration changed.
    ConfigChanged {
        /// Its new version.
        etag: String,
    },
}

/// The answer to a command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandTaken {
    /// For a run on an issue: the agent session that Linear opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_session_id: Option<AgentSessionId>,
    /// The event that it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
}

/// `POST /leases/check`: may this worker key write under this token?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseCheck {
    /// The session.
    pub session_key: SessionKey,
    /// The token shown.
    pub token: FencingToken,
}

/// Its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseVerdict {
    /// The token is the newest that was given for this session.
    pub current: bool,
}

/// `PUT /connections/linear`: the workspace and its credential, in the clear on its way into the envelope.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinearConnection {
    /// The workspace.
    pub workspace_id: LinearWorkspaceId,
    /// What goes into `Authorization`, scheme included.
    pub authorization: String,
    /// The agent's own user in that workspace.
    pub app_user_id: String,
}

/// `POST /deliveries/list`: which deliveries to show, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeliveryQuery {
    /// Only the one of this number.
    pub seq: Option<Seq>,
    /// Only those in this state.
    pub state: Option<EventState>,
    /// Only those of this session key.
    pub session_key: Option<SessionKey>,
    /// Only those of this agent session.
    pub agent_session_id: Option<AgentSessionId>,
    /// Only those that this worker was offered last.
    pub worker_id: Option<WorkerId>,
    /// At most this many, 1 to 200; 50 when absent.
    pub limit: Option<u32>,
    /// What the page before gave as `next`.
    pub cursor: Option<String>,
}

/// `POST /deliveries/replay`, `/deliveries/dismiss`, `/deliveries/result`: one delivery, by `evt_…` or by delivery id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRef {
    /// The id.
    pub id: String,
}

/// The answer of `/deliveries/result`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeliveryResult {
    /// Where the event stands.
    pub state: EventState,
    /// What the `done` ack carried.
    pub result: Option<serde_json::Value>,
    /// Why, when it was refused.
    pub reason: Option<String>,
}

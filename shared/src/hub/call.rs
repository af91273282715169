//! What the Workers say to a hub and hear back, as JSON over its own interface. Nothing of it is public.

use serde::{Deserialize, Serialize};

use crate::event::EventBody;
use crate::id::{DeliveryId, FencingToken, KeyId, LinearWorkspaceId, SessionKey, WorkerId};
use crate::time::Timestamp;

/// `POST /deliveries`: store what a webhook means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// The sender's id of the delivery.
    pub delivery_id: DeliveryId,
    /// The meaning, by which a repeat under another delivery id is known.
    pub meaning: String,
    /// The workspace.
    pub workspace_id: LinearWorkspaceId,
    /// The event.
    pub body: EventBody,
}

/// Its answer: it is stored, now or before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// It was there already.
    pub duplicate: bool,
}

/// `POST /commands`: a row of the panel's `hub_outbox`. Its id is the delivery id; repeating it is harmless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// The row's id.
    pub id: DeliveryId,
    /// What to do.
    pub order: Order,
}

/// What the panel orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// `GET /workers`: one worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerStatus {
    /// Its id.
    pub id: WorkerId,
    /// What people call it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its executors.
    pub executors: Vec<String>,
    /// How many sessions it runs at once.
    pub slots: u32,
    /// How many leases it holds.
    pub used: u32,
    /// It has a stream now.
    pub connected: bool,
    /// It is leaving.
    pub draining: bool,
    /// Its key was revoked.
    pub revoked: bool,
    /// When it was last heard of.
    pub last_seen_at: Timestamp,
}

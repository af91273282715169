//! Workers as the hub sees them: registration, heartbeats, states.

use serde::{Deserialize, Serialize};

use crate::id::{FencingToken, SessionKey, WorkerId};
use crate::stream::Intervals;

/// `POST /v1/workers`: who a worker is and what it serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// Made together with the worker's journal. Without one the hub makes one and answers it.
    #[serde(default)]
    pub worker_id: Option<WorkerId>,
    /// What people call it; the host's name by default.
    pub name: String,
    /// The version of `cyrus`.
    pub version: String,
    /// The protocol that it speaks.
    pub protocol: u32,
    /// The repositories it serves, as normalised remotes (`host/owner/name`) or names.
    #[serde(default)]
    pub repositories: Vec<String>,
    /// The teams it serves; none means all.
    #[serde(default)]
    pub teams: Vec<String>,
    /// The executors it has.
    #[serde(default)]
    pub executors: Vec<String>,
    /// How many sessions it runs at once.
    pub slots: u32,
    /// Its share against others.
    #[serde(default = "one")]
    pub weight: u32,
}

const fn one() -> u32 {
    1
}

/// The answer to a registration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    /// The worker's id, as it was given.
    pub worker_id: WorkerId,
    /// The protocol that will be spoken.
    pub protocol: u32,
    /// How often things happen.
    pub intervals: Intervals,
}

/// `POST /v1/heartbeats`, sent only while leases are held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// The leases that it believes it holds.
    pub leases: Vec<LeaseClaim>,
    /// How many sessions it runs at once.
    pub slots: u32,
    /// How many it runs now.
    pub used: u32,
    /// Requests that it sent to Linear since its last heartbeat.
    #[serde(default)]
    pub linear_used: u32,
}

/// A lease by key and token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LeaseClaim {
    /// The session.
    pub session_key: SessionKey,
    /// Its fencing token.
    pub token: FencingToken,
}

/// The hub's answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatAnswer {
    /// Claimed leases that are not this worker's any more: stop their runs.
    pub lost: Vec<LeaseClaim>,
    /// For this many milliseconds from now nobody else is given the others.
    pub exclusive_ms: u64,
    /// Requests to Linear that the worker may spend within the hour; absent when no slice is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linear_slice: Option<u32>,
    /// The configuration's version in the panel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_etag: Option<String>,
}

/// What a worker is doing, as the panel shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// Connected, idle.
    Online,
    /// Connected, with open work.
    Working,
    /// Finishing what it has, taking nothing new.
    Draining,
    /// Not connected.
    Offline,
    /// Its key was revoked.
    Revoked,
}

/// `GET /v1/tokens/{linear|github}`: a short-lived access token, to a worker key alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AccessToken {
    /// What goes into the `Authorization` header, scheme included.
    pub authorization: String,
    /// The API's address, where it is not the public one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_url: Option<String>,
    /// The workspace that it opens.
    pub workspace_id: String,
}

impl core::fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "AccessToken({}, …)", self.workspace_id)
    }
}

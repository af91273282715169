//! What people see of the hub: its deliveries and their way, its workers, its load.
//!
//! `GET /v1/deliveries` and `GET /v1/status`, and the panel's `/api/deliveries` and `/api/status` alike. How an
//! event gets from state to state is in [`crate::hub`]; nothing here holds an event's own text but its title.

use serde::{Deserialize, Serialize};

use crate::hub::delivery::EventState;
use crate::id::{
    AgentSessionId, DeliveryId, EventId, FencingToken, LinearWorkspaceId, Seq, SessionKey, WorkerId,
};
use crate::time::Timestamp;
use crate::worker::WorkerState;

/// One delivery and its way so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DeliveryRecord {
    /// The hub's own id.
    pub id: EventId,
    /// The hub's number: the order within a session.
    pub seq: Seq,
    /// The sender's id.
    pub delivery_id: DeliveryId,
    /// `session_created`, `session_prompted`, …
    pub kind: String,
    /// What orders and leases it.
    pub session_key: SessionKey,
    /// The agent session.
    pub agent_session_id: Option<AgentSessionId>,
    /// The workspace; empty: none of Linear's.
    pub workspace_id: LinearWorkspaceId,
    /// The identifier and title, cut short.
    pub title: Option<String>,
    /// Where it stands.
    pub state: EventState,
    /// Why it waits, while it is pending.
    pub waits: Option<Wait>,
    /// Failed attempts so far.
    pub attempts: u32,
    /// The worker that it was offered to last.
    pub worker_id: Option<WorkerId>,
    /// The token under which it was offered last.
    pub token: Option<FencingToken>,
    /// It moved from another worker.
    pub takeover: bool,
    /// Nobody serves it by rule: the person is asked.
    pub ask: bool,
    /// The proxy itself posted the first thought.
    pub first_thought: bool,
    /// What a worker or the hub said of it last.
    pub reason: Option<String>,
    /// Stored.
    pub received_at: Timestamp,
    /// Not offered before this.
    pub not_before: Option<Timestamp>,
    /// Offered last.
    pub offered_at: Option<Timestamp>,
    /// In a worker's journal.
    pub accepted_at: Option<Timestamp>,
    /// Done, dead or cancelled.
    pub ended_at: Option<Timestamp>,
    /// A dead letter that a person wants no more; absent: it is none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dismissed: bool,
}

/// What a pending event waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// A worker with room.
    Room,
    /// An earlier event of its session.
    Order,
    /// The worker that has its session, which is away.
    Worker,
    /// A worker that serves it.
    Served,
}

/// What the hub is doing: `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HubStatus {
    /// Its clock.
    pub server_time: Timestamp,
    /// Workers that are known.
    pub workers: Vec<WorkerStatus>,
    /// Events by state; done and cancelled ones leave after the retention.
    pub queue: Queue,
    /// How long the oldest event that is not done has been here, in ms; null: none is open.
    pub oldest_undone_ms: Option<u64>,
    /// From offer to accepted ack, over the last 200 accepted events.
    pub ack_latency: Latency,
    /// How often the hub was woken, and by what.
    pub wakes: Wakes,
    /// Its storage, in bytes.
    pub storage_bytes: u64,
    /// Requests to Linear: this hour's budget and what is reported as used.
    pub linear: LinearBudget,
}

/// Events by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Queue {
    /// Waiting for a worker.
    pub pending: u64,
    /// Offered, not yet accepted.
    pub offered: u64,
    /// In a worker's journal.
    pub accepted: u64,
    /// Dead letters.
    pub dead: u64,
}

/// Percentiles in ms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// How many were looked at.
    pub count: u64,
    /// Half are faster.
    pub p50_ms: Option<u64>,
    /// 99 of 100 are faster.
    pub p99_ms: Option<u64>,
}

/// How often the hub was woken. The request that asks is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Wakes {
    /// Lives: how often the object was made anew in memory.
    pub lives: u64,
    /// Requests that it answered.
    pub requests: u64,
    /// Alarms that rang.
    pub alarms: u64,
    /// Messages and ends of its WebSockets.
    pub sockets: u64,
    /// Streams that were opened, planned reconnects among them.
    pub streams: u64,
    /// Rows read by its queries.
    pub rows_read: u64,
    /// Rows written.
    pub rows_written: u64,
}

/// Requests to Linear within the hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LinearBudget {
    /// What Linear allows.
    pub allowed: u32,
    /// What workers and the hub have used.
    pub used: u32,
}

/// One worker as the hub knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct WorkerStatus {
    /// Its id.
    pub id: WorkerId,
    /// What people call it.
    pub name: String,
    /// What it is doing.
    pub state: WorkerState,
    /// Its version.
    pub version: String,
    /// The protocol that it speaks.
    pub protocol: u32,
    /// Its executors.
    pub executors: Vec<String>,
    /// The repositories it serves; none means all.
    pub repositories: Vec<String>,
    /// The teams it serves; none means all.
    pub teams: Vec<String>,
    /// How many sessions it runs at once.
    pub slots: u32,
    /// How many leases it holds.
    pub used: u32,
    /// Its share against others.
    pub weight: u32,
    /// Its events that are not done: offered and accepted.
    pub queue: u64,
    /// Offers in a row that it did not accept in time, and events that it gave back.
    pub strikes: u32,
    /// When it was last heard of.
    pub last_seen_at: Timestamp,
}

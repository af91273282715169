//! What an edge says of the events it was offered: `POST /v1/acks`.

use serde::{Deserialize, Serialize};

use crate::id::{FencingToken, Seq};

/// One ack. Repeating it is harmless; `done` implies `accepted`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Ack {
    /// The event.
    pub seq: Seq,
    /// The lease's token under which it was offered.
    pub token: FencingToken,
    /// What became of it.
    pub state: AckState,
    /// Why, for `retry` and `reject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For `retry`: not before this many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
    /// For `done` of a check: its result, at most 4 KB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<serde_json::Value>,
}

/// What became of an event at the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AckState {
    /// In the worker's journal.
    Accepted,
    /// The turn that took it in has ended and its effects have left the outbox.
    Done,
    /// Not now; it counts as an attempt.
    Retry,
    /// Not here (`not_served`); it is not offered to this worker again.
    Reject,
}

/// The hub's answer to one ack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AckAnswer {
    /// Taken, now or before.
    Ok,
    /// The token is not that of the lease: the session has moved.
    Stale,
    /// No such event.
    Unknown,
}

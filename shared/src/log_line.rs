//! Log lines of a session: numbered by the lease's holder, stored once, seen once and in order.

use serde::{Deserialize, Serialize};

use crate::id::{FencingToken, RunId};
use crate::time::Timestamp;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For those who look closely.
    Debug,
    /// The ordinary course.
    Info,
    /// Went on, but look at it.
    Warning,
    /// Did not go on.
    Error,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// Its number in the session, from 1, without holes.
    pub seq: u64,
    /// How much it matters.
    pub level: LogLevel,
    /// One line for a person.
    pub message: String,
    /// What kind of thing it is and its parts; `kind` names it (`text`, `tool_use`, `tool_result`, …).
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub metadata: serde_json::Value,
    /// When it happened at the edge.
    pub timestamp: Timestamp,
    /// The run that it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
}

/// `POST /api/sessions/:id/logs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LogPost {
    /// The lease's token.
    pub token: FencingToken,
    /// Lines in order of their numbers.
    pub lines: Vec<LogLine>,
}

/// The answer, once the lines are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LogAnswer {
    /// Every line up to this number is stored.
    pub up_to: u64,
    /// How long the Room waits to join batches now: short while somebody watches. In ms.
    pub flush_ms: u64,
}

/// `PUT /api/leases/:key`: the first act under a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LeaseShown {
    /// The lease's token.
    pub token: FencingToken,
}

/// Its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LeaseTaken {
    /// The number that the next log line of the key's newest session gets.
    pub next_seq: u64,
}

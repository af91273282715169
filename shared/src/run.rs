//! Runs: one go of one executor in a session.

use serde::{Deserialize, Serialize};

use crate::id::RunId;
use crate::money::MicroUsd;
use crate::session::SessionState;
use crate::time::Timestamp;

/// One run, as the panel keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// Our id.
    pub id: RunId,
    /// The executor's name, `claude`.
    pub executor: String,
    /// Its version.
    pub executor_version: Option<String>,
    /// The executor's own id of the conversation, by which it can be resumed.
    pub executor_session_id: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// Where it stands.
    pub status: SessionState,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// Turns of the model.
    pub turns: Option<u32>,
    /// Input tokens, cached ones included.
    pub input_tokens: Option<i64>,
    /// Output tokens.
    pub output_tokens: Option<i64>,
    /// This run's own cost at list price, in µUSD.
    pub list_cost_micro_usd: MicroUsd,
    /// Really paid, in µUSD; null when unknown.
    pub billed_cost_micro_usd: Option<MicroUsd>,
    /// Why it failed.
    pub error_message: Option<String>,
}

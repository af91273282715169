//! Work that a worker pushed aside after it had lost a session's lease.
//!
//! It is one of the two acts that need no lease (the other is the push itself): the token is told, never judged.

use serde::{Deserialize, Serialize};

use crate::id::{FencingToken, RunId, SessionKey};
use crate::time::Timestamp;

/// `POST /api/workers/me/recoveries`, idempotent by run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Recovery {
    /// The session.
    pub session_key: SessionKey,
    /// The token that the work was done under.
    pub token: FencingToken,
    /// The run whose work it is.
    pub run_id: RunId,
    /// The branch that it was pushed to.
    pub branch: String,
    /// The commit.
    pub commit: String,
    /// The normalised remote, `host/owner/name`; absent: the repository has none, and the branch is on the worker's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
}

/// The same as a session's record shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Recovered {
    /// The run whose work it is.
    pub run_id: RunId,
    /// The branch.
    pub branch: String,
    /// The commit.
    pub commit: String,
    /// The remote.
    pub remote: Option<String>,
    /// When the panel heard of it first.
    pub created_at: Timestamp,
}

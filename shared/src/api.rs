//! Shapes of the panel's REST API that are nobody else's: lists, repositories, workers, people.
//!
//! Sessions, runs and log lines have files of their own. The panel Worker, its client and `cyrus` share these.

use serde::{Deserialize, Serialize};

use crate::id::{KeyId, OrgId, RepositoryId, WorkerId};
use crate::session::SessionState;
use crate::time::Timestamp;
use crate::worker::WorkerState;
use crate::worker_config::Permissions;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Page<T> {
    /// The page's items.
    pub items: Vec<T>,
    /// Hand it back as `?cursor=` for the next page; null: this was the last one.
    pub next: Option<String>,
}

/// A repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Repository {
    /// Our id.
    pub id: RepositoryId,
    /// What people call it.
    pub name: String,
    /// Its path on the worker's machine.
    pub path: String,
    /// Its normalised remote, `host/owner/name`; null: none.
    pub remote: Option<String>,
    /// The branch that work starts from.
    pub base_branch: String,
    /// The Linear workspace whose issues it serves.
    pub linear_workspace_id: Option<String>,
    /// `local-only`, `cloud-only`, `hybrid-smart`, `hybrid-parallel`, `cost-optimized`.
    pub execution_strategy: String,
    /// The model that is set for its runs; null, here and below: the worker's own file decides.
    #[serde(default)]
    pub model: Option<String>,
    /// The model that takes over when the first one is overloaded.
    #[serde(default)]
    pub fallback_model: Option<String>,
    /// Tools that agents use without asking.
    #[serde(default)]
    pub allowed_tools: Option<Vec<String>>,
    /// Tools that agents never get.
    #[serde(default)]
    pub disallowed_tools: Option<Vec<String>>,
    /// What becomes of a tool that is neither.
    #[serde(default)]
    pub permissions: Option<Permissions>,
    /// The most sessions at once.
    #[serde(default)]
    pub max_sessions: Option<u32>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// `POST /api/repositories`; with a worker key it is idempotent by remote, else by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NewRepository {
    /// What people call it.
    pub name: String,
    /// Its path on the worker's machine.
    pub path: String,
    /// Its normalised remote.
    #[serde(default)]
    pub remote: Option<String>,
    /// The branch that work starts from; `main` by default.
    #[serde(default)]
    pub base_branch: Option<String>,
    /// The Linear workspace.
    #[serde(default)]
    pub linear_workspace_id: Option<String>,
}

/// `PATCH /api/repositories/:id`: what is left out stays, null unsets it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RepositoryUpdate {
    /// The branch that work starts from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_branch: Option<String>,
    /// `local-only`, `cloud-only`, `hybrid-smart`, `hybrid-parallel`, `cost-optimized`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_strategy: Option<String>,
    /// The model.
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub model: Option<Option<String>>,
    /// The model that takes over.
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub fallback_model: Option<Option<String>>,
    /// Allowed tools.
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub allowed_tools: Option<Option<Vec<String>>>,
    /// Disallowed tools.
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub disallowed_tools: Option<Option<Vec<String>>>,
    /// What becomes of a tool that is neither.
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Option<Permissions>>,
    /// The most sessions at once; `slots` is taken for it too.
    #[serde(alias = "slots", deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub max_sessions: Option<Option<u32>>,
}

/// `PATCH /api/workers/:id`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct WorkerUpdate {
    /// How many sessions it runs at once; null: its own file decides.
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub slots: Option<Option<u32>>,
}

/// A field that is there, null or not.
fn said<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A worker as the panel lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Worker {
    /// Its id.
    pub id: WorkerId,
    /// What people call it.
    pub name: String,
    /// What it is doing.
    pub state: WorkerState,
    /// The version of `cyrus`.
    pub version: String,
    /// The executors it has.
    pub executors: Vec<String>,
    /// How many sessions it runs at once.
    pub slots: u32,
    /// How many people want it to run at once; null: its own file decides.
    #[serde(default)]
    pub wanted_slots: Option<u32>,
    /// How many it runs now.
    pub used: u32,
    /// Its share against others.
    #[serde(default)]
    pub weight: u32,
    /// Its events that are not done.
    #[serde(default)]
    pub queue: u64,
    /// Offers in a row that it did not accept in time, and events that it gave back.
    #[serde(default)]
    pub strikes: u32,
    /// When it was last heard of.
    pub last_seen_at: Option<Timestamp>,
}

/// `GET /api/me`: who is asking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// The organization.
    pub organization_id: OrgId,
    /// Its name.
    pub organization_name: String,
    /// `owner`, `admin`, `operator`, `viewer`.
    pub role: String,
}

/// `GET /api/overview`: the numbers of the first page, over the last 24 hours.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// Workers that are connected now.
    pub workers_online: u32,
    /// All workers that are known and not revoked.
    pub workers_known: u32,
    /// Sessions that are not over.
    pub sessions_active: u32,
    /// Sessions that wait for a person.
    pub sessions_waiting: u32,
    /// Completed in the last 24 hours.
    pub completed_day: u32,
    /// Failed in the last 24 hours.
    pub failed_day: u32,
    /// List cost of the last 24 hours, in µUSD.
    pub list_cost_day_micro_usd: i64,
    /// Repositories that are known.
    pub repositories: u32,
}

/// `POST /api/worker-keys` answers the key itself this one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NewWorkerKey {
    /// The key's id, by which it is revoked.
    pub id: KeyId,
    /// The key. It is not stored and cannot be shown again.
    pub key: String,
    /// Whether the hub knows it already; if not, it will within a minute.
    pub active: bool,
}

/// What a `session` event of the SSE stream carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionChanged {
    /// The state now; ask `GET /api/sessions/:id` for the rest.
    pub status: SessionState,
    /// When it changed.
    pub updated_at: Timestamp,
}

//! `/_test/…`: what tests look at and set, beside Linear's own contract.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::seed::{self, SeedIssue, SeededIssue};
use super::store::Store;
use super::{RequestCounts, World, lock};

/// One activity as the agent told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivityView {
    /// UUID, the agent's own when it gave one.
    pub id: String,
    /// thought, action, elicitation, response or error.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text; for an action its name, parameter and result.
    pub body: String,
    /// RFC 3339.
    pub created_at: String,
    /// Whether the next activity takes its place.
    pub ephemeral: bool,
    /// Whether that has happened.
    pub replaced: bool,
    /// auth or select; null without a signal.
    pub signal: Value,
    /// The content as sent.
    pub content: Map<String, Value>,
}

/// What the agent told about a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    /// Oldest first, replaced ones among them.
    pub activities: Vec<ActivityView>,
    /// The plan as sent; null when none was.
    pub plan: Value,
    /// Links as `{label, url}`.
    pub external_urls: Value,
}

pub(super) fn session(store: &Store, id: &str) -> SessionView {
    let Some(session) = store.session(id) else {
        return SessionView { activities: Vec::new(), plan: Value::Null, external_urls: json!([]) };
    };
    let view = |activity: &super::store::Activity| ActivityView {
        id: activity.id.clone(),
        kind: activity.kind.clone(),
        body: activity.body(),
        created_at: activity.created_at.clone(),
        ephemeral: activity.ephemeral,
        replaced: activity.replaced,
        signal: activity.signal.clone(),
        content: activity.content.clone(),
    };
    SessionView {
        activities: session.activities.iter().map(view).collect(),
        plan: session.plan.clone(),
        external_urls: session.links(),
    }
}

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/_test/agent-sessions/{id}", get(get_session))
        .route("/_test/issues", post(post_issue))
        .route("/_test/issues/{id}", get(get_issue))
        .route("/_test/requests", get(get_requests))
        .route("/_test/faults", post(post_faults).delete(delete_faults))
}

async fn get_session(State(world): State<Arc<World>>, Path(id): Path<String>) -> Json<SessionView> {
    Json(session(&world.store(), &id))
}

async fn post_issue(State(world): State<Arc<World>>, Json(issue): Json<SeedIssue>) -> Json<SeededIssue> {
    Json(seed::put(&mut world.store(), issue))
}

async fn get_issue(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, StatusCode> {
    world.store().known_issue(&id).map(|fields| Json(fields.into())).ok_or(StatusCode::NOT_FOUND)
}

async fn get_requests(State(world): State<Arc<World>>) -> Json<RequestCounts> {
    Json(lock(&world.counts).clone())
}

/// One fault, or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum FaultsBody {
    One(Fault),
    Many(Vec<Fault>),
}

async fn post_faults(State(world): State<Arc<World>>, Json(body): Json<FaultsBody>) -> Json<Value> {
    let mut faults = lock(&world.faults);
    match body {
        FaultsBody::One(fault) => faults.add(fault),
        FaultsBody::Many(many) => many.into_iter().for_each(|fault| faults.add(fault)),
    }
    Json(json!({"faults": faults.len()}))
}

async fn delete_faults(State(world): State<Arc<World>>) -> Json<Value> {
    lock(&world.faults).clear();
    Json(json!({"faults": 0}))
}

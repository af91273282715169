//! `GET /api/status`: the hub's load, as the hub tells it.

use shared::status::HubStatus;
use worker::{Env, Response};
use worker_shell::failure::Answer;
use worker_shell::reply;

use crate::auth::caller::Caller;
use crate::hub_stub;

/// Workers, queue, latency, wakes, storage.
pub async fn show(caller: &Caller, env: &Env) -> Answer<Response> {
    let status: HubStatus = hub_stub::post(env, caller.org(), "/status", &serde_json::json!({})).await?;
    reply::json(&status)
}

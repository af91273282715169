//! Speaking to the hub of an organization.

use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::id::OrgId;
use worker::{Env, Stub};
use worker_shell::failure::Answer;
use worker_shell::object;

/// The hub of `org`.
pub fn hub(env: &Env, org: OrgId) -> Answer<Stub> {
    Ok(env.durable_object("HUB")?.get_by_name(&org.to_string())?)
}

/// Posts a JSON body and reads a JSON answer; the hub's refusals come through as they are.
pub async fn post<T: DeserializeOwned>(
    env: &Env,
    org: OrgId,
    path: &str,
    body: &impl Serialize,
) -> Answer<T> {
    object::post(&hub(env, org)?, path, body).await
}

//! Speaking to the hub of an organization, whose class lives in the proxy Worker.

use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::id::OrgId;
use worker::Env;
use worker_shell::failure::Answer;
use worker_shell::object;

/// Posts a JSON body and reads a JSON answer.
pub async fn post<T: DeserializeOwned>(
    env: &Env,
    org: OrgId,
    path: &str,
    body: &impl Serialize,
) -> Answer<T> {
    let stub = env.durable_object("HUB")?.get_by_name(&org.to_string())?;
    object::post(&stub, path, body).await
}

//! Speaking to the hub of an organization.

use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::hub::call::Taken;
use shared::id::OrgId;
use worker::wasm_bindgen::JsValue;
use worker::{Env, Method, Request, RequestInit, Stub};
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

/// Hands framed events to a hub, and says of each in turn what became of it.
pub async fn deliver(env: &Env, org: OrgId, events: &[String]) -> Answer<Vec<Taken>> {
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(JsValue::from_str(&events.join("\n"))));
    let request = Request::new_with_init("https://hub/deliveries", &init)?;
    let mut answer = hub(env, org)?.fetch_with_request(request).await?;
    match answer.status_code() {
        201 => Ok(vec![Taken::Stored; events.len()]),
        200 => Ok(serde_json::from_str(&answer.text().await?)?),
        _ => Err(object::refusal(answer).await),
    }
}

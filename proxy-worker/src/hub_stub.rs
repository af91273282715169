//! Speaking to the hub of an organization.

use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::id::OrgId;
use worker::wasm_bindgen::JsValue;
use worker::{Env, Method, Request, RequestInit, Response, Stub};
use worker_shell::failure::{Answer, Failure};
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

/// Hands a framed event to a hub. Its status says what became of it; nothing of its answer is read here.
pub async fn deliver(env: &Env, org: OrgId, framed: &str) -> Answer<Response> {
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(JsValue::from_str(framed)));
    let request = Request::new_with_init("https://hub/deliveries", &init)?;
    Ok(hub(env, org)?.fetch_with_request(request).await?)
}

/// What a hub's refusal says.
pub async fn refusal(answer: Response) -> Failure {
    object::refusal(answer).await
}

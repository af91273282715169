//! `/v1/deliveries` and `/v1/status`: what a worker key may see of its organization's hub, and replay there.
//!
//! The panel asks the hub itself, for people. Filters are read here; the hub answers in the types of `shared::status`.

use serde_json::{Map, Value, json};
use shared::hub::call::DeliveryQuery;
use shared::problem::{Problem, ProblemCode};
use worker::wasm_bindgen::JsValue;
use worker::{Env, Method, Request, RequestInit, Response};
use worker_shell::credential;
use worker_shell::failure::Answer;

use crate::{edge_api, hub_stub};

/// What can be done with one delivery.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// Try it again.
    Replay,
    /// Nobody wants it any more.
    Dismiss,
}

/// `/v1/deliveries/:id/replay` and `/dismiss`.
pub fn act(path: &str) -> Option<(&str, Act)> {
    let rest = path.strip_prefix("/v1/deliveries/")?;
    let (id, act) = match rest.split_once('/')? {
        (id, "replay") => (id, Act::Replay),
        (id, "dismiss") => (id, Act::Dismiss),
        _ => return None,
    };
    (!id.is_empty() && id.len() <= 128).then_some((id, act))
}

/// `GET /v1/deliveries?seq=&state=&sessionKey=&agentSessionId=&workerId=&limit=&cursor=`.
pub async fn list(request: Request, env: &Env) -> Answer<Response> {
    let mut query = Map::new();
    for (name, value) in request.url()?.query_pairs() {
        let value = match name.as_ref() {
            "limit" | "seq" => value.parse::<u64>().map_or_else(|_| json!(value), |number| json!(number)),
            "state" | "sessionKey" | "agentSessionId" | "workerId" | "cursor" => json!(value),
            _ => return Err(unknown(&name)),
        };
        query.insert(name.into_owned(), value);
    }
    let names = query.keys().cloned().collect::<Vec<_>>().join(", ");
    let query: DeliveryQuery = serde_json::from_value(Value::Object(query)).map_err(|error| {
        Problem::new(
            ProblemCode::InvalidRequest,
            format!("one of the filters ({names}) is not of its shape: {error}"),
        )
    })?;
    post(&request, env, "/deliveries/list", &serde_json::to_string(&query)?).await
}

/// `GET /v1/status`.
pub async fn status(request: Request, env: &Env) -> Answer<Response> {
    post(&request, env, "/status", "{}").await
}

/// Replays or dismisses one delivery.
pub async fn perform(request: Request, env: &Env, id: &str, act: Act) -> Answer<Response> {
    let path = match act {
        Act::Replay => "/deliveries/replay",
        Act::Dismiss => "/deliveries/dismiss",
    };
    post(&request, env, path, &json!({ "id": id }).to_string()).await
}

/// Asks the hub for a caller whose key it knows.
async fn post(request: &Request, env: &Env, path: &str, body: &str) -> Answer<Response> {
    let key = credential::worker_key(request)?;
    let stub = hub_stub::hub(env, key.org())?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_headers(edge_api::headers_for_hub(request, &key.hash())?)
        .with_body(Some(JsValue::from_str(body)));
    let inner = Request::new_with_init(&format!("https://hub/keyed{path}"), &init)?;
    Ok(stub.fetch_with_request(inner).await?)
}

fn unknown(name: &str) -> worker_shell::failure::Failure {
    let short: String = name.chars().take(40).collect();
    let detail = format!(
        "there is no filter `{short}`; there are seq, state, sessionKey, agentSessionId, workerId, limit and cursor"
    );
    Problem::new(ProblemCode::InvalidRequest, detail).into()
}

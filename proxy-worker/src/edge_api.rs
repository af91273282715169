//! The edge's interface (`/v1`): a worker key as Bearer decides which hub is asked; the hub decides the rest.
//!
//! The key itself goes no further than this file: the hub is shown its hash.

use shared::problem::{Problem, ProblemCode};
use worker::wasm_bindgen::JsValue;
use worker::{Env, Headers, Method, Request, RequestInit, Response};
use worker_shell::body::read_capped;
use worker_shell::credential;
use worker_shell::failure::Answer;
use worker_shell::relay::{self, Framing};

use crate::hub_stub;

const MAX_BODY: usize = 1024 * 1024;

/// Hands a call on to the hub and its answer back.
pub async fn forward(mut request: Request, env: &Env, path: &str) -> Answer<Response> {
    let key = credential::worker_key(&request)?;
    let mut init = RequestInit::new();
    init.with_method(request.method()).with_headers(headers_for_hub(&request, &key.hash())?);
    if request.method() == Method::Post {
        let body = read_capped(&mut request, MAX_BODY).await?;
        let text = String::from_utf8(body)
            .map_err(|_| Problem::new(ProblemCode::InvalidRequest, "the body must be UTF-8 JSON"))?;
        init.with_body(Some(JsValue::from_str(&text)));
    }
    let inner = Request::new_with_init(&format!("https://hub{path}"), &init)?;
    Ok(hub_stub::hub(env, key.org())?.fetch_with_request(inner).await?)
}

/// `GET /v1/tokens/linear?workspaceId=`: without the parameter, of the only workspace, or of one of them.
pub async fn linear_token(request: Request, env: &Env) -> Answer<Response> {
    let url = request.url()?;
    let asked =
        url.query_pairs().find(|(name, _)| name == "workspaceId").map(|(_, value)| value.into_owned());
    let Some(workspace) = asked else { return forward(request, env, "/tokens/linear").await };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if workspace.is_empty() || workspace.len() > 128 || !workspace.chars().all(plain) {
        let detail = "`workspaceId` must be the id of a Linear workspace, as events carry it";
        return Err(Problem::new(ProblemCode::InvalidRequest, detail).into());
    }
    forward(request, env, &format!("/tokens/linear?workspaceId={workspace}")).await
}

/// `GET /v1/events`: NDJSON from the stateless Worker, or the hub's WebSocket itself.
pub async fn stream(request: Request, env: &Env) -> Answer<Response> {
    let key = credential::worker_key(&request)?;
    let wants_websocket =
        request.headers().get("upgrade")?.is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    let headers = headers_for_hub(&request, &key.hash())?;
    headers.set("upgrade", "websocket")?;
    let mut init = RequestInit::new();
    init.with_headers(headers);
    let inner = Request::new_with_init("https://hub/events", &init)?;
    let response = hub_stub::hub(env, key.org())?.fetch_with_request(inner).await?;
    if wants_websocket || response.status_code() != 101 {
        return Ok(response);
    }
    let Some(socket) = response.websocket() else {
        return Err(Problem::new(ProblemCode::StoreUnavailable, "the hub gave no stream; try again").into());
    };
    let settings = worker_shell::settings::read(env)?;
    relay::answer(
        &request,
        socket,
        Framing {
            content_type: "application/x-ndjson",
            opening: "",
            keep_alive_ms: settings.heartbeat_line_ms,
            keep_alive: "{\"type\":\"heartbeat\"}\n",
            max_ms: settings.stream_max_ms,
            max_lines: settings.stream_max_lines,
            farewell: "{\"type\":\"reconnect\"}\n",
            terminator: "\n",
        },
    )
}

/// What the hub is told of the caller: the key's hash, and which of its workers speaks.
pub fn headers_for_hub(request: &Request, key_hash: &str) -> Answer<Headers> {
    let headers = Headers::new();
    headers.set("content-type", "application/json")?;
    headers.set("x-key-hash", key_hash)?;
    if let Some(worker) = request.headers().get("cyrus-worker")? {
        headers.set("cyrus-worker", &worker)?;
    }
    Ok(headers)
}

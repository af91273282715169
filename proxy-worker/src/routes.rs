//! The proxy's public routes, all of them.

use shared::problem::{Problem, ProblemCode};
use worker::{Context, Env, Method, Request, Response};
use worker_shell::failure::Answer;
use worker_shell::reply;

use crate::{deliveries, edge_api, setup, webhook};

/// Answers a request, with a problem document where it is refused.
pub async fn answer(request: Request, env: Env, context: Context) -> worker::Result<Response> {
    let (method, path) = (request.method(), request.path());
    let allowed = methods(&path);
    if !allowed.is_empty() && !allowed.contains(&method) {
        let names: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        let names = names.join(", ");
        let refusal = Problem::new(ProblemCode::MethodNotAllowed, format!("this path takes {names}"));
        let response = reply::problem(&refusal)?;
        response.headers().set("allow", &names)?;
        return Ok(response);
    }
    reply::finish(route(&path, request, env, &context).await)
}

fn methods(path: &str) -> &'static [Method] {
    match path {
        "/webhooks/linear" | "/v1/workers" | "/v1/workers/me/drain" | "/v1/acks" | "/v1/heartbeats" => {
            &[Method::Post]
        }
        "/v1/events" | "/v1/tokens/linear" | "/v1/deliveries" | "/v1/status" | "/healthz" => &[Method::Get],
        "/setup/linear" => &[Method::Put],
        _ if deliveries::act(path).is_some() => &[Method::Post],
        _ => &[],
    }
}

async fn route(path: &str, request: Request, env: Env, context: &Context) -> Answer<Response> {
    match path {
        "/webhooks/linear" => webhook::receive(request, &env, context).await,
        "/v1/workers" => edge_api::forward(request, &env, "/workers").await,
        "/v1/acks" => edge_api::forward(request, &env, "/acks").await,
        "/v1/heartbeats" => edge_api::forward(request, &env, "/heartbeats").await,
        "/v1/tokens/linear" => edge_api::linear_token(request, &env).await,
        "/v1/workers/me/drain" => edge_api::forward(request, &env, "/workers/me/drain").await,
        "/v1/deliveries" => deliveries::list(request, &env).await,
        "/v1/status" => deliveries::status(request, &env).await,
        "/v1/events" => edge_api::stream(request, &env).await,
        "/setup/linear" => setup::connect_linear(request, &env).await,
        "/healthz" => reply::json(
            &serde_json::json!({ "status": "ok", "service": "proxy", "version": env!("CARGO_PKG_VERSION") }),
        ),
        _ => match deliveries::act(path) {
            Some((id, act)) => deliveries::perform(request, &env, id, act).await,
            None => Err(Problem::new(ProblemCode::NotFound, "the proxy has no such path").into()),
        },
    }
}

//! The panel's routes, all of them. What is not here is a static asset or nothing.

use shared::problem::{Problem, ProblemCode};
use worker::{Env, Method, Request, Response};
use worker_shell::failure::Answer;
use worker_shell::reply;

use crate::auth::caller::Caller;
use crate::auth::{caller, sign_in};
use crate::{api, setup};

/// Answers a request, with a problem document where it is refused.
pub async fn answer(request: Request, env: Env) -> worker::Result<Response> {
    reply::finish(route(request, &env).await)
}

async fn route(request: Request, env: &Env) -> Answer<Response> {
    let (method, path) = (request.method(), request.path());
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match (method, segments.as_slice()) {
        (Method::Get, ["healthz"]) => {
            return reply::json(
                &serde_json::json!({ "status": "ok", "service": "panel", "version": env!("CARGO_PKG_VERSION") }),
            );
        }
        (Method::Post, ["setup"]) => return setup::set_up(request, env).await,
        (Method::Get, ["auth", "sign-in"]) => return sign_in::sign_in(&request, env).await,
        (Method::Post, ["auth", "sign-out"]) => return sign_in::sign_out(&request, env).await,
        (_, ["api", ..]) => {}
        _ => return Err(no_such_path()),
    }
    let caller = caller::identify(&request, env).await?;
    let method = request.method();
    match (method, segments.get(1..).unwrap_or_default()) {
        (Method::Get, ["me"]) => api::me::show(&caller, env).await,
        (Method::Get, ["overview"]) => api::overview::show(&caller, env).await,
        (Method::Get, ["sessions"]) => api::sessions::list(&request, &caller, env).await,
        (Method::Post, ["sessions"]) => match &caller {
            Caller::Worker { .. } => api::sessions::create(request, &caller, env).await,
            Caller::Person { .. } => api::manual_run::create(request, &caller, env).await,
        },
        (Method::Get, ["sessions", id]) => api::session::show(id, &caller, env).await,
        (Method::Patch, ["sessions", id]) => api::session::update(id, request, &caller, env).await,
        (Method::Get, ["sessions", id, "logs"]) => api::logs::watch(id, &request, &caller, env).await,
        (Method::Post, ["sessions", id, "logs"]) => api::logs::append(id, request, &caller, env).await,
        (Method::Post, ["sessions", id, "feedback"]) => api::steer::feedback(id, request, &caller, env).await,
        (Method::Post, ["sessions", id, "answers"]) => api::steer::answer(id, request, &caller, env).await,
        (Method::Post, ["sessions", id, "stop"]) => api::steer::stop(id, request, &caller, env).await,
        (Method::Post, ["sessions", id, "retry"]) => api::steer::retry(id, request, &caller, env).await,
        (Method::Get, ["deliveries"]) => api::deliveries::list(&request, &caller, env).await,
        (Method::Post, ["deliveries", id, "replay"]) => api::deliveries::replay(id, &caller, env).await,
        (Method::Post, ["deliveries", id, "dismiss"]) => api::deliveries::dismiss(id, &caller, env).await,
        (Method::Get, ["status"]) => api::status::show(&caller, env).await,
        (Method::Post, ["codegen", "test"]) => api::executor_check::test(request, &caller, env).await,
        (Method::Put, ["leases", key]) => api::leases::show(key, request, &caller, env).await,
        (Method::Get, ["repositories"]) => api::repositories::list(&request, &caller, env).await,
        (Method::Post, ["repositories"]) => api::repositories::create(request, &caller, env).await,
        (Method::Get, ["repositories", id]) => api::repositories::show(id, &caller, env).await,
        (Method::Patch, ["repositories", id]) => {
            api::repositories::settings::update(id, request, &caller, env).await
        }
        (Method::Get, ["workers"]) => api::workers::list(&caller, env).await,
        (Method::Get, ["workers", "me", "config"]) => api::worker_config::show(&request, &caller, env).await,
        (Method::Post, ["workers", "me", "recoveries"]) => {
            api::recoveries::create(request, &caller, env).await
        }
        (Method::Patch, ["workers", id]) if *id != "me" => {
            api::workers::update(id, request, &caller, env).await
        }
        (Method::Get, ["executor-credentials"]) => api::credentials::list(&caller, env).await,
        (Method::Put, ["executor-credentials", variable]) => {
            api::credentials::put(variable, request, &caller, env).await
        }
        (Method::Delete, ["executor-credentials", variable]) => {
            api::credentials::delete(variable, &caller, env).await
        }
        (Method::Get, ["worker-keys"]) => api::worker_keys::list(&request, &caller, env).await,
        (Method::Delete, ["worker-keys", id]) => api::worker_keys::revoke(id, &caller, env).await,
        (Method::Post, ["worker-keys"]) => api::worker_keys::create(request, &caller, env).await,
        (
            _,
            [
                "me"
                | "overview"
                | "sessions"
                | "repositories"
                | "workers"
                | "worker-keys"
                | "deliveries"
                | "status"
                | "executor-credentials",
            ]
            | ["sessions" | "leases" | "worker-keys" | "repositories" | "workers" | "executor-credentials", _]
            | ["workers", "me", "config" | "recoveries"]
            | ["sessions", _, "logs" | "feedback" | "answers" | "stop" | "retry"]
            | ["deliveries", _, "replay" | "dismiss"]
            | ["codegen", "test"],
        ) => {
            Err(Problem::new(ProblemCode::MethodNotAllowed, "this path exists, but not with this method")
                .into())
        }
        _ => Err(no_such_path()),
    }
}

fn no_such_path() -> worker_shell::failure::Failure {
    Problem::new(ProblemCode::NotFound, "the panel has no such path").into()
}

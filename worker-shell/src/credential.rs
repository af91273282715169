//! Credentials as they come in requests and settings.

use shared::problem::{Problem, ProblemCode};
use shared::worker_key::WorkerKey;
use worker::{Env, Request};

use crate::failure::Answer;

/// The text after `Bearer ` in the `Authorization` header.
pub fn bearer(request: &Request) -> Option<String> {
    let header = request.headers().get("authorization").ok().flatten()?;
    header.strip_prefix("Bearer ").map(|token| token.trim().to_owned())
}

/// The worker key of the request. The key is only parsed here; whether it is known, the hub or D1 says.
pub fn worker_key(request: &Request) -> Answer<WorkerKey> {
    let text = bearer(request).ok_or_else(|| {
        Problem::new(
            ProblemCode::Unauthorized,
            "send a worker key: `Authorization: Bearer cyw_…`; the panel makes one under Workers",
        )
    })?;
    WorkerKey::parse(&text).map_err(|error| Problem::new(ProblemCode::Unauthorized, error.to_string()).into())
}

/// Refuses a request without the operator's set-up token. Where none is configured, set-up is closed.
pub fn require_setup_token(request: &Request, env: &Env) -> Answer<()> {
    let expected = setting(env, "SETUP_TOKEN").filter(|token| token.len() >= 32);
    let given = bearer(request).unwrap_or_default();
    match expected {
        Some(expected) if shared::worker_key::same_secret(&expected, &given) => Ok(()),
        _ => Err(Problem::new(
            ProblemCode::Unauthorized,
            "this route wants the operator's set-up token as Bearer",
        )
        .into()),
    }
}

/// A variable or secret of the Worker, if it is set and not empty.
pub fn setting(env: &Env, name: &str) -> Option<String> {
    env.var(name).ok().map(|value| value.to_string()).filter(|text| !text.is_empty())
}

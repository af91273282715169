//! Making answers: JSON, problems, and the last boundary where a failure becomes one.

use serde::Serialize;
use shared::problem::{Problem, ProblemCode};
use worker::{Response, ResponseBuilder};

use crate::failure::Answer;

/// 200 with a JSON body that nobody may cache.
pub fn json<T: Serialize>(value: &T) -> Answer<Response> {
    json_with(200, value)
}

/// JSON with a status of its own.
pub fn json_with<T: Serialize>(status: u16, value: &T) -> Answer<Response> {
    Ok(builder(status, "application/json")?.fixed(serde_json::to_vec(value)?))
}

/// Rates are counted by the minute, so that is how long a sender waits, in seconds.
const RETRY_AFTER_S: &str = "60";

/// A problem document. A 429 says when to come back; a 405 gets its `Allow` from the caller.
pub fn problem(problem: &Problem) -> worker::Result<Response> {
    let body = serde_json::to_vec(problem)?;
    let mut builder = builder(problem.status, "application/problem+json")?;
    if problem.is(ProblemCode::RateLimited) {
        builder = builder.with_header("retry-after", RETRY_AFTER_S)?;
    }
    Ok(builder.fixed(body))
}

/// Turns a handler's outcome into a response; the only place where a failure is logged.
pub fn finish(outcome: Answer<Response>) -> worker::Result<Response> {
    outcome.or_else(|failure| problem(&failure.problem()))
}

fn builder(status: u16, content_type: &str) -> worker::Result<ResponseBuilder> {
    ResponseBuilder::new()
        .with_status(status)
        .with_header("content-type", content_type)?
        .with_header("cache-control", "no-store")?
        .with_header("x-content-type-options", "nosniff")
}

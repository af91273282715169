//! Speaking to the hub of an organization, whose class lives in the proxy Worker.
//!
//! A hub that is away or broken is one refusal for people, [`ProblemCode::StoreUnavailable`]; what it refuses
//! itself is handed on as it is.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::id::OrgId;
use shared::problem::{Problem, ProblemCode};
use worker::{Delay, Env};
use worker_shell::failure::{Answer, Failure};
use worker_shell::object;

/// How long the hub may take; it may speak to Linear itself meanwhile.
const PATIENCE: Duration = Duration::from_secs(20);

/// Posts a JSON body and reads a JSON answer, for a person or a worker who waits for it.
pub async fn post<T: DeserializeOwned>(
    env: &Env,
    org: OrgId,
    path: &str,
    body: &impl Serialize,
) -> Answer<T> {
    reach(env, org, path, body).await.map_err(|failure| {
        let problem = failure.problem();
        if problem.status < 500 {
            return problem.into();
        }
        Problem::new(
            ProblemCode::StoreUnavailable,
            "the organization's hub cannot be reached or cannot answer now; try again in a moment",
        )
        .into()
    })
}

/// The same with every failure as it is: a refusal is the hub's own word, anything else means that it is away.
pub async fn reach<T: DeserializeOwned>(
    env: &Env,
    org: OrgId,
    path: &str,
    body: &impl Serialize,
) -> Answer<T> {
    let stub = env.durable_object("HUB")?.get_by_name(&org.to_string())?;
    let answer = pin!(object::post(&stub, path, body));
    match select(answer, Delay::from(PATIENCE)).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => Err(Failure::internal("the hub did not answer in time")),
    }
}

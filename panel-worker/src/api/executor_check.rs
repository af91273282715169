//! `POST /api/codegen/test`: a worker tries an executor, and says whether it works.
//!
//! The panel calls no executor's API itself: the check is an event, and its `done` ack carries the result.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use shared::event::{AgentSession, EventBody};
use shared::hub::call::{Command, DeliveryRef, DeliveryResult, Order};
use shared::hub::delivery::EventState;
use shared::id::{AgentSessionId, DeliveryId, OrgId};
use shared::problem::{Problem, ProblemCode};
use shared::status::WorkerStatus;
use shared::worker::WorkerState;
use worker::{Delay, Env, Request, Response};
use worker_shell::failure::Answer;
use worker_shell::{clock, random, reply};

use super::given;
use super::query::invalid;
use crate::auth::caller::Caller;
use crate::db::Db;
use crate::hub_stub;
use crate::outbox::{self, Sent};

const DEFAULT_EXECUTOR: &str = "codegen";
/// How long the worker may take, in ms.
const PATIENCE_MS: i64 = 20_000;
/// The longest result, in bytes of JSON.
const MAX_RESULT: usize = 4096;
/// The first and the longest pause between two looks, in ms.
const PAUSES_MS: (u64, u64) = (100, 1_000);

#[derive(Deserialize, Default)]
struct Wish {
    #[serde(default)]
    executor: Option<String>,
}

/// 200 with `{ok, result?, reason?}`, also where there is nobody to try it.
pub async fn test(mut request: Request, caller: &Caller, env: &Env) -> Answer<Response> {
    let org = caller.operator()?;
    let wish: Wish = given::body_or_default(&mut request, 4096).await?;
    let executor = wish.executor.unwrap_or_else(|| DEFAULT_EXECUTOR.to_owned());
    let is_name = (1..=64).contains(&executor.len())
        && executor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !is_name {
        return Err(invalid("`executor` must be the name of one, as `codegen` or `claude`"));
    }
    let workers: Vec<WorkerStatus> = hub_stub::post(env, org, "/workers/list", &json!({})).await?;
    let takes_new =
        |worker: &WorkerStatus| matches!(worker.state, WorkerState::Online | WorkerState::Working);
    if !workers.iter().any(takes_new) {
        return reply::json(&failed("no worker is on line"));
    }
    let id = order(env, org, executor).await?;
    reply::json(&outcome(env, org, &id).await?)
}

async fn order(env: &Env, org: OrgId, executor: String) -> Answer<DeliveryId> {
    let agent_session = AgentSession {
        id: AgentSessionId(format!("check_{}", random::uuid(clock::now()).simple())),
        url: None,
        issue: None,
        comment: None,
        creator_name: None,
        local: true,
    };
    let body = Box::new(EventBody::CheckRequested { agent_session, executor });
    let command = Command { id: outbox::new_id(), order: Order::Event { workspace_id: None, body } };
    match outbox::order(env, &Db::of(env)?, org, &command).await? {
        Sent::Confirmed(_) => Ok(command.id),
        Sent::Waiting => Err(Problem::new(
            ProblemCode::StoreUnavailable,
            "the organization's hub cannot be reached now; try again in a moment",
        )
        .into()),
    }
}

/// Asks until the worker has answered, or too long.
async fn outcome(env: &Env, org: OrgId, id: &DeliveryId) -> Answer<Value> {
    let due = clock::now().plus_millis(PATIENCE_MS);
    let mut pause = PAUSES_MS.0;
    while clock::now() < due {
        let asked = DeliveryRef { id: id.0.clone() };
        let found: DeliveryResult = hub_stub::post(env, org, "/deliveries/result", &asked).await?;
        match found.state {
            EventState::Done => return Ok(told(found)),
            EventState::Dead | EventState::Cancelled => {
                return Ok(failed(found.reason.as_deref().unwrap_or("no worker could do the check")));
            }
            EventState::Pending | EventState::Offered | EventState::Accepted => {}
        }
        Delay::from(Duration::from_millis(pause)).await;
        pause = (pause * 2).min(PAUSES_MS.1);
    }
    Ok(failed("no worker answered within 20 s"))
}

/// The result as the worker gave it. A worker that says nothing of `ok` has at least done the check.
fn told(found: DeliveryResult) -> Value {
    let Some(result) = found.result else {
        return failed(found.reason.as_deref().unwrap_or("the worker gave no result"));
    };
    if result.to_string().len() > MAX_RESULT {
        return failed("the worker's result is longer than 4 KB");
    }
    let ok = result.get("ok").and_then(Value::as_bool).unwrap_or(true);
    json!({ "ok": ok, "result": result })
}

fn failed(reason: &str) -> Value {
    let reason: String = reason.chars().take(MAX_RESULT / 4).collect();
    json!({ "ok": false, "reason": reason })
}

//! `/api/deliveries`: each delivery's way through the hub, and what a person may do about a dead letter.
//!
//! The hub has them and decides; nothing of them is kept here.

use shared::api::Page;
use shared::hub::call::{DeliveryQuery, DeliveryRef};
use shared::hub::delivery::EventState;
use shared::id::{AgentSessionId, Seq, SessionKey};
use shared::status::DeliveryRecord;
use worker::{Env, Request, Response};
use worker_shell::failure::Answer;
use worker_shell::reply;

use super::query::Query;
use super::{given, not_found};
use crate::auth::caller::Caller;
use crate::hub_stub;

/// Ids of others, session keys and cursors are longer nowhere.
const MAX_ID: usize = 256;

/// `GET ?seq=&state=&sessionKey=&agentSessionId=&workerId=&limit=&cursor=`, newest first.
pub async fn list(request: &Request, caller: &Caller, env: &Env) -> Answer<Response> {
    let query = Query::of(request)?;
    let query = DeliveryQuery {
        seq: query.parsed("seq", "the number of a delivery", |text| text.parse().ok().map(Seq))?,
        state: query.parsed(
            "state",
            "pending, offered, accepted, done, dead or cancelled",
            EventState::parse,
        )?,
        session_key: query.text("sessionKey", MAX_ID)?.map(SessionKey),
        agent_session_id: query.text("agentSessionId", MAX_ID)?.map(AgentSessionId),
        worker_id: query.parsed("workerId", "an id of the form `wrk_…`", |text| text.parse().ok())?,
        limit: u32::try_from(query.limit()?).ok(),
        cursor: query.text("cursor", MAX_ID)?,
    };
    let page: Page<DeliveryRecord> = hub_stub::post(env, caller.org(), "/deliveries/list", &query).await?;
    reply::json(&page)
}

/// `POST …/replay`: a dead or cancelled one is tried again.
pub async fn replay(id: &str, caller: &Caller, env: &Env) -> Answer<Response> {
    act("/deliveries/replay", id, caller, env).await
}

/// `POST …/dismiss`: a dead letter need not be kept.
pub async fn dismiss(id: &str, caller: &Caller, env: &Env) -> Answer<Response> {
    act("/deliveries/dismiss", id, caller, env).await
}

async fn act(path: &str, id: &str, caller: &Caller, env: &Env) -> Answer<Response> {
    let org = caller.operator()?;
    // A delivery's id is its sender's text, so it may be escaped in the path.
    let id = given::decoded(id)
        .filter(|id| (1..=MAX_ID).contains(&id.len()))
        .ok_or_else(|| not_found("delivery"))?;
    let record: DeliveryRecord = hub_stub::post(env, org, path, &DeliveryRef { id }).await?;
    reply::json(&record)
}

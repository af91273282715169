//! `/api/sessions`: the list, newest first, and the record that a worker makes of a session.
//!
//! What a person's `POST` does is in [`super::manual_run`].

use shared::api::Page;
use shared::id::{FencingToken, OrgId, RepositoryId, SessionId};
use shared::session::{NewSession, SessionRecord, SessionState};
use worker::{Env, Request, Response};
use worker_shell::failure::Answer;
use worker_shell::{body, clock, random, reply};

use super::idempotency::IdempotencyKey;
use super::query::{Query, invalid};
use super::{leases, not_found, repositories};
use crate::auth::caller::Caller;
use crate::db::{Db, Value};
use crate::record::row::NewRow;
use crate::record::session::{self as record, SessionRow};

/// What a worker's `Idempotency-Key` is for; a person's begins a run.
const RECORD: &str = "record";

/// `GET ?status=&limit=&cursor=`.
pub async fn list(request: &Request, caller: &Caller, env: &Env) -> Answer<Response> {
    let query = Query::of(request)?;
    let limit = query.limit()?;
    let mut conditions = "s.organization_id = ?".to_owned();
    let mut values: Vec<Value> = vec![caller.org().to_string().into()];
    let words = "pending, running, completed, failed, or a state's own name";
    if let Some(states) = query.parsed("status", words, SessionState::filter)? {
        let marks = vec!["?"; states.len()].join(", ");
        conditions.push_str(&format!(" AND s.status IN ({marks})"));
        values.extend(states.into_iter().map(|state| state.as_str().into()));
    }
    if let Some((at, id)) = query.cursor::<SessionId>()? {
        conditions.push_str(" AND (s.created_at, s.id) < (?, ?)");
        values.extend([at.into(), id.to_string().into()]);
    }
    values.push((limit + 1).into());
    let query =
        format!("{} WHERE {conditions} ORDER BY s.created_at DESC, s.id DESC LIMIT ?", record::SELECT);
    let mut rows: Vec<SessionRow> = Db::of(env)?.rows(&query, values).await?;
    let more = rows.len() as u64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = rows.last().filter(|_| more).map(SessionRow::cursor);
    reply::json(&Page { items: rows.into_iter().map(SessionRecord::from).collect(), next })
}

/// `POST` with a worker key: stores the record; the same agent session or `Idempotency-Key` again answers the stored one.
pub async fn create(mut request: Request, caller: &Caller, env: &Env) -> Answer<Response> {
    let (org, _) = caller.worker()?;
    let key = IdempotencyKey::of(org, &request)?;
    let new: NewSession = body::read_json(&mut request, 256 * 1024).await?;
    let db = Db::of(env)?;
    leases::require(&db, org, &new.session_key, new.token).await?;
    let repository = match &new.repository {
        Some(name) => repositories::id_of(&db, org, name).await?,
        None => None,
    };
    let by_hand = made_by_hand(&db, org, &new).await?;
    // Only a request that is taken uses its key up. The token proves the lease and is no part of what is asked.
    let again = match &key {
        Some(key) => {
            let asked = NewSession { token: FencingToken::default(), ..new.clone() };
            key.asked_before(&db, RECORD, &asked).await?
        }
        None => false,
    };
    if let Some(id) = by_hand {
        let taken = take(&db, org, id, &new, repository).await?;
        return reply::json(&taken.ok_or_else(|| not_found("session"))?);
    }
    let id = key.map_or_else(|| random::uuid(clock::now()), |key| key.id(RECORD));
    let id = SessionId::from_uuid(id);
    let row = NewRow {
        session_key: new.session_key.as_str(),
        repository,
        agent_session_id: new.agent_session_id.as_ref().map(|id| id.as_str()),
        linear_issue_id: new.linear_issue_id.as_deref(),
        linear_issue_identifier: new.linear_issue_identifier.as_deref(),
        linear_issue_title: new.linear_issue_title.as_deref(),
        linear_issue_url: new.linear_issue_url.as_deref(),
        agent_type: new.agent_type,
        executor_type: new.executor_type,
        worker_name: Some(&new.worker_name),
        ..NewRow::of(org, id)
    };
    db.batch(vec![row.insert(&db)?]).await?;
    let stored = match &new.agent_session_id {
        Some(agent_session) => record::of_agent_session(&db, org, agent_session).await?,
        None => record::find(&db, org, id).await?,
    };
    let stored = stored.ok_or_else(|| not_found("session"))?;
    reply::json_with(if stored.id == id && !again { 201 } else { 200 }, &stored)
}

/// A person's run without an issue has its record already; this is its id.
async fn made_by_hand(db: &Db, org: OrgId, new: &NewSession) -> Answer<Option<SessionId>> {
    let named = new.agent_session_id.as_ref().and_then(|id| id.as_str().parse::<SessionId>().ok());
    let keyed = new.session_key.as_str().parse::<SessionId>().ok();
    let Some(id) = named.or(keyed.filter(|_| new.agent_session_id.is_none())) else { return Ok(None) };
    let found = record::find(db, org, id).await?.filter(|record| record.agent_session_id.is_none());
    match found {
        Some(record) if record.session_key == new.session_key => Ok(Some(id)),
        Some(_) => Err(invalid("`sessionKey` is not the one of this session")),
        None if named.is_some() => Err(not_found("session")),
        None => Ok(None),
    }
}

/// Adds what the worker that takes such a run knows.
async fn take(
    db: &Db,
    org: OrgId,
    id: SessionId,
    new: &NewSession,
    repository: Option<RepositoryId>,
) -> Answer<Option<SessionRecord>> {
    db.run(
        "UPDATE agent_sessions SET worker_name = ?1, repository_id = coalesce(repository_id, ?2), updated_at = ?3
         WHERE organization_id = ?4 AND id = ?5 AND worker_name IS NOT ?1",
        vec![
            new.worker_name.as_str().into(),
            repository.map(|id| id.to_string()).into(),
            clock::now().into(),
            org.to_string().into(),
            id.to_string().into(),
        ],
    )
    .await?;
    record::find(db, org, id).await
}

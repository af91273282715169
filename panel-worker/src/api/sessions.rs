//! `/api/sessions`: the list, newest first, and the record that a worker makes of a session.

use shared::api::Page;
use shared::id::SessionId;
use shared::problem::{Problem, ProblemCode};
use shared::session::{NewSession, SessionRecord, SessionState};
use worker::{Env, Request, Response};
use worker_shell::failure::{Answer, Failure};
use worker_shell::{body, clock, random, reply};

use super::{leases, repositories};
use crate::auth::caller::Caller;
use crate::db::{Db, Value};
use crate::record::session::{self as record, SessionRow};

const MAX_LIMIT: u64 = 200;

/// `GET ?status=&limit=&cursor=`.
pub async fn list(request: &Request, caller: &Caller, env: &Env) -> Answer<Response> {
    let url = request.url()?;
    let parameter =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let limit = match parameter("limit") {
        None => 50,
        Some(text) => text
            .parse::<u64>()
            .ok()
            .filter(|limit| (1..=MAX_LIMIT).contains(limit))
            .ok_or_else(|| invalid("`limit` must be a number from 1 to 200"))?,
    };
    let mut conditions = "s.organization_id = ?".to_owned();
    let mut values: Vec<Value> = vec![caller.org().to_string().into()];
    if let Some(word) = parameter("status") {
        let states = SessionState::filter(&word).ok_or_else(|| {
            invalid("`status` must be pending, running, completed, failed, or a state's own name")
        })?;
        let marks = vec!["?"; states.len()].join(", ");
        conditions.push_str(&format!(" AND s.status IN ({marks})"));
        values.extend(states.into_iter().map(|state| state.as_str().into()));
    }
    if let Some(cursor) = parameter("cursor") {
        let parsed = cursor
            .split_once('.')
            .and_then(|(at, id)| Some((at.parse::<i64>().ok()?, id.parse::<SessionId>().ok()?)));
        let (at, id) = parsed.ok_or_else(|| invalid("`cursor` is not one that this list gave"))?;
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

/// `POST` with a worker key: stores the record; the same agent session again answers the stored one.
pub async fn create(mut request: Request, caller: &Caller, env: &Env) -> Answer<Response> {
    let (org, _) = caller.worker()?;
    let new: NewSession = body::read_json(&mut request, 256 * 1024).await?;
    let db = Db::of(env)?;
    leases::require(&db, org, &new.session_key, new.token).await?;
    let repository = match &new.repository {
        Some(name) => repositories::id_of(&db, org, name).await?,
        None => None,
    };
    let now = clock::now();
    let id = SessionId::from_uuid(random::uuid(now));
    db.run(
        "INSERT INTO agent_sessions (id, organization_id, repository_id, session_key, agent_session_id, linear_issue_id,
           linear_issue_identifier, linear_issue_title, linear_issue_url, agent_type, executor_type, status, worker_name, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'queued', ?12, ?13, ?13) ON CONFLICT DO NOTHING",
        vec![
            id.to_string().into(),
            org.to_string().into(),
            repository.map(|id| id.to_string()).into(),
            new.session_key.as_str().into(),
            new.agent_session_id.as_ref().map(|id| id.0.clone()).into(),
            new.linear_issue_id.into(),
            new.linear_issue_identifier.into(),
            new.linear_issue_title.into(),
            new.linear_issue_url.into(),
            word(&new.agent_type)?.into(),
            word(&new.executor_type)?.into(),
            new.worker_name.into(),
            now.into(),
        ],
    )
    .await?;
    let stored: Option<SessionRow> = match &new.agent_session_id {
        Some(agent_session) => {
            db.first(
                &format!("{} WHERE s.organization_id = ? AND s.agent_session_id = ?", record::SELECT),
                vec![org.to_string().into(), agent_session.as_str().into()],
            )
            .await?
        }
        None => {
            db.first(
                &format!("{} WHERE s.organization_id = ? AND s.id = ?", record::SELECT),
                vec![org.to_string().into(), id.to_string().into()],
            )
            .await?
        }
    };
    let stored = stored.map(SessionRecord::from).ok_or_else(|| super::not_found("session"))?;
    reply::json_with(if stored.id == id { 201 } else { 200 }, &stored)
}

/// The word that an enum is on the wire and in the tables.
fn word(value: &impl serde::Serialize) -> Answer<String> {
    let value = serde_json::to_value(value)?;
    value.as_str().map(str::to_owned).ok_or_else(|| Failure::internal("an enum that is not a word"))
}

fn invalid(detail: &str) -> Failure {
    Problem::new(ProblemCode::InvalidRequest, detail).into()
}

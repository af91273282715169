//! `/api/sessions/:id`: showing one, and the worker's updates of it.

use shared::api::SessionChanged;
use shared::id::SessionId;
use shared::session::SessionUpdate;
use worker::{Env, Request, Response};
use worker_shell::failure::Answer;
use worker_shell::{body, clock, reply};

use super::{leases, not_found};
use crate::auth::caller::Caller;
use crate::db::Db;
use crate::record::session as record;
use crate::room;

/// Reads an id out of a path; what is not one cannot be found.
pub fn id(text: &str) -> Answer<SessionId> {
    text.parse().map_err(|_| not_found("session"))
}

/// `GET`.
pub async fn show(id_text: &str, caller: &Caller, env: &Env) -> Answer<Response> {
    let found = record::find(&Db::of(env)?, caller.org(), id(id_text)?).await?;
    reply::json(&found.ok_or_else(|| not_found("session"))?)
}

/// `PATCH` with a worker key, under the lease's token.
pub async fn update(id_text: &str, mut request: Request, caller: &Caller, env: &Env) -> Answer<Response> {
    let (org, _) = caller.worker()?;
    let id = id(id_text)?;
    let update: SessionUpdate = body::read_json(&mut request, 1024 * 1024).await?;
    let db = Db::of(env)?;
    let before = record::find(&db, org, id).await?.ok_or_else(|| not_found("session"))?;
    leases::require(&db, org, &before.session_key, update.token).await?;
    let now = clock::now();
    let (session, organization) = (id.to_string(), org.to_string());
    let mut statements = vec![db.statement(
        "UPDATE agent_sessions SET
           status = coalesce(?3, status), executor = coalesce(?4, executor), executor_version = coalesce(?5, executor_version),
           model = coalesce(?6, model), branch = coalesce(?7, branch), head_commit = coalesce(?8, head_commit),
           worktree_path = coalesce(?9, worktree_path), error_message = CASE WHEN ?3 = 'running' THEN NULL ELSE coalesce(?10, error_message) END,
           started_at = coalesce(started_at, ?11), completed_at = CASE WHEN ?3 = 'running' THEN NULL ELSE coalesce(?12, completed_at) END,
           updated_at = ?13
         WHERE id = ?1 AND organization_id = ?2",
        vec![
            session.as_str().into(),
            organization.as_str().into(),
            update.status.map(|status| status.as_str()).into(),
            update.executor.into(),
            update.executor_version.into(),
            update.model.into(),
            update.branch.into(),
            update.head_commit.into(),
            update.worktree_path.into(),
            update.error_message.into(),
            update.started_at.into(),
            update.completed_at.into(),
            now.into(),
        ],
    )?];
    if let Some(run) = &update.run {
        let tokens = run.input_tokens.unwrap_or(0) + run.output_tokens.unwrap_or(0);
        statements.push(db.statement(
            "INSERT INTO runs (id, organization_id, session_id, started_at, list_cost_micro_usd, billed_cost_micro_usd, tokens, record)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (id) DO UPDATE SET list_cost_micro_usd = ?5, billed_cost_micro_usd = ?6, tokens = ?7, record = ?8
             WHERE session_id = ?3 AND organization_id = ?2",
            vec![
                run.id.to_string().into(),
                organization.as_str().into(),
                session.as_str().into(),
                run.started_at.into(),
                run.list_cost_micro_usd.0.into(),
                run.billed_cost_micro_usd.map(|cost| cost.0).into(),
                tokens.into(),
                serde_json::to_string(run)?.into(),
            ],
        )?);
        statements.push(db.statement(
            "UPDATE agent_sessions SET
               list_cost_micro_usd = (SELECT coalesce(sum(list_cost_micro_usd), 0) FROM runs WHERE session_id = ?1),
               billed_cost_micro_usd = (SELECT sum(billed_cost_micro_usd) FROM runs WHERE session_id = ?1),
               tokens_used = (SELECT sum(tokens) FROM runs WHERE session_id = ?1)
             WHERE id = ?1 AND organization_id = ?2",
            vec![session.as_str().into(), organization.as_str().into()],
        )?);
    }
    db.batch(statements).await?;
    let after = record::find(&db, org, id).await?.ok_or_else(|| not_found("session"))?;
    room::announce(env, org, id, SessionChanged { status: after.status, updated_at: after.updated_at })
        .await?;
    reply::json(&after)
}

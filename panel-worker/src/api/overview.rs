//! `GET /api/overview`: the numbers of the first page.

use serde::Deserialize;
use shared::api::Overview;
use shared::worker::WorkerState;
use worker::{Env, Response};
use worker_shell::failure::Answer;
use worker_shell::{clock, reply};

use super::workers;
use crate::auth::caller::Caller;
use crate::db::Db;

const DAY_MS: i64 = 24 * 3_600_000;

/// Counts over the last 24 hours and of now.
pub async fn show(caller: &Caller, env: &Env) -> Answer<Response> {
    #[derive(Deserialize)]
    struct Row {
        active: u32,
        waiting: u32,
        completed: u32,
        failed: u32,
        cost: i64,
        repositories: u32,
    }
    let org = caller.org().to_string();
    let since = clock::now().plus_millis(-DAY_MS);
    let row: Option<Row> = Db::of(env)?
        .first(
            "SELECT
               (SELECT count(*) FROM agent_sessions WHERE organization_id = ?1 AND status IN ('queued', 'running', 'awaiting_input', 'parked', 'verifying')) AS active,
               (SELECT count(*) FROM agent_sessions WHERE organization_id = ?1 AND status IN ('awaiting_input', 'parked')) AS waiting,
               (SELECT count(*) FROM agent_sessions WHERE organization_id = ?1 AND status = 'completed' AND created_at > ?2) AS completed,
               (SELECT count(*) FROM agent_sessions WHERE organization_id = ?1 AND status = 'failed' AND created_at > ?2) AS failed,
               (SELECT coalesce(sum(list_cost_micro_usd), 0) FROM agent_sessions WHERE organization_id = ?1 AND created_at > ?2) AS cost,
               (SELECT count(*) FROM repositories WHERE organization_id = ?1) AS repositories",
            vec![org.into(), since.into()],
        )
        .await?;
    let workers = workers::all(caller.org(), env).await?;
    let known = workers.iter().filter(|worker| worker.state != WorkerState::Revoked);
    let online = known.clone().filter(|worker| worker.state != WorkerState::Offline);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let mut overview = Overview {
        workers_online: count(online.count()),
        workers_known: count(known.count()),
        ..Overview::default()
    };
    if let Some(row) = row {
        overview.sessions_active = row.active;
        overview.sessions_waiting = row.waiting;
        overview.completed_day = row.completed;
        overview.failed_day = row.failed;
        overview.list_cost_day_micro_usd = row.cost;
        overview.repositories = row.repositories;
    }
    reply::json(&overview)
}

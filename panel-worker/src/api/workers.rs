//! `GET /api/workers`: the hub knows who is there; D1 remembers who was.

use serde::Deserialize;
use shared::api::{Page, Worker};
use shared::id::{OrgId, WorkerId};
use shared::status::WorkerStatus;
use shared::time::Timestamp;
use shared::worker::WorkerState;
use worker::{Env, Response};
use worker_shell::failure::Answer;
use worker_shell::{log, reply};

use crate::auth::caller::Caller;
use crate::db::Db;
use crate::hub_stub;

/// All workers of the organization.
pub async fn list(caller: &Caller, env: &Env) -> Answer<Response> {
    reply::json(&Page { items: all(caller.org(), env).await?, next: None })
}

/// Asks the hub; where it does not answer, the record is shown, everyone offline.
pub async fn all(org: OrgId, env: &Env) -> Answer<Vec<Worker>> {
    match hub_stub::post::<Vec<WorkerStatus>>(env, org, "/workers/list", &()).await {
        Ok(statuses) => {
            remember(org, &statuses, env).await?;
            Ok(statuses.into_iter().map(worker).collect())
        }
        Err(failure) => {
            log::error("hub.not_reached", &[("reason", &failure.problem().detail)]);
            recorded(org, env).await
        }
    }
}

fn worker(status: WorkerStatus) -> Worker {
    Worker {
        id: status.id,
        name: status.name,
        state: status.state,
        version: status.version,
        executors: status.executors,
        slots: status.slots,
        used: status.used,
        weight: status.weight,
        queue: status.queue,
        strikes: status.strikes,
        last_seen_at: Some(status.last_seen_at),
    }
}

/// Writes only what changed, since D1 bills by rows written.
async fn remember(org: OrgId, statuses: &[WorkerStatus], env: &Env) -> Answer<()> {
    if statuses.is_empty() {
        return Ok(());
    }
    let db = Db::of(env)?;
    let statements = statuses
        .iter()
        .map(|status| {
            db.statement(
                "INSERT INTO workers (id, organization_id, name, version, executors, slots, last_seen_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (id) DO UPDATE SET name = ?3, version = ?4, executors = ?5, slots = ?6, last_seen_at = ?7
                 WHERE organization_id = ?2 AND (name, version, executors, slots) IS NOT (?3, ?4, ?5, ?6)",
                vec![
                    status.id.to_string().into(),
                    org.to_string().into(),
                    status.name.as_str().into(),
                    status.version.as_str().into(),
                    serde_json::to_string(&status.executors)?.into(),
                    u64::from(status.slots).into(),
                    status.last_seen_at.into(),
                ],
            )
        })
        .collect::<Answer<_>>()?;
    db.batch(statements).await
}

async fn recorded(org: OrgId, env: &Env) -> Answer<Vec<Worker>> {
    #[derive(Deserialize)]
    struct Row {
        id: WorkerId,
        name: String,
        version: String,
        executors: String,
        slots: u32,
        last_seen_at: Option<i64>,
    }
    let rows: Vec<Row> = Db::of(env)?
        .rows(
            "SELECT id, name, version, executors, slots, last_seen_at FROM workers WHERE organization_id = ? AND revoked_at IS NULL ORDER BY id LIMIT 200",
            vec![org.to_string().into()],
        )
        .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Worker {
                id: row.id,
                name: row.name,
                state: WorkerState::Offline,
                version: row.version,
                executors: serde_json::from_str(&row.executors)?,
                slots: row.slots,
                used: 0,
                weight: 0,
                queue: 0,
                strikes: 0,
                last_seen_at: row.last_seen_at.map(Timestamp::from_millis),
            })
        })
        .collect()
}

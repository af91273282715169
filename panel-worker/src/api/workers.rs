//! `/api/workers`: the hub knows who is there; D1 remembers who was, and how many slots people want of each.

use std::collections::HashMap;

use serde::Deserialize;
use shared::api::{Page, Worker, WorkerUpdate};
use shared::id::{OrgId, WorkerId};
use shared::status::WorkerStatus;
use shared::time::Timestamp;
use shared::worker::WorkerState;
use shared::worker_config::flaw_of_slots;
use worker::{Env, Request, Response};
use worker_shell::failure::Answer;
use worker_shell::{body, log, reply};

use super::not_found;
use super::query::invalid;
use crate::auth::caller::Caller;
use crate::db::Db;
use crate::{audit, configuration, hub_stub};

/// All workers of the organization.
pub async fn list(caller: &Caller, env: &Env) -> Answer<Response> {
    reply::json(&Page { items: all(caller.org(), env).await?, next: None })
}

/// `PATCH …/:id`: how many sessions it is to run at once. It obeys at its next look at its configuration.
pub async fn update(id: &str, mut request: Request, caller: &Caller, env: &Env) -> Answer<Response> {
    let org = caller.operator()?;
    let id: WorkerId = id.parse().map_err(|_| not_found("worker"))?;
    let update: WorkerUpdate = body::read_json(&mut request, 4096).await?;
    // One that nobody has looked at yet has no row to write to.
    all(org, env).await?;
    let db = Db::of(env)?;
    if let Some(slots) = update.slots {
        if let Some(flaw) = flaw_of_slots("slots", slots) {
            return Err(invalid(flaw));
        }
        db.batch(vec![
            db.statement(
                "UPDATE workers SET wanted_slots = ?3 WHERE organization_id = ?1 AND id = ?2 AND wanted_slots IS NOT ?3",
                vec![org.to_string().into(), id.to_string().into(), slots.map(u64::from).into()],
            )?,
            audit::row(&db, caller, "worker_changed", Some(id.to_string()))?,
        ])
        .await?;
        configuration::changed(env, &db, org).await?;
    }
    let known = all(org, env).await?.into_iter().find(|worker| worker.id == id);
    reply::json(&known.ok_or_else(|| not_found("worker"))?)
}

/// Asks the hub; where it does not answer, the record is shown, everyone offline.
pub async fn all(org: OrgId, env: &Env) -> Answer<Vec<Worker>> {
    match hub_stub::post::<Vec<WorkerStatus>>(env, org, "/workers/list", &()).await {
        Ok(statuses) => {
            remember(org, &statuses, env).await?;
            let wanted = wanted(org, env).await?;
            Ok(statuses
                .into_iter()
                .map(|status| {
                    let slots = wanted.get(&status.id).copied();
                    worker(status, slots)
                })
                .collect())
        }
        Err(failure) => {
            log::error("hub.not_reached", &[("reason", &failure.problem().detail)]);
            recorded(org, env).await
        }
    }
}

/// The slots that people want, where they want any.
async fn wanted(org: OrgId, env: &Env) -> Answer<HashMap<WorkerId, u32>> {
    #[derive(Deserialize)]
    struct Row {
        id: WorkerId,
        wanted_slots: u32,
    }
    let rows: Vec<Row> = Db::of(env)?
        .rows(
            "SELECT id, wanted_slots FROM workers WHERE organization_id = ? AND wanted_slots IS NOT NULL",
            vec![org.to_string().into()],
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.wanted_slots)).collect())
}

fn worker(status: WorkerStatus, wanted_slots: Option<u32>) -> Worker {
    Worker {
        id: status.id,
        name: status.name,
        state: status.state,
        version: status.version,
        executors: status.executors,
        slots: status.slots,
        wanted_slots,
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
        wanted_slots: Option<u32>,
        last_seen_at: Option<i64>,
    }
    let rows: Vec<Row> = Db::of(env)?
        .rows(
            "SELECT id, name, version, executors, slots, wanted_slots, last_seen_at FROM workers WHERE organization_id = ? AND revoked_at IS NULL ORDER BY id LIMIT 200",
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
                wanted_slots: row.wanted_slots,
                used: 0,
                weight: 0,
                queue: 0,
                strikes: 0,
                last_seen_at: row.last_seen_at.map(Timestamp::from_millis),
            })
        })
        .collect()
}

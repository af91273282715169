//! `GET /api/workers/me/config`: what people have set for the asking worker, its executors' credentials included.
//!
//! One of the two answers that hold secrets: to a worker key alone, never cached, and audited.

use serde::Deserialize;
use shared::id::{OrgId, WorkerId};
use shared::worker_config::{RepositorySettings, WorkerConfig};
use worker::{Env, Request, Response};
use worker_shell::failure::Answer;
use worker_shell::reply;

use super::repositories::settings;
use super::{credentials, version};
use crate::auth::caller::Caller;
use crate::db::Db;
use crate::{audit, configuration};

/// Answers the version that the worker's stream tells of, or 304 to one that has it. The header `cyrus-worker` says
/// whose slots are meant; without it none are told.
pub async fn show(request: &Request, caller: &Caller, env: &Env) -> Answer<Response> {
    let (org, _) = caller.worker()?;
    let db = Db::of(env)?;
    let etag = configuration::etag(&db, org).await?;
    let tag = format!("\"{etag}\"");
    if version::is_known(request, &tag)? {
        return version::not_modified(&tag);
    }
    let worker: Option<WorkerId> =
        request.headers().get("cyrus-worker")?.and_then(|id| id.trim().parse().ok());
    let slots = match worker {
        Some(worker) => wanted_slots(&db, org, worker).await?,
        None => None,
    };
    let repositories: Vec<RepositorySettings> = settings::all(&db, org).await?;
    let executors = credentials::open(&db, env, org).await?;
    audit::row(&db, caller, "config_handed_out", worker.map(|id| id.to_string()))?.run().await?;
    let response = reply::json(&WorkerConfig { etag, slots, repositories, executors })?;
    response.headers().set("etag", &tag)?;
    Ok(response)
}

async fn wanted_slots(db: &Db, org: OrgId, worker: WorkerId) -> Answer<Option<u32>> {
    #[derive(Deserialize)]
    struct Row {
        wanted_slots: Option<u32>,
    }
    let row: Option<Row> = db
        .first(
            "SELECT wanted_slots FROM workers WHERE organization_id = ? AND id = ?",
            vec![org.to_string().into(), worker.to_string().into()],
        )
        .await?;
    Ok(row.and_then(|row| row.wanted_slots))
}

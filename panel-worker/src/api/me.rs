//! `GET /api/me`.

use serde::Deserialize;
use shared::api::Me;
use worker::{Env, Response};
use worker_shell::failure::Answer;
use worker_shell::reply;

use super::not_found;
use crate::auth::caller::Caller;
use crate::db::Db;

/// Who is asking.
pub async fn show(caller: &Caller, env: &Env) -> Answer<Response> {
    #[derive(Deserialize)]
    struct Row {
        name: String,
    }
    let org = caller.org();
    let row: Option<Row> = Db::of(env)?
        .first("SELECT name FROM organizations WHERE id = ?", vec![org.to_string().into()])
        .await?;
    let role = match caller {
        Caller::Person { role, .. } => role.clone(),
        Caller::Worker { .. } => "worker".to_owned(),
    };
    let name = row.ok_or_else(|| not_found("organization"))?.name;
    reply::json(&Me { organization_id: org, organization_name: name, role })
}

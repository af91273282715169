//! `/api/repositories`: the list, and adding one; with a worker key adding is idempotent.

use serde::Deserialize;
use shared::api::{NewRepository, Page, Repository};
use shared::id::{OrgId, RepositoryId};
use shared::problem::{Problem, ProblemCode};
use shared::time::Timestamp;
use worker::{Env, Request, Response};
use worker_shell::failure::Answer;
use worker_shell::{body, clock, random, reply};

use crate::auth::caller::Caller;
use crate::db::Db;

#[derive(Deserialize)]
struct Row {
    id: RepositoryId,
    name: String,
    path: String,
    remote: Option<String>,
    base_branch: String,
    linear_workspace_id: Option<String>,
    execution_strategy: String,
    created_at: i64,
    updated_at: i64,
}

const COLUMNS: &str =
    "id, name, path, remote, base_branch, linear_workspace_id, execution_strategy, created_at, updated_at";

impl From<Row> for Repository {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            name: row.name,
            path: row.path,
            remote: row.remote,
            base_branch: row.base_branch,
            linear_workspace_id: row.linear_workspace_id,
            execution_strategy: row.execution_strategy,
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(row.updated_at),
        }
    }
}

/// `GET`: by name.
pub async fn list(caller: &Caller, env: &Env) -> Answer<Response> {
    let rows: Vec<Row> = Db::of(env)?
        .rows(
            &format!("SELECT {COLUMNS} FROM repositories WHERE organization_id = ? ORDER BY name LIMIT 200"),
            vec![caller.org().to_string().into()],
        )
        .await?;
    reply::json(&Page { items: rows.into_iter().map(Repository::from).collect(), next: None })
}

/// `POST`: a worker that comes with a repository it serves, or a person who adds one.
pub async fn create(mut request: Request, caller: &Caller, env: &Env) -> Answer<Response> {
    let org = match caller {
        Caller::Worker { org, .. } => *org,
        Caller::Person { .. } => caller.operator()?,
    };
    let new: NewRepository = body::read_json(&mut request, 64 * 1024).await?;
    if new.name.is_empty() || new.name.len() > 200 || new.path.len() > 4096 {
        return Err(Problem::new(
            ProblemCode::InvalidRequest,
            "a repository needs a name of 1 to 200 bytes and a path of at most 4096",
        )
        .into());
    }
    let now = clock::now();
    let id = RepositoryId::from_uuid(random::uuid(now));
    let db = Db::of(env)?;
    db.run(
        "INSERT INTO repositories (id, organization_id, name, path, remote, base_branch, linear_workspace_id, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8) ON CONFLICT DO NOTHING",
        vec![
            id.to_string().into(),
            org.to_string().into(),
            new.name.as_str().into(),
            new.path.into(),
            new.remote.clone().into(),
            new.base_branch.unwrap_or_else(|| "main".to_owned()).into(),
            new.linear_workspace_id.into(),
            now.into(),
        ],
    )
    .await?;
    let row = find(&db, org, new.remote.as_deref().unwrap_or(&new.name)).await?;
    let row = row.ok_or_else(|| super::not_found("repository"))?;
    reply::json_with(if row.id == id { 201 } else { 200 }, &Repository::from(row))
}

async fn find(db: &Db, org: OrgId, remote_or_name: &str) -> Answer<Option<Row>> {
    db.first(
        &format!("SELECT {COLUMNS} FROM repositories WHERE organization_id = ?1 AND (remote = ?2 OR name = ?2) ORDER BY remote IS NULL LIMIT 1"),
        vec![org.to_string().into(), remote_or_name.into()],
    )
    .await
}

/// The id of the repository with this remote or name.
pub async fn id_of(db: &Db, org: OrgId, remote_or_name: &str) -> Answer<Option<RepositoryId>> {
    Ok(find(db, org, remote_or_name).await?.map(|row| row.id))
}

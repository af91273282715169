//! `/api/repositories`: the list, one of them, and adding or changing one; with a worker key adding is idempotent.
//!
//! Every change of them is told to the hub by [`configuration`]. What is set for a repository's runs is in [`settings`].

pub mod settings;

use serde::Deserialize;
use shared::api::{NewRepository, Page, Repository};
use shared::id::{OrgId, RepositoryId};
use shared::problem::{Problem, ProblemCode};
use shared::time::Timestamp;
use shared::worker_config::Permissions;
use worker::{Env, Request, Response};
use worker_shell::failure::{Answer, Failure};
use worker_shell::{body, clock, random, reply};

use super::query::invalid;
use super::{not_found, version};
use crate::auth::caller::Caller;
use crate::configuration;
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
    model: Option<String>,
    fallback_model: Option<String>,
    allowed_tools: Option<String>,
    disallowed_tools: Option<String>,
    permissions: Option<String>,
    max_sessions: Option<u32>,
    created_at: i64,
    updated_at: i64,
}

const COLUMNS: &str =
    "id, name, path, remote, base_branch, linear_workspace_id, execution_strategy, model, fallback_model,
  allowed_tools, disallowed_tools, permissions, max_sessions, created_at, updated_at";

/// A list of rules in its column.
fn rules(json: Option<String>) -> Option<Vec<String>> {
    json.and_then(|json| serde_json::from_str(&json).ok())
}

/// A word in its column.
fn permissions(word: Option<String>) -> Option<Permissions> {
    word.and_then(|word| serde_json::from_value(word.into()).ok())
}

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
            model: row.model,
            fallback_model: row.fallback_model,
            allowed_tools: rules(row.allowed_tools),
            disallowed_tools: rules(row.disallowed_tools),
            permissions: permissions(row.permissions),
            max_sessions: row.max_sessions,
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(row.updated_at),
        }
    }
}

/// `GET`: by name. The configuration's version is its weak `ETag`.
pub async fn list(request: &Request, caller: &Caller, env: &Env) -> Answer<Response> {
    let (db, org) = (Db::of(env)?, caller.org());
    let etag = format!("W/\"{}\"", configuration::etag(&db, org).await?);
    if version::is_known(request, &etag)? {
        return version::not_modified(&etag);
    }
    let rows: Vec<Row> = db
        .rows(
            &format!("SELECT {COLUMNS} FROM repositories WHERE organization_id = ? ORDER BY name LIMIT 200"),
            vec![org.to_string().into()],
        )
        .await?;
    let page = Page { items: rows.into_iter().map(Repository::from).collect(), next: None };
    let response = reply::json(&page)?;
    response.headers().set("etag", &etag)?;
    Ok(response)
}

/// `GET …/:id`.
pub async fn show(id: &str, caller: &Caller, env: &Env) -> Answer<Response> {
    let row = by_id(&Db::of(env)?, caller.org(), id).await?;
    reply::json(&Repository::from(row))
}

async fn by_id(db: &Db, org: OrgId, id: &str) -> Answer<Row> {
    let id: RepositoryId = id.parse().map_err(|_| not_found("repository"))?;
    let row = db
        .first(
            &format!("SELECT {COLUMNS} FROM repositories WHERE organization_id = ? AND id = ?"),
            vec![org.to_string().into(), id.to_string().into()],
        )
        .await?;
    row.ok_or_else(|| not_found("repository"))
}

/// `POST`: a worker that comes with a repository it serves, which changes nothing of one that is known; or a person,
/// who adds one or changes where it is and what it starts from.
pub async fn create(mut request: Request, caller: &Caller, env: &Env) -> Answer<Response> {
    let org = match caller {
        Caller::Worker { org, .. } => *org,
        Caller::Person { .. } => caller.operator()?,
    };
    let new: NewRepository = body::read_json(&mut request, 64 * 1024).await?;
    check(&new)?;
    let now = clock::now();
    let id = RepositoryId::from_uuid(random::uuid(now));
    let db = Db::of(env)?;
    if let (Caller::Worker { .. }, Some(remote)) = (caller, &new.remote) {
        adopt(&db, org, &new.name, remote).await?;
    }
    db.run(
        "INSERT INTO repositories (id, organization_id, name, path, remote, base_branch, linear_workspace_id, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8) ON CONFLICT DO NOTHING",
        vec![
            id.to_string().into(),
            org.to_string().into(),
            new.name.as_str().into(),
            new.path.as_str().into(),
            new.remote.as_deref().into(),
            new.base_branch.as_deref().unwrap_or("main").into(),
            new.linear_workspace_id.as_deref().into(),
            now.into(),
        ],
    )
    .await?;
    let known = find(&db, org, new.remote.as_deref().unwrap_or(&new.name)).await?;
    let known = known.ok_or_else(|| {
        let detail = "another repository has this name already; give this one another name";
        Failure::from(Problem::new(ProblemCode::NotPossible, detail))
    })?;
    let shown = if matches!(caller, Caller::Person { .. }) && known.id != id {
        change(&db, org, known, &new).await?
    } else {
        known
    };
    configuration::changed(env, &db, org).await?;
    reply::json_with(if shown.id == id { 201 } else { 200 }, &Repository::from(shown))
}

fn check(new: &NewRepository) -> Answer<()> {
    let fits =
        |text: &Option<String>, max: usize| text.as_ref().is_none_or(|text| (1..=max).contains(&text.len()));
    if new.name.is_empty() || new.name.len() > 200 || new.path.len() > 4096 {
        return Err(invalid("a repository needs a name of 1 to 200 bytes and a path of at most 4096"));
    }
    if !fits(&new.remote, 500) || !fits(&new.base_branch, 255) || !fits(&new.linear_workspace_id, 100) {
        return Err(invalid(
            "`remote` (500), `baseBranch` (255) and `linearWorkspaceId` (100 bytes) are left out or not empty",
        ));
    }
    Ok(())
}

/// A repository that was known by its name alone gets the remote that a worker tells of it.
async fn adopt(db: &Db, org: OrgId, name: &str, remote: &str) -> Answer<()> {
    db.run(
        "UPDATE repositories SET remote = ?3, updated_at = ?4 WHERE organization_id = ?1 AND name = ?2 AND remote IS NULL
           AND NOT EXISTS (SELECT 1 FROM repositories WHERE organization_id = ?1 AND remote = ?3)",
        vec![org.to_string().into(), name.into(), remote.into(), clock::now().into()],
    )
    .await
}

/// Takes over what a person says differently.
async fn change(db: &Db, org: OrgId, known: Row, new: &NewRepository) -> Answer<Row> {
    let changed: Option<Row> = db
        .first(
            &format!(
                "UPDATE repositories SET path = ?1, base_branch = coalesce(?2, base_branch),
                   linear_workspace_id = coalesce(?3, linear_workspace_id), updated_at = ?4
                 WHERE organization_id = ?5 AND id = ?6 AND (path, base_branch, linear_workspace_id)
                   IS NOT (?1, coalesce(?2, base_branch), coalesce(?3, linear_workspace_id))
                 RETURNING {COLUMNS}"
            ),
            vec![
                new.path.as_str().into(),
                new.base_branch.as_deref().into(),
                new.linear_workspace_id.as_deref().into(),
                clock::now().into(),
                org.to_string().into(),
                known.id.to_string().into(),
            ],
        )
        .await?;
    Ok(changed.unwrap_or(known))
}

/// A repository as the target of a run.
#[derive(Debug)]
pub struct Target {
    /// Its id.
    pub id: RepositoryId,
    /// Its remote, or its name where it has none: what workers know it by.
    pub reference: String,
    /// The Linear workspace whose issues it serves.
    pub linear_workspace_id: Option<String>,
}

impl Target {
    /// The tag that names it in a text.
    pub fn tag(&self) -> Answer<String> {
        let sound = self.reference.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:".contains(c));
        if !sound {
            return Err(invalid(
                "`repositoryId` names a repository whose name no `[repo=…]` tag can hold; give it a remote",
            ));
        }
        Ok(format!("[repo={}]", self.reference))
    }
}

/// The repository of this id.
pub async fn target(db: &Db, org: OrgId, id: RepositoryId) -> Answer<Option<Target>> {
    let row: Option<Row> = db
        .first(
            &format!("SELECT {COLUMNS} FROM repositories WHERE organization_id = ? AND id = ?"),
            vec![org.to_string().into(), id.to_string().into()],
        )
        .await?;
    Ok(row.map(|row| Target {
        id: row.id,
        reference: row.remote.unwrap_or(row.name),
        linear_workspace_id: row.linear_workspace_id,
    }))
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

//! Which Linear workspace belongs to which organization: KV for speed, a Durable Object for truth.
//!
//! KV is eventually consistent, so a miss there asks the object; a workspace connected a second ago is never
//! answered "not ours". An isolate remembers owners for a minute, since each look-up costs.

use std::cell::RefCell;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use shared::id::{LinearWorkspaceId, OrgId};
use worker::{DurableObject, Env, Request, Response, State, durable_object};
use worker_shell::failure::Answer;
use worker_shell::sql::Sql;
use worker_shell::{body, clock, object, reply};

/// The one object that knows all workspaces.
#[durable_object(fetch)]
pub struct Directory {
    state: State,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    workspace: String,
    org: Option<OrgId>,
}

impl DurableObject for Directory {
    fn new(state: State, _env: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        reply::finish(self.answer(request).await)
    }
}

impl Directory {
    async fn answer(&self, mut request: Request) -> Answer<Response> {
        let entry: Entry = body::read_json(&mut request, 4096).await?;
        let sql = Sql::of(&self.state);
        sql.run("CREATE TABLE IF NOT EXISTS workspaces (workspace TEXT PRIMARY KEY, org TEXT NOT NULL) WITHOUT ROWID", vec![])?;
        if let Some(org) = entry.org {
            sql.run(
                "INSERT INTO workspaces (workspace, org) VALUES (?, ?) ON CONFLICT (workspace) DO UPDATE SET org = excluded.org",
                vec![entry.workspace.as_str().into(), org.to_string().into()],
            )?;
        }
        #[derive(Deserialize)]
        struct Row {
            org: OrgId,
        }
        let row: Option<Row> = sql
            .first("SELECT org FROM workspaces WHERE workspace = ?", vec![entry.workspace.as_str().into()])?;
        reply::json(&Entry { workspace: entry.workspace, org: row.map(|row| row.org) })
    }
}

/// How long an isolate remembers an owner, in ms: a workspace changes hands by an operator's command alone.
const REMEMBERED_MS: i64 = 60_000;
/// How many owners an isolate remembers.
const REMEMBERED: usize = 1_000;

thread_local! {
    static OWNERS: RefCell<HashMap<LinearWorkspaceId, (OrgId, i64)>> = RefCell::default();
}

/// The organization that owns a workspace, if any does.
pub async fn organization_of(env: &Env, workspace: &LinearWorkspaceId) -> Answer<Option<OrgId>> {
    let now = clock::now().as_millis();
    let owner = OWNERS.with_borrow(|owners| owners.get(workspace).copied());
    if let Some((org, _)) = owner.filter(|(_, until)| *until > now) {
        return Ok(Some(org));
    }
    let owner = look_up(env, workspace).await?;
    if let Some(org) = owner {
        OWNERS.with_borrow_mut(|owners| {
            if owners.len() >= REMEMBERED {
                owners.clear();
            }
            owners.insert(workspace.clone(), (org, now + REMEMBERED_MS));
        });
    }
    Ok(owner)
}

async fn look_up(env: &Env, workspace: &LinearWorkspaceId) -> Answer<Option<OrgId>> {
    let kv = env.kv("DIRECTORY_CACHE")?;
    if let Some(org) = kv.get(&cache_key(workspace)).text().await?.and_then(|text| text.parse().ok()) {
        return Ok(Some(org));
    }
    let found = ask(env, Entry { workspace: workspace.0.clone(), org: None }).await?.org;
    if let Some(org) = found {
        remember(env, workspace, org).await?;
    }
    Ok(found)
}

/// Makes `org` the owner of a workspace.
pub async fn assign(env: &Env, workspace: &LinearWorkspaceId, org: OrgId) -> Answer<()> {
    ask(env, Entry { workspace: workspace.0.clone(), org: Some(org) }).await?;
    remember(env, workspace, org).await
}

async fn remember(env: &Env, workspace: &LinearWorkspaceId, org: OrgId) -> Answer<()> {
    env.kv("DIRECTORY_CACHE")?.put(&cache_key(workspace), org.to_string())?.execute().await?;
    Ok(())
}

fn cache_key(workspace: &LinearWorkspaceId) -> String {
    format!("linear:{}", shared::digest::sha256_hex(workspace.as_str().as_bytes()))
}

async fn ask(env: &Env, entry: Entry) -> Answer<Entry> {
    let stub = env.durable_object("DIRECTORY")?.get_by_name("directory")?;
    object::post(&stub, "/", &entry).await
}

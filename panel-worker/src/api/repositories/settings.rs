//! What people set for a repository's runs: changing it, and all of it for a worker.
//!
//! Judged by the same rules as in the worker that gets it, `shared::worker_config`.

use shared::api::{Repository, RepositoryUpdate};
use shared::id::OrgId;
use shared::worker_config::{Permissions, RepositorySettings};
use worker::{Env, Request, Response};
use worker_shell::failure::Answer;
use worker_shell::{body, clock};

use super::{COLUMNS, Row, by_id, show};
use crate::api::query::invalid;
use crate::auth::caller::Caller;
use crate::db::Db;
use crate::{audit, configuration};

/// What nobody has chosen.
const USUAL_STRATEGY: &str = "local-only";
const STRATEGIES: [&str; 5] =
    [USUAL_STRATEGY, "cloud-only", "hybrid-smart", "hybrid-parallel", "cost-optimized"];

/// `PATCH …/:id` by a person: what is left out stays, null unsets.
pub async fn update(id: &str, mut request: Request, caller: &Caller, env: &Env) -> Answer<Response> {
    let org = caller.operator()?;
    let db = Db::of(env)?;
    let known = Repository::from(by_id(&db, org, id).await?);
    let update: RepositoryUpdate = body::read_json(&mut request, 256 * 1024).await?;
    let wanted = with(known.clone(), update);
    let mut flaws = set_for(&wanted).flaws();
    if !(1..=255).contains(&wanted.base_branch.len()) {
        flaws.push("`baseBranch` is not of 1 to 255 bytes".to_owned());
    }
    if !STRATEGIES.contains(&wanted.execution_strategy.as_str()) {
        flaws.push(format!("`executionStrategy` is none of {}", STRATEGIES.join(", ")));
    }
    if wanted.permissions == Some(Permissions::Unknown) {
        flaws.push("`permissions` is neither `deny` nor `ask`".to_owned());
    }
    if !flaws.is_empty() {
        return Err(invalid(flaws.join("; ")));
    }
    if wanted != known {
        let json = |rules: &Option<Vec<String>>| rules.as_ref().map(serde_json::to_string).transpose();
        let word = wanted.permissions.map(serde_json::to_value).transpose()?;
        db.batch(vec![
            db.statement(
                "UPDATE repositories SET base_branch = ?3, execution_strategy = ?4, model = ?5, fallback_model = ?6,
                   allowed_tools = ?7, disallowed_tools = ?8, permissions = ?9, max_sessions = ?10, updated_at = ?11
                 WHERE organization_id = ?1 AND id = ?2",
                vec![
                    org.to_string().into(),
                    wanted.id.to_string().into(),
                    wanted.base_branch.as_str().into(),
                    wanted.execution_strategy.as_str().into(),
                    wanted.model.as_deref().into(),
                    wanted.fallback_model.as_deref().into(),
                    json(&wanted.allowed_tools)?.into(),
                    json(&wanted.disallowed_tools)?.into(),
                    word.as_ref().and_then(|word| word.as_str()).into(),
                    wanted.max_sessions.map(u64::from).into(),
                    clock::now().into(),
                ],
            )?,
            audit::row(&db, caller, "repository_changed", Some(wanted.id.to_string()))?,
        ])
        .await?;
        configuration::changed(env, &db, org).await?;
    }
    show(id, caller, env).await
}

fn with(mut repository: Repository, update: RepositoryUpdate) -> Repository {
    /// An empty text or one of blanks unsets, as null does.
    fn text(said: Option<Option<String>>, before: &mut Option<String>) {
        if let Some(said) = said {
            *before = said.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        }
    }
    fn take<T>(said: Option<T>, before: &mut T) {
        if let Some(said) = said {
            *before = said;
        }
    }
    take(update.base_branch, &mut repository.base_branch);
    take(update.execution_strategy, &mut repository.execution_strategy);
    text(update.model, &mut repository.model);
    text(update.fallback_model, &mut repository.fallback_model);
    take(update.allowed_tools, &mut repository.allowed_tools);
    take(update.disallowed_tools, &mut repository.disallowed_tools);
    take(update.permissions, &mut repository.permissions);
    take(update.max_sessions, &mut repository.max_sessions);
    repository
}

/// What a worker is told of it.
fn set_for(repository: &Repository) -> RepositorySettings {
    let strategy = &repository.execution_strategy;
    RepositorySettings {
        id: Some(repository.id),
        name: repository.name.clone(),
        remote: repository.remote.clone(),
        model: repository.model.clone(),
        fallback_model: repository.fallback_model.clone(),
        allowed_tools: repository.allowed_tools.clone(),
        disallowed_tools: repository.disallowed_tools.clone(),
        permissions: repository.permissions,
        max_sessions: repository.max_sessions,
        execution_strategy: Some(strategy).filter(|strategy| *strategy != USUAL_STRATEGY).cloned(),
    }
}

/// What is set for all repositories of the organization.
pub async fn all(db: &Db, org: OrgId) -> Answer<Vec<RepositorySettings>> {
    let rows: Vec<Row> = db
        .rows(
            &format!("SELECT {COLUMNS} FROM repositories WHERE organization_id = ? ORDER BY name LIMIT 1000"),
            vec![org.to_string().into()],
        )
        .await?;
    Ok(rows.into_iter().map(|row| set_for(&Repository::from(row))).collect())
}

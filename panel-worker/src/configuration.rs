//! The version of an organization's configuration, and telling the hub of a new one.
//!
//! The version is a hash over what repositories, slots and credentials are set to, so it changes when they do and never else.
//! Workers hear it on their stream and fetch what changed.

use serde::{Deserialize, Serialize};
use shared::digest::sha256_hex;
use shared::hub::call::{Command, Order};
use shared::id::OrgId;
use worker::Env;
use worker_shell::failure::Answer;

use crate::db::Db;
use crate::outbox;

/// Changes may come together; after this many rounds the last of them tells the hub.
const ROUNDS: usize = 5;

/// What of a repository is configuration. Stored secrets are envelopes, and only their hash's hash leaves.
#[derive(Serialize, Deserialize)]
struct Configured {
    id: String,
    name: String,
    path: String,
    remote: Option<String>,
    base_branch: String,
    linear_workspace_id: Option<String>,
    linear_token: Option<String>,
    github_token: Option<String>,
    codegen_enabled: i64,
    codegen_org_id: Option<String>,
    codegen_token: Option<String>,
    execution_strategy: String,
    max_cost_per_task_micro_usd: Option<i64>,
    max_cost_per_day_micro_usd: Option<i64>,
    model: Option<String>,
    fallback_model: Option<String>,
    allowed_tools: Option<String>,
    disallowed_tools: Option<String>,
    permissions: Option<String>,
    max_sessions: Option<i64>,
}

/// What of a worker is.
#[derive(Serialize, Deserialize)]
struct Wanted {
    id: String,
    wanted_slots: i64,
}

/// What of a credential is: a fresh envelope is another credential.
#[derive(Serialize, Deserialize)]
struct Sealed {
    variable: String,
    envelope: String,
}

/// The version now: 32 hex digits.
pub async fn etag(db: &Db, org: OrgId) -> Answer<String> {
    let repositories: Vec<Configured> = db
        .rows(
            "SELECT id, name, path, remote, base_branch, linear_workspace_id, linear_token, github_token, codegen_enabled,
               codegen_org_id, codegen_token, execution_strategy, max_cost_per_task_micro_usd, max_cost_per_day_micro_usd,
               model, fallback_model, allowed_tools, disallowed_tools, permissions, max_sessions
             FROM repositories WHERE organization_id = ? ORDER BY id",
            vec![org.to_string().into()],
        )
        .await?;
    let workers: Vec<Wanted> = db
        .rows(
            "SELECT id, wanted_slots FROM workers WHERE organization_id = ? AND wanted_slots IS NOT NULL ORDER BY id",
            vec![org.to_string().into()],
        )
        .await?;
    let credentials: Vec<Sealed> = db
        .rows(
            "SELECT variable, envelope FROM executor_credentials WHERE organization_id = ? ORDER BY variable",
            vec![org.to_string().into()],
        )
        .await?;
    let mut etag = sha256_hex(&serde_json::to_vec(&(repositories, workers, credentials))?);
    etag.truncate(32);
    Ok(etag)
}

/// Tells the hub, if the version is not the one that it was told last. Safe to call after every write.
pub async fn changed(env: &Env, db: &Db, org: OrgId) -> Answer<()> {
    #[derive(Deserialize)]
    struct Row {
        config_etag: Option<String>,
    }
    for _ in 0..ROUNDS {
        let etag = etag(db, org).await?;
        let told: Option<Row> = db
            .first("SELECT config_etag FROM organizations WHERE id = ?", vec![org.to_string().into()])
            .await?;
        if told.and_then(|row| row.config_etag).as_deref() == Some(etag.as_str()) {
            return Ok(());
        }
        let command = Command { id: outbox::new_id(), order: Order::ConfigChanged { etag: etag.clone() } };
        db.batch(vec![
            outbox::row(db, org, &command)?,
            db.statement(
                "UPDATE organizations SET config_etag = ? WHERE id = ?",
                vec![etag.into(), org.to_string().into()],
            )?,
        ])
        .await?;
        if outbox::deliver(env, org, &command.id).await.is_err() {
            // The refusal is logged; the repository is there all the same.
            return Ok(());
        }
        // Somebody else's change may have come meanwhile, told before this one: look again.
    }
    Ok(())
}

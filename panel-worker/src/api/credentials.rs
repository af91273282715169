//! `/api/executor-credentials`: credentials of executors. People write them and see which there are, never what they hold.
//!
//! They rest as envelopes and leave by `GET /api/workers/me/config` alone. Only variables of known executors are taken:
//! what a worker puts into an agent's environment must not be able to change which program runs.

use serde::{Deserialize, Serialize};
use shared::api::Page;
use shared::envelope::{Keyring, Place};
use shared::id::OrgId;
use shared::time::Timestamp;
use shared::worker_config::{ExecutorCredential, WorkerConfig};
use worker::{Env, Request, Response};
use worker_shell::failure::{Answer, Failure};
use worker_shell::{body, clock, credential, random, reply};

use super::not_found;
use super::query::invalid;
use crate::auth::caller::Caller;
use crate::db::Db;
use crate::{audit, configuration};

/// The variables, and whose each is.
const KNOWN: [(&str, &str); 6] = [
    ("ANTHROPIC_API_KEY", "claude"),
    ("CLAUDE_CODE_OAUTH_TOKEN", "claude"),
    ("OPENAI_API_KEY", "codex"),
    ("CODEX_API_KEY", "codex"),
    ("CODEGEN_API_TOKEN", "codegen"),
    ("CODEGEN_ORG_ID", "codegen"),
];
/// The longest credential, in bytes.
const LONGEST: usize = 8 * 1024;

/// A credential as people see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    variable: String,
    executor: String,
    updated_at: Timestamp,
}

/// `GET`: their names.
pub async fn list(caller: &Caller, env: &Env) -> Answer<Response> {
    #[derive(Deserialize)]
    struct Row {
        variable: String,
        executor: String,
        updated_at: i64,
    }
    let org = caller.person()?;
    let rows: Vec<Row> = Db::of(env)?
        .rows(
            "SELECT variable, executor, updated_at FROM executor_credentials WHERE organization_id = ? ORDER BY variable",
            vec![org.to_string().into()],
        )
        .await?;
    let shown = |row: Row| Shown {
        variable: row.variable,
        executor: row.executor,
        updated_at: Timestamp::from_millis(row.updated_at),
    };
    let items: Vec<Shown> = rows.into_iter().map(shown).collect();
    reply::json(&Page { items, next: None })
}

/// `PUT …/:variable {value}`.
pub async fn put(variable: &str, mut request: Request, caller: &Caller, env: &Env) -> Answer<Response> {
    #[derive(Deserialize)]
    struct Wish {
        value: String,
    }
    let org = caller.admin()?;
    let executor = executor_of(variable)?;
    let wish: Wish = body::read_json(&mut request, 2 * LONGEST).await?;
    if wish.value.len() > LONGEST {
        return Err(invalid(format!("`value` may have at most {LONGEST} bytes")));
    }
    let given = ExecutorCredential {
        executor: executor.to_owned(),
        variable: variable.to_owned(),
        value: wish.value.trim().to_owned(),
    };
    let whole = WorkerConfig { executors: vec![given], ..WorkerConfig::default() };
    if let Some(flaw) = whole.flaws().into_iter().next() {
        return Err(invalid(flaw));
    }
    let value = whole.executors.into_iter().next().map(|given| given.value).unwrap_or_default();
    let row_name = row_name(org, variable);
    let envelope = keyring(env)?.seal(place(&row_name), value.as_bytes(), random::bytes())?;
    let db = Db::of(env)?;
    db.batch(vec![
        db.statement(
            "INSERT INTO executor_credentials (organization_id, variable, executor, envelope, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (organization_id, variable) DO UPDATE SET executor = ?3, envelope = ?4, updated_at = ?5",
            vec![
                org.to_string().into(),
                variable.into(),
                executor.into(),
                envelope.into(),
                clock::now().into(),
            ],
        )?,
        audit::row(&db, caller, "credential_set", Some(variable.to_owned()))?,
    ])
    .await?;
    configuration::changed(env, &db, org).await?;
    list(caller, env).await
}

/// `DELETE …/:variable`. Once more is harmless.
pub async fn delete(variable: &str, caller: &Caller, env: &Env) -> Answer<Response> {
    let org = caller.admin()?;
    executor_of(variable)?;
    let db = Db::of(env)?;
    db.batch(vec![
        db.statement(
            "DELETE FROM executor_credentials WHERE organization_id = ? AND variable = ?",
            vec![org.to_string().into(), variable.into()],
        )?,
        audit::row(&db, caller, "credential_deleted", Some(variable.to_owned()))?,
    ])
    .await?;
    configuration::changed(env, &db, org).await?;
    list(caller, env).await
}

/// All of them in the clear, for a worker. One that does not open is left out and logged: the others still work.
pub async fn open(db: &Db, env: &Env, org: OrgId) -> Answer<Vec<ExecutorCredential>> {
    #[derive(Deserialize)]
    struct Row {
        variable: String,
        executor: String,
        envelope: String,
    }
    let rows: Vec<Row> = db
        .rows(
            "SELECT variable, executor, envelope FROM executor_credentials WHERE organization_id = ? ORDER BY variable",
            vec![org.to_string().into()],
        )
        .await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let keyring = keyring(env)?;
    let opened = rows.into_iter().filter_map(|Row { variable, executor, envelope }| {
        let row_name = row_name(org, &variable);
        match keyring.open(place(&row_name), &envelope).map(String::from_utf8) {
            Ok(Ok(value)) => Some(ExecutorCredential { executor, variable, value }),
            Ok(Err(_)) => None,
            Err(error) => {
                worker_shell::log::error(
                    "credential.not_opened",
                    &[("variable", &variable), ("reason", &error.to_string())],
                );
                None
            }
        }
    });
    Ok(opened.collect())
}

fn executor_of(variable: &str) -> Answer<&'static str> {
    let known = KNOWN.iter().find(|(known, _)| *known == variable);
    known.map(|(_, executor)| *executor).ok_or_else(|| not_found("credential"))
}

fn keyring(env: &Env) -> Answer<Keyring> {
    let keys = credential::setting(env, "ENCRYPTION_KEYS")
        .ok_or_else(|| Failure::internal("the operator has not set ENCRYPTION_KEYS"))?;
    Ok(Keyring::parse(&keys)?)
}

fn row_name(org: OrgId, variable: &str) -> String {
    format!("{org}/{variable}")
}

fn place(row: &str) -> Place<'_> {
    Place { table: "executor_credentials", row, column: "envelope" }
}

//! `POST /api/workers/me/recoveries`: where a worker that lost its lease has put its work.
//!
//! It needs no lease: an old token is taken, since it is just then that a worker tells. Nothing but the row is changed.

use serde::Deserialize;
use shared::id::{OrgId, RunId, SessionKey};
use shared::recovery::{Recovered, Recovery};
use shared::time::Timestamp;
use worker::{Env, Request, Response};
use worker_shell::failure::Answer;
use worker_shell::{body, clock, reply};

use super::query::invalid;
use crate::auth::caller::Caller;
use crate::db::Db;

#[derive(Deserialize)]
struct Row {
    run_id: RunId,
    branch: String,
    commit_id: String,
    remote: Option<String>,
    created_at: i64,
}

impl From<Row> for Recovered {
    fn from(row: Row) -> Self {
        Self {
            run_id: row.run_id,
            branch: row.branch,
            commit: row.commit_id,
            remote: row.remote,
            created_at: Timestamp::from_millis(row.created_at),
        }
    }
}

/// Keeps it; the same run again is the newest word on it.
pub async fn create(mut request: Request, caller: &Caller, env: &Env) -> Answer<Response> {
    let (org, _) = caller.worker()?;
    let told: Recovery = body::read_json(&mut request, 64 * 1024).await?;
    check(&told)?;
    let db = Db::of(env)?;
    db.run(
        "INSERT INTO recoveries (organization_id, run_id, session_key, token, branch, commit_id, remote, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (organization_id, run_id) DO UPDATE SET branch = ?5, commit_id = ?6, remote = ?7
         WHERE session_key = ?3 AND (branch, commit_id, remote) IS NOT (?5, ?6, ?7)",
        vec![
            org.to_string().into(),
            told.run_id.to_string().into(),
            told.session_key.as_str().into(),
            told.token.0.into(),
            told.branch.as_str().into(),
            told.commit.as_str().into(),
            told.remote.as_deref().into(),
            clock::now().into(),
        ],
    )
    .await?;
    let kept = of_key(&db, org, &told.session_key).await?;
    let kept = kept.into_iter().find(|kept| kept.run_id == told.run_id);
    reply::json(&kept.ok_or_else(|| invalid("`runId` is another session's"))?)
}

/// What was pushed aside of a session's work, oldest first.
pub async fn of_key(db: &Db, org: OrgId, key: &SessionKey) -> Answer<Vec<Recovered>> {
    let rows: Vec<Row> = db
        .rows(
            "SELECT run_id, branch, commit_id, remote, created_at FROM recoveries
             WHERE organization_id = ? AND session_key = ? ORDER BY created_at LIMIT 200",
            vec![org.to_string().into(), key.as_str().into()],
        )
        .await?;
    Ok(rows.into_iter().map(Recovered::from).collect())
}

fn check(told: &Recovery) -> Answer<()> {
    let fits =
        |text: &str, max: usize| (1..=max).contains(&text.len()) && !text.chars().any(char::is_control);
    let commit = matches!(told.commit.len(), 40 | 64) && told.commit.bytes().all(|b| b.is_ascii_hexdigit());
    if !fits(told.session_key.as_str(), 200) {
        return Err(invalid("`sessionKey` must be 1 to 200 bytes"));
    }
    if !fits(&told.branch, 255) || told.branch.starts_with('-') {
        return Err(invalid("`branch` must be the name of a branch, of at most 255 bytes"));
    }
    if !commit {
        return Err(invalid("`commit` must be a whole commit id: 40 or 64 hex digits"));
    }
    if !told.remote.as_deref().is_none_or(|remote| fits(remote, 500)) {
        return Err(invalid("`remote` must be 1 to 500 bytes, or left out"));
    }
    Ok(())
}

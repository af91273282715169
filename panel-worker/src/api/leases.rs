//! `PUT /api/leases/:key`: the first act under a lease. From here on older tokens are refused.

use serde::Deserialize;
use shared::hub::call::{LeaseCheck, LeaseVerdict};
use shared::id::{FencingToken, OrgId, SessionKey};
use shared::log_line::{LeaseShown, LeaseTaken};
use worker::{Env, Request, Response};
use worker_shell::failure::Answer;
use worker_shell::{body, clock, reply};

use super::{given, not_found, stale};
use crate::auth::caller::Caller;
use crate::db::Db;
use crate::hub_stub;

/// Checks the token with the hub and answers the number of the next log line of the key's newest session.
pub async fn show(key: &str, mut request: Request, caller: &Caller, env: &Env) -> Answer<Response> {
    let (org, _) = caller.worker()?;
    let shown: LeaseShown = body::read_json(&mut request, 4096).await?;
    let key = SessionKey(given::decoded(key).ok_or_else(|| not_found("session"))?);
    let check = LeaseCheck { session_key: key.clone(), token: shown.token };
    let verdict: LeaseVerdict = hub_stub::post(env, org, "/leases/check", &check).await?;
    // Token 0 is a run that no proxy knows of; it stands as long as no real lease was shown.
    if !verdict.current && shown.token != FencingToken(0) {
        return Err(stale());
    }
    let db = Db::of(env)?;
    db.run(
        "INSERT INTO leases (organization_id, session_key, token, updated_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (organization_id, session_key) DO UPDATE SET token = ?3, updated_at = ?4 WHERE token < ?3",
        vec![org.to_string().into(), key.as_str().into(), shown.token.0.into(), clock::now().into()],
    )
    .await?;
    require(&db, org, &key, shown.token).await?;
    let next_seq = next_seq_of_key(&db, org, &key).await?;
    reply::json(&LeaseTaken { next_seq })
}

/// Refuses a token that is not the newest one shown for this key.
pub async fn require(db: &Db, org: OrgId, key: &SessionKey, token: FencingToken) -> Answer<()> {
    #[derive(Deserialize)]
    struct Row {
        token: u64,
    }
    let row: Option<Row> = db
        .first(
            "SELECT token FROM leases WHERE organization_id = ? AND session_key = ?",
            vec![org.to_string().into(), key.as_str().into()],
        )
        .await?;
    if row.is_some_and(|row| row.token == token.0) { Ok(()) } else { Err(stale()) }
}

async fn next_seq_of_key(db: &Db, org: OrgId, key: &SessionKey) -> Answer<u64> {
    #[derive(Deserialize)]
    struct Row {
        next_seq: u64,
    }
    let row: Option<Row> = db
        .first(
            "SELECT coalesce((SELECT max(last_seq) FROM session_logs WHERE session_id = s.id), 0) + 1 AS next_seq
             FROM agent_sessions s WHERE s.organization_id = ? AND s.session_key = ? ORDER BY s.created_at DESC LIMIT 1",
            vec![org.to_string().into(), key.as_str().into()],
        )
        .await?;
    Ok(row.map_or(1, |row| row.next_seq))
}

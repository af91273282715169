//! Lease rows: giving, renewing, releasing; and the panel's question whether a token is current.

use serde::Deserialize;
use shared::hub::call::{LeaseCheck, LeaseVerdict};
use shared::hub::lease::{Lease, next_token};
use shared::id::{FencingToken, SessionKey, WorkerId};
use shared::time::Timestamp;
use shared::worker::{Heartbeat, HeartbeatAnswer, LeaseClaim};
use worker::{Request, Response};
use worker_shell::failure::Answer;
use worker_shell::sql::{self, Sql};
use worker_shell::{body, clock, reply};

use super::Hub;

/// A lease row.
#[derive(Debug, Clone, Deserialize)]
pub struct LeaseRow {
    pub session_key: SessionKey,
    pub worker_id: WorkerId,
    pub token: u64,
    pub renewed_at: i64,
}

impl LeaseRow {
    /// The lease as the rules know it.
    pub fn lease(&self) -> Lease {
        Lease {
            worker: self.worker_id,
            token: FencingToken(self.token),
            renewed_at: Timestamp::from_millis(self.renewed_at),
        }
    }
}

/// The newest token of a session key and the worker that it sticks to.
#[derive(Debug, Clone, Deserialize)]
pub struct TokenRow {
    pub newest: u64,
    pub sticky_worker: Option<WorkerId>,
}

/// The lease of a session key.
pub fn find(sql: &Sql, key: &SessionKey) -> Answer<Option<LeaseRow>> {
    sql.first(
        "SELECT session_key, worker_id, token, renewed_at FROM leases WHERE session_key = ?",
        vec![key.as_str().into()],
    )
}

/// All leases.
pub fn all(sql: &Sql) -> Answer<Vec<LeaseRow>> {
    sql.rows("SELECT session_key, worker_id, token, renewed_at FROM leases ORDER BY session_key", vec![])
}

/// All leases of a worker.
pub fn of_worker(sql: &Sql, worker: WorkerId) -> Answer<Vec<LeaseRow>> {
    sql.rows(
        "SELECT session_key, worker_id, token, renewed_at FROM leases WHERE worker_id = ? ORDER BY session_key",
        vec![worker.to_string().into()],
    )
}

/// The newest token ever given for a key.
pub fn newest(sql: &Sql, key: &SessionKey) -> Answer<Option<TokenRow>> {
    sql.first("SELECT newest, sticky_worker FROM tokens WHERE session_key = ?", vec![key.as_str().into()])
}

/// Gives a lease under a new token, which voids every older one.
pub fn give(sql: &Sql, key: &SessionKey, worker: WorkerId, now: Timestamp) -> Answer<FencingToken> {
    let token = next_token(FencingToken(newest(sql, key)?.map_or(0, |row| row.newest)));
    let worker = worker.to_string();
    sql.run(
        "INSERT INTO tokens (session_key, newest) VALUES (?, ?)
         ON CONFLICT (session_key) DO UPDATE SET newest = excluded.newest",
        vec![key.as_str().into(), sql::int(token.0)?],
    )?;
    sql.run(
        "INSERT INTO leases (session_key, worker_id, token, renewed_at) VALUES (?, ?, ?, ?)
         ON CONFLICT (session_key) DO UPDATE SET worker_id = excluded.worker_id, token = excluded.token, renewed_at = excluded.renewed_at",
        vec![key.as_str().into(), worker.into(), sql::int(token.0)?, sql::time(now)],
    )?;
    Ok(token)
}

/// From its first accepted event on a session sticks to the worker that has it; an offer alone does not bind.
pub fn stick(sql: &Sql, key: &SessionKey, worker: WorkerId) -> Answer<()> {
    sql.run(
        "UPDATE tokens SET sticky_worker = ?2 WHERE session_key = ?1 AND sticky_worker IS NOT ?2",
        vec![key.as_str().into(), worker.to_string().into()],
    )
}

/// Ends the lease of a key when nothing under it is open in the holder's journal or on its way there.
pub fn release_if_idle(sql: &Sql, key: &SessionKey) -> Answer<()> {
    sql.run(
        "DELETE FROM leases WHERE session_key = ?1 AND NOT EXISTS
         (SELECT 1 FROM events WHERE session_key = ?1 AND state IN ('offered', 'accepted'))",
        vec![key.as_str().into()],
    )
}

impl Hub {
    /// `POST /heartbeats`: renews what the worker still holds and names what it does not.
    pub(super) async fn heartbeat(&self, mut request: Request) -> Answer<Response> {
        let worker = self.worker_of(&request)?;
        let heartbeat: Heartbeat = body::read_json(&mut request, 1024 * 1024).await?;
        let now = clock::now();
        let sql = self.sql();
        sql.run(
            "UPDATE workers SET last_seen_at = ? WHERE id = ?",
            vec![sql::time(now), worker.to_string().into()],
        )?;
        let held = of_worker(&sql, worker)?;
        let holds = |claim: &LeaseClaim| {
            held.iter().any(|row| row.session_key == claim.session_key && row.token == claim.token.0)
        };
        let (kept, lost): (Vec<_>, Vec<_>) = heartbeat.leases.into_iter().partition(holds);
        // Only what the worker claims is renewed: a lease that it has forgotten lapses and moves.
        for claim in kept {
            sql.run(
                "UPDATE leases SET renewed_at = ? WHERE session_key = ? AND worker_id = ?",
                vec![sql::time(now), claim.session_key.as_str().into(), worker.to_string().into()],
            )?;
        }
        self.set_timer(now).await?;
        let exclusive_ms = self.settings()?.lease_ms;
        reply::json(&HeartbeatAnswer { lost, exclusive_ms, linear_slice: None, config_etag: None })
    }

    /// `POST /leases/check`: the panel asks before it lets a worker write.
    pub(super) async fn check_lease(&self, mut request: Request) -> Answer<Response> {
        let check: LeaseCheck = body::read_json(&mut request, 64 * 1024).await?;
        let newest = newest(&self.sql(), &check.session_key)?.map(|row| row.newest);
        reply::json(&LeaseVerdict { current: newest == Some(check.token.0) })
    }
}

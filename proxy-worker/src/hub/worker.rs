//! Workers: registration, and the list that the panel shows.

use serde::Deserialize;
use shared::id::WorkerId;
use shared::problem::{Problem, ProblemCode};
use shared::status::WorkerStatus;
use shared::stream::PROTOCOL;
use shared::time::Timestamp;
use shared::worker::{Registered, Registration, WorkerState};
use worker::{Request, Response};
use worker_shell::failure::Answer;
use worker_shell::sql;
use worker_shell::{body, clock, random, reply};

use super::Hub;

/// A worker row with what depends on other tables.
#[derive(Debug, Clone, Deserialize)]
pub struct WorkerRow {
    pub id: WorkerId,
    pub name: String,
    pub version: String,
    pub executors: String,
    pub slots: u32,
    pub weight: u32,
    pub draining: u8,
    pub revoked: u8,
    pub used: u32,
    pub last_seen_at: i64,
}

impl Hub {
    /// `POST /workers`.
    pub(super) async fn register(&self, mut request: Request) -> Answer<Response> {
        let key_hash = self.key_of(&request)?;
        let registration: Registration = body::read_json(&mut request, 256 * 1024).await?;
        if registration.protocol != PROTOCOL {
            return Err(Problem::new(
                ProblemCode::ProtocolUnsupported,
                format!(
                    "this proxy ({}) speaks protocol {PROTOCOL}, your cyrus speaks {}; install a cyrus of version {}",
                    env!("CARGO_PKG_VERSION"),
                    registration.protocol,
                    env!("CARGO_PKG_VERSION"),
                ),
            )
            .into());
        }
        let now = clock::now();
        let worker_id = registration.worker_id.unwrap_or_else(|| WorkerId::from_uuid(random::uuid(now)));
        let list = |items: &[String]| serde_json::to_string(items);
        self.sql().run(
            "INSERT INTO workers (id, key_hash, name, version, protocol, repositories, teams, executors, slots, weight, registered_at, last_seen_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11)
             ON CONFLICT (id) DO UPDATE SET key_hash = excluded.key_hash, name = excluded.name, version = excluded.version,
               protocol = excluded.protocol, repositories = excluded.repositories, teams = excluded.teams, executors = excluded.executors,
               slots = excluded.slots, weight = excluded.weight, draining = 0, registered_at = excluded.registered_at, last_seen_at = excluded.last_seen_at",
            vec![
                worker_id.to_string().into(),
                key_hash.into(),
                registration.name.as_str().into(),
                registration.version.as_str().into(),
                sql::int(u64::from(registration.protocol))?,
                list(&registration.repositories)?.into(),
                list(&registration.teams)?.into(),
                list(&registration.executors)?.into(),
                sql::int(u64::from(registration.slots))?,
                sql::int(u64::from(registration.weight))?,
                sql::time(now),
            ],
        )?;
        let intervals = self.settings()?.intervals();
        reply::json(&Registered { worker_id, protocol: PROTOCOL, intervals })
    }

    /// All workers with their load.
    pub(super) fn workers(&self) -> Answer<Vec<WorkerRow>> {
        self.sql().rows(
            "SELECT w.id, w.name, w.version, w.executors, w.slots, w.weight, w.draining, w.last_seen_at,
               coalesce(k.revoked_at IS NOT NULL, 1) AS revoked,
               (SELECT count(*) FROM leases l WHERE l.worker_id = w.id) AS used
             FROM workers w LEFT JOIN worker_keys k ON k.hash = w.key_hash ORDER BY w.id",
            vec![],
        )
    }

    fn state_of(&self, row: &WorkerRow) -> WorkerState {
        if row.revoked != 0 {
            WorkerState::Revoked
        } else if self.streams_of(&row.id.to_string()).is_empty() {
            WorkerState::Offline
        } else if row.draining != 0 {
            WorkerState::Draining
        } else if row.used == 0 {
            WorkerState::Online
        } else {
            WorkerState::Working
        }
    }

    /// `GET /workers/list`, for the panel.
    pub(super) fn list_workers(&self) -> Answer<Response> {
        let mut list = Vec::new();
        for row in self.workers()? {
            list.push(WorkerStatus {
                state: self.state_of(&row),
                id: row.id,
                name: row.name,
                version: row.version,
                executors: serde_json::from_str(&row.executors)?,
                slots: row.slots,
                used: row.used,
                protocol: PROTOCOL,
                repositories: Vec::new(),
                teams: Vec::new(),
                weight: row.weight,
                queue: 0,
                strikes: 0,
                last_seen_at: Timestamp::from_millis(row.last_seen_at),
            });
        }
        reply::json(&list)
    }
}

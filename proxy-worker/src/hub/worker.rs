//! Workers: registration, draining, what is written when one is heard of, and the list that the panel shows.

use serde::Deserialize;
use shared::id::WorkerId;
use shared::problem::{Problem, ProblemCode};
use shared::status::WorkerStatus;
use shared::stream::PROTOCOL;
use shared::time::Timestamp;
use shared::worker::{Registered, Registration, WorkerState};
use worker::{Request, Response};
use worker_shell::failure::Answer;
use worker_shell::{body, clock, log, random, reply, sql};

use super::Hub;

/// Requests to Linear that are kept for the hub's own words, of each hundred.
const OWN_PERCENT: u32 = 5;
/// How often an ack writes that its worker was seen, in ms.
const SEEN_EVERY_MS: i64 = 10_000;
/// The longest name, in characters.
const MAX_NAME: usize = 100;
/// More repositories, teams or executors than this are refused.
const MAX_NAMES: usize = 1_000;
/// No machine runs more sessions at once.
const MAX_SLOTS: u32 = 10_000;

impl Hub {
    /// `POST /workers`.
    pub(super) async fn register(&self, mut request: Request) -> Answer<Response> {
        let key_hash = self.key_of(&request)?;
        let registration: Registration = body::read_json(&mut request, 256 * 1024).await?;
        check(&registration)?;
        let now = clock::now();
        let worker_id = registration.worker_id.unwrap_or_else(|| WorkerId::from_uuid(random::uuid(now)));
        let list = |items: &[String]| serde_json::to_string(items);
        let name: String = registration.name.chars().take(MAX_NAME).collect();
        self.sql().run(
            "INSERT INTO workers (id, key_hash, name, version, protocol, repositories, teams, executors, slots, weight, registered_at, last_seen_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11)
             ON CONFLICT (id) DO UPDATE SET key_hash = excluded.key_hash, name = excluded.name, version = excluded.version,
               protocol = excluded.protocol, repositories = excluded.repositories, teams = excluded.teams, executors = excluded.executors,
               slots = excluded.slots, weight = excluded.weight, draining = 0, strikes = 0, reported = 0,
               registered_at = excluded.registered_at, last_seen_at = excluded.last_seen_at",
            vec![
                worker_id.to_string().into(),
                key_hash.into(),
                name.into(),
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
        self.forget_fleet();
        self.apply(now, |rules| rules.register())?;
        log::info(
            "worker.registered",
            &[("worker", &worker_id.to_string()), ("version", &registration.version)],
        );
        let protocol = registration.protocol.min(PROTOCOL);
        reply::json(&Registered { worker_id, protocol, intervals: self.settings.intervals() })
    }

    /// `POST /workers/me/drain`: the worker is leaving. No new work; what it has goes on there.
    pub(super) async fn drain(&self, request: &Request) -> Answer<Response> {
        let worker = self.worker_of(request)?;
        let now = clock::now();
        self.sql().run("UPDATE workers SET draining = 1 WHERE id = ?", vec![worker.to_string().into()])?;
        self.forget_fleet();
        self.apply(now, |rules| rules.leave(worker))?;
        log::info("worker.draining", &[("worker", &worker.to_string())]);
        reply::json(&serde_json::json!({ "draining": true }))
    }

    /// A worker was heard of; written now and then.
    pub(super) fn seen(&self, worker: WorkerId, now: Timestamp) -> Answer<()> {
        let before = self.seen.borrow().get(&worker).copied().unwrap_or(0);
        if now.as_millis() - before < SEEN_EVERY_MS {
            return Ok(());
        }
        self.seen.borrow_mut().insert(worker, now.as_millis());
        self.sql().run(
            "UPDATE workers SET last_seen_at = ? WHERE id = ?",
            vec![sql::time(now), worker.to_string().into()],
        )
    }

    /// Its last stream is gone.
    pub(super) fn left(&self, worker: WorkerId, now: Timestamp) -> Answer<()> {
        self.seen.borrow_mut().insert(worker, now.as_millis());
        self.sql().run(
            "UPDATE workers SET last_seen_at = ?, connected = 0 WHERE id = ?",
            vec![sql::time(now), worker.to_string().into()],
        )
    }

    /// Streams that ended without the hub, since it was away itself: their workers were on line until then, and what
    /// waits for them waits from now. Nothing moves because the hub was away.
    pub(super) fn miss_streams(&self, now: Timestamp) -> Answer<()> {
        let open: Vec<String> = self
            .state
            .get_websockets()
            .iter()
            .filter_map(|socket| socket.deserialize_attachment::<String>().ok().flatten())
            .collect();
        self.sql().run(
            "UPDATE workers SET last_seen_at = ?1, connected = 0
             WHERE connected = 1 AND id NOT IN (SELECT value FROM json_each(?2))",
            vec![sql::time(now), serde_json::to_string(&open)?.into()],
        )
    }

    /// A heartbeat or a `hello`: one row that renews all of a worker's leases. `said`: slots, runs, requests to Linear.
    pub(super) fn beat(&self, worker: WorkerId, now: Timestamp, said: Option<(u32, u32, u32)>) -> Answer<()> {
        self.seen.borrow_mut().insert(worker, now.as_millis());
        let Some((slots, used, linear_used)) = said else {
            return self.sql().run(
                "UPDATE workers SET last_seen_at = ?1, beat_at = ?1, connected = 1 WHERE id = ?2",
                vec![sql::time(now), worker.to_string().into()],
            );
        };
        self.sql().run(
            "UPDATE workers SET last_seen_at = ?1, beat_at = ?1, slots = max(?3, 1), reported = ?4,
               linear_used = ?5 + CASE linear_hour WHEN ?6 THEN linear_used ELSE 0 END, linear_hour = ?6 WHERE id = ?2",
            vec![
                sql::time(now),
                worker.to_string().into(),
                sql::int(u64::from(slots.min(MAX_SLOTS)))?,
                sql::int(u64::from(used))?,
                sql::int(u64::from(linear_used))?,
                sql::Value::Integer(hour(now)),
            ],
        )
    }

    /// What a worker may spend of the hour's requests to Linear: an even share of what nobody has used yet.
    pub(super) fn linear_slice(&self) -> Answer<u32> {
        let now = clock::now();
        let (allowed, used) = self.linear_budget(now)?;
        let on_line = self.with_fleet(|fleet| {
            Ok(fleet.workers.iter().filter(|worker| worker.connected && !worker.revoked).count())
        })?;
        let own = allowed / 100 * OWN_PERCENT;
        let left = allowed.saturating_sub(own).saturating_sub(used);
        Ok(left / u32::try_from(on_line.max(1)).unwrap_or(1))
    }

    /// Linear's requests within this hour: allowed, and reported as used.
    pub(super) fn linear_budget(&self, now: Timestamp) -> Answer<(u32, u32)> {
        let used = self.sql().texts(
            "SELECT '' || coalesce(sum(linear_used), 0) AS row FROM workers WHERE linear_hour = ?",
            vec![sql::Value::Integer(hour(now))],
        )?;
        let used = used.first().and_then(|used| used.parse().ok()).unwrap_or(0);
        Ok((self.settings.linear_requests_per_hour, used))
    }

    /// `POST /workers/list`, for the panel.
    pub(super) fn list_workers(&self) -> Answer<Response> {
        reply::json(&self.worker_statuses()?)
    }

    pub(super) fn worker_statuses(&self) -> Answer<Vec<WorkerStatus>> {
        #[derive(Deserialize)]
        struct Row {
            id: WorkerId,
            name: String,
            version: String,
            protocol: u32,
            executors: String,
            repositories: String,
            teams: String,
            queue: u64,
            last_seen_at: i64,
        }
        let rows: Vec<Row> = self.sql().rows(
            "SELECT w.id, w.name, w.version, w.protocol, w.executors, w.repositories, w.teams, coalesce(q.queue, 0) AS queue, w.last_seen_at
             FROM workers w LEFT JOIN (SELECT worker_id, count(*) AS queue FROM events
               WHERE live = 1 AND state IN ('offered', 'accepted') GROUP BY worker_id) q ON q.worker_id = w.id ORDER BY w.id",
            vec![],
        )?;
        self.with_fleet(|fleet| {
            let mut list = Vec::with_capacity(rows.len());
            for row in rows {
                let Some(known) = fleet.get(row.id) else { continue };
                let state = match known {
                    known if known.revoked => WorkerState::Revoked,
                    known if !known.connected => WorkerState::Offline,
                    known if known.draining => WorkerState::Draining,
                    known if known.used() == 0 => WorkerState::Online,
                    _ => WorkerState::Working,
                };
                list.push(WorkerStatus {
                    id: row.id,
                    name: row.name,
                    state,
                    version: row.version,
                    protocol: row.protocol,
                    executors: serde_json::from_str(&row.executors)?,
                    repositories: serde_json::from_str(&row.repositories)?,
                    teams: serde_json::from_str(&row.teams)?,
                    slots: known.slots,
                    used: known.used(),
                    weight: known.weight,
                    queue: row.queue,
                    strikes: known.strikes,
                    last_seen_at: Timestamp::from_millis(row.last_seen_at).max(known.last_seen_at),
                });
            }
            Ok(list)
        })
    }
}

fn hour(now: Timestamp) -> i64 {
    now.as_millis() / 3_600_000
}

fn check(registration: &Registration) -> Answer<()> {
    let refuse = |code, detail: String| Err(Problem::new(code, detail).into());
    if registration.protocol != PROTOCOL && registration.protocol + 1 != PROTOCOL {
        return refuse(
            ProblemCode::ProtocolUnsupported,
            format!(
                "this proxy ({version}) speaks protocol {PROTOCOL} and the one before, your cyrus speaks {}; install a cyrus of version {version}",
                registration.protocol,
                version = env!("CARGO_PKG_VERSION"),
            ),
        );
    }
    if registration.slots == 0 || registration.slots > MAX_SLOTS {
        return refuse(ProblemCode::InvalidRequest, format!("`slots` must be 1 to {MAX_SLOTS}"));
    }
    let lists = [&registration.repositories, &registration.teams, &registration.executors];
    if lists.iter().any(|list| list.len() > MAX_NAMES || list.iter().any(|name| name.len() > 300)) {
        return refuse(
            ProblemCode::InvalidRequest,
            format!(
                "`repositories`, `teams` and `executors` take at most {MAX_NAMES} names of 300 bytes each"
            ),
        );
    }
    if registration.version.len() > 100 {
        return refuse(ProblemCode::InvalidRequest, "`version` is too long".to_owned());
    }
    Ok(())
}

//! Worker keys as the hub knows them: hashes that the panel sends, and who is asking.

use serde::Deserialize;
use shared::hub::call::{Command, Order};
use shared::id::WorkerId;
use shared::problem::{Problem, ProblemCode};
use worker::{Request, Response};
use worker_shell::failure::{Answer, Failure};
use worker_shell::sql;
use worker_shell::{body, clock, reply};

use super::Hub;

impl Hub {
    /// `POST /commands`: a row of the panel's outbox; the same id again changes nothing.
    pub(super) async fn command(&self, mut request: Request) -> Answer<Response> {
        let command: Command = body::read_json(&mut request, 256 * 1024).await?;
        let now = clock::now();
        sql::transaction(&self.state, || {
            let sql = self.sql();
            match &command.order {
                Order::KeyAdded { key_id, hash, name } => sql.run(
                    "INSERT INTO worker_keys (hash, key_id, name) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                    vec![hash.as_str().into(), key_id.to_string().into(), name.as_str().into()],
                )?,
                Order::KeyRevoked { key_id } => sql.run(
                    "UPDATE worker_keys SET revoked_at = coalesce(revoked_at, ?) WHERE key_id = ?",
                    vec![sql::time(now), key_id.to_string().into()],
                )?,
                Order::Event { .. } | Order::RunOnIssue { .. } | Order::ConfigChanged { .. } => {}
            }
            sql.run(
                "INSERT INTO commands (id, taken_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
                vec![command.id.as_str().into(), sql::time(now)],
            )
        })?;
        if let Order::KeyRevoked { key_id } = command.order {
            self.close_streams_of_key(&key_id.to_string())?;
        }
        reply::json(&serde_json::json!({ "taken": true }))
    }

    /// The hash of the key that asks, if it is one of ours and not revoked.
    pub(super) fn key_of(&self, request: &Request) -> Answer<String> {
        let refused = || {
            Failure::from(Problem::new(
                ProblemCode::Unauthorized,
                "this worker key is unknown or revoked; make a new one in the panel",
            ))
        };
        let hash = request.headers().get("x-key-hash")?.ok_or_else(refused)?;
        let known: Option<serde_json::Value> = self.sql().first(
            "SELECT 1 AS known FROM worker_keys WHERE hash = ? AND revoked_at IS NULL",
            vec![hash.as_str().into()],
        )?;
        known.map(|_| hash).ok_or_else(refused)
    }

    /// The worker that asks: by its `Cyrus-Worker` header, else the newest that this key registered.
    pub(super) fn worker_of(&self, request: &Request) -> Answer<WorkerId> {
        #[derive(Deserialize)]
        struct Row {
            id: WorkerId,
        }
        let hash = self.key_of(request)?;
        let named = request.headers().get("cyrus-worker")?;
        let (condition, mut values) = match named {
            Some(id) => ("AND id = ?", vec![id.into()]),
            None => ("", vec![]),
        };
        values.insert(0, hash.into());
        let row: Option<Row> = self.sql().first(
            &format!(
                "SELECT id FROM workers WHERE key_hash = ? {condition} ORDER BY registered_at DESC LIMIT 1"
            ),
            values,
        )?;
        row.map(|row| row.id).ok_or_else(|| {
            Problem::new(ProblemCode::WorkerUnknown, "register first: POST /v1/workers with this key").into()
        })
    }
}

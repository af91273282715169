//! Worker keys as the hub knows them: hashes that the panel sends, and who is asking.

use serde::Deserialize;
use shared::id::{KeyId, WorkerId};
use shared::problem::{Problem, ProblemCode};
use worker::Request;
use worker_shell::failure::{Answer, Failure};
use worker_shell::{clock, sql};

use super::Hub;

impl Hub {
    /// The hash of the key that asks, if it is one of ours and not revoked.
    pub(super) fn key_of(&self, request: &Request) -> Answer<String> {
        let refused = || {
            Failure::from(Problem::new(
                ProblemCode::Unauthorized,
                "this worker key is unknown or revoked; make a new one in the panel",
            ))
        };
        let hash = request.headers().get("x-key-hash")?.ok_or_else(refused)?;
        let known = self.sql().texts(
            "SELECT '1' AS row FROM worker_keys WHERE hash = ? AND revoked_at IS NULL",
            vec![hash.as_str().into()],
        )?;
        if known.is_empty() { Err(refused()) } else { Ok(hash) }
    }

    /// The worker that asks: by its `Cyrus-Worker` header, else the newest that this key registered.
    pub(super) fn worker_of(&self, request: &Request) -> Answer<WorkerId> {
        let hash = self.key_of(request)?;
        let named = request.headers().get("cyrus-worker")?;
        let (condition, mut values) = match named {
            Some(id) => ("AND id = ?", vec![id.into()]),
            None => ("", vec![]),
        };
        values.insert(0, hash.into());
        let rows = self.sql().texts(
            &format!(
                "SELECT id AS row FROM workers WHERE key_hash = ? {condition} ORDER BY registered_at DESC LIMIT 1"
            ),
            values,
        )?;
        rows.first().and_then(|id| id.parse().ok()).ok_or_else(|| {
            Problem::new(ProblemCode::WorkerUnknown, "register first: POST /v1/workers with this key").into()
        })
    }

    /// A key was made known.
    pub(super) fn add_key(&self, key_id: KeyId, hash: &str, name: &str) -> Answer<()> {
        self.sql().run(
            "INSERT INTO worker_keys (hash, key_id, name) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            vec![hash.into(), key_id.to_string().into(), name.into()],
        )
    }

    /// A key is void: its workers' streams end, what they were offered goes back, their leases may move at once.
    pub(super) fn revoke_key(&self, key_id: KeyId) -> Answer<()> {
        #[derive(Deserialize)]
        struct Row {
            id: WorkerId,
        }
        let now = clock::now();
        let key = key_id.to_string();
        self.sql().run(
            "UPDATE worker_keys SET revoked_at = coalesce(revoked_at, ?) WHERE key_id = ?",
            vec![sql::time(now), key.as_str().into()],
        )?;
        let rows: Vec<Row> = self.sql().rows(
            "SELECT w.id FROM workers w JOIN worker_keys k ON k.hash = w.key_hash WHERE k.key_id = ?",
            vec![key.into()],
        )?;
        for row in &rows {
            for socket in self.streams_of(&row.id.to_string()) {
                let _ = socket.close(Some(4001), Some("key revoked"));
            }
        }
        self.forget_fleet();
        self.apply(now, |rules| {
            for row in rows {
                rules.close_stream(row.id)?;
                rules.leave(row.id)?;
            }
            Ok(())
        })
    }
}

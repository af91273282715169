//! The journal's tables, with a version in `user_version`. Migrations only add.

use rusqlite::{Connection, OptionalExtension};
use shared::id::WorkerId;

pub(super) const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE worker (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), id TEXT NOT NULL);
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        session_key TEXT NOT NULL,
        token INTEGER NOT NULL,
        state TEXT NOT NULL,
        acked INTEGER NOT NULL DEFAULT 0,
        first_thought INTEGER NOT NULL,
        takeover INTEGER NOT NULL,
        event TEXT NOT NULL);
    CREATE INDEX events_open ON events (state, seq);
    CREATE TABLE sessions (
        agent_session_id TEXT PRIMARY KEY,
        session_key TEXT NOT NULL,
        panel_id TEXT,
        next_line INTEGER NOT NULL DEFAULT 1,
        lines_stored INTEGER NOT NULL DEFAULT 0,
        conversation TEXT,
        branch TEXT,
        worktree TEXT,
        spent_micro_usd INTEGER NOT NULL DEFAULT 0,
        open_run TEXT);
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        session TEXT NOT NULL,
        lane TEXT NOT NULL,
        effect TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'open');
    CREATE INDEX outbox_open ON outbox (session, lane, id) WHERE state = 'open';
    CREATE TABLE lines (
        session TEXT NOT NULL,
        seq INTEGER NOT NULL,
        line TEXT NOT NULL,
        PRIMARY KEY (session, seq)) WITHOUT ROWID;
",
    "
    ALTER TABLE events ADD COLUMN repository TEXT;
    ALTER TABLE events ADD COLUMN ask INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE events ADD COLUMN result TEXT;
    CREATE INDEX events_unconfirmed ON events (seq) WHERE state = 'done' AND acked = 0;
    ALTER TABLE sessions ADD COLUMN repository TEXT;
    ALTER TABLE sessions ADD COLUMN asked TEXT;
    CREATE INDEX sessions_by_key ON sessions (session_key);
",
    "
    ALTER TABLE events ADD COLUMN turn INTEGER;
    ALTER TABLE events ADD COLUMN done_at INTEGER;
    CREATE INDEX events_by_turn ON events (turn) WHERE turn IS NOT NULL;
    CREATE TABLE turns (
        session TEXT NOT NULL,
        first_seq INTEGER NOT NULL,
        state TEXT NOT NULL,
        over INTEGER NOT NULL DEFAULT 0,
        changed_at INTEGER NOT NULL,
        PRIMARY KEY (session, first_seq)) WITHOUT ROWID;
    CREATE TABLE runs (
        id TEXT PRIMARY KEY,
        session TEXT NOT NULL,
        first_seq INTEGER NOT NULL,
        conversation TEXT NOT NULL,
        resumed INTEGER NOT NULL,
        prior_micro_usd INTEGER NOT NULL,
        cost_micro_usd INTEGER,
        out_at INTEGER NOT NULL DEFAULT 0,
        err_at INTEGER NOT NULL DEFAULT 0,
        held TEXT,
        begun_at INTEGER NOT NULL,
        ended_at INTEGER) WITHOUT ROWID;
    CREATE INDEX runs_by_conversation ON runs (conversation);
    CREATE INDEX runs_by_session ON runs (session, begun_at);
    ALTER TABLE outbox ADD COLUMN key TEXT;
    ALTER TABLE outbox ADD COLUMN weight TEXT;
    ALTER TABLE outbox ADD COLUMN tried INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE outbox ADD COLUMN joined_into INTEGER;
    ALTER TABLE outbox ADD COLUMN done_at INTEGER;
    CREATE UNIQUE INDEX outbox_key ON outbox (session, key) WHERE key IS NOT NULL;
    ALTER TABLE lines ADD COLUMN at INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE recoveries (
        run TEXT PRIMARY KEY,
        session TEXT NOT NULL,
        recovery TEXT NOT NULL,
        told INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    -- What an older cyrus counted by session belongs to the conversation that the session goes on with.
    INSERT INTO runs (id, session, first_seq, conversation, resumed, prior_micro_usd, cost_micro_usd, begun_at, ended_at)
        SELECT 'before ' || agent_session_id, agent_session_id, 0, conversation, 0, 0, spent_micro_usd, 0, 0
        FROM sessions WHERE conversation IS NOT NULL AND spent_micro_usd > 0;
",
];

/// Brings the tables to this build's version; `Some(version)` when the file is of a newer one.
pub fn migrate(connection: &mut Connection) -> rusqlite::Result<Option<u32>> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version as usize > MIGRATIONS.len() {
        return Ok(Some(version));
    }
    for (index, statements) in MIGRATIONS.iter().enumerate().skip(version as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(statements)?;
        transaction.pragma_update(None, "user_version", index as u32 + 1)?;
        transaction.commit()?;
    }
    Ok(None)
}

/// The id in the file, or `fresh`, written down.
pub fn worker_id(connection: &Connection, fresh: WorkerId) -> rusqlite::Result<WorkerId> {
    let known: Option<String> =
        connection.query_row("SELECT id FROM worker", [], |row| row.get(0)).optional()?;
    if let Some(id) = known.and_then(|text| text.parse().ok()) {
        return Ok(id);
    }
    connection.execute("INSERT INTO worker (only_row, id) VALUES (1, ?1)", [fresh.to_string()])?;
    Ok(fresh)
}

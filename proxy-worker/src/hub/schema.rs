//! The hub's own tables, with a version. Migrations only add; each runs once, in one transaction.

use serde::Deserialize;
use worker::State;
use worker_shell::failure::{Answer, Failure};
use worker_shell::sql::{self, Sql};

/// One entry a version; an entry is never changed once released.
const MIGRATIONS: &[&[&str]] = &[FIRST, SECOND];

const FIRST: &[&str] = &[
    "CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL,
        delivery_id TEXT NOT NULL UNIQUE,
        meaning TEXT NOT NULL UNIQUE,
        session_key TEXT NOT NULL,
        workspace_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        token INTEGER NOT NULL DEFAULT 0,
        worker_id TEXT,
        takeover INTEGER NOT NULL DEFAULT 0,
        received_at INTEGER NOT NULL,
        not_before INTEGER NOT NULL DEFAULT 0,
        offered_at INTEGER,
        accepted_at INTEGER,
        done_at INTEGER,
        first_thought_due INTEGER,
        first_thought INTEGER NOT NULL DEFAULT 0,
        reason TEXT)",
    "CREATE INDEX events_by_key ON events (session_key, seq)",
    "CREATE INDEX events_open ON events (state, seq) WHERE state IN ('pending', 'offered', 'accepted')",
    "CREATE TABLE event_chunks (seq INTEGER NOT NULL, n INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (seq, n)) WITHOUT ROWID",
    "CREATE TABLE leases (session_key TEXT PRIMARY KEY, worker_id TEXT NOT NULL, token INTEGER NOT NULL, renewed_at INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE tokens (session_key TEXT PRIMARY KEY, newest INTEGER NOT NULL, sticky_worker TEXT) WITHOUT ROWID",
    "CREATE TABLE rejections (seq INTEGER NOT NULL, worker_id TEXT NOT NULL, PRIMARY KEY (seq, worker_id)) WITHOUT ROWID",
    "CREATE TABLE worker_keys (hash TEXT PRIMARY KEY, key_id TEXT NOT NULL, name TEXT NOT NULL, revoked_at INTEGER) WITHOUT ROWID",
    "CREATE TABLE workers (
        id TEXT PRIMARY KEY, key_hash TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, protocol INTEGER NOT NULL,
        repositories TEXT NOT NULL, teams TEXT NOT NULL, executors TEXT NOT NULL, slots INTEGER NOT NULL, weight INTEGER NOT NULL,
        draining INTEGER NOT NULL DEFAULT 0, registered_at INTEGER NOT NULL, last_seen_at INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE connections (provider TEXT NOT NULL, workspace_id TEXT NOT NULL, envelope TEXT NOT NULL, app_user_id TEXT NOT NULL,
        PRIMARY KEY (provider, workspace_id)) WITHOUT ROWID",
    "CREATE TABLE timers (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), due INTEGER NOT NULL)",
    "CREATE TABLE commands (id TEXT PRIMARY KEY, taken_at INTEGER NOT NULL) WITHOUT ROWID",
];

/// A session's token, stickiness and lease become one row; events say what they wait for; words for Linear are kept
/// until they are said. `live` marks what is not done or cancelled, `ready` what only waits for room.
const SECOND: &[&str] = &[
    "ALTER TABLE events ADD COLUMN agent_session TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE events ADD COLUMN sort INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE events ADD COLUMN wants TEXT",
    "ALTER TABLE events ADD COLUMN hold TEXT",
    "ALTER TABLE events ADD COLUMN finished INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE events ADD COLUMN given_back INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE events ADD COLUMN ask INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE events ADD COLUMN live INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE events ADD COLUMN ready INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE events ADD COLUMN title TEXT",
    "ALTER TABLE events ADD COLUMN result TEXT",
    "ALTER TABLE events ADD COLUMN dismissed INTEGER NOT NULL DEFAULT 0",
    "UPDATE events SET live = state IN ('pending', 'offered', 'accepted', 'dead'), ready = state = 'pending',
       sort = CASE kind WHEN 'session_stopped' THEN 2 ELSE 0 END",
    "ALTER TABLE events ADD COLUMN body TEXT",
    "CREATE TABLE chunks (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",
    "INSERT INTO chunks (id, text) SELECT seq * 64 + n, text FROM event_chunks",
    "DROP TABLE event_chunks",
    "DROP INDEX events_by_key",
    "DROP INDEX events_open",
    "CREATE INDEX events_by_key ON events (session_key, live, state, seq)",
    "CREATE INDEX events_live ON events (state, seq) WHERE live = 1",
    "CREATE INDEX events_ready ON events (seq) WHERE ready = 1",
    "CREATE INDEX events_stops ON events (session_key) WHERE live = 1 AND sort >= 2",
    "CREATE INDEX events_held ON events (hold, seq) WHERE hold IS NOT NULL",
    "CREATE INDEX events_thought ON events (first_thought_due) WHERE first_thought_due IS NOT NULL",
    "CREATE INDEX events_ended ON events (done_at) WHERE done_at IS NOT NULL",
    "CREATE TABLE sessions (session_key TEXT PRIMARY KEY, newest INTEGER NOT NULL, sticky TEXT, holder TEXT, renewed_at INTEGER,
       stop INTEGER NOT NULL DEFAULT 0, unclaimed INTEGER NOT NULL DEFAULT 0, changed_at INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO sessions (session_key, newest, sticky, holder, renewed_at, changed_at)
       SELECT t.session_key, t.newest, t.sticky_worker, l.worker_id, l.renewed_at, coalesce(l.renewed_at, 0)
       FROM tokens t LEFT JOIN leases l ON l.session_key = t.session_key",
    "CREATE INDEX sessions_leased ON sessions (holder) WHERE holder IS NOT NULL",
    "DROP TABLE tokens",
    "DROP TABLE leases",
    "ALTER TABLE workers ADD COLUMN beat_at INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE workers ADD COLUMN reported INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE workers ADD COLUMN strikes INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE workers ADD COLUMN linear_hour INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE workers ADD COLUMN linear_used INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE commands ADD COLUMN answer TEXT",
    "CREATE TABLE words (seq INTEGER NOT NULL, words TEXT NOT NULL, due INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
       PRIMARY KEY (seq, words)) WITHOUT ROWID",
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
];

/// Brings the tables to this build's version. A newer version is refused: an older build must not guess.
pub fn migrate(state: &State) -> Answer<()> {
    #[derive(Deserialize)]
    struct Row {
        version: u32,
    }
    let sql = Sql::of(state);
    sql.run("CREATE TABLE IF NOT EXISTS schema_version (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), version INTEGER NOT NULL)", vec![])?;
    let row: Option<Row> = sql.first("SELECT version FROM schema_version", vec![])?;
    let version = row.map_or(0, |row| row.version) as usize;
    if version > MIGRATIONS.len() {
        return Err(Failure::internal(
            "the hub's tables are of a newer version; deploy the newer proxy again",
        ));
    }
    for (index, statements) in MIGRATIONS.iter().enumerate().skip(version) {
        sql::transaction(state, || {
            for statement in *statements {
                Sql::of(state).run(statement, vec![])?;
            }
            Sql::of(state).run(
                "INSERT INTO schema_version (only_row, version) VALUES (1, ?) ON CONFLICT (only_row) DO UPDATE SET version = excluded.version",
                vec![sql::int(index as u64 + 1)?],
            )
        })?;
    }
    Ok(())
}

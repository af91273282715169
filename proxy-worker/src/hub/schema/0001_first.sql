-- The hub's own tables.
CREATE TABLE events (
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
    reason TEXT);
CREATE INDEX events_by_key ON events (session_key, seq);
CREATE INDEX events_open ON events (state, seq) WHERE state IN ('pending', 'offered', 'accepted');
CREATE TABLE event_chunks (seq INTEGER NOT NULL, n INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (seq, n)) WITHOUT ROWID;
CREATE TABLE leases (session_key TEXT PRIMARY KEY, worker_id TEXT NOT NULL, token INTEGER NOT NULL, renewed_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE tokens (session_key TEXT PRIMARY KEY, newest INTEGER NOT NULL, sticky_worker TEXT) WITHOUT ROWID;
CREATE TABLE rejections (seq INTEGER NOT NULL, worker_id TEXT NOT NULL, PRIMARY KEY (seq, worker_id)) WITHOUT ROWID;
CREATE TABLE worker_keys (hash TEXT PRIMARY KEY, key_id TEXT NOT NULL, name TEXT NOT NULL, revoked_at INTEGER) WITHOUT ROWID;
CREATE TABLE workers (
    id TEXT PRIMARY KEY, key_hash TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, protocol INTEGER NOT NULL,
    repositories TEXT NOT NULL, teams TEXT NOT NULL, executors TEXT NOT NULL, slots INTEGER NOT NULL, weight INTEGER NOT NULL,
    draining INTEGER NOT NULL DEFAULT 0, registered_at INTEGER NOT NULL, last_seen_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE connections (provider TEXT NOT NULL, workspace_id TEXT NOT NULL, envelope TEXT NOT NULL, app_user_id TEXT NOT NULL,
    PRIMARY KEY (provider, workspace_id)) WITHOUT ROWID;
CREATE TABLE timers (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), due INTEGER NOT NULL);
CREATE TABLE commands (id TEXT PRIMARY KEY, taken_at INTEGER NOT NULL) WITHOUT ROWID;

-- A session's token, stickiness and lease become one row; events say what they wait for; words for Linear are kept until
-- they are said. `live` marks what is not done or cancelled, `ready` what only waits for room.
ALTER TABLE events ADD COLUMN agent_session TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN sort INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN wants TEXT;
ALTER TABLE events ADD COLUMN hold TEXT;
ALTER TABLE events ADD COLUMN finished INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN given_back INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN ask INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN live INTEGER NOT NULL DEFAULT 1;
ALTER TABLE events ADD COLUMN ready INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN title TEXT;
ALTER TABLE events ADD COLUMN result TEXT;
ALTER TABLE events ADD COLUMN dismissed INTEGER NOT NULL DEFAULT 0;
UPDATE events SET live = state IN ('pending', 'offered', 'accepted', 'dead'), ready = state = 'pending',
  sort = CASE kind WHEN 'session_stopped' THEN 2 ELSE 0 END;
ALTER TABLE events ADD COLUMN body TEXT;
CREATE TABLE chunks (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
INSERT INTO chunks (id, text) SELECT seq * 64 + n, text FROM event_chunks;
DROP TABLE event_chunks;
DROP INDEX events_by_key;
DROP INDEX events_open;
CREATE INDEX events_by_key ON events (session_key, live, state, seq);
CREATE INDEX events_live ON events (state, seq) WHERE live = 1;
CREATE INDEX events_ready ON events (seq) WHERE ready = 1;
CREATE INDEX events_stops ON events (session_key) WHERE live = 1 AND sort >= 2;
CREATE INDEX events_held ON events (hold, seq) WHERE hold IS NOT NULL;
CREATE INDEX events_thought ON events (first_thought_due) WHERE first_thought_due IS NOT NULL;
CREATE INDEX events_ended ON events (done_at) WHERE done_at IS NOT NULL;
CREATE TABLE sessions (session_key TEXT PRIMARY KEY, newest INTEGER NOT NULL, sticky TEXT, holder TEXT, renewed_at INTEGER,
  stop INTEGER NOT NULL DEFAULT 0, unclaimed INTEGER NOT NULL DEFAULT 0, changed_at INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO sessions (session_key, newest, sticky, holder, renewed_at, changed_at)
  SELECT t.session_key, t.newest, t.sticky_worker, l.worker_id, l.renewed_at, coalesce(l.renewed_at, 0)
  FROM tokens t LEFT JOIN leases l ON l.session_key = t.session_key;
CREATE INDEX sessions_leased ON sessions (holder) WHERE holder IS NOT NULL;
DROP TABLE tokens;
DROP TABLE leases;
ALTER TABLE workers ADD COLUMN beat_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN reported INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN strikes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN linear_hour INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN linear_used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE commands ADD COLUMN answer TEXT;
CREATE TABLE words (seq INTEGER NOT NULL, words TEXT NOT NULL, due INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (seq, words)) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

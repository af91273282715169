-- What people set for the workers in the panel: `GET /api/workers/me/config` hands it out. Null: nothing is set, and the
-- worker's own file decides. Lists of tools are JSON arrays of rules.
ALTER TABLE repositories ADD COLUMN model TEXT;
ALTER TABLE repositories ADD COLUMN fallback_model TEXT;
ALTER TABLE repositories ADD COLUMN allowed_tools TEXT;
ALTER TABLE repositories ADD COLUMN disallowed_tools TEXT;
ALTER TABLE repositories ADD COLUMN permissions TEXT;
ALTER TABLE repositories ADD COLUMN max_sessions INTEGER;

-- `slots` is what the worker said; this is what people want of it.
ALTER TABLE workers ADD COLUMN wanted_slots INTEGER;

-- Credentials of executors as envelopes: people write them and never read them back.
CREATE TABLE executor_credentials (
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  variable TEXT NOT NULL,
  executor TEXT NOT NULL,
  envelope TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (organization_id, variable)
) WITHOUT ROWID;

-- Who was handed secrets, and who changed what workers obey.
CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  actor TEXT NOT NULL,
  deed TEXT NOT NULL,
  subject TEXT,
  at INTEGER NOT NULL
);
CREATE INDEX audit_by_organization ON audit (organization_id, id);

-- Work of a worker that lost its lease: pushed to a branch of its own, for people to look at.
CREATE TABLE recoveries (
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  run_id TEXT NOT NULL,
  session_key TEXT NOT NULL,
  token INTEGER NOT NULL,
  branch TEXT NOT NULL,
  commit_id TEXT NOT NULL,
  remote TEXT,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (organization_id, run_id)
) WITHOUT ROWID;
CREATE INDEX recoveries_by_key ON recoveries (organization_id, session_key, created_at);

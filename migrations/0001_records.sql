-- The panel's records. Every row carries its organization; times are ms since 1970 UTC, money is µUSD.
-- Statements end with a semicolon at the end of a line; nothing here is ever changed once released.

CREATE TABLE organizations (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL
);

CREATE TABLE api_keys (
  hash TEXT PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  kind TEXT NOT NULL CHECK (kind IN ('worker', 'person')),
  role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'operator', 'viewer', 'worker')),
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  revoked_at INTEGER
);
CREATE INDEX api_keys_by_organization ON api_keys (organization_id, kind, created_at);

CREATE TABLE sign_in_links (
  hash TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  role TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  used_at INTEGER
);

CREATE TABLE browser_sessions (
  hash TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  role TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
);

CREATE TABLE repositories (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  name TEXT NOT NULL,
  path TEXT NOT NULL,
  remote TEXT,
  base_branch TEXT NOT NULL DEFAULT 'main',
  linear_workspace_id TEXT,
  linear_token TEXT,
  github_token TEXT,
  codegen_enabled INTEGER NOT NULL DEFAULT 0,
  codegen_org_id TEXT,
  codegen_token TEXT,
  execution_strategy TEXT NOT NULL DEFAULT 'local-only',
  max_cost_per_task_micro_usd INTEGER,
  max_cost_per_day_micro_usd INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX repositories_by_remote ON repositories (organization_id, remote) WHERE remote IS NOT NULL;
CREATE UNIQUE INDEX repositories_by_name ON repositories (organization_id, name);

CREATE TABLE workers (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  executors TEXT NOT NULL,
  slots INTEGER NOT NULL,
  last_seen_at INTEGER,
  revoked_at INTEGER
);
CREATE INDEX workers_by_organization ON workers (organization_id, id);

CREATE TABLE agent_sessions (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  repository_id TEXT REFERENCES repositories (id),
  session_key TEXT NOT NULL,
  agent_session_id TEXT,
  linear_issue_id TEXT,
  linear_issue_identifier TEXT,
  linear_issue_title TEXT,
  linear_issue_url TEXT,
  agent_type TEXT NOT NULL,
  executor_type TEXT NOT NULL,
  status TEXT NOT NULL,
  executor TEXT,
  executor_version TEXT,
  model TEXT,
  worker_name TEXT,
  branch TEXT,
  head_commit TEXT,
  worktree_path TEXT,
  codegen_session_id TEXT UNIQUE,
  verification_passed INTEGER,
  pull_request_url TEXT,
  error_message TEXT,
  decision TEXT,
  estimate TEXT,
  proof TEXT,
  list_cost_micro_usd INTEGER NOT NULL DEFAULT 0,
  billed_cost_micro_usd INTEGER,
  tokens_used INTEGER,
  started_at INTEGER,
  completed_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX agent_sessions_by_agent_session ON agent_sessions (organization_id, agent_session_id) WHERE agent_session_id IS NOT NULL;
CREATE INDEX agent_sessions_by_time ON agent_sessions (organization_id, created_at DESC, id DESC);
CREATE INDEX agent_sessions_by_status ON agent_sessions (organization_id, status, created_at DESC, id DESC);
CREATE INDEX agent_sessions_by_key ON agent_sessions (organization_id, session_key, created_at DESC);

CREATE TABLE runs (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  session_id TEXT NOT NULL REFERENCES agent_sessions (id),
  started_at INTEGER NOT NULL,
  list_cost_micro_usd INTEGER NOT NULL DEFAULT 0,
  billed_cost_micro_usd INTEGER,
  tokens INTEGER,
  record TEXT NOT NULL
);
CREATE INDEX runs_by_session ON runs (session_id, started_at);

CREATE TABLE execution_metrics (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  repository_id TEXT REFERENCES repositories (id),
  session_id TEXT NOT NULL REFERENCES agent_sessions (id),
  metric_type TEXT NOT NULL,
  value REAL NOT NULL,
  metadata TEXT,
  timestamp INTEGER NOT NULL
);
CREATE INDEX execution_metrics_by_session ON execution_metrics (session_id, timestamp);

-- One row is one chunk of lines (NDJSON), since D1 bills by rows written.
CREATE TABLE session_logs (
  session_id TEXT NOT NULL REFERENCES agent_sessions (id),
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  encoding TEXT NOT NULL DEFAULT 'ndjson',
  lines TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (session_id, first_seq)
);
CREATE INDEX session_logs_by_end ON session_logs (session_id, last_seq);

-- The newest fencing token that a worker showed for a session key; older ones are refused.
CREATE TABLE leases (
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  session_key TEXT NOT NULL,
  token INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (organization_id, session_key)
);

-- Commands on their way to the hub: a row first, then the attempt, again each minute until the hub confirms.
CREATE TABLE hub_outbox (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  command TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  confirmed_at INTEGER
);
CREATE INDEX hub_outbox_open ON hub_outbox (created_at) WHERE confirmed_at IS NULL;

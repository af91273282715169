-- Commands to the hub go out in the order of their position, one organization at a time. One that the hub refused
-- for good stays with its reason and holds nothing back; a confirmed one keeps the hub's answer.

CREATE TABLE hub_outbox_in_order (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  command TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  confirmed_at INTEGER,
  answer TEXT,
  failed_at INTEGER,
  failure TEXT
);
INSERT INTO hub_outbox_in_order (id, organization_id, command, created_at, confirmed_at)
  SELECT id, organization_id, command, created_at, confirmed_at FROM hub_outbox ORDER BY created_at, rowid;
DROP TABLE hub_outbox;
ALTER TABLE hub_outbox_in_order RENAME TO hub_outbox;
CREATE INDEX hub_outbox_open ON hub_outbox (organization_id, position) WHERE confirmed_at IS NULL AND failed_at IS NULL;

-- The command that tells the hub of a revocation; until it is confirmed the key counts as being revoked.
ALTER TABLE api_keys ADD COLUMN revocation TEXT;

-- What a person asked for in a manual run, for doing it again.
ALTER TABLE agent_sessions ADD COLUMN prompt TEXT;

-- The version of the configuration that the hub was told last.
ALTER TABLE organizations ADD COLUMN config_etag TEXT;

-- Confirmed commands are deleted after the retention; the index finds them without reading the others.
CREATE INDEX hub_outbox_confirmed ON hub_outbox (confirmed_at) WHERE confirmed_at IS NOT NULL;

-- What a worker asked for under an `Idempotency-Key`: the key's and the request's SHA-256. Kept as long as the sessions.
CREATE TABLE idempotency_keys (
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  key_hash TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (organization_id, key_hash)
) WITHOUT ROWID;

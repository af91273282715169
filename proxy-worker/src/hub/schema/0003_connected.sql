-- Who had a stream when this life of the hub ended: after an outage they were on line until it began.
ALTER TABLE workers ADD COLUMN connected INTEGER NOT NULL DEFAULT 0;
-- Events of the first version did not name their agent session beside their text.
UPDATE events SET agent_session = coalesce((SELECT CASE WHEN json_valid(c.text) THEN json_extract(c.text, '$.agentSession.id') END
  FROM chunks c WHERE c.id = events.seq * 64), '') WHERE agent_session = '';

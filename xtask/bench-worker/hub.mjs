// The Durable Objects: the hub of an organization (events, leases, workers in SQLite; streams as hibernating WebSockets), and
// the directory of workspaces. An event is stored before its webhook is answered, under a unique delivery id and meaning.

import { DurableObject } from "cloudflare:workers";

const CHUNK = 512 * 1024; // characters; a row may hold 2 MB

export class Hub extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    this.sql = ctx.storage.sql;
    this.settings = { offerMs: 10_000, leaseMs: 150_000, takeoverAfterMs: 600_000, webhooksPerMinute: 6_000, heartbeatLineMs: 15_000, workerHeartbeatMs: 45_000, ...JSON.parse(env.CYRUS_SETTINGS || "{}") };
    this.rate = { minute: 0, count: 0 };
    this.alarmAt = null;
    this.sql.exec(`
      CREATE TABLE IF NOT EXISTS events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, delivery_id TEXT NOT NULL UNIQUE, meaning TEXT NOT NULL UNIQUE,
        session_key TEXT NOT NULL, workspace_id TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL, worker_id TEXT, token INTEGER,
        received_at INTEGER NOT NULL, offered_at INTEGER, done_at INTEGER);
      CREATE TABLE IF NOT EXISTS bodies (seq INTEGER NOT NULL, n INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (seq, n)) WITHOUT ROWID;
      CREATE INDEX IF NOT EXISTS events_open ON events (session_key, seq) WHERE state IN ('pending', 'offered', 'accepted');
      CREATE INDEX IF NOT EXISTS events_pending ON events (seq) WHERE state = 'pending';
      CREATE INDEX IF NOT EXISTS events_offered ON events (offered_at) WHERE state = 'offered';
      CREATE TABLE IF NOT EXISTS leases (session_key TEXT PRIMARY KEY, worker_id TEXT NOT NULL, token INTEGER NOT NULL, renewed_at INTEGER NOT NULL) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS tokens (session_key TEXT PRIMARY KEY, newest INTEGER NOT NULL) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS workers (id TEXT PRIMARY KEY, key_hash TEXT NOT NULL, name TEXT NOT NULL, slots INTEGER NOT NULL) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS worker_keys (hash TEXT PRIMARY KEY, key_id TEXT NOT NULL) WITHOUT ROWID;`);
  }

  first(query, ...values) {
    return this.sql.exec(query, ...values).toArray()[0];
  }

  // Webhooks in.

  async deliver({ deliveryId, meaning, workspaceId, event }) {
    const now = Date.now();
    const minute = Math.floor(now / 60_000);
    this.rate = { minute, count: this.rate.minute === minute ? this.rate.count + 1 : 1 };
    if (this.rate.count > this.settings.webhooksPerMinute) return refused(429, "rate_limited", "this organization sends too many webhooks");
    const id = `evt_${crypto.randomUUID()}`;
    const sessionKey = event.agentSession.issue?.id ?? event.agentSession.id;
    const duplicate = this.ctx.storage.transactionSync(() => {
      const row = this.first(
        `INSERT INTO events (id, delivery_id, meaning, session_key, workspace_id, kind, state, received_at)
         VALUES (?, ?, ?, ?, ?, ?, 'pending', ?) ON CONFLICT DO NOTHING RETURNING seq`,
        id, deliveryId, meaning, sessionKey, workspaceId, event.kind, now);
      if (!row) return true;
      const text = JSON.stringify({ id, deliveryId, receivedAt: new Date(now).toISOString(), workspaceId, ...event });
      for (let n = 0; n * CHUNK < text.length; n++) {
        this.sql.exec("INSERT INTO bodies (seq, n, text) VALUES (?, ?, ?)", row.seq, n, text.slice(n * CHUNK, (n + 1) * CHUNK));
      }
      if (event.kind === "session_stopped") {
        this.sql.exec("UPDATE events SET state = 'cancelled', done_at = ? WHERE session_key = ? AND seq < ? AND state IN ('pending', 'offered')", now, sessionKey, row.seq);
      }
      return false;
    });
    if (!duplicate) await this.offer([sessionKey]);
    return { duplicate };
  }

  // Offers out: the oldest pending event of each session, to the lease's holder or to the worker with the fewest leases.

  async offer(sessionKeys) {
    if (this.ctx.getWebSockets().length === 0) return;
    const now = Date.now();
    for (const sessionKey of sessionKeys) {
      const next = this.first("SELECT seq, state FROM events WHERE session_key = ? AND state IN ('pending', 'offered') ORDER BY seq LIMIT 1", sessionKey);
      if (next?.state !== "pending") continue;
      const lease = this.lease(sessionKey, now);
      if (!lease) continue;
      this.sql.exec("UPDATE events SET state = 'offered', worker_id = ?, token = ?, offered_at = ? WHERE seq = ?", lease.worker_id, lease.token, now, next.seq);
      this.send(lease.worker_id, next.seq, sessionKey, lease.token);
    }
    await this.wind(now);
  }

  lease(sessionKey, now) {
    const held = this.first("SELECT worker_id, token FROM leases WHERE session_key = ?", sessionKey);
    if (held) return this.socketOf(held.worker_id) ? held : null;
    const free = this.sql
      .exec("SELECT id, slots, (SELECT count(*) FROM leases WHERE worker_id = id) AS used FROM workers")
      .toArray()
      .filter((worker) => worker.used < worker.slots && this.socketOf(worker.id))
      .sort((a, b) => a.used - b.used);
    if (free.length === 0) return null;
    const { newest: token } = this.first("INSERT INTO tokens (session_key, newest) VALUES (?, 1) ON CONFLICT DO UPDATE SET newest = newest + 1 RETURNING newest", sessionKey);
    this.sql.exec("INSERT INTO leases (session_key, worker_id, token, renewed_at) VALUES (?, ?, ?, ?)", sessionKey, free[0].id, token, now);
    return { worker_id: free[0].id, token };
  }

  send(worker, seq, sessionKey, token) {
    const event = this.sql.exec("SELECT text FROM bodies WHERE seq = ? ORDER BY n", seq).toArray().map((row) => row.text).join("");
    const head = JSON.stringify({ type: "event", seq, attempt: 1, sessionKey, token });
    this.socketOf(worker)?.send(`${head.slice(0, -1)},"event":${event}}`);
  }

  socketOf(worker) {
    return this.ctx.getWebSockets(worker).find((socket) => socket.readyState === WebSocket.READY_STATE_OPEN);
  }

  waiting(limit = 100) {
    return this.sql.exec("SELECT DISTINCT session_key FROM (SELECT session_key FROM events WHERE state = 'pending' ORDER BY seq LIMIT ?)", limit).toArray().map((row) => row.session_key);
  }

  // Workers.

  knows(keyHash) {
    return this.first("SELECT 1 AS known FROM worker_keys WHERE hash = ?", keyHash) !== undefined;
  }

  register(keyHash, { workerId, name, slots }) {
    if (!this.knows(keyHash)) return unknownKey();
    const id = workerId ?? `wrk_${crypto.randomUUID()}`;
    this.sql.exec("INSERT INTO workers (id, key_hash, name, slots) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET slots = excluded.slots", id, keyHash, name, slots);
    return { workerId: id, protocol: 1 };
  }

  async acks(keyHash, worker, acks) {
    if (!this.knows(keyHash)) return unknownKey();
    const now = Date.now();
    const touched = new Set();
    let freed = false;
    const answers = this.ctx.storage.transactionSync(() =>
      acks.map(({ seq, token, state }) => {
        const row = this.first("SELECT session_key, worker_id, token, state FROM events WHERE seq = ?", seq);
        if (!row) return "unknown";
        const newest = this.first("SELECT newest FROM tokens WHERE session_key = ?", row.session_key)?.newest;
        if (row.worker_id !== worker || row.token !== token || newest !== token) return "stale";
        const open = row.state === "pending" || row.state === "offered" || row.state === "accepted";
        if (open && state === "accepted") this.sql.exec("UPDATE events SET state = 'accepted' WHERE seq = ?", seq);
        if (open && state === "done") this.sql.exec("UPDATE events SET state = 'done', done_at = ? WHERE seq = ?", now, seq);
        if (open && (state === "retry" || state === "reject")) this.sql.exec("UPDATE events SET state = 'pending' WHERE seq = ?", seq);
        const released = this.sql.exec("DELETE FROM leases WHERE session_key = ?1 AND NOT EXISTS (SELECT 1 FROM events WHERE session_key = ?1 AND state IN ('pending', 'offered', 'accepted'))", row.session_key);
        freed ||= released.rowsWritten > 0;
        touched.add(row.session_key);
        return "ok";
      }),
    );
    await this.offer(freed ? [...touched, ...this.waiting()] : touched);
    return answers;
  }

  heartbeat(keyHash, worker, { leases }) {
    if (!this.knows(keyHash)) return unknownKey();
    const now = Date.now();
    const renew = ({ sessionKey, token }) =>
      this.sql.exec("UPDATE leases SET renewed_at = ? WHERE session_key = ? AND worker_id = ? AND token = ?", now, sessionKey, worker, token).rowsWritten > 0;
    return { lost: leases.filter((claim) => !renew(claim)), exclusiveMs: this.settings.leaseMs + this.settings.takeoverAfterMs };
  }

  // Streams, and what only this machine asks.

  async fetch(request) {
    if (new URL(request.url).pathname === "/commands") {
      const { order } = await request.json();
      this.sql.exec("INSERT INTO worker_keys (hash, key_id) VALUES (?, ?) ON CONFLICT DO NOTHING", order.hash, order.keyId);
      return Response.json({});
    }
    const keyHash = request.headers.get("x-key-hash");
    const worker = request.headers.get("cyrus-worker");
    if (!this.knows(keyHash)) return problem(...unknownKey().refused);
    if (!this.first("SELECT 1 AS known FROM workers WHERE id = ? AND key_hash = ?", worker, keyHash)) {
      return problem(404, "worker_unknown", "register first: POST /v1/workers with this key");
    }
    for (const older of this.ctx.getWebSockets(worker)) {
      older.send('{"type":"replaced"}');
      older.close(4000, "replaced");
    }
    const [client, server] = Object.values(new WebSocketPair());
    this.ctx.acceptWebSocket(server, [worker]);
    const accepted = this.sql.exec("SELECT seq FROM events WHERE worker_id = ? AND state = 'accepted' ORDER BY seq", worker).toArray().map((row) => row.seq);
    const leases = this.sql.exec("SELECT session_key AS sessionKey, token FROM leases WHERE worker_id = ?", worker).toArray();
    const { heartbeatLineMs, workerHeartbeatMs, leaseMs, offerMs } = this.settings;
    server.send(JSON.stringify({ type: "hello", workerId: worker, protocol: 1, serverTime: new Date().toISOString(), intervals: { heartbeatLineMs, workerHeartbeatMs, leaseMs, offerMs }, leases, accepted }));
    for (const row of this.sql.exec("SELECT seq, session_key, token FROM events WHERE worker_id = ? AND state = 'offered' ORDER BY seq", worker).toArray()) {
      this.send(worker, row.seq, row.session_key, row.token);
    }
    await this.offer(this.waiting());
    return new Response(null, { status: 101, webSocket: client });
  }

  async webSocketClose(socket) {
    const [worker] = this.ctx.getTags(socket);
    if (this.socketOf(worker)) return;
    this.takeBack("worker_id = ? AND state = 'offered'", worker);
    await this.offer(this.waiting());
  }

  takeBack(condition, value) {
    this.ctx.storage.transactionSync(() => {
      const keys = this.sql.exec(`UPDATE events SET state = 'pending' WHERE ${condition} RETURNING session_key`, value).toArray();
      for (const { session_key } of keys) {
        this.sql.exec("DELETE FROM leases WHERE session_key = ?1 AND NOT EXISTS (SELECT 1 FROM events WHERE session_key = ?1 AND state IN ('offered', 'accepted'))", session_key);
      }
    });
  }

  // One alarm: offers that nobody took, leases that nobody renewed.

  async wind(now) {
    const offers = this.first("SELECT min(offered_at) + ? AS due FROM events WHERE state = 'offered'", this.settings.offerMs).due;
    const leases = this.first("SELECT min(renewed_at) + ? AS due FROM leases", this.settings.leaseMs + this.settings.takeoverAfterMs).due;
    const due = Math.max(Math.min(offers ?? Infinity, leases ?? Infinity), now + 50);
    if (due === Infinity || (this.alarmAt !== null && this.alarmAt > now && this.alarmAt <= due)) return;
    this.alarmAt = due;
    await this.ctx.storage.setAlarm(due);
  }

  async alarm() {
    const now = Date.now();
    this.alarmAt = null;
    for (const { worker_id } of this.sql.exec("SELECT DISTINCT worker_id FROM events WHERE state = 'offered' AND offered_at <= ?", now - this.settings.offerMs).toArray()) {
      this.socketOf(worker_id)?.close(4002, "offer not accepted");
      this.takeBack("worker_id = ? AND state = 'offered'", worker_id);
    }
    const lapsed = now - this.settings.leaseMs - this.settings.takeoverAfterMs;
    this.ctx.storage.transactionSync(() => {
      this.sql.exec("UPDATE events SET state = 'pending' WHERE state IN ('offered', 'accepted') AND session_key IN (SELECT session_key FROM leases WHERE renewed_at <= ?)", lapsed);
      this.sql.exec("DELETE FROM leases WHERE renewed_at <= ?", lapsed);
    });
    await this.offer(this.waiting());
    await this.wind(now);
  }
}

function refused(...refusal) {
  return { refused: refusal };
}

function unknownKey() {
  return refused(401, "unauthorized", "this worker key is unknown or revoked");
}

function problem(status, code, detail) {
  return Response.json({ type: `urn:cyrus:problem:${code}`, title: code.replaceAll("_", " "), status, detail, code }, { status, headers: { "content-type": "application/problem+json" } });
}

export class Directory extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS workspaces (workspace TEXT PRIMARY KEY, org TEXT NOT NULL) WITHOUT ROWID");
  }

  assign(workspace, org) {
    this.ctx.storage.sql.exec("INSERT INTO workspaces (workspace, org) VALUES (?, ?) ON CONFLICT DO UPDATE SET org = excluded.org", workspace, org);
  }

  find(workspace) {
    return this.ctx.storage.sql.exec("SELECT org FROM workspaces WHERE workspace = ?", workspace).toArray()[0]?.org;
  }
}

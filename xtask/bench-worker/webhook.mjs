// `POST /webhooks/linear`: size, signature, JSON, stamp, organization, store, in the proxy's order and with its answers.

import { reply, Refusal } from "./answer.mjs";

const MAX_BYTES = 5 * 1024 * 1024;
const MAX_DEPTH = 64;
const WINDOW_MS = 60_000;

// What an isolate remembers from request to request: the imported keys and which workspace is whose.
const keys = new Map();
const organizations = new Map();

export async function receive(request, env) {
  try {
    return await take(request, env);
  } catch (error) {
    if (error instanceof Refusal) log("webhook.refused", { code: error.code });
    throw error;
  }
}

async function take(request, env) {
  const body = await readCapped(request);
  await verify(request.headers.get("linear-signature"), body, env);
  const { kind, workspaceId, meaning, event } = read(body);
  if (!event) return ignored(kind);
  const organization = await organizationOf(workspaceId, env);
  if (!organization) return ignored("unknown workspace");
  const given = request.headers.get("linear-delivery");
  const deliveryId = given && given.length <= 128 ? given : meaning;
  let stored;
  try {
    stored = await env.HUB.getByName(organization).deliver({ deliveryId, meaning, workspaceId, event });
  } catch (error) {
    console.error(JSON.stringify({ level: "error", event: "store.failed", reason: String(error) }));
    throw new Refusal(503, "store_unavailable", "the event could not be stored; send it again");
  }
  if (stored.refused) throw new Refusal(...stored.refused);
  const status = stored.duplicate ? "duplicate" : "stored";
  return reply({ status });
}

function ignored(kind) {
  log("webhook.ignored", { kind });
  return reply({ status: "ignored" });
}

function log(event, fields) {
  console.log(JSON.stringify({ level: "info", event, provider: "linear", ...fields }));
}

async function readCapped(request) {
  const declared = Number(request.headers.get("content-length") ?? NaN);
  if (!request.body) return new Uint8Array();
  if (declared <= MAX_BYTES) return new Uint8Array(await request.arrayBuffer());
  const chunks = [];
  let size = 0;
  for await (const chunk of request.body) {
    size += chunk.length;
    // What is too large is let in for a while and thrown away, so that its sender gets to read the answer.
    if (size > 2 * MAX_BYTES) break;
    if (!(declared > MAX_BYTES) && size <= MAX_BYTES) chunks.push(chunk);
  }
  if (declared > MAX_BYTES || size > MAX_BYTES) throw new Refusal(413, "too_large", `the body may have at most ${MAX_BYTES} bytes`);
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

async function verify(header, body, env) {
  if (header === null) throw new Refusal(401, "signature_missing", "send the body's HMAC-SHA256 in `Linear-Signature`");
  if (!/^[0-9a-f]{64}$/.test(header)) {
    throw new Refusal(401, "signature_malformed", "the signature must be 64 lower-case hex digits, without a prefix");
  }
  const signature = new Uint8Array(header.match(/../g).map((pair) => parseInt(pair, 16)));
  for (const secret of env.LINEAR_WEBHOOK_SECRETS.split(",")) {
    let key = keys.get(secret);
    if (!key) {
      const raw = new TextEncoder().encode(secret);
      key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
      keys.set(secret, key);
    }
    if (await crypto.subtle.verify("HMAC", key, signature, body)) return;
  }
  throw new Refusal(401, "signature_wrong", "the signature does not fit the body");
}

function read(bytes) {
  let body;
  try {
    body = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw new Refusal(400, "not_json", "the body must be one JSON object in UTF-8");
  }
  if (deeperThan(MAX_DEPTH, body)) throw new Refusal(400, "too_deep", "the body may nest at most 64 levels");
  if (!isObject(body)) throw wrongShape("the body must be a JSON object");
  const stamp = body.webhookTimestamp ?? null;
  if (stamp === null) throw new Refusal(400, "stamp_missing", "the body needs `webhookTimestamp`");
  if (typeof stamp !== "number" || !Number.isFinite(stamp)) {
    throw new Refusal(400, "stamp_not_a_number", "`webhookTimestamp` must be a number of milliseconds");
  }
  if (Math.abs(stamp - Date.now()) > WINDOW_MS) throw new Refusal(400, "stamp_stale", "`webhookTimestamp` is more than 60 s from now");
  if (typeof body.type !== "string") throw wrongShape("`type` must be a text");
  const workspaceId = body.organizationId;
  if (typeof workspaceId !== "string") throw wrongShape("`organizationId` must be a text");
  const kind = `${body.type}/${body.action}`;
  if (kind === "AgentSessionEvent/created") {
    const agentSession = projectSession(body.agentSession);
    const event = { kind: "session_created", agentSession, promptContext: text(body.promptContext), guidance: guidance(body.guidance) };
    return { kind, workspaceId, meaning: `agent_session/${agentSession.id}`, event };
  }
  if (kind === "AgentSessionEvent/prompted") {
    const agentSession = projectSession(body.agentSession);
    const activity = body.agentActivity;
    if (!isObject(activity)) throw wrongShape("a `prompted` body needs `agentActivity`");
    const activityId = required(activity.id, "agentActivity.id");
    const meaning = `agent_activity/${activityId}`;
    if (activity.signal === "stop") return { kind, workspaceId, meaning, event: { kind: "session_stopped", agentSession, activityId } };
    if (typeof activity.content?.body !== "string") throw wrongShape("`agentActivity.content.body` must be a text");
    return { kind, workspaceId, meaning, event: { kind: "session_prompted", agentSession, activityId, text: activity.content.body } };
  }
  return { kind, workspaceId };
}

function projectSession(session) {
  if (!isObject(session)) throw wrongShape("`agentSession` must be an object");
  const { issue, comment } = session;
  return {
    id: required(session.id, "agentSession.id"),
    url: text(session.url),
    issue: isObject(issue) ? projectIssue(issue) : undefined,
    comment: text(comment?.id) && text(comment?.body) !== undefined ? { id: comment.id, body: comment.body } : undefined,
    creatorName: text(session.creator?.name),
  };
}

function projectIssue(issue) {
  return {
    id: required(issue.id, "agentSession.issue.id"),
    identifier: text(issue.identifier),
    title: text(issue.title) ?? "",
    description: text(issue.description),
    url: text(issue.url),
    teamId: text(issue.teamId),
    teamKey: text(issue.team?.key),
  };
}

function guidance(rules) {
  if (!Array.isArray(rules) || rules.length === 0) return undefined;
  return rules.map((rule) => rule?.body).filter((body) => typeof body === "string");
}

const wrongShape = (detail) => new Refusal(400, "wrong_shape", detail);
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const text = (value) => (typeof value === "string" ? value : undefined);

function required(value, path) {
  if (typeof value === "string" && value.length > 0 && value.length <= 128) return value;
  throw wrongShape(`\`${path}\` must be a text of 1 to 128 bytes`);
}

function deeperThan(limit, value) {
  if (typeof value !== "object" || value === null) return false;
  if (limit === 0) return true;
  for (const part of Object.values(value)) if (deeperThan(limit - 1, part)) return true;
  return false;
}

/** Memory first, then KV, then the one object that knows for certain. */
async function organizationOf(workspaceId, env) {
  let organization = organizations.get(workspaceId);
  if (organization) return organization;
  organization = await env.DIRECTORY_CACHE.get(`linear:${workspaceId}`);
  if (!organization) {
    organization = await env.DIRECTORY.getByName("directory").find(workspaceId);
    if (!organization) return null;
    await env.DIRECTORY_CACHE.put(`linear:${workspaceId}`, organization);
  }
  organizations.set(workspaceId, organization);
  return organization;
}

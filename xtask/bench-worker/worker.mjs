// The JavaScript Worker that the benchmarks compare with: the same durable, deduplicated work as the proxy, written as one
// would write it in JavaScript. Routes are here; webhook.mjs judges bodies, hub.mjs is the Durable Object, stream.mjs the NDJSON.
//
// It leaves out what the benchmarks do not measure (first thought, grace and take-over, dead letters, weights), which makes
// it the lighter one of the two. It is never deployed.

import { refuse, reply, Refusal } from "./answer.mjs";
import { receive } from "./webhook.mjs";
import { stream } from "./stream.mjs";

export { Hub, Directory } from "./hub.mjs";

const METHODS = {
  "/webhooks/linear": "POST",
  "/v1/workers": "POST",
  "/v1/acks": "POST",
  "/v1/heartbeats": "POST",
  "/v1/events": "GET",
  "/healthz": "GET",
  "/setup/linear": "PUT",
};

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    const method = METHODS[pathname];
    if (method && request.method !== method) {
      const response = refuse(new Refusal(405, "method_not_allowed", `this path takes ${method}`));
      response.headers.set("allow", method);
      return response;
    }
    try {
      return await route(pathname, request, env);
    } catch (error) {
      if (error instanceof Refusal) return refuse(error);
      console.error(JSON.stringify({ level: "error", event: "request.failed", reason: String(error) }));
      return refuse(new Refusal(500, "internal", "try again; if it stays, the operator's log has the reason"));
    }
  },
};

async function route(pathname, request, env) {
  switch (pathname) {
    case "/webhooks/linear":
      return receive(request, env);
    case "/v1/events":
      return stream(request, env, ...(await caller(request, env)));
    case "/v1/workers": {
      const [hub, key] = await caller(request, env);
      return reply(told(await hub.register(key, await request.json())));
    }
    case "/v1/acks": {
      const [hub, key, worker] = await caller(request, env);
      return reply(told(await hub.acks(key, worker, await request.json())));
    }
    case "/v1/heartbeats": {
      const [hub, key, worker] = await caller(request, env);
      return reply(told(await hub.heartbeat(key, worker, await request.json())));
    }
    case "/setup/linear": {
      if (request.headers.get("authorization") !== `Bearer ${env.SETUP_TOKEN}`) {
        throw new Refusal(401, "unauthorized", "this route wants the operator's set-up token as Bearer");
      }
      const { organizationId, workspaceId } = await request.json();
      await env.DIRECTORY.getByName("directory").assign(workspaceId, organizationId);
      await env.DIRECTORY_CACHE.put(`linear:${workspaceId}`, organizationId);
      return reply({ workspaceId, organizationId });
    }
    case "/healthz":
      return reply({ status: "ok", service: "bench-worker" });
    default:
      throw new Refusal(404, "not_found", "the proxy has no such path");
  }
}

/** The hub of the key's organization, the key's hash, and the worker that asks. */
async function caller(request, env) {
  const key = request.headers.get("authorization")?.match(/^Bearer (cyw_([0-9a-z]+)_[0-9a-f]{64})$/);
  if (!key) throw new Refusal(401, "unauthorized", "send a worker key: `Authorization: Bearer cyw_…`");
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key[1])));
  const hex = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [env.HUB.getByName(`org_${key[2]}`), hex, request.headers.get("cyrus-worker")];
}

/** An answer of the hub, or its refusal: an error thrown there would lose its class on the way. */
function told(answer) {
  if (answer?.refused) throw new Refusal(...answer.refused);
  return answer;
}

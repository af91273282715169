// A running system for browser tests: `xtask up --json` in a folder of its own, stopped with everything it started.

import { spawn } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";

const root = path.resolve(import.meta.dirname, "../..");
const xtask = process.env.CYRUS_XTASK ?? path.join(root, "target/debug/xtask");

/** Starts `up` and waits for its line. */
export async function start(...args) {
  if (!existsSync(xtask)) throw new Error(`${xtask} is missing; build it with \`cargo build -p xtask\`, or set CYRUS_XTASK`);
  const folder = mkdtempSync(path.join(os.tmpdir(), "cyrus-browser-"));
  const log = path.join(folder, "up.err");
  const child = spawn(xtask, ["up", "--json", "--state-dir", path.join(folder, "state"), ...args], {
    cwd: root,
    detached: true, // a process group of its own
    stdio: ["ignore", "pipe", openSync(log, "w")],
  });
  const ended = new Promise((resolve) => child.once("exit", (code) => resolve(code ?? -1)));
  const killAll = () => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // It is gone already.
    }
  };
  process.once("exit", killAll);
  const minutes = process.env.CYRUS_PREBUILT ? 2 : 15;
  const line = await Promise.race([
    new Promise((resolve) => readline.createInterface({ input: child.stdout }).once("line", resolve)),
    ended.then((code) => Promise.reject(new Error(`up ended with ${code}:\n${readFileSync(log, "utf8")}`))),
    timeout(minutes * 60_000, `up printed no line within ${minutes} min`),
  ]).catch((error) => {
    killAll();
    throw error;
  });
  const up = JSON.parse(line);
  return {
    up,
    /** The pid of the workerd that runs now. */
    workerdPid: () => Number(readFileSync(path.join(up.state_dir, "workerd.pid"), "utf8")),
    /** GET as the owner. */
    async get(pathname) {
      const response = await fetch(up.panel_url + pathname, { headers: { authorization: `Bearer ${up.owner_api_key}` } });
      if (!response.ok) throw new Error(`${pathname}: ${response.status} ${await response.text()}`);
      return response.json();
    },
    /** Sends a created webhook of a new issue; gives its ids. */
    async delegate({ title, description, identifier }) {
      const ids = { agentSession: randomUUID(), issue: randomUUID(), identifier, title };
      const body = JSON.stringify(created(up, ids, description));
      const response = await fetch(`${up.proxy_url}/webhooks/linear`, {
        method: "POST",
        headers: {
          "content-type": "application/json; charset=utf-8",
          "linear-delivery": randomUUID(),
          "linear-event": "AgentSessionEvent",
          "linear-signature": createHmac("sha256", up.webhook_secrets.linear).update(body).digest("hex"),
        },
        body,
      });
      if (!response.ok) throw new Error(`webhook: ${response.status} ${await response.text()}`);
      return ids;
    },
    /** The session of an agent session, once it is in the list. */
    sessionOf(agentSession) {
      return until(`session of ${agentSession}`, 60_000, async () => {
        const { items } = await this.get("/api/sessions?limit=200");
        return items.find((item) => item.agentSessionId === agentSession);
      });
    },
    async stop() {
      child.kill("SIGTERM");
      const inTime = await Promise.race([ended.then(() => true), new Promise((resolve) => setTimeout(resolve, 20_000, false).unref())]);
      killAll();
      await ended;
      if (!inTime) throw new Error("up did not stop within 20 s of SIGTERM");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Asks until there is an answer. */
export async function until(what, ms, look) {
  const deadline = Date.now() + ms;
  for (;;) {
    const found = await look().catch(() => undefined);
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function timeout(ms, what) {
  return new Promise((_, reject) => setTimeout(() => reject(new Error(what)), ms).unref());
}

function created(up, { agentSession, issue, identifier, title }, description) {
  const now = Date.now();
  const at = new Date(now).toISOString();
  const url = `https://linear.app/demo/issue/${identifier}`;
  return {
    type: "AgentSessionEvent",
    action: "created",
    createdAt: at,
    organizationId: up.linear_organization_id,
    oauthClientId: "a1b2c3d4e5f60718293a4b5c6d7e8f90",
    appUserId: up.linear_app_user_id,
    agentSession: {
      id: agentSession, createdAt: at, updatedAt: at, archivedAt: null, appUserId: up.linear_app_user_id, organizationId: up.linear_organization_id,
      issueId: issue, status: "pending", type: "commentThread", startedAt: null, endedAt: null, summary: null, url, sourceMetadata: null,
      creator: { id: "1d4f6b82-93c5-4e07-a2d8-7b60c9e5f314", name: "Ada Example", email: "person@example.com", avatarUrl: null, url },
      comment: { id: randomUUID(), body: "This thread is for an agent session with cyrus.", userId: null, issueId: issue },
      issue: { id: issue, title, teamId: "6a8e0c24-57d1-4b93-8f2e-0d4c6b9a7e15", team: { id: "6a8e0c24-57d1-4b93-8f2e-0d4c6b9a7e15", key: "DEMO", name: "Demo" }, identifier, url, description },
    },
    previousComments: null,
    guidance: null,
    promptContext: `<issue identifier="${identifier}">\n<title>${escape(title)}</title>\n<description>${escape(description)}</description>\n</issue>`,
    webhookTimestamp: now,
    webhookId: "3b9d1c52-8a40-4c1e-9f6b-51d0a7e2c840",
  };
}

function escape(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

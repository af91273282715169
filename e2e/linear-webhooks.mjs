// The official handler of @linear/sdk as a judge: a case a line on stdin, its verdict a line on stdout.
//
// In: {"method","signature","body"} (body in base64), the secret in WEBHOOK_SECRET. Out: {"status", "shape", "infinite"}:
// what the handler answered; whether the body, as JSON.parse reads it, holds what an edge needs; whether it holds a number
// that became Infinity. The last two are facts for the test to judge by, and no part of the verdict.

import { createInterface } from "node:readline";
import { LinearWebhookClient } from "@linear/sdk/webhooks";

const handler = new LinearWebhookClient(process.env.WEBHOOK_SECRET).createHandler();

for await (const line of createInterface({ input: process.stdin })) {
  const { method, signature, body } = JSON.parse(line);
  const bytes = Buffer.from(body, "base64");
  const headers = { "content-type": "application/json" };
  if (signature !== null) headers["linear-signature"] = signature;
  const init = { method, headers, ...(method === "GET" ? {} : { body: bytes }) };
  const answer = await handler(new Request("http://localhost/webhooks/linear", init));
  console.log(JSON.stringify({ status: answer.status, ...facts(bytes) }));
}

function facts(bytes) {
  try {
    const body = JSON.parse(bytes.toString());
    return { shape: hasShape(body), infinite: holdsInfinity(body) };
  } catch {
    return { shape: null, infinite: null };
  }
}

/** What protocol and edge need of a body: written a second time here, so that the proxy is not its own measure. */
function hasShape(body) {
  const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
  const isText = (value) => typeof value === "string";
  const isId = (value) => isText(value) && value !== "" && Buffer.byteLength(value.toWellFormed()) <= 128;
  if (!isObject(body) || !isText(body.type) || !isText(body.organizationId)) return false;
  if (body.type !== "AgentSessionEvent" || !["created", "prompted"].includes(body.action)) return true;
  const session = body.agentSession;
  if (!isObject(session) || !isId(session.id)) return false;
  if (isObject(session.issue) && !isId(session.issue.id)) return false;
  if (body.action === "created") return true;
  const activity = body.agentActivity;
  if (!isObject(activity) || !isId(activity.id)) return false;
  return activity.signal === "stop" || isText(activity.content?.body);
}

function holdsInfinity(body) {
  const open = [body];
  while (open.length > 0) {
    const value = open.pop();
    if (value === Infinity || value === -Infinity) return true;
    if (typeof value === "object" && value !== null) for (const part of Object.values(value)) open.push(part);
  }
  return false;
}

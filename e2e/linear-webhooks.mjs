// Sends the same bodies to the official handler of @linear/sdk and to a running proxy and compares the verdicts.
//
// In: PROXY_URL, WEBHOOK_SECRET, SOUND_BODY. Out: the number of compared bodies; exit 1 with each difference otherwise.
// Where the proxy is stricter on purpose, the case says by which code.

import { createHmac } from "node:crypto";
import { LinearWebhookClient } from "@linear/sdk/webhooks";

const { PROXY_URL, WEBHOOK_SECRET, SOUND_BODY } = process.env;
const handler = new LinearWebhookClient(WEBHOOK_SECRET).createHandler();
const sound = JSON.parse(SOUND_BODY);
const sign = (body, secret = WEBHOOK_SECRET) => createHmac("sha256", secret).update(body).digest("hex");

/** A sound body with a fresh stamp and ids of its own, changed by `change`. */
function body(change = () => {}) {
  const copy = structuredClone(sound);
  copy.webhookTimestamp = Date.now();
  copy.agentSession.id = crypto.randomUUID();
  copy.agentSession.issue.id = crypto.randomUUID();
  change(copy);
  return JSON.stringify(copy);
}
const stamped = (text) => body((copy) => (copy.webhookTimestamp = "STAMP")).replace('"STAMP"', text);

const cases = [];
const add = (name, content, { signature, stricter, method = "POST" } = {}) => {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.from(content);
  cases.push({ name, bytes, signature: signature === undefined ? sign(bytes) : signature, stricter, method });
};

// Sound ones.
add("sound", body());
add("sound, spaced", JSON.stringify(JSON.parse(body()), null, 2));
add("an unknown field", body((copy) => (copy.later = { a: [1, 2, { b: null }] })));
add("every plane of Unicode", body((copy) => (copy.agentSession.issue.title = "Ünï 漢字 😀 \u0000 \u2028 \u202e")));
add("a long text", body((copy) => (copy.agentSession.issue.description = "x".repeat(100_000))));
add("a stamp with a fraction", stamped(`${Date.now()}.5`));
add("a stamp with an exponent", stamped(`${Date.now()}e0`));
add("half of a surrogate pair, as a cut text has it", body((copy) => (copy.agentSession.issue.title = "cut \ud83d")));
add("an unknown type", body((copy) => (copy.type = "Weather")));

// Stamps.
for (const [name, text] of [
  ["none", null], ["null", "null"], ["0", "0"], ["seconds", `${Math.floor(Date.now() / 1000)}`],
  ["a string", `"${Date.now()}"`], ["1e400", "1e400"], ["-1e400", "-1e400"], ["1e308", "1e308"], ["true", "true"],
  ["a list", `[${Date.now()}]`], ["an object", "{}"], ["two minutes old", `${Date.now() - 120_000}`],
  ["two minutes ahead", `${Date.now() + 120_000}`], ["30 s old", `${Date.now() - 30_000}`], ["30 s ahead", `${Date.now() + 30_000}`],
  ["-0", "-0"], ["a date", '"2026-11-22T10:15:25.781Z"'], ["hex", "0x10"], ["NaN", "NaN"],
]) {
  add(`stamp: ${name}`, text === null ? body((copy) => delete copy.webhookTimestamp) : stamped(text));
}

// Signatures.
for (const [name, make] of [
  ["none", () => null], ["upper-case", (bytes) => sign(bytes).toUpperCase()], ["with a prefix", (bytes) => `sha256=${sign(bytes)}`],
  ["of another secret", (bytes) => sign(bytes, "other")], ["short", (bytes) => sign(bytes).slice(2)], ["long", (bytes) => `${sign(bytes)}00`],
  ["zeros", () => "0".repeat(64)], ["base64", (bytes) => createHmac("sha256", WEBHOOK_SECRET).update(bytes).digest("base64")],
  ["of the parsed body", (bytes) => sign(JSON.stringify(JSON.parse(bytes), null, 1))],
]) {
  const content = Buffer.from(body());
  add(`signature: ${name}`, content, { signature: make(content) });
}

// Bodies.
for (const [name, content] of [
  ["empty", ""], ["text", "hello"], ["half", body().slice(0, -5)], ["twice", `${body()}${body()}`], ["BOM", `\ufeff${body()}`],
  ["a trailing comma", body().replace(/}$/, ",}")], ["single quotes", body().replaceAll('"', "'")], ["null", "null"], ["a list", "[]"],
  ["a number", "7"], ["a comment", `/* */${body()}`], ["a raw line break in a text", body().replace("DEMO", "DE\nMO")],
]) {
  add(`body: ${name}`, content);
}
add("method: GET", "", { method: "GET" });
add("method: PUT", body(), { method: "PUT" });
add("over 5 MiB", body((copy) => (copy.filler = "x".repeat(5 * 1024 * 1024))));

// Stricter on purpose.
add("a number that no double holds", body().replace('"archivedAt":null', '"archivedAt":1e400'), { stricter: "not_json" });
add("not UTF-8", Buffer.from(body().replace("Each", "\u00ff"), "latin1"), { stricter: "not_json" });
add("200,000 deep", body().replace("{", `{"deep":${"[".repeat(200_000)}${"]".repeat(200_000)},`), { stricter: "too_deep" });
add("no agent session", body((copy) => delete copy.agentSession), { stricter: "wrong_shape" });
add("no workspace", body((copy) => delete copy.organizationId), { stricter: "wrong_shape" });
add("no type", body((copy) => delete copy.type), { stricter: "wrong_shape" });
add("the stamp twice", body().replace("{", `{"webhookTimestamp":1,`), { stricter: "wrong_shape" });

// One byte changed anywhere: signed before, so both refuse; signed after, both judge the same JSON.
const random = generator(20_261_122);
for (let round = 0; round < 100; round += 1) {
  const before = Buffer.from(body());
  const after = Buffer.from(before);
  const at = Math.floor(random() * after.length);
  after[at] ^= 1 << Math.floor(random() * 7);
  add(`byte ${at} changed, signed before`, after, { signature: sign(before) });
  // Changes inside the ASCII text keep it UTF-8; a changed field name or value may make it a shape that only the proxy judges.
  add(`byte ${at} changed, signed after`, after, { stricter: "wrong_shape" });
}

function generator(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const differences = [];
let accepted = 0;
for (const { name, bytes, signature, stricter, method } of cases) {
  const headers = { "content-type": "application/json", "linear-delivery": crypto.randomUUID() };
  if (signature !== null) headers["linear-signature"] = signature;
  const init = { method, headers, ...(method === "GET" ? {} : { body: bytes }) };
  const official = await handler(new Request("http://localhost/webhooks/linear", init));
  let ours;
  try {
    ours = await fetch(`${PROXY_URL}/webhooks/linear`, init);
  } catch (error) {
    // Hanging up on a body that is too large while it is sent is a refusal too.
    if (bytes.length <= 5 * 1024 * 1024) throw error;
    ours = Response.json({ code: "too_large" }, { status: 413 });
  }
  const answer = await ours.json();
  const verdicts = [official.status < 300, ours.status < 300];
  if (ours.status >= 500) differences.push(`${name}: the proxy answered ${ours.status} ${JSON.stringify(answer)}`);
  else if (verdicts[0] === verdicts[1]) accepted += verdicts[0] ? 1 : 0;
  else if (!(verdicts[0] && stricter === answer.code)) {
    differences.push(`${name}: official ${official.status}, proxy ${ours.status} ${answer.code ?? ""}`);
  }
}
if (accepted < 10) differences.push(`only ${accepted} bodies were accepted by both`);
if (differences.length > 0) {
  console.log(`${differences.length} differences:\n  ${differences.join("\n  ")}`);
  process.exit(1);
}
console.log(`compared ${cases.length}`);

// Runs one proxy, ours or the JavaScript one, in a workerd of its own, with nothing else beside it.
//
// In: a JSON line on stdin, `{main, port, persist, vars, inspectorPort?}`, then any number of `{org, hash, keyId}`, each a
// worker key that the hub of `org` is to know. Out: one JSON line when ready, with workerd's pid, and one for each key. It ends when
// stdin closes, and with code 75 when workerd died.

import childProcess from "node:child_process";
import path from "node:path";
import readline from "node:readline";
import { syncBuiltinESMExports } from "node:module";

const DIED = 75;

// Miniflare does not tell the pid of its workerd, so the one program that it spawns is noted here.
let workerd;
const spawn = childProcess.spawn;
childProcess.spawn = (...parameters) => {
  workerd = spawn(...parameters);
  return workerd;
};
syncBuiltinESMExports();
const { Miniflare, Log, LogLevel } = await import("miniflare");

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const config = JSON.parse((await lines.next()).value);
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {}); // the caller decides, by closing stdin

const miniflare = new Miniflare({
  name: "proxy",
  host: "127.0.0.1",
  inspectorPort: config.inspectorPort,
  log: new Log(LogLevel.ERROR),
  modules: true,
  modulesRules: [
    { type: "ESModule", include: ["**/*.mjs"] },
    { type: "CompiledWasm", include: ["**/*.wasm"] },
  ],
  modulesRoot: path.dirname(config.main),
  scriptPath: config.main,
  compatibilityDate: "2026-07-01",
  compatibilityFlags: ["enable_request_signal"],
  bindings: config.vars,
  kvNamespaces: { DIRECTORY_CACHE: "directory-cache" },
  durableObjects: {
    HUB: { className: "Hub", useSQLite: true },
    DIRECTORY: { className: "Directory", useSQLite: true },
  },
  unsafeDirectSockets: [{ host: "127.0.0.1", port: config.port }],
  kvPersist: path.join(config.persist, "kv"),
  durableObjectsPersist: path.join(config.persist, "do"),
  handleRuntimeStdio(stdout, stderr) {
    stdout.pipe(process.stderr);
    stderr.pipe(process.stderr);
  },
});
await miniflare.ready;
workerd.once("exit", () => process.exit(DIED));
const hubs = await miniflare.getDurableObjectNamespace("HUB");
say({ workerdPid: workerd.pid });

for await (const line of lines) {
  const { org, hash, keyId } = JSON.parse(line);
  const order = { kind: "key_added", keyId, hash, name: "bench" };
  const body = JSON.stringify({ id: `key-${keyId}`, order });
  const response = await hubs.get(hubs.idFromName(org)).fetch("https://hub/commands", { method: "POST", body });
  say({ status: response.status });
}
workerd.removeAllListeners("exit");
workerd.once("exit", () => process.exit(0));
workerd.kill("SIGKILL"); // a bench keeps nothing that a graceful end would save

function say(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

// Runs both Workers in one workerd, with KV, D1 and Durable Objects kept in a folder.
//
// In: one JSON line on stdin, `{proxy, panel, ports, persist, migrations}`. Out: one JSON line when ready, with workerd's pid.
// It ends when stdin closes, and with code 75 when workerd died, so that whoever started it can start it again.

import childProcess from "node:child_process";
import { readFile, readdir } from "node:fs/promises";
import path from "node:path";
import readline from "node:readline";
import { syncBuiltinESMExports } from "node:module";

const DIED = 75;

// Miniflare does not tell the pid of its workerd, so the one program that it spawns is noted here.
let workerd;
const spawn = childProcess.spawn;
childProcess.spawn = (...parameters) => {
  const child = spawn(...parameters);
  workerd = child;
  return child;
};
syncBuiltinESMExports();
const { Miniflare, Log, LogLevel } = await import("miniflare");

let miniflare;
const lines = readline.createInterface({ input: process.stdin });
lines.once("close", () => {
  if (!workerd) process.exit(0);
  // `dispose` ends workerd but may wait for ever for what clients hold open, so workerd's own end decides.
  workerd.removeAllListeners("exit");
  workerd.once("exit", () => process.exit(0));
  setTimeout(() => workerd.kill("SIGKILL"), 3_000).unref();
  miniflare.dispose().catch(() => workerd.kill("SIGKILL"));
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {}); // the caller decides, by closing stdin
const config = JSON.parse(await new Promise((resolve) => lines.once("line", resolve)));

const common = {
  modules: true,
  modulesRules: [
    { type: "ESModule", include: ["**/*.mjs"] },
    { type: "CompiledWasm", include: ["**/*.wasm"] },
  ],
  compatibilityDate: "2026-07-01",
  compatibilityFlags: ["enable_request_signal"],
};
const worker = (name, part) => ({
  ...common,
  name,
  modulesRoot: path.dirname(part.main),
  scriptPath: part.main,
  bindings: part.vars,
});

miniflare = new Miniflare({
  host: "127.0.0.1",
  port: config.ports.panel,
  log: new Log(LogLevel.ERROR),
  kvPersist: path.join(config.persist, "kv"),
  d1Persist: path.join(config.persist, "d1"),
  durableObjectsPersist: path.join(config.persist, "do"),
  handleRuntimeStdio(stdout, stderr) {
    // The Workers' own log lines; the caller keeps them in a file.
    stdout.pipe(process.stderr);
    stderr.pipe(process.stderr);
  },
  workers: [
    {
      ...worker("panel", config.panel),
      d1Databases: { DB: "cyrus-panel" },
      durableObjects: {
        ROOM: { className: "Room", useSQLite: true },
        HUB: { className: "Hub", scriptName: "proxy", useSQLite: true },
      },
      assets: {
        directory: config.panel.assets,
        binding: "ASSETS",
        routerConfig: { has_user_worker: true, invoke_user_worker_ahead_of_assets: false, static_routing: { user_worker: ["/api", "/api/*", "/auth/*", "/setup", "/healthz"] } },
        assetConfig: { not_found_handling: "single-page-application" },
      },
    },
    {
      ...worker("proxy", config.proxy),
      kvNamespaces: { DIRECTORY_CACHE: "directory-cache" },
      durableObjects: {
        HUB: { className: "Hub", useSQLite: true },
        DIRECTORY: { className: "Directory", useSQLite: true },
      },
      unsafeDirectSockets: [{ host: "127.0.0.1", port: config.ports.proxy }],
    },
  ],
});

await miniflare.ready;
workerd.once("exit", () => process.exit(DIED));
await migrate(await miniflare.getD1Database("DB", "panel"));
const proxy = await miniflare.unsafeGetDirectURL("proxy");
process.stdout.write(
  `${JSON.stringify({ panel: `http://127.0.0.1:${config.ports.panel}`, proxy: proxy.origin, workerdPid: workerd.pid })}\n`,
);

// Miniflare does not run cron triggers by itself.
const panel = await miniflare.getWorker("panel");
const cron = () => panel.scheduled({ cron: "* * * * *" }).catch((error) => console.error("scheduled:", error));
setInterval(cron, 60_000).unref();

/** Applies what is new in the migrations folder, with the same book-keeping table as wrangler's. */
async function migrate(database) {
  await database
    .prepare(
      "CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)",
    )
    .run();
  const { results } = await database.prepare("SELECT name FROM d1_migrations").all();
  const applied = new Set(results.map((row) => row.name));
  const files = (await readdir(config.migrations)).filter((file) => file.endsWith(".sql")).sort();
  for (const file of files.filter((name) => !applied.has(name))) {
    const text = (await readFile(path.join(config.migrations, file), "utf8")).replace(/^\s*--.*$/gm, "");
    const statements = text.split(/;\s*$/m).map((statement) => statement.trim()).filter(Boolean);
    await database.batch([
      ...statements.map((statement) => database.prepare(statement)),
      database.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(file),
    ]);
  }
}

// Runs statements on a database file that workerd has open: node insert-rows.mjs FILE '[["INSERT …", [value, …]], …]'.
// What no route makes yet, a second organization above all, comes into a test that way. The file is in WAL mode, so both may write.

import { DatabaseSync } from "node:sqlite";

const [file, statements] = process.argv.slice(2);
const database = new DatabaseSync(file, { timeout: 10_000 });
for (const [text, values] of JSON.parse(statements)) database.prepare(text).run(...values);
database.close();

// Runs statements on a database file that workerd has open: node database.mjs FILE '[["INSERT …", [value, …]], …]'; prints the rows of each as JSON.
// What no route makes or shows, a second organization above all, comes into a test that way. The file is in WAL mode, so both may write.

import { DatabaseSync } from "node:sqlite";

const [file, statements] = process.argv.slice(2);
const database = new DatabaseSync(file, { timeout: 10_000 });
const rows = JSON.parse(statements).map(([text, values]) => database.prepare(text).all(...values));
database.close();
console.log(JSON.stringify(rows));

// Chromium for the tests, and what is watched on every page: console errors, thrown errors, dialogs, navigations.

import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";

const CANDIDATES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"];

/** Where screenshots are kept. */
export const screenshots = path.resolve(import.meta.dirname, "../../target/e2e-screenshots");

/** Starts a browser. */
export function launch() {
  const executablePath = process.env.CYRUS_CHROMIUM ?? CANDIDATES.find((candidate) => existsSync(candidate));
  if (!executablePath) throw new Error("no Chromium; install it (`apt-get install chromium`) or set CYRUS_CHROMIUM to its path");
  mkdirSync(screenshots, { recursive: true });
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
  });
}

/** Opens a page that remembers what went wrong on it. */
export async function watched(context) {
  const page = await context.newPage();
  const seen = { errors: [], navigations: 0 };
  page.on("console", (message) => {
    if (message.type() === "error") seen.errors.push(`${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("dialog", (dialog) => {
    seen.errors.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("framenavigated", (frame) => {
    if (frame === page.mainFrame()) seen.navigations += 1;
  });
  return { page, seen };
}

/** Keeps a screenshot of the whole page. */
export async function keep(page, name) {
  await page.screenshot({ path: path.join(screenshots, `${name}.png`), fullPage: true });
}

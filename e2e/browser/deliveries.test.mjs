// The pages of deliveries and workers in a real browser, on a real hub with workers by hand.
//
// The tests share one system and one signed-in browser and go in this order.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { keep, launch, watched } from "./pages.mjs";
import { start, until } from "./system.mjs";
import { register } from "./worker.mjs";

const SOON = 20_000;
let system;
let browser;
let signedIn;
let worker;
let stream;

before(async () => {
  system = await start("--edges", "0", "--set", "maxAttempts=2", "--set", "backoffMs=10");
  browser = await launch();
  signedIn = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce" });
  await (await signedIn.newPage()).goto(system.up.sign_in_url);
}, { timeout: 16 * 60_000 });

after(async () => {
  await stream?.close();
  await browser?.close();
  await system?.stop();
});

/** Opens a page of the panel. */
async function open(path) {
  const opened = await watched(signedIn);
  await opened.page.goto(system.up.panel_url + path);
  return opened;
}

const row = (page, title) => page.locator("tbody tr", { hasText: title }).first();
const state = (page, title, word) => row(page, title).locator(`[data-status="${word}"]`).waitFor({ timeout: SOON });
const focused = (page) => page.evaluate(() => document.activeElement.id);

/** The offer of an issue, once it came over the stream. */
const offer = (title, times = 1) =>
  until(`offer ${times} of ${title}`, SOON, async () =>
    stream.offers.filter((line) => JSON.stringify(line.event).includes(title))[times - 1]);

/** A delivery that the worker gives back until it is a dead letter. Gives its ids. */
async function deadLetter(identifier, title, reason = "the disk is full") {
  const ids = await system.delegate({ identifier, title, description: "x" });
  for (const time of [1, 2]) {
    const offered = await offer(title, time);
    await worker.ack(offered, "accepted");
    await worker.ack(offered, "retry", { reason, afterMs: 1 });
  }
  return ids;
}

/** Takes this offer of an issue and is done with it. */
async function finish(title, time) {
  const offered = await offer(title, time);
  assert.equal(await worker.ack(offered, "accepted"), "ok");
  assert.equal(await worker.ack(offered, "done"), "ok");
}

test("empty lists say what will be there and what comes next", async () => {
  for (const [path, words] of [["/deliveries", /No deliveries yet/], ["/workers", /No worker has connected yet/]]) {
    const { page, seen } = await open(path);
    await page.locator('[data-empty="nothing-yet"]', { hasText: words }).waitFor({ timeout: SOON });
    await page.locator("[data-empty] .command").waitFor();
    assert.deepEqual(seen.errors, []);
    await page.close();
  }
});

test("a delivery appears by itself, opens by keyboard, and says why it waits", async () => {
  const { page, seen } = await open("/deliveries");
  await page.locator("[data-empty]").waitFor({ timeout: SOON });
  const navigations = seen.navigations;
  await system.delegate({ identifier: "WAY-1", title: "Follow my way", description: "x" });
  await state(page, "Follow my way", "pending");
  assert.equal(seen.navigations, navigations, "the page was loaded again");
  await row(page, "Follow my way").getByRole("button").focus();
  await page.keyboard.press("Enter");
  await page.locator(".way .is-now", { hasText: /Waits/ }).waitFor();
  assert.match(new URL(page.url()).searchParams.get("open"), /^\d+$/);
  await page.reload();
  await page.locator(".way .is-now", { hasText: /Waits/ }).waitFor({ timeout: SOON });
  assert.equal(await page.locator(".way time[datetime]").count(), 1, "received, and nothing else yet");
  assert.deepEqual(seen.errors, []);
  await page.close();
});

test("its row follows it to the end, and neither focus nor place is lost on the way", async () => {
  const { page, seen } = await open("/deliveries");
  await state(page, "Follow my way", "pending");
  await row(page, "Follow my way").getByRole("button").focus();
  await page.keyboard.press("Enter");
  const held = await focused(page);
  await page.evaluate((id) => (document.getElementById(id).dataset.same = "yes"), held);

  worker = await register(system, "by hand");
  stream = await worker.connect();
  const offered = await offer("Follow my way");
  await state(page, "Follow my way", "offered");
  assert.equal(await worker.ack(offered, "accepted"), "ok");
  await state(page, "Follow my way", "accepted");
  await page.locator(".way .is-now", { hasText: /at it/ }).waitFor();
  assert.equal(await worker.ack(offered, "done"), "ok");
  await state(page, "Follow my way", "done");

  const steps = await page.locator(".way .step").allInnerTexts();
  assert.deepEqual(steps, ["Received", "Offered", "Accepted", "Done"]);
  const times = await page.locator(".way time").evaluateAll((all) => all.map((time) => Date.parse(time.dateTime)));
  assert.deepEqual(times, [...times].sort((a, b) => a - b));
  assert.ok((await row(page, "Follow my way").innerText()).includes("by hand"), "the worker's name");
  assert.equal(await focused(page), held);
  assert.equal(await page.evaluate((id) => document.getElementById(id).dataset.same, held), "yes", "the row was drawn anew");
  await keep(page, "delivery-done");
  assert.deepEqual(seen.errors, []);
  await page.close();
});

test("a dead letter is found by its filter and replayed from the page", async () => {
  await deadLetter("DEAD-1", "Nobody can do it");
  const { page, seen } = await open("/deliveries?state=dead");
  await state(page, "Nobody can do it", "dead");
  assert.equal(await page.locator("tbody .row-link").count(), 1, "the filter lets others in");
  await row(page, "Nobody can do it").getByRole("button").click();
  await page.getByText("the disk is full").waitFor();
  await page.locator(".tile", { hasText: "Dead letters" }).locator(".tile-value", { hasText: /^1$/ }).waitFor({ timeout: SOON });
  await keep(page, "delivery-dead");
  await page.getByRole("button", { name: "Replay" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("status").filter({ hasText: /Replayed/ }).waitFor({ timeout: SOON });
  await finish("Nobody can do it", 3);
  // It has left the filter; the keyboard is not left in the void.
  await page.locator('[data-empty="no-match"]').waitFor({ timeout: SOON });
  assert.notEqual(await page.evaluate(() => document.activeElement.tagName), "BODY");
  await page.getByRole("link", { name: "Clear the filter" }).click();
  await state(page, "Nobody can do it", "done");
  assert.deepEqual(seen.errors, []);
  await page.close();
});

test("a refused replay says why", async () => {
  await deadLetter("DEAD-2", "Raced");
  const { page } = await open("/deliveries");
  await state(page, "Raced", "dead");
  await row(page, "Raced").getByRole("button").click();
  const replay = page.getByRole("button", { name: "Replay" });
  await replay.waitFor();
  // Somebody else was quicker, and this page has not heard of it yet.
  await page.route("**/api/deliveries?*", (route) => route.abort());
  const id = new URL(page.url()).searchParams.get("open");
  const other = await fetch(`${system.up.panel_url}/api/deliveries/${id}/replay`, {
    method: "POST",
    headers: { authorization: `Bearer ${system.up.owner_api_key}` },
  });
  assert.equal(other.status, 200);
  await replay.click();
  await page.locator(".refusal", { hasText: /replay/i }).waitFor({ timeout: SOON });
  await page.unroute("**/api/deliveries?*");
  await finish("Raced", 3);
  await state(page, "Raced", "done");
  await page.close();
});

test("a dismissed dead letter is shown as dismissed and can only be replayed", async () => {
  await deadLetter("DEAD-3", "Wanted no more");
  const { page, seen } = await open("/deliveries");
  await state(page, "Wanted no more", "dead");
  await row(page, "Wanted no more").getByRole("button").click();
  await page.getByRole("button", { name: "Dismiss" }).click();
  await page.getByRole("status").filter({ hasText: /Dismissed/ }).waitFor({ timeout: SOON });
  await state(page, "Wanted no more", "dismissed");
  await page.getByRole("button", { name: "Dismiss" }).waitFor({ state: "detached", timeout: SOON });
  await page.locator(".tile", { hasText: "Dead letters" }).locator(".tile-value", { hasText: /^0$/ }).waitFor({ timeout: SOON });
  await page.reload();
  await state(page, "Wanted no more", "dismissed");
  await keep(page, "delivery-dismissed");
  await page.getByRole("button", { name: "Replay" }).click();
  await finish("Wanted no more", 3);
  await state(page, "Wanted no more", "done");
  assert.deepEqual(seen.errors, []);
  await page.close();
});

test("a dead letter's link in Linear opens it though others came after it", async () => {
  const { agentSession } = await deadLetter("DEAD-4", "Old and dead");
  const link = await until("the link in Linear", SOON, async () => {
    const told = await fetch(`${system.up.linear_url}/_test/agent-sessions/${agentSession}`);
    return (await told.text()).match(/http[^()\s"]*\/deliveries\?open=\d+/)?.[0];
  });
  await system.delegate({ identifier: "NEW-1", title: "Came later", description: "x" });
  await finish("Came later", 1);

  const { page, seen } = await watched(signedIn);
  // As if a page of the list held one row.
  const one = (route) => route.continue({ url: route.request().url().replace("limit=50", "limit=1") });
  await page.route("**/api/deliveries?limit=50*", one);
  await page.goto(link);
  const sought = page.getByRole("region", { name: "What this address opens" });
  await state(sought, "Old and dead", "dead");
  await sought.getByText("the disk is full").waitFor();
  await state(page.locator("table").last(), "Came later", "done");
  assert.equal(await page.locator("tbody .row-link").count(), 2);
  await keep(page, "delivery-elsewhere");
  await sought.getByRole("button", { name: "Replay" }).click();
  await finish("Old and dead", 3);
  await state(sought, "Old and dead", "done");
  // Once the list holds it, it is there and nowhere else.
  await page.getByRole("button", { name: "Load older" }).click();
  await sought.waitFor({ state: "detached", timeout: SOON });
  await state(page, "Old and dead", "done");
  assert.deepEqual(seen.errors, []);
  await page.close();
});

test("an address that opens nothing says so", async () => {
  for (const nothing of ["999999", "evt_01jd0000000000000000000000", "x'--"]) {
    const { page, seen } = await open(`/deliveries?open=${encodeURIComponent(nothing)}`);
    await page.locator(".callout", { hasText: /is not here/ }).waitFor({ timeout: SOON });
    await state(page, "Follow my way", "done");
    assert.deepEqual(seen.errors, []);
    await page.close();
  }
});

test("the queue's numbers are those of the hub", async () => {
  const { page } = await open("/deliveries");
  const { queue } = await system.get("/api/status");
  assert.deepEqual(queue, { pending: 0, offered: 0, accepted: 0, dead: 0 });
  const tile = page.locator(".tile", { hasText: "Acceptance, half within" });
  await tile.locator(".tile-value", { hasText: /\d (ms|s)/ }).waitFor({ timeout: SOON });
  await page.close();
});

test("a worker is shown with its slots and goes offline before the reader's eyes", async () => {
  const { page, seen } = await open("/workers");
  await state(page, "by hand", "online");
  assert.match(await row(page, "by hand").innerText(), /0 of 4/);
  await page.locator('meter[aria-label="Slots in use"]').first().waitFor();
  await stream.close();
  await state(page, "by hand", "offline");
  assert.deepEqual(seen.errors, []);
  await page.close();
});

test("a key that was made here opens the stream until it is revoked here", async () => {
  const { page, seen } = await open("/workers");
  await page.getByLabel("Name of the machine").fill("attic");
  await page.keyboard.press("Enter");
  const key = await page.locator(".made code").first().innerText();
  await until("the key to be known", SOON, () => register(system, "attic", key));
  await state(page, "attic", "offline");
  await page.reload();
  await page.locator(".keys li", { hasText: "attic" }).waitFor({ timeout: SOON });
  assert.ok(!(await page.content()).includes(key), "the key is told a second time");
  await keep(page, "workers");
  const line = page.locator(".keys li", { hasText: "attic" });
  await line.locator("summary").click();
  await line.getByRole("button", { name: "Revoke for good" }).click();
  await line.locator('[data-status="revoked"]').waitFor({ timeout: SOON });
  await state(page, "attic", "revoked");
  await assert.rejects(register(system, "attic", key), /401/);
  assert.deepEqual(seen.errors, []);
  await page.close();
});

test("a repository and a worker are set up by keyboard, and what is wrong stands beside its field", async () => {
  const { page, seen } = await open("/workers");
  const [{ id, name }] = system.up.repositories;
  const ask = async (path) => (await fetch(system.up.panel_url + path, { headers: { authorization: `Bearer ${system.up.owner_api_key}` } })).json();
  const saved = (word) => page.locator(`[data-saved="${word}"]`).waitFor({ timeout: SOON });
  await page.getByLabel("Slots of by hand").first().fill("3");
  await page.keyboard.press("Enter");
  const wanted = async () => (await ask("/api/workers")).items.find((known) => known.id === worker.id).wantedSlots;
  await until("the slots", SOON, async () => (await wanted()) === 3);
  await page.getByLabel("Slots of by hand").first().fill("0");
  await page.keyboard.press("Enter");
  await page.locator(".set .refusal", { hasText: "from 1 to" }).waitFor({ timeout: SOON });
  assert.equal(await wanted(), 3);
  await page.getByRole("link", { name, exact: true }).first().press("Enter");
  await page.getByRole("heading", { name, level: 1 }).waitFor({ timeout: SOON });
  assert.ok(page.url().endsWith(`/repositories/${id}`), page.url());
  await saved("true");
  await page.getByLabel("Allowed tools", { exact: true }).fill("Read\n\nBash(git *)");
  await page.getByLabel("Sessions at once").fill("2");
  await page.getByLabel("A tool that no rule names").selectOption("ask");
  await page.getByLabel("Model", { exact: true }).fill("--nasty");
  await saved("false");
  await page.keyboard.press("Enter");
  await page.locator("#model-wrong", { hasText: "begins with" }).waitFor({ timeout: SOON });
  assert.equal(await page.getByLabel("Model", { exact: true }).getAttribute("aria-invalid"), "true");
  assert.equal((await ask(`/api/repositories/${id}`)).allowedTools, null, "nothing of a refused form is kept");
  // The browser tells of the refused request; nothing else went wrong.
  assert.ok(seen.errors.every((error) => error.includes("400")), String(seen.errors));
  await page.getByLabel("Model", { exact: true }).fill("claude-opus-4-6");
  await page.keyboard.press("Enter");
  await saved("true");
  const set = await ask(`/api/repositories/${id}`);
  assert.deepEqual([set.model, set.allowedTools, set.permissions, set.maxSessions], ["claude-opus-4-6", ["Read", "Bash(git *)"], "ask", 2]);
  await page.reload();
  await page.locator('#model').waitFor({ timeout: SOON });
  assert.equal(await page.getByLabel("Model", { exact: true }).inputValue(), "claude-opus-4-6");
  assert.equal(await page.getByLabel("A tool that no rule names").inputValue(), "ask");
  for (const width of [1280, 320]) {
    await page.setViewportSize({ width, height: 800 });
    await keep(page, `repository-${width}`);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(overflow <= 0, `${overflow} px too wide at ${width} px`);
  }
  await page.close();
});

test("both pages fit into 320 px and have a light and a dark dress", async () => {
  const { page, seen } = await open("/deliveries");
  for (const path of ["/deliveries", "/workers"]) {
    const dresses = new Set();
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      for (const width of [1280, 320]) {
        await page.setViewportSize({ width, height: 800 });
        await page.goto(system.up.panel_url + path);
        await page.locator("tbody [data-status]").first().waitFor({ timeout: SOON });
        if (path === "/deliveries") await page.locator("tbody button").first().click();
        await keep(page, `${path.slice(1)}-${colorScheme}-${width}`);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.ok(overflow <= 0, `${path} is ${overflow} px too wide at ${width} px`);
      }
      dresses.add(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
    }
    assert.equal(dresses.size, 2, `${path} looks the same in the dark`);
  }
  assert.deepEqual(seen.errors, []);
  await page.close();
});

test("a page whose panel is gone keeps what it has, says so, and comes back by itself", async () => {
  const { page } = await open("/deliveries");
  await state(page, "Follow my way", "done");
  await page.route("**/api/**", (route) => route.abort());
  await page.getByText("What you see was loaded before").waitFor({ timeout: SOON });
  await state(page, "Follow my way", "done");
  await page.unroute("**/api/**");
  await page.getByText("What you see was loaded before").waitFor({ state: "detached", timeout: SOON });
  await page.close();
});

// The panel in a real browser, on a real system: signing in, a line that appears while one looks on, the end, narrow and dark pages.
//
// The tests share one system and one signed-in browser and go in this order: there is one sign-in link.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { keep, launch, watched } from "./pages.mjs";
import { start, until } from "./system.mjs";

const SOON = 20_000;
let system;
let browser;
let signedIn;
let live; // the session that test 3 leaves behind

before(async () => {
  system = await start("--edges", "1");
  browser = await launch();
  signedIn = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce" });
}, { timeout: 16 * 60_000 });

after(async () => {
  await browser?.close();
  await system?.stop();
});

test("the sign-in link signs in one browser, once", async () => {
  const { page, seen } = await watched(signedIn);
  await page.goto(system.up.sign_in_url);
  assert.equal(new URL(page.url()).pathname, "/", "the address carries no token any more");
  await page.locator("h1").first().waitFor({ timeout: SOON });
  assert.equal((await page.evaluate(() => fetch("/api/me").then((answer) => answer.json()))).role, "owner");
  await page.reload();
  await page.locator("h1").first().waitFor({ timeout: SOON });
  assert.deepEqual(seen.errors, []);
  await page.close();

  const stranger = await browser.newContext();
  const second = await watched(stranger);
  const answer = await second.page.goto(system.up.sign_in_url);
  assert.equal(answer.status(), 410);
  assert.equal((await stranger.cookies()).length, 0, "no cookie for the second browser");
  assert.match(await second.page.locator("h1").innerText(), /used|run out/i);
  assert.equal(await second.page.evaluate(() => fetch("/api/me").then((response) => response.status)), 401);
  // It is told how to get in, and sees nothing of the panel.
  await second.page.goto(`${system.up.panel_url}/sessions`);
  await second.page.getByText(/sign.?in/i).first().waitFor({ timeout: SOON });
  await stranger.close();
  // The first browser is signed in still.
  assert.equal((await signedIn.request.get(`${system.up.panel_url}/api/me`)).status(), 200);
});

test("empty pages say what comes next", async () => {
  const { page, seen } = await watched(signedIn);
  for (const path of ["/", "/sessions"]) {
    await page.goto(system.up.panel_url + path);
    await page.locator("main h1, main h2").first().waitFor({ timeout: SOON });
    // More than a heading and a "Loading": there is a sentence.
    await page.waitForFunction(() => document.querySelector("main").innerText.trim().length > 60, null, { timeout: SOON });
  }
  await keep(page, "sessions-empty");
  assert.deepEqual(seen.errors, []);
  await page.close();
});

test("a line that the model emits after the page is open appears within 2 s and without a second navigation", async () => {
  const late = `Said late: ${crypto.randomUUID()}`;
  const commit = "git add -A && git -c user.name=T -c user.email=t@example.invalid commit -qm 'Add a file'";
  const steps = [
    { text: "I begin.", tools: [{ name: "Bash", input: { command: "echo one > one.txt", description: "Begin" } }] },
    { text: late, delay_ms: 6000, tools: [{ name: "Bash", input: { command: commit, description: "Commit" } }] },
    { text: "All is done.", delay_ms: 1500 },
  ];
  const description = `<<SCRIPT ${JSON.stringify(steps)} SCRIPT>>`;
  const { agentSession } = await system.delegate({ identifier: "LIVE-1", title: "Watch me", description });
  live = await system.sessionOf(agentSession);

  const { page, seen } = await watched(signedIn);
  await page.goto(`${system.up.panel_url}/sessions/${live.id}`);
  await page.locator("[data-connection=live]").waitFor({ timeout: SOON });
  const [opened, navigations] = [Date.now(), seen.navigations];
  await page.locator('[data-status="running"]').first().waitFor({ timeout: SOON });
  const message = page.locator("[data-seq] .line-text", { hasText: late });
  assert.equal(await message.count(), 0, "the line is there before it was said");
  await keep(page, "session-live");
  // The moment is taken in the page itself, so that this test's own pace does not count.
  const seenAt = await page.evaluate(
    ([text]) => new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error("the line did not appear")), 30_000);
      const look = () => document.querySelector("main").textContent.includes(text) && resolve(Date.now());
      new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
      look();
    }),
    [late],
  );
  const emittedAt = Date.parse(await message.first().locator("xpath=ancestor::*[@data-seq]").locator("time").getAttribute("datetime"));
  assert.ok(emittedAt > opened, "the line is older than the page");
  assert.ok(seenAt - emittedAt < 2000, `the line took ${seenAt - emittedAt} ms to the page`);

  await page.locator('[data-status="completed"]').first().waitFor({ timeout: 30_000 });
  await page.getByText("All is done.").first().waitFor({ timeout: SOON });
  await page.locator("[data-connection=ended], [data-connection=live]").waitFor({ timeout: SOON });
  assert.equal(seen.navigations, navigations, "the page was loaded again");
  assert.deepEqual(seen.errors, []);

  // Every line once and in order, as the panel has them.
  const numbers = await page.locator("[data-seq]").evaluateAll((rows) => rows.map((row) => Number(row.dataset.seq)));
  assert.deepEqual(numbers, numbers.map((_, index) => index + 1));
  const record = await system.get(`/api/sessions/${live.id}`);
  assert.ok((await page.locator("main").innerText()).includes(record.branch), "the branch is shown");
  await page.close();
});

test("the end state is there for those who come later, in the list and on the page", async () => {
  const { page, seen } = await watched(signedIn);
  await page.goto(`${system.up.panel_url}/sessions`);
  const link = page.locator(`a[href$="/sessions/${live.id}"]`).first();
  await link.waitFor({ timeout: SOON });
  await page.locator('[data-status="completed"]').first().waitFor({ timeout: SOON });
  await link.click();
  await page.locator("[data-seq]").first().waitFor({ timeout: SOON });
  await page.locator('[data-status="completed"]').first().waitFor({ timeout: SOON });
  assert.ok(page.url().endsWith(`/sessions/${live.id}`));
  await page.goBack();
  await page.locator(`a[href$="/sessions/${live.id}"]`).first().waitFor({ timeout: SOON });
  assert.deepEqual(seen.errors, []);
  await page.close();
});

test("a title full of markup is shown as the text it is", async () => {
  const title = `<img src=x onerror="alert(1)"><script>alert(2)</script> & "quotes" \u202egnp`;
  const description = `<<SCRIPT ${JSON.stringify([{ text: "<b>bold?</b> <script>alert(3)</script>" }])} SCRIPT>>`;
  const { agentSession } = await system.delegate({ identifier: "NASTY-1", title, description });
  const session = await system.sessionOf(agentSession);
  const { page, seen } = await watched(signedIn);
  await page.goto(`${system.up.panel_url}/sessions/${session.id}`);
  await page.locator("h1", { hasText: "<img src=x" }).waitFor({ timeout: SOON });
  await page.getByText("<b>bold?</b>").first().waitFor({ timeout: 60_000 });
  assert.equal(await page.locator("main img, main script, main b").count(), 0);
  await page.goto(`${system.up.panel_url}/sessions`);
  await page.getByText("<script>alert(2)</script>").first().waitFor({ timeout: SOON });
  assert.deepEqual(seen.errors, []);
  await page.close();
});

test("an open page goes on by itself when workerd dies under it", async () => {
  const last = `Said after the outage: ${crypto.randomUUID()}`;
  const steps = [
    { text: "I begin.", tools: [{ name: "Bash", input: { command: "echo one > two.txt", description: "Begin" } }] },
    { text: last, delay_ms: 9000 },
  ];
  const { agentSession } = await system.delegate({ identifier: "LIVE-2", title: "Outlive it", description: `<<SCRIPT ${JSON.stringify(steps)} SCRIPT>>` });
  const session = await system.sessionOf(agentSession);
  const { page, seen } = await watched(signedIn);
  await page.goto(`${system.up.panel_url}/sessions/${session.id}`);
  await page.locator("[data-connection=live]").waitFor({ timeout: SOON });
  const navigations = seen.navigations;
  const before = system.workerdPid();
  process.kill(before, "SIGKILL");
  await until("a new workerd", 30_000, async () => system.workerdPid() !== before && (await fetch(`${system.up.panel_url}/healthz`)).ok);
  await page.getByText(last).first().waitFor({ timeout: 60_000 });
  await page.locator('[data-status="completed"]').first().waitFor({ timeout: 60_000 });
  assert.equal(seen.navigations, navigations, "the page was loaded again");
  const numbers = await page.locator("[data-seq]").evaluateAll((rows) => rows.map((row) => Number(row.dataset.seq)));
  assert.deepEqual(numbers, numbers.map((_, index) => index + 1), "each line once and in order");
  await page.close();
});

test("a person tells the agent something and stops the session from its page", async () => {
  const steps = [
    { text: "I begin.", tools: [{ name: "Bash", input: { command: "echo one > three.txt", description: "Begin" } }] },
    { text: "This comes too late.", delay_ms: 60_000 },
  ];
  const { agentSession } = await system.delegate({ identifier: "STEER-1", title: "Steer it", description: `<<SCRIPT ${JSON.stringify(steps)} SCRIPT>>` });
  const session = await system.sessionOf(agentSession);
  const { page, seen } = await watched(signedIn);
  await page.goto(`${system.up.panel_url}/sessions/${session.id}`);
  await page.getByText("I begin.").first().waitFor({ timeout: 30_000 });
  await page.getByLabel("Tell the agent").fill("Mind the tests.");
  await page.keyboard.press("Enter");
  await page.getByRole("status").filter({ hasText: /Told the agent/ }).waitFor({ timeout: SOON });
  assert.equal(await page.getByLabel("Tell the agent").inputValue(), "", "the field still holds what was sent");
  const { items } = await system.get(`/api/deliveries?sessionKey=${encodeURIComponent(session.sessionKey)}`);
  assert.deepEqual(items.map((item) => item.kind).sort(), ["session_created", "session_prompted"]);

  await page.getByRole("button", { name: "Stop the session" }).click();
  await page.locator('.session-head [data-status="stopped"]').waitFor({ timeout: 30_000 });
  await page.getByRole("button", { name: "Stop the session" }).waitFor({ state: "detached", timeout: SOON });
  assert.equal(await page.getByText("This comes too late.").count(), 0);
  assert.deepEqual(seen.errors, []);
  await page.close();
});

test("a session that is not there and a path that leads nowhere say so", async () => {
  const { page } = await watched(signedIn);
  for (const path of ["/sessions/ses_01jd0000000000000000000000", "/sessions/nonsense", "/nowhere"]) {
    await page.goto(system.up.panel_url + path);
    await page.getByText(/no such|not found|nothing here|no page/i).first().waitFor({ timeout: SOON });
  }
  await page.close();
});

test("every page fits into 320 px and has a light and a dark dress", async () => {
  const pages = { overview: "/", sessions: "/sessions", session: `/sessions/${live.id}` };
  const { page, seen } = await watched(signedIn);
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  for (const [name, path] of Object.entries(pages)) {
    const dresses = {};
    for (const scheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: scheme });
      for (const width of [1280, 320]) {
        await page.setViewportSize({ width, height: 800 });
        await page.goto(system.up.panel_url + path);
        await page.locator("[data-status]").first().waitFor({ timeout: SOON });
        if (name === "session") await page.locator("[data-seq]").first().waitFor({ timeout: SOON });
        await keep(page, width === 320 ? `${name}-${scheme}-320` : `${name}-${scheme}`);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.ok(overflow <= 0, `${name} is ${overflow} px too wide at ${width} px`);
      }
      dresses[scheme] = await background();
    }
    assert.notEqual(dresses.light, dresses.dark, `${name} looks the same in the dark`);
  }
  assert.deepEqual(seen.errors, []);
  await page.close();
});

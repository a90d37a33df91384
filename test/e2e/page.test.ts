/** The page in a real browser against the real program. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { lastAnswer, say, useBrowser } from "../support/browser.ts";
import { endPrograms, makeStateDir, type Program, runCommand, startProgram } from "../support/program.ts";
import { siblings } from "../support/siblings.ts";

const { openPage, faults } = useBrowser();

/** Its answer goes on until it is stopped. */
const slow = `
import { defineActor } from "cloister";
export default defineActor({
  async message(ctx, message) {
    ctx.stream("thinking about " + message.text);
    await new Promise((_, reject) => ctx.signal.addEventListener("abort", () => reject(new Error("stopped"))));
  },
});
`;
const fragile = `
import { defineActor } from "cloister";
export default defineActor({
  async message(ctx, message) {
    if (!(await ctx.workspace.exists("repaired"))) process.exit(3);
    ctx.reply("handled " + message.text);
  },
});
`;

/** Of the tests that say something to an agent of their own, or look at the page. */
let whole: Program;

beforeAll(async () => {
  const own = [
    { id: "slow", module: "./slow.ts" },
    { id: "fragile", module: "./fragile.ts" },
  ];
  const stateDir = makeStateDir(
    siblings({ agents: { list: [{ id: "main", default: true }, { id: "raul" }, ...own] } }),
  );
  writeFileSync(path.join(stateDir, "slow.ts"), slow);
  writeFileSync(path.join(stateDir, "fragile.ts"), fragile);
  whole = await startProgram(stateDir);
});

afterAll(async () => {
  expect(await whole.stop()).toBe(0);
  endPrograms();
});

test("a person chats with main, main asks raul, the page shows who asks whom; a restart keeps the conversation", async () => {
  const stateDir = makeStateDir(siblings());
  let program: Program = await startProgram(stateDir);
  const link = (await runCommand(stateDir, ["dashboard", "--no-open"])).stdout.trim().split(/\s+/).at(-1) ?? "";
  expect(link).toBe(program.pageUrl);
  const page = await openPage(link);

  await page.getByTestId("agent-raul").waitFor();
  expect(page.url(), "the key leaves the address bar").not.toContain(program.key);
  await expect.poll(() => page.getByTestId("agent-state-raul").textContent()).toContain("dormant");

  await say(page, "ask raul who are you");
  await expect
    .poll(() => lastAnswer(page).textContent())
    .toContain("raul says: I am raul, in the session agent:raul:main");
  await expect.poll(() => page.getByTestId("flow-done").count()).toBeGreaterThan(0);
  await expect.poll(() => page.getByTestId("agent-state-raul").textContent()).toContain("live");

  await say(page, "remember that the key is under the mat");
  await expect.poll(() => lastAnswer(page).textContent()).toContain("I will remember");

  // The other agent, by keyboard alone: its conversation shows who asked.
  await page.getByTestId("agent-raul").focus();
  await page.keyboard.press("Enter");
  await expect
    .poll(() => page.locator("[data-testid=message][data-source=agent]").first().textContent())
    .toContain("who are you");

  expect(await program.stop()).toBe(0);
  await expect.poll(() => page.getByTestId("connection").getAttribute("data-state")).not.toBe("ready");
  program = await startProgram(stateDir, ["--port", String(program.port)]);
  await expect.poll(() => page.getByTestId("connection").getAttribute("data-state")).toBe("ready");

  await page.getByTestId("agent-main").click();
  await expect
    .poll(() => page.locator("[data-testid=message]").allTextContents())
    .toEqual(expect.arrayContaining([expect.stringContaining("remember that the key is under the mat")]));
  await say(page, "what do you remember");
  // Not the answer of before, which says so as well.
  await expect.poll(() => lastAnswer(page).textContent()).toMatch(/^(?!.*I will remember).*the key is under the mat/su);
  // A connection that was refused while the gateway was down is no fault of the page.
  faults.splice(
    0,
    faults.length,
    ...faults.filter((fault) => !/WebSocket connection to .* failed|ERR_CONNECTION_REFUSED/.test(fault)),
  );
  await page.close();
  expect(await program.stop()).toBe(0);
});

test("answers appear while they are made, and can be stopped", async () => {
  const page = await openPage(whole.pageUrl);
  await page.getByTestId("agent-slow").click();
  await say(page, "everything");
  await expect
    .poll(() => page.locator("[data-testid=message][data-state=streaming]").textContent())
    .toContain("thinking about everything");
  await page.getByTestId("stop").click();
  await expect.poll(() => page.locator("[data-testid=message][data-state=aborted]").count()).toBeGreaterThan(0);
  await page.close();
});

test("dead letters are shown with their reason, and are replayed and discarded by keyboard", async () => {
  const page = await openPage(whole.pageUrl);
  const letters = page.getByTestId("dead-letter");
  await page.getByTestId("agent-fragile").click();
  expect(await page.getByTestId("dead-letters").count()).toBe(0);
  await say(page, "the first");
  await expect.poll(() => letters.count()).toBe(1);
  expect(await letters.first().getByTestId("dead-letter-reason").textContent()).toBe(
    "poison: it was delivered 2 times and ended its cell",
  );
  await say(page, "the second");
  await expect.poll(() => page.getByTestId("dead-letters-count").textContent()).toBe("2");

  writeFileSync(path.join(whole.stateDir, "workspace-fragile", "repaired"), "");
  await letters.last().getByTestId("dead-letter-replay").focus();
  await page.keyboard.press("Enter");
  await expect.poll(() => lastAnswer(page).textContent()).toContain("handled the first");
  await expect.poll(() => letters.count()).toBe(1);
  expect(await page.evaluate("document.activeElement.id"), "the focus stays in the panel").toBe("dead-letters-title");

  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  const discard = letters.first().getByTestId("dead-letter-discard");
  expect(await discard.textContent(), "nothing is discarded by one press").toBe("Discard for good?");
  await page.keyboard.press("Enter");
  await expect.poll(() => page.getByTestId("dead-letters").count()).toBe(0);
  await page.close();
});

test("without the key the page asks for it, and takes it", async () => {
  const page = await openPage(whole.url);
  await page.getByTestId("sign-in").waitFor();
  await page.getByTestId("key").fill("0".repeat(64));
  await page.keyboard.press("Enter");
  await expect.poll(() => page.getByTestId("sign-in").textContent()).toMatch(/key|token/i);
  await page.getByTestId("key").fill(whole.key);
  await page.keyboard.press("Enter");
  await page.getByTestId("agent-main").waitFor();
  await page.close();
});

test("on a phone, in the dark, nothing is cut off", async () => {
  const page = await openPage(whole.pageUrl, { viewport: { width: 375, height: 700 }, colorScheme: "dark" });
  await page.getByTestId("composer").waitFor();
  await say(page, "who are you");
  await expect.poll(() => lastAnswer(page).textContent()).toContain("I am main");
  expect(await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")).toBe(0);
  const [background, colour] = await page.evaluate<[string, string]>(
    "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]",
  );
  const light = (value: string): number =>
    (value.match(/\d+(\.\d+)?/g) ?? []).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);
  expect(light(background)).toBeLessThan(light(colour));
  await page.close();
});

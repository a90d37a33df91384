/** Rights, runs, timers and stops on the page, in a real browser against the real program. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { seriousFaults } from "../support/axe.ts";
import { lastAnswer, say, useBrowser } from "../support/browser.ts";
import { endPrograms, makeStateDir, type Program, runCommand, startProgram } from "../support/program.ts";

const { openPage } = useBrowser();

/** Of the tests that ask for no right. */
let whole: Program;

beforeAll(async () => {
  whole = await start();
});

afterAll(async () => {
  expect(await whole.stop()).toBe(0);
  endPrograms();
});

/** Does what it is told: a tool with its parameters, a timer, or work without an end. */
const worker = `
import { defineActor } from "cloister";
export default defineActor({
  async message(ctx, message) {
    if (message.signal?.type === "completion") return ctx.reply("told: " + message.signal.outcome);
    if (message.signal?.type === "task") return ctx.reply("told: " + message.signal.status);
    const text = message.signal?.type === "spawned" ? message.signal.task : message.text;
    if (text === "work") {
      ctx.stream("at work");
      await new Promise((_, reject) => ctx.signal.addEventListener("abort", () => reject(new Error("stopped"))));
    } else if (text.startsWith("{")) {
      const { tool, params, timer, later } = JSON.parse(text);
      const done =
        later !== undefined ? await ctx.defer(later)
        : timer !== undefined ? await ctx.schedule(timer)
        : await ctx.tools[tool](params);
      ctx.reply(JSON.stringify(done));
    } else ctx.reply("heard " + text);
  },
});
`;

const agents = [
  { id: "main", module: "./worker.ts", subagents: { allowAgents: ["raul"] } },
  { id: "raul", module: "./worker.ts" },
];

async function start(): Promise<Program> {
  const stateDir = makeStateDir({
    agents: { list: agents },
    tools: { agentToAgent: { requests: "operator" } },
  });
  writeFileSync(path.join(stateDir, "worker.ts"), worker);
  return startProgram(stateDir);
}

const press = async (page: Page, testId: string, nth = 0): Promise<void> => {
  await page.getByTestId(testId).nth(nth).focus();
  await page.keyboard.press("Enter");
};
const write = (page: Page, message: string): Promise<void> =>
  say(
    page,
    JSON.stringify({ tool: "sessions_send", params: { sessionKey: "agent:raul:main", message, timeoutSeconds: 0 } }),
  );
const focused = (page: Page): Promise<unknown> => page.evaluate("document.activeElement.id");

test("a right is asked for on the page, and approved once, for an hour and denied by keyboard", async () => {
  const program = await start();
  const page = await openPage(program.pageUrl);
  const requests = page.getByTestId("request");
  await page.getByTestId("composer").waitFor();
  expect(await page.getByTestId("requests").textContent()).toContain("No agent asks for a right.");

  await write(page, "the first");
  await expect.poll(() => requests.count()).toBe(1);
  const shown = (await requests.textContent()) ?? "";
  expect(shown).toContain("main wants to write to raul");
  expect(shown).toContain("asked less than a minute ago");
  expect(await page.getByTestId("request-message").allTextContents()).toEqual(["the first"]);
  expect(shown, "what an approval does is said before it").toContain("main gets no right");
  expect(await page.getByTestId("request-hour").getAttribute("aria-label")).toBe("For an hour: main may write to raul");

  await press(page, "request-once");
  await expect.poll(() => requests.count()).toBe(0);
  expect(await page.getByRole("alert").textContent()).toContain("Approved: 1 message delivered.");
  expect(await focused(page), "the focus stays in the panel").toBe("requests-title");
  const grants = async (): Promise<unknown> =>
    JSON.parse((await runCommand(program.stateDir, ["grants", "list", "--json"])).stdout);
  expect(await grants()).toMatchObject({ grants: [] });

  await write(page, "the second");
  await expect.poll(() => requests.count()).toBe(1);
  await press(page, "request-hour");
  await expect.poll(() => requests.count()).toBe(0);
  const fromMs = Date.now();
  const [grant] = ((await grants()) as { grants: { untilMs: number; verbs: string[] }[] }).grants;
  expect(grant).toMatchObject({ from: "main", to: "raul", verbs: ["send"] });
  expect(Math.abs((grant?.untilMs ?? 0) - fromMs - 3_600_000)).toBeLessThan(60_000);

  // No message waits for this right, so that there is nothing to let through once.
  await say(page, JSON.stringify({ tool: "sessions_history", params: { sessionKey: "agent:raul:main" } }));
  await expect.poll(() => requests.count()).toBe(1);
  expect(await requests.textContent()).toContain("main wants to read what was said in the sessions of raul");
  expect(await page.getByTestId("request-once").count()).toBe(0);
  await press(page, "request-deny");
  await expect.poll(() => requests.count()).toBe(0);

  await page.getByTestId("agent-raul").click();
  await expect
    .poll(() => page.locator("[data-testid=message][data-role=user]").allTextContents())
    .toEqual([expect.stringContaining("the first"), expect.stringContaining("the second")]);
  await page.close();
  expect(await program.stop()).toBe(0);
});

test("a sub-agent's run is shown with its parent, and cancelled; a timer is shown, and removed", async () => {
  const page = await openPage(whole.pageUrl);
  await page.getByTestId("composer").waitFor();
  expect(await page.getByTestId("subagents").count()).toBe(0);
  await say(
    page,
    JSON.stringify({ tool: "sessions_spawn", params: { agentId: "raul", task: "work", label: "digging" } }),
  );
  const run = page.getByTestId("run");
  await expect.poll(() => run.getAttribute("data-status")).toBe("running");
  expect(await run.textContent()).toMatch(/main.* started a sub-agent of .*raul.*digging/);
  await press(page, "run-cancel");
  expect(await page.getByTestId("run-cancel").textContent(), "one press ends nothing").toBe("Cancel it?");
  await page.keyboard.press("Enter");
  await expect.poll(() => run.getAttribute("data-status")).toBe("cancelled");
  expect(await page.getByTestId("run-cancel").count()).toBe(0);
  expect(await focused(page)).toBe("subagents-title");
  await expect.poll(() => lastAnswer(page).textContent()).toContain("told: cancelled");

  await say(page, JSON.stringify({ timer: { name: "nightly", everyMs: 86_400_000 } }));
  const timer = page.getByTestId("timer");
  await expect.poll(() => timer.count()).toBe(1);
  expect(await timer.textContent()).toContain("main: nightly");
  expect(await timer.textContent()).toContain("every 24 h 0 min");
  await press(page, "timer-remove");
  await page.keyboard.press("Enter");
  await expect.poll(() => timer.count()).toBe(0);
  expect((await runCommand(whole.stateDir, ["timers"])).stderr).toBe("no timer\n");
  await page.close();
});

test("a task that an agent has put off is shown, and cancelled: its session is told", async () => {
  const page = await openPage(whole.pageUrl);
  await page.getByTestId("composer").waitFor();
  await say(page, JSON.stringify({ later: { name: "report", withinMs: 3_600_000 } }));
  const task = page.getByTestId("task");
  await expect.poll(() => task.count()).toBe(1);
  expect(await task.textContent()).toMatch(/^main: report.*put off by the agent, until/);
  await press(page, "task-cancel");
  expect(await page.getByTestId("task-cancel").textContent(), "one press ends nothing").toBe("Cancel it?");
  expect(await seriousFaults(page)).toEqual([]);
  await page.keyboard.press("Enter");
  await expect.poll(() => page.getByRole("alert").textContent()).toContain("The task was cancelled.");
  await expect.poll(() => task.count()).toBe(0);
  await expect.poll(() => lastAnswer(page).textContent()).toContain("told: failed");
  await page.close();
});

test("an agent, and everything, is stopped by a second press; a parked agent is started", async () => {
  const page = await openPage(whole.pageUrl);
  const streaming = page.locator("[data-testid=message][data-state=streaming]");
  const aborted = page.locator("[data-testid=message][data-state=aborted]");
  await page.getByTestId("composer").waitFor();
  for (const [at, button, what] of [
    [1, "agent-stop", "main"],
    [2, "stop-everything", "everything"],
  ] as const) {
    await say(page, "work");
    await expect.poll(() => streaming.count()).toBe(1);
    await press(page, button);
    await page.keyboard.press("Tab");
    expect(await streaming.count(), "who goes on has not stopped anything").toBe(1);
    await press(page, button);
    await page.keyboard.press("Enter");
    await expect.poll(() => page.getByRole("alert").textContent()).toContain(`Stopped ${what}: 1 running`);
    await expect.poll(() => aborted.count()).toBe(at);
    expect(await streaming.count()).toBe(0);
  }

  expect((await runCommand(whole.stateDir, ["agents", "park", "main", "--reason", "it is late"])).code).toBe(0);
  await expect.poll(() => page.getByTestId("agent-main").textContent()).toContain("it is late");
  await press(page, "agent-start");
  await expect.poll(() => page.getByTestId("agent-state-main").textContent()).not.toBe("parked");
  await say(page, "good morning");
  await expect.poll(() => lastAnswer(page).textContent()).toContain("heard good morning");
  await page.close();
});

test("on a phone a request is counted in the bar and decided in the drawer, and nothing is cut off", async () => {
  const program = await start();
  const page = await openPage(program.pageUrl, { viewport: { width: 375, height: 700 } });
  await page.getByTestId("composer").waitFor();
  await write(page, `a message ${"with-a-very-long-word".repeat(20)}`);
  await expect.poll(() => page.getByTestId("requests-count").textContent()).toContain("1 request for a right");
  expect(await page.getByTestId("request-good").isVisible()).toBe(false);
  await page.locator(".opens-flows").click();
  await page.getByTestId("request-good").waitFor();
  for (const words of ["Approve once", "For an hour", "For good", "Deny"]) {
    const button = page.getByRole("button", { name: words });
    const isInside = async (): Promise<boolean> => {
      const box = await button.boundingBox();
      return box !== null && box.x >= 0 && box.x + box.width <= 375;
    };
    // The drawer slides in.
    await expect.poll(isInside, { message: words }).toBe(true);
  }
  expect(await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")).toBe(0);
  expect(
    await page.evaluate("(panel => panel.scrollWidth - panel.clientWidth)(document.getElementById('flows-panel'))"),
  ).toBe(0);
  await page.getByTestId("request-good").click();
  await expect.poll(() => page.getByTestId("request").count()).toBe(0);
  await page.close();
  expect(await program.stop()).toBe(0);
});

/** Rights, routes, configuration and log on the page, by keyboard, in a real browser against the real program with fifty agents. */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { seriousFaults } from "../support/axe.ts";
import { useBrowser } from "../support/browser.ts";
import { runLine } from "../support/command-lines.ts";
import { endPrograms, makeStateDir, type Program, startProgram } from "../support/program.ts";

const { openPage } = useBrowser();
const secret = "the-token-of-the-door";
const configFile = (): string => path.join(program.stateDir, "cloister.json");

const proposer = `
import { defineActor } from "cloister";
export default defineActor({
  async message(ctx, message) {
    ctx.reply(JSON.stringify(await ctx.tools.call("config_propose", JSON.parse(message.text))));
  },
});
`;

let program: Program;
let page: Page;

beforeAll(async () => {
  const list = Array.from({ length: 50 }, (_, n) => ({
    id: `a${String(n).padStart(2, "0")}`,
    module: n === 9 ? "./proposer.ts" : "echo",
  }));
  const stateDir = makeStateDir({
    agents: { list },
    gateway: { auth: { token: secret } },
    tools: {
      config: { propose: ["a09"] },
      agentToAgent: { enabled: true, grants: [{ from: "a00", to: "a01", verbs: ["send", "list"] }] },
    },
    bindings: [
      { agentId: "a07", match: { channel: "webhook", accountId: "*", peer: { kind: "group", id: "family" } } },
      { agentId: "a08", match: { channel: "webhook", accountId: "*" } },
    ],
    channels: { webhook: { accounts: { home: { token: "home-token" } } } },
  });
  writeFileSync(path.join(stateDir, "proposer.ts"), proposer);
  program = await startProgram(stateDir);
  page = await openPage(program.pageUrl, { viewport: { width: 1440, height: 900 } });
  await page.getByTestId("composer").waitFor();
});

afterAll(async () => {
  await page.close();
  expect(await program.stop()).toBe(0);
  endPrograms();
});

const goTo = async (place: string): Promise<void> => {
  await page.getByTestId(`place-${place}`).focus();
  await page.keyboard.press("Enter");
};
const press = async (...keys: readonly string[]): Promise<void> => {
  for (const key of keys) await page.keyboard.press(key);
};
const focused = (): Promise<unknown> => page.evaluate("document.activeElement.getAttribute('aria-label')");

/** In both colours: a fault of contrast may be in one of them. */
const expectNoFaults = async (): Promise<void> => {
  for (const theme of ["dark", "light"]) {
    await page.evaluate(`document.documentElement.dataset.theme = "${theme}"`);
    expect(await seriousFaults(page), theme).toEqual([]);
  }
};

test("who may message whom is a grid for the keyboard, and a cell is explained by the rule and the line that would change it", async () => {
  await goTo("rights");
  const grid = page.getByTestId("matrix");
  await expect.poll(() => grid.locator("td[data-at]").count()).toBe(2_500);
  expect(await grid.locator('td[tabindex="0"]').count(), "one stop of the Tab key").toBe(1);
  await grid.locator('td[tabindex="0"]').focus();
  await press("ArrowRight");
  expect(await focused()).toBe("a00 to a01: send, list");
  await press("Enter");
  const reason = (verb: string) => page.locator(`[data-testid=rights-reason][data-verb=${verb}]`);
  await expect.poll(() => reason("send").textContent()).toContain("allowed by tools.agentToAgent.grants[0]");
  expect(await reason("history").textContent()).toMatch(
    /refused.*The line that would allow it: add "history" to tools\.agentToAgent\.grants\[0\]\.verbs.*cloister grants add a00 a01 history/,
  );

  await press("Control+End");
  expect(await focused()).toBe("a49, itself");
  await press("PageUp", "Home");
  expect(await focused()).toBe("a39 to a00: nothing");
  await press(" ");
  await expect.poll(() => page.locator("#pair-title").textContent()).toBe("a39 → a00");
  await reason("steer").waitFor();
  const command = /cloister (grants add .*)$/.exec((await reason("steer").textContent()) ?? "")?.[1] ?? "";
  // What it proposes is what allows it.
  expect((await runLine(program.stateDir, command.split(" "))).code).toBe(0);
  await page.getByRole("button", { name: "Read again" }).first().click();
  await expect.poll(() => reason("steer").getAttribute("data-allowed")).toBe("true");
  await page.getByTestId("rights-verb").selectOption("steer");
  await expect.poll(() => grid.locator('td[data-verbs="all"]').count()).toBe(1);
  await page.getByTestId("rights-filter").fill("a0");
  await expect.poll(() => grid.locator("td[data-at]").count()).toBe(100);
  await expectNoFaults();
});

test("the route tester says the agent, the session and the tiers, as the command line does", async () => {
  await goTo("routes");
  await page.getByTestId("route-accountId").fill("home");
  await page.getByTestId("route-peerKind").selectOption("group");
  await page.getByTestId("route-peerId").fill("family");
  await press("Enter");
  await expect.poll(() => page.getByTestId("route-agent").textContent()).toBe("a07");
  const asked = ["--channel", "webhook", "--account", "home", "--peer", "group:family"];
  const said = JSON.parse((await runLine(program.stateDir, ["route", "explain", ...asked, "--json"])).stdout);
  expect(await page.getByTestId("route-session").textContent()).toBe(said.route.sessionKey);
  const outcomes = page
    .getByTestId("route-tier")
    .evaluateAll((rows) => rows.map((row) => row.getAttribute("data-outcome")));
  expect(await outcomes).toEqual(said.tiers.map(({ outcome }: { outcome: string }) => outcome));
  expect(await page.getByTestId("route-loss").textContent()).toContain("a08: lower tier than the winner");
  await expectNoFaults();
  await page.getByTestId("route-channel").fill("irc");
  await press("Enter");
  await expect.poll(() => page.getByTestId("route-winner").textContent()).toContain("the default agent answers");
});

test("the configuration is checked while it is typed, shown as a difference, and applied against what was read", async () => {
  await goTo("config");
  const text = page.getByTestId("config-text");
  const verdict = page.getByTestId("config-verdict");
  await expect.poll(() => text.inputValue()).toContain('"a07"');
  expect(await text.inputValue()).not.toContain(secret);
  const edit = async (from: string, to: string): Promise<void> =>
    text.fill((await text.inputValue()).replace(from, to));
  const apply = page.getByTestId("config-apply");

  await edit('"tools": {', '"tols": {');
  await expect.poll(() => page.getByTestId("config-issue").textContent()).toMatch(/tols.*tools/);
  expect(await apply.isDisabled()).toBe(true);
  await expectNoFaults();
  await edit('"tols": {', '"tools": {');
  await expect.poll(() => verdict.textContent()).toContain("Nothing is changed");

  await edit('"list"\n', '"list",\n          "history"\n');
  const change = page.getByTestId("config-change");
  await expect.poll(() => change.getAttribute("data-path")).toBe("tools.agentToAgent.grants[0].verbs");
  expect(await page.getByTestId("config-effects").textContent()).toContain("tools.agentToAgent");
  await expectNoFaults();
  await apply.focus();
  await press("Enter");
  await expect.poll(() => verdict.textContent()).toBe("Written and in force.");
  expect(readFileSync(configFile(), "utf8")).toContain(secret);
  const explained = await runLine(program.stateDir, ["grants", "explain", "a00", "a01", "history", "--json"]);
  expect(JSON.parse(explained.stdout).verbs[0]).toMatchObject({ allowed: true });

  // Somebody else is faster.
  await edit('"history"', '"history",\n          "steer"');
  await expect.poll(() => change.count()).toBe(1);
  expect((await runLine(program.stateDir, ["config", "set", "agents.list[id=a05].name", "Five"])).code).toBe(0);
  await page.getByTestId("config-stale").waitFor();
  expect(await change.evaluateAll((rows) => rows.map((row) => row.getAttribute("data-path")))).toContain(
    "agents.list[5].name",
  );
  expect(await text.inputValue(), "what was typed stays").toContain('"steer"');
  await expectNoFaults();
  const drop = page.getByTestId("config-read");
  await drop.focus();
  await press("Enter", "Enter");
  await expect.poll(() => text.inputValue()).toContain('"Five"');

  await page.getByTestId("config-key").fill("tools.agentToAgent.requests");
  await press("Enter");
  await expect.poll(() => page.getByTestId("config-key-facts").textContent()).toMatch(/choice: off, operator/);
});

test("what an agent proposes is shown with what it would change, and applied or rejected by one press", async () => {
  const propose = async (reason: string, value: string): Promise<void> => {
    const asked = JSON.stringify({ reason, set: [{ key: "agents.list[id=a10].name", value }] });
    expect((await runLine(program.stateDir, ["send", "--agent", "a09", asked])).stdout).toContain('"valid":true');
  };
  await propose("it has a name", "Ten");
  const proposal = page.getByTestId("proposal");
  await expect.poll(() => proposal.count()).toBe(1);
  await expect
    .poll(() => proposal.textContent())
    .toMatch(/a09 proposes.*it has a name.*agents\.list\[10\]\.name.*\+ "Ten"/);
  expect(await page.getByTestId("access-count").textContent()).toBe("1 waits for an approval");
  await expectNoFaults();
  await page.getByTestId("proposal-apply").focus();
  await press("Enter");
  await expect.poll(() => proposal.count()).toBe(0);
  expect(readFileSync(configFile(), "utf8")).toContain('"Ten"');
  await propose("another one", "Twelve");
  await expect.poll(() => page.getByTestId("proposals").textContent()).toMatch(/- "Ten".*\+ "Twelve"/);
  await page.getByTestId("proposal-reject").focus();
  await press("Enter");
  await expect.poll(() => proposal.count()).toBe(0);
  expect(readFileSync(configFile(), "utf8")).not.toContain("Twelve");
});

test("the log is followed, from a level on and with a text in it", async () => {
  await goTo("log");
  const lines = page.getByTestId("log-line");
  await expect.poll(() => lines.allTextContents()).toContainEqual(expect.stringMatching(/info ready .*"agents":50/));
  await expectNoFaults();
  const wanted = '"changed":["a06"]';
  await page.getByTestId("log-filter").fill(wanted);
  await expect.poll(() => lines.count()).toBe(0);
  expect((await runLine(program.stateDir, ["config", "set", "agents.list[id=a06].name", "Six"])).code).toBe(0);
  await expect.poll(() => lines.count()).toBe(1);
  expect(await lines.textContent()).toContain("config reload applied");
  await page.getByTestId("log-level").selectOption("error");
  await expect.poll(() => lines.count()).toBe(0);
  const follow = page.getByTestId("log-follow");
  await follow.click();
  expect(await follow.getAttribute("aria-pressed")).toBe("false");
  await goTo("chat");
  await page.getByTestId("composer").waitFor();
});

test("on a small screen nothing is wider than the screen", async () => {
  const small = await openPage(program.pageUrl, { viewport: { width: 390, height: 780 } });
  await small.getByTestId("composer").waitFor();
  await small.getByTestId("place-rights").click();
  await small.getByTestId("matrix").waitFor();
  await small.getByTestId("rights-filter").fill("a0");
  await expect.poll(() => small.locator("td[data-at]").count()).toBe(100);
  expect(await small.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider").toBe(true);
  for (const width of [390, 320]) {
    await small.setViewportSize({ width, height: 780 });
    const hidden = await small.evaluate(
      "(nav => nav.scrollWidth - nav.clientWidth)(document.querySelector('.places'))",
    );
    expect([width, await small.locator(".places .button").count(), hidden], "all views can be pressed").toEqual([
      width,
      6,
      0,
    ]);
  }
  expect(await seriousFaults(small)).toEqual([]);
  await small.close();
});
